"""The plan of a graph: its checked nodes in topological order, with their keys; brought up to date after edits.

An unchanged graph costs nothing, a changed constant costs the nodes below it, a changed structure costs a new plan.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

from comfy_nb.engine.planning.inside import Asked, KnownInside
from comfy_nb.engine.planning.keys import head_of, key_of, never_equal
from comfy_nb.engine.planning.modes import Modes
from comfy_nb.engine.planning.step import ClassNow, NodeKey, Step, class_now
from comfy_nb.errors import Problem
from comfy_nb.graph import topology
from comfy_nb.graph.bypass import resolve
from comfy_nb.graph.check import Origins, check_node
from comfy_nb.graph.model import Graph
from comfy_nb.graph.node import Node
from comfy_nb.spec.contents.tensors import read_once
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.unknown_classes import MISSING, advice_for
from comfy_nb.wording import error_message

CYCLE_MAX = 12


class Plan:
    """The steps of a graph by id (`steps`) and in topological order (`order`), and their problems (`faulty`).

    Their keys are those of a run under these `modes`, completed by what is known to run inside nodes (`inside`); each
    change of them has a new `revision`. `users` counts the runs that use the plan: while there are any, an edit makes a
    new one. What has to be done before a run is listed: `fingerprinting` and `validating` steps have such hooks,
    `runs_every_time` have a submitted fingerprint that is never equal, and `changeable` ids have constants that may
    have changed in place. `reporting` ids have intermediate output.
    """

    def __init__(self, graph: Graph, modes: Modes, inside: KnownInside) -> None:
        self.modes = modes
        self.inside = inside
        self._known_at = inside.revision
        self._completed: set[str] = set()
        self.uid = graph.scope.uid
        self.structure = graph.structure
        self.steps: dict[str, Step] = {}
        self.order: list[Step] = []
        self.classes: dict[str, ClassNow] = {}
        self.faulty: dict[str, Sequence[Problem]] = {}
        self.unknown: list[Problem] = []
        self.users = 0
        self.has_cycle = False
        self._outputs: list[str] | None = None
        self._needed: dict[tuple[str, ...], Collection[str]] = {}
        self.revision = 0
        self.fingerprinting: list[Step] = []
        self.validating: list[Step] = []
        self.runs_every_time: list[Step] = []
        self.reporting: list[str] = []
        self.changeable: set[str] = set()
        self._build(graph)

    def _build(self, graph: Graph) -> None:
        active = graph.active()
        for node_id, node in active.items():
            step = self._new_step(node_id, node, graph.registry)
            if step is not None:
                self.steps[node_id] = step
        origins = self._origins(graph)
        for step in self.steps.values():
            self._check(step, active[step.id], origins)
        self._sort()
        asked: Asked = {}
        with read_once():
            for step in self.order:
                self._set_head(step)
                self._set_key(step, asked)
        graph.edited.clear()

    def _key(self, step: Step, asked: Asked) -> NodeKey:
        own = key_of(step.head, step.fingerprint, step.links, self.steps)
        return self.inside.complete(own, asked) if self.inside.revision else own

    def _set_key(self, step: Step, asked: Asked) -> None:
        """Set a step's key, and note whether it has to be completed anew before every run."""
        step.key = self._key(step, asked)
        if self.inside.revision:
            (self._completed.add if step.key in self.inside else self._completed.discard)(step.id)

    def _set_head(self, step: Step) -> None:
        """Digest a node, and note whether that has to be done before every run."""
        step.head = head = head_of(step, self.uid)
        if head.fixed and head.reusable:
            self.changeable.discard(step.id)
        else:
            self.changeable.add(step.id)

    def _origins(self, graph: Graph) -> Origins:
        all_active = graph.active() is graph.nodes
        through_bypassed = None if all_active else partial(resolve, graph.nodes)
        return Origins(self._spec_of, through_bypassed, lambda: list(graph.active()))

    def _spec_of(self, node_id: str) -> NodeSpec | None:
        step = self.steps.get(node_id)
        return None if step is None else step.spec

    def _new_step(self, node_id: str, node: Node, registry: Registry) -> Step | None:
        known = self.classes.get(node.class_type)
        if known is None:
            spec = registry.find(node.class_type)
            if spec is None:
                self.unknown.append(_missing(node, advice_for(node.class_type, registry)))
                return None
            try:
                known = class_now(spec)
            except Exception as error:  # a pack's INPUT_TYPES may raise anything
                advice = "Reading its INPUT_TYPES(), or the code that it uses, raised this."
                message = error_message(error)
                details = f"{type(error).__name__}: {message}"
                self.unknown.append(_unreadable(node, details, advice, message))
                return None
            self.classes[node.class_type] = known
        step = Step()
        step.id, step.class_type = node_id, node.class_type
        step.modes = self.modes
        step.extras = node.extras
        step.set_class(known)
        step.title = node.title if node.extras else node.class_type
        if step.spec.fingerprint is not None:
            if step.fingerprint is None:
                self.fingerprinting.append(step)
            elif never_equal(step.fingerprint):
                self.runs_every_time.append(step)
        if step.spec.validate is not None:
            self.validating.append(step)
        if step.spec.has_intermediate_output:
            self.reporting.append(step.id)
        return step

    def _check(self, step: Step, node: Node, origins: Origins) -> None:
        check_node(step, node.inputs, origins)
        if step.problems:
            self.faulty[step.id] = step.problems
        else:
            self.faulty.pop(step.id, None)

    def _sort(self) -> None:
        """Put the steps in topological order, and report cycles."""
        steps = self.steps
        self._number(list(steps.values()))
        if any(steps[link.origin].index >= step.index for step in self.order for link in step.links):
            self._number([steps[node_id] for node_id in self._sorted_ids()])
        for step in self.order:
            for link in step.links:
                steps[link.origin].consumers.append(step.index)

    def _number(self, order: list[Step]) -> None:
        self.order = order
        for index, step in enumerate(order):
            step.index = index

    def _sorted_ids(self) -> list[str]:
        cycles: list[list[str]] = []
        ids = topology.sort(self.steps, self._parents, cycles.append)
        self.has_cycle = bool(cycles)
        if cycles:  # walked again from the outputs, as ComfyUI does: the report begins at the node they need
            outputs = [node_id for node_id, step in self.steps.items() if step.spec.is_output]
            topology.sort([*outputs, *self.steps], self._parents, self._report_cycle)
        return ids

    def _parents(self, node_id: str) -> list[str]:
        return [link.origin for link in self.steps[node_id].links]

    def _report_cycle(self, cycle: list[str]) -> None:
        names = [f"{node_id} ({self.steps[node_id].class_type})" for node_id in cycle]
        shown = " -> ".join([*names[:CYCLE_MAX], *(["..."] if len(names) > CYCLE_MAX else []), names[0]])
        advice = "Each takes from the next one, so none can run. Remove one of these links."
        for node_id in cycle:
            step = self.steps[node_id]
            step.problem(
                "dependency_cycle",
                "Dependency cycle detected",
                shown,
                advice=advice,
                node_id=node_id,
                cycle_nodes=cycle,
            )
            self.faulty[node_id] = step.problems

    def is_current(self, graph: Graph, modes: Modes) -> bool:
        """Whether nothing has outdated this plan, as far as that shows without reading constants or calling a class."""
        if graph.structure != self.structure or graph.edited or self.unknown or self.changeable or modes != self.modes:
            return False
        if self._completed_otherwise():
            return False
        find = graph.registry.find
        return all(
            find(class_type) is known.spec and known.spec.code() == known.code
            for class_type, known in self.classes.items()
        )

    def refresh(self, graph: Graph, modes: Modes, inside: KnownInside) -> Plan:
        """Return a plan of the graph as it is now: this one where it can be brought up to date, else a new one."""
        is_other = graph.structure != self.structure or modes != self.modes or inside is not self.inside
        if is_other or self._classes_changed(graph.registry):
            return Plan(graph, modes, inside)
        dirty = self._changed_code()
        completed = self._completed_otherwise()
        if (dirty or completed or graph.edited) and (self.users or self.has_cycle):
            return Plan(graph, modes, inside)
        if graph.edited:
            dirty += self._recheck(graph)
            graph.edited.clear()
        if changed := self._changed_in_place():
            if self.users:
                return Plan(graph, modes, inside)
            dirty += [self._renew(self.steps[node_id]) for node_id in changed]
            for node_id in changed:
                self._set_head(self.steps[node_id])
        if dirty or completed:
            self.rekey([*dirty, *completed])
        return self

    def needed_by(self, wanted: Sequence[str]) -> Collection[str]:
        """Return the ids of the nodes that these need, with themselves, but for what a lazy input may ask for."""
        found = self._needed.get(tuple(wanted))
        if found is None:
            found = self._needed[tuple(wanted)] = topology.reach(wanted, self._surely_above)
        return found

    def _surely_above(self, node_id: str) -> list[str]:
        return [link.origin for link in self.steps[node_id].links if not link.lazy]

    def complete_anew(self) -> None:
        """Take in what has become known of what runs inside nodes."""
        if completed := self._completed_otherwise():
            self.rekey(completed)

    def _completed_otherwise(self) -> list[Step]:
        """Return the steps whose keys have to be completed anew, by what is known by now to run inside them."""
        revision = self.inside.revision
        if self._known_at != revision:
            self._completed.update(step.id for step in self.order if step.key in self.inside)
            self._known_at = revision
        steps = [self.steps[node_id] for node_id in self._completed]
        asked: Asked = {}
        return [step for step in steps if self._key(step, asked) != step.key]

    def _classes_changed(self, registry: Registry) -> bool:
        if self.unknown:
            return True
        find = registry.find
        for class_type, (spec, interface, *_) in self.classes.items():
            if find(class_type) is not spec:
                return True
            if interface.raw is not None and not _same(interface.raw, _raw_of(spec)):
                return True
        return False

    def _changed_code(self) -> list[Step]:
        changed: set[str] = set()
        for class_type, known in self.classes.items():
            code = known.spec.code()
            if code != known.code:
                changed.add(class_type)
                self.classes[class_type] = known.with_code(code)
        if not changed:
            return []
        stale = [step for step in self.order if step.class_type in changed]
        return stale if self.users else [self._recode(step) for step in stale]

    def _recode(self, old: Step) -> Step:
        step = self._renew(old)
        step.set_class(self.classes[step.class_type])
        self._set_head(step)
        return step

    def _recheck(self, graph: Graph) -> list[Step]:
        origins = self._origins(graph)
        dirty = []
        for node_id in graph.edited:
            old = self.steps.get(node_id)
            if old is not None:
                step, node = self._renew(old), graph.nodes[node_id]
                step.extras, step.title = node.extras, node.title
                self._check(step, node, origins)
                self._set_head(step)
                dirty.append(step)
        return dirty

    def _changed_in_place(self) -> list[str]:
        """Return the ids of nodes with a constant that is no longer what it was, or of which that cannot be known."""
        with read_once():
            now = [(node_id, head_of(self.steps[node_id], self.uid)) for node_id in self.changeable]
        return [node_id for node_id, head in now if not head.reusable or head.value != self.steps[node_id].head.value]

    def _renew(self, old: Step) -> Step:
        """Replace a step by a copy, so that earlier runs still have the step as it was."""
        step = copy.copy(old)
        self.steps[step.id] = self.order[step.index] = step
        for some in (self.fingerprinting, self.validating, self.runs_every_time):
            if old in some:
                some[some.index(old)] = step
        return step

    def rekey(self, dirty: Iterable[Step]) -> None:
        """Recompute the keys of these steps and of all steps below them."""
        self.revision += 1
        order = self.order
        stale = topology.reach([step.index for step in dirty], lambda index: order[index].consumers)
        asked: Asked = {}
        for index in sorted(stale):
            self._set_key(order[index], asked)

    def default_outputs(self) -> list[str]:
        """Return the ids of the output nodes, or where there are none, of the leaves."""
        if self._outputs is None:
            outputs = [node_id for node_id, step in self.steps.items() if step.spec.is_output]
            taken_from = (node_id for node_id, step in self.steps.items() if self._is_taken_from(step))
            self._outputs = topology.outputs_or_leaves(outputs, self.steps, taken_from)
        return self._outputs

    def above(self, wanted: Iterable[str]) -> set[str]:
        """Return the ids of these nodes and of all that they could need."""
        return topology.reach([node_id for node_id in wanted if node_id in self.steps], self._parents)

    def _is_taken_from(self, step: Step) -> bool:
        """Whether a step is no leaf; of a cycle the last one is, so that a graph that is nothing else is reported."""
        if self.has_cycle:
            return any(each > step.index for each in step.consumers)
        return bool(step.consumers)

    def checked_for(self, wanted: Iterable[str]) -> set[str]:
        """Return the ids of these nodes and of all above them by declared inputs: those that must be valid."""
        return topology.reach([node_id for node_id in wanted if node_id in self.steps], self._declared_parents)

    def _declared_parents(self, node_id: str) -> list[str]:
        step = self.steps[node_id]
        return [link.origin for link in step.links if link.name in step.interface.declared]

    def below(self, origins: Iterable[str]) -> set[str]:
        """Return the ids of all nodes that could need one of these."""
        return topology.below({node_id: self._parents(node_id) for node_id in self.steps}, origins)


def _raw_of(spec: NodeSpec) -> Any:
    try:
        return spec.interface().raw
    except Exception:  # a pack's INPUT_TYPES may raise anything; then the new plan reports it
        return None


def _same(old: Any, new: Any) -> bool:
    try:
        return bool(old == new)
    except Exception:  # packs' dict subclasses and live defaults may refuse comparison; then it counts as changed
        return False


def _missing(node: Node, advice: str) -> Problem:
    return Problem(
        MISSING,
        f"Node {node.title!r} not found. The custom node may not be installed.",
        f"Node ID '#{node.id}'",
        node.id,
        node.class_type,
        node.title,
        {"node_id": node.id, "class_type": node.class_type, "node_title": node.title},
        advice,
    )


def _unreadable(node: Node, details: str, advice: str, message: str) -> Problem:
    return Problem(
        "invalid_prompt",
        "Cannot execute because a node class cannot be read",
        details,
        node.id,
        node.class_type,
        node.title,
        {"class_type": node.class_type, "exception_message": message},
        advice,
    )
