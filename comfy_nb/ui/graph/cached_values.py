"""A graph's values in the memory cache: nothing is computed, read from disk or counted as used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.skips import blocked_output
from comfy_nb.engine.planning.planned import plan_of
from comfy_nb.engine.planning.step import Step
from comfy_nb.engine.run import Run
from comfy_nb.engine.session import Session
from comfy_nb.errors import ComfyNBError, NotKept
from comfy_nb.graph.model import Graph
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.ui.inspect.arrays import describe_array, is_array
from comfy_nb.ui.render.thumbnails import Thumbnail, value_thumbnail
from comfy_nb.wording import encodable, short

PICTURES_MAX = 60
PICTURE_PX = 192


def cached_nodes(graph: Graph, session: Session) -> Mapping[str, Thumbnail | None]:
    """Return the nodes whose values are in memory, by id, each with a small picture if it has one."""
    found: dict[str, Thumbnail | None] = {}
    drawn = 0
    for node_id, (step, entry) in _cached(graph, session).items():
        found[node_id] = _picture(step.spec, entry) if drawn < PICTURES_MAX else None
        drawn += found[node_id] is not None
    return found


def blocked_nodes(graph: Graph, session: Session) -> Mapping[str, str]:
    """Return the nodes that were not called because of a blocker, by id, each with the reason."""
    found = _cached(graph, session).items()
    return {node_id: entry.skips[0].reason for node_id, (_, entry) in found if entry.is_blocked}


def blocked_outputs(graph: Graph, session: Session) -> Mapping[str, str]:
    """Return the nodes that were called and gave nothing but blockers, by id, each with these words."""
    found = {node_id: entry for node_id, (_, entry) in _cached(graph, session).items() if not entry.is_blocked}
    return {node_id: words for node_id, entry in found.items() if (words := blocked_output(entry.outputs))}


def cached_ids(graph: Graph, session: Session) -> Collection[str]:
    """Return the ids of the nodes whose values are in memory."""
    return _cached(graph, session).keys()


def _cached(graph: Graph, session: Session) -> dict[str, tuple[Step, Entry]]:
    try:
        steps = plan_of(graph, session.inside).steps
    except ComfyNBError:  # a graph that cannot run has nothing to show
        return {}
    return {node_id: (step, entry) for node_id, step in steps.items() if (entry := _in_memory(session, step))}


def cached_value(graph: Graph, session: Session, node_id: str, slot: int) -> Any:
    """Return the cached value of a node's output; raises NotKept if there is none."""
    step = plan_of(graph, session.inside).steps.get(node_id)
    key = step.key.full if step is not None else None
    entry = session.store.recall(key, step) if step is not None and key is not None else None
    if entry is None or slot >= len(entry.outputs):
        raise NotKept("Nothing is there yet: press Run, or run the graph, and click again.")
    items = entry.outputs[slot]
    return items[0] if len(items) == 1 else items


def describe_values(graph: Graph, session: Session, run: Run | None, node_id: str) -> list[str]:
    """Return a line on each output of a node, from the run if it holds them, or else from the cache in memory."""
    node_run = run.node_run(node_id) if run is not None else None
    if node_run is not None and node_run.outputs is not None:
        return _lines(node_run.step.spec, node_run.outputs)
    try:
        step = node_run.step if node_run is not None else plan_of(graph, session.inside).steps.get(node_id)
    except ComfyNBError:
        return []
    entry = _in_memory(session, node_run or step)
    return _lines(step.spec, entry.outputs) if step is not None and entry is not None else []


def _in_memory(session: Session, keyed: Step | NodeRun | None) -> Entry | None:
    return session.cache.peek(keyed.key.full) if keyed is not None and keyed.key.full is not None else None


def _lines(spec: NodeSpec, outputs: Outputs) -> list[str]:
    return [f"{spec.output_name(slot)}: {_describe(items)}" for slot, items in enumerate(outputs)]


def _describe(items: Sequence[Any]) -> str:
    if not items:
        return "nothing"
    first = encodable(describe_array(items[0]) if is_array(items[0]) else short(items[0], 80))
    return first if len(items) == 1 else f"{len(items)} values, the first {first}"


def _picture(spec: NodeSpec, entry: Entry) -> Thumbnail | None:
    for slot, items in enumerate(entry.outputs):
        picture = value_thumbnail(items[0], spec.socket_of(slot), PICTURE_PX) if items else None
        if picture is not None:
            return picture
    return None
