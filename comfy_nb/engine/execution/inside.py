"""What ran inside a node's call: the nodes of its expansion that took part, or those of a run that it started."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set

from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.execution.state import RunState, Status
from comfy_nb.engine.planning.inside import Inside, KnownInside, unfinished
from comfy_nb.engine.planning.step import NodeKey, Step
from comfy_nb.graph import topology


def inside_expansion(node_run: NodeRun, state: RunState, known: KnownInside) -> Inside:
    """Return what ran inside a node whose expansion is done."""
    scheduler, expansion = state.scheduler, node_run.expansion
    assert scheduler is not None
    wanted = [node_id for node_id in expansion.wanted if node_id in expansion.ids]
    took_part = [(node_id, _step_in(scheduler, node_id)) for node_id in _above(scheduler, wanted, expansion.ids)]
    inside = known.gather(
        [_key_in(scheduler, node_id) for node_id in expansion.wanted],
        [(step, _key_in(scheduler, node_id)) for node_id, step in took_part],
        state.graph.registry.find,
    )
    taken = {*expansion.wanted, *(link.origin for _, step in took_part for link in step.links)} - expansion.ids
    if inside.doubt is None and not _comes_from(scheduler, node_run.step.id, taken):
        return inside._replace(doubt="what runs inside it takes from nodes that it does not come from")
    return inside


def inside_run(state: RunState, known: KnownInside) -> Inside:
    """Return what a run that has ended is for the node that began it."""
    scheduler = state.scheduler
    if state.status is not Status.DONE or scheduler is None:
        return unfinished(f"a run inside it {state.status.in_words}")
    took_part = _above(scheduler, state.wanted, scheduler.steps.keys() | scheduler.added.keys())
    return known.gather(
        [_key_in(scheduler, node_id) for node_id in state.wanted],
        [(_step_in(scheduler, node_id), _key_in(scheduler, node_id)) for node_id in took_part],
        state.graph.registry.find,
    )


def _above(scheduler: Scheduler, wanted: Iterable[str], among: Set[str]) -> set[str]:
    """Return the ids of these nodes and of all that they were made from, among some ids."""

    def sources(node_id: str) -> list[str]:
        node_run = scheduler.node_runs.get(node_id)
        links = [link for link in _step_in(scheduler, node_id).links if link.origin in among]
        if node_run is not None and node_run.source == "ran":
            links = [link for link in links if node_run.takes(link)]
        return [link.origin for link in links]

    return topology.reach(wanted, sources)


def _step_in(scheduler: Scheduler, node_id: str) -> Step:
    step = scheduler.step(node_id)
    assert step is not None
    return step


def _key_in(scheduler: Scheduler, node_id: str) -> NodeKey:
    node_run = scheduler.node_runs.get(node_id)
    return node_run.key if node_run is not None else _step_in(scheduler, node_id).key


def _comes_from(scheduler: Scheduler, node_id: str, origins: Set[str]) -> bool:
    """Whether a node could need all of these; most often they are near."""
    missing, seen, queue = set(origins), {node_id}, deque([node_id])
    while queue and missing:
        step = scheduler.step(queue.popleft())
        above = [link.origin for link in step.links if link.origin not in seen] if step is not None else []
        missing.difference_update(above)
        seen.update(above)
        queue.extend(above)
    return not missing
