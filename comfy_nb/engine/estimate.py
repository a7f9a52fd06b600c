"""How long the nodes that a run has still to compute will take, from how long such nodes took before.

Nothing is measured for it. Sync nodes share a lane, all others overlap: so what is left takes as long as the longest
chain of nodes, or as all nodes of the lane one after the other, whichever is more.
"""

from __future__ import annotations

import time
from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import NamedTuple

from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.planning.plan import Plan
from comfy_nb.engine.planning.step import LANE, Step
from comfy_nb.wording import count, format_seconds

UNFINISHED = (NodeState.WAITING, NodeState.READY, NodeState.RUNNING)


@dataclass(frozen=True)
class Estimate:
    """How many `seconds` what is left to compute will take: `nodes`, of which `unknown` ones were never timed.

    The seconds are those of the nodes that were timed, and None where none was.
    """

    seconds: float | None
    nodes: int
    unknown: int

    def __repr__(self) -> str:
        if self.nodes == 0:
            return "<Estimate: nothing to compute>"
        if self.seconds is None:
            return f"<Estimate: not known; {count(self.nodes, 'node')} to compute, never timed>"
        beside = f", and {count(self.unknown, 'node')} never timed" if self.unknown else ""
        return f"<Estimate: {format_seconds(self.seconds)} for {count(self.nodes - self.unknown, 'node')}{beside}>"


class NodeTimes:
    """How long nodes took when they were computed last, from the nodes of runs, the newest last, and what was known.

    That of a node with an equal key counts first, then of one with its id and class, then of any of its class. What
    ran inside a node that expanded is part of its time.
    """

    def __init__(self, runs: Iterable[Mapping[str, NodeRun]], earlier: NodeTimes | None = None) -> None:
        self._by_key: ChainMap[bytes, float] = ChainMap({}, earlier._by_key if earlier is not None else {})
        self._by_id: ChainMap[tuple[str, str], float] = ChainMap({}, earlier._by_id if earlier is not None else {})
        self._by_class: ChainMap[str, float] = ChainMap({}, earlier._by_class if earlier is not None else {})
        for node_runs in runs:
            self._add(list(node_runs.values()))

    def _add(self, node_runs: Sequence[NodeRun]) -> None:
        timed = [each for each in node_runs if each.state is NodeState.DONE and each.source == "ran"]
        inside: defaultdict[str, float] = defaultdict(float)
        for each in timed:
            for parent in each.parents():
                inside[parent.step.id] += each.seconds
        for each in timed:
            step, seconds = each.step, each.seconds + inside[each.step.id]
            if each.key.full is not None:
                self._by_key[each.key.full] = seconds
            self._by_id[step.id, step.class_type] = seconds
            self._by_class[step.class_type] = seconds

    def of(self, step: Step) -> float | None:
        """Return the seconds that a node took, or None."""
        found = self._by_key.get(step.key.full) if step.key.full is not None else None
        if found is None:
            found = self._by_id.get((step.id, step.class_type))
        return found if found is not None else self._by_class.get(step.class_type)


class _Task(NamedTuple):
    step: Step
    seconds: float | None


def estimate_plan(plan: Plan, wanted: Iterable[str], is_cached: Callable[[Step], bool], times: NodeTimes) -> Estimate:
    """Estimate a run that has not begun; lazy inputs count only once they are asked for."""
    needed: set[str] = set()
    left = list(wanted)
    while left:
        step = plan.steps.get(left.pop())
        if step is None or step.id in needed or is_cached(step):
            continue
        needed.add(step.id)
        left += [link.origin for link in step.links if not link.lazy]
    return _estimate([_Task(step, times.of(step)) for step in plan.order if step.id in needed])


def estimate_rest(state: RunState, times: NodeTimes) -> Estimate:
    """Estimate what is left of a run that goes on."""
    scheduler = state.scheduler
    node_runs = dict(scheduler.node_runs) if scheduler is not None else {}
    left = {node_id: each for node_id, each in node_runs.items() if each.state in UNFINISHED and not each.expansion}
    begun = state.event_log.begun_at({node_id for node_id, each in left.items() if each.state is NodeState.RUNNING})
    now = time.perf_counter()
    links = {node_id: {link.origin for link in each.step.links} & left.keys() for node_id, each in left.items()}
    tasks = []
    for node_id in TopologicalSorter(links).static_order():
        seconds = times.of(left[node_id].step)
        if seconds is not None and node_id in begun:
            seconds = max(seconds - (now - begun[node_id]), 0.0)
        tasks.append(_Task(left[node_id].step, seconds))
    return _estimate(tasks)


def _estimate(tasks: Sequence[_Task]) -> Estimate:
    """Estimate nodes in topological order."""
    unknown = sum(task.seconds is None for task in tasks)
    if tasks and unknown == len(tasks):
        return Estimate(None, len(tasks), unknown)
    ends: dict[str, float] = {}
    lane = 0.0
    for step, known in tasks:
        seconds = known or 0.0
        ends[step.id] = max((ends.get(link.origin, 0.0) for link in step.links), default=0.0) + seconds
        lane += seconds if step.where == LANE else 0.0
    return Estimate(max(lane, *ends.values(), 0.0), len(tasks), unknown)
