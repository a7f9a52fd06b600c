"""Expansions: a node returned a graph; its nodes join the run, and their outputs become the node's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, NoReturn

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.returned import merge
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.execution.turn import Expand
from comfy_nb.engine.planning.inside import Asked, KnownInside
from comfy_nb.engine.planning.keys import head_of, key_of
from comfy_nb.engine.planning.modes import Modes
from comfy_nb.engine.planning.step import Step, class_now
from comfy_nb.errors import DependencyCycleError, DuplicateNodeError, GraphError, warn_each_time
from comfy_nb.graph import topology
from comfy_nb.graph.check import in_link
from comfy_nb.graph.link import link_of
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.unknown_classes import unknown_class
from comfy_nb.wording import title_in


class Expanded:
    """The expansion of one node: the result of each call, with links to nodes of the expansion."""

    __slots__ = ("ids", "parts", "wanted")

    def __init__(self, parts: Sequence[tuple[bool, Sequence[Any]]], wanted: Sequence[str], ids: Set[str]) -> None:
        self.parts = parts
        self.wanted = wanted
        self.ids = ids

    def outputs(self, node_run: NodeRun, scheduler: Scheduler) -> Outputs:
        """Return the node's outputs, with each link replaced by the items it leads to."""
        return merge(node_run.step.spec, [self._resolve(scheduler, *part) for part in self.parts])

    def _resolve(self, scheduler: Scheduler, is_graph: bool, values: Sequence[Any]) -> Sequence[Any]:
        if not is_graph:
            return values
        resolved: list[Any] = []
        for value in values:
            link = link_of(value)
            if link is None:
                resolved.append(value)
                continue
            outputs = scheduler.node_runs[link.origin].outputs or ()
            try:
                resolved.extend(outputs[link.slot])
            except IndexError:
                resolved.append(None)
        return resolved


def read_expansion(
    expand: Expand, by: str, scheduler: Scheduler, registry: Registry
) -> tuple[dict[str, Step], Expanded]:
    """Make the steps of what node `by` expanded into; their keys come later, after their fingerprints.

    A node whose outputs are no longer held may expand again, into the same ids. With any other id that exists already
    the later node takes the place of the earlier one, after a warning. Raises DuplicateNodeError where that would be
    the node itself or one that it came from, UnknownName for an unknown class, GraphError for a link to nothing.
    """
    steps: dict[str, Step] = {}
    wanted: list[str] = []
    parts: list[tuple[bool, Sequence[Any]]] = []
    for graph, values in expand.parts:
        if graph is None:
            parts.append((False, values))
            continue
        parts.append((True, values))
        _check_graph(graph)
        for node_id, entry in graph.items():
            is_again = scheduler.expanders.get(node_id) == by
            if node_id in steps or (scheduler.step(node_id) is not None and not is_again):
                _check_replaceable(node_id, by, scheduler)
            steps[node_id] = inner_step(node_id, entry, registry)
        wanted += [link.origin for value in values if (link := link_of(value)) is not None]
        wanted += [node_id for node_id in graph if steps[node_id].spec.is_output]
    for step in steps.values():
        _check_links(step, steps, scheduler)
    for node_id in wanted:
        if node_id not in steps and scheduler.step(node_id) is None:
            raise GraphError(f"its result links to node {node_id!r}, which does not exist.")
    return steps, Expanded(parts, list(dict.fromkeys(wanted)), steps.keys())


def _check_replaceable(node_id: str, by: str, scheduler: Scheduler) -> None:
    above: str | None = by
    while above is not None:
        if above == node_id:
            raise DuplicateNodeError(f"it would replace node {node_id!r}, which made it; make ids with GraphBuilder().")
        above = scheduler.expanders.get(above)
    step = scheduler.step(by)
    assert step is not None
    warn_each_time(
        f"{step.named} expands into a node {node_id!r}, which exists already. From now on the new one is used. "
        "Make ids with GraphBuilder(), so that each is used once.",
        step.spec.function_code,
    )


def _check_graph(graph: Any) -> None:
    advice = "Make it with GraphBuilder().finalize()."
    if not isinstance(graph, Mapping):
        raise GraphError(f"what it expands into is a {type(graph).__name__}, not a dict of nodes by id. {advice}")
    for node_id, entry in graph.items():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("inputs") or {}, Mapping):
            raise GraphError(f"node {node_id!r} of its expansion is not a dict with class_type and inputs. {advice}")


def inner_step(node_id: str, entry: Mapping[str, Any], registry: Registry) -> Step:
    """Make the step of a node of an expansion; its inputs are neither validated nor converted."""
    class_type = entry.get("class_type")
    spec = registry.find(class_type) if isinstance(class_type, str) else None
    if spec is None:
        raise unknown_class(class_type, registry, f"for node {node_id!r} of the expansion")
    step = Step()
    step.id, step.class_type = node_id, spec.class_type
    step.extras = {name: value for name, value in entry.items() if name not in ("class_type", "inputs")} or None
    step.set_class(class_now(spec))
    interface = step.interface
    step.title = title_in(entry.get("_meta")) or spec.class_type
    step.template, step.links, step.problems, step.received, step.submitted = {}, [], (), None, None
    inputs = entry.get("inputs") or {}
    for name, value in inputs.items():
        link = link_of(value)
        if link is not None:
            step.template[name] = None
            step.links.append(in_link(name, link, interface.lookup(name)))
        elif interface.lookup(name) is not None or name in interface.hidden:
            step.template[name] = value
        else:
            step.submitted = step.submitted or dict(inputs)
    return step


def _check_links(step: Step, steps: Mapping[str, Step], scheduler: Scheduler) -> None:
    for link in step.links:
        if link.origin not in steps and scheduler.step(link.origin) is None:
            raise GraphError(
                f"input {link.name!r} of node {step.id!r} links to node {link.origin!r}, which does not exist."
            )


def set_keys(steps: Mapping[str, Step], scheduler: Scheduler, scope: int, modes: Modes, inside: KnownInside) -> None:
    """Set the keys of an expansion's steps, for a run under these modes.

    Raises DependencyCycleError where they wait for each other.
    """
    known = _Known(steps, scheduler)

    def parents(node_id: str) -> list[str]:
        return [link.origin for link in steps[node_id].links if link.origin in steps]

    asked: Asked = {}
    for node_id in topology.sort(steps, parents, _refuse_cycle):
        step = steps[node_id]
        step.modes = modes
        step.head = head_of(step, scope)
        step.key = inside.complete(key_of(step.head, step.fingerprint, step.links, known), asked)


def _refuse_cycle(ids: Sequence[str]) -> NoReturn:
    raise DependencyCycleError(f"nodes {ids[0]!r} and {ids[-1]!r} of the expansion wait for each other.")


class _Known(dict[str, Step]):
    """Steps by id: those of the expansion, then those of the run."""

    def __init__(self, steps: Mapping[str, Step], scheduler: Scheduler) -> None:
        super().__init__(steps)
        self._scheduler = scheduler

    def __missing__(self, node_id: str) -> Step:
        step = self._scheduler.step(node_id)
        assert step is not None
        return step
