"""What a run does again, or with another node, because what it was to be made from has changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.planning.step import Step
from comfy_nb.graph import topology


def above(scheduler: Scheduler, wanted: Iterable[str]) -> set[str]:
    """Return the ids of these nodes and of all that they could need, in the graph and in expansions."""
    steps = {**scheduler.steps, **scheduler.added}
    return topology.reach(wanted, lambda node_id: [link.origin for link in steps[node_id].links])


def below(scheduler: Scheduler, origins: Iterable[str]) -> set[str]:
    """Return the ids of all nodes that could need one of these, in the graph and in expansions."""
    steps = {**scheduler.steps, **scheduler.added}
    return topology.below({node_id: [link.origin for link in step.links] for node_id, step in steps.items()}, origins)


def redo_below(scheduler: Scheduler, node_run: NodeRun, keyed_late: set[str]) -> None:
    """Have all that was taken or computed below a running node computed anew: its value will be another one.

    `keyed_late` (see `Lookup`) gets the ids of what is below.
    """
    ids = below(scheduler, [node_run.step.id])
    keyed_late |= ids
    found = [scheduler.node_runs[node_id] for node_id in ids if node_id in scheduler.node_runs]
    for each in found:
        each.key = each.key.forgotten()
        if each.state is NodeState.DONE:
            each.outputs = each.entry = None
        elif each.state is NodeState.RUNNING:
            scheduler.outdated.add(each.sequence)
    scheduler.is_invalidated = True
    scheduler.need([each.step.id for each in found if each.outputs is None and each.step.id in scheduler.retained])


def replace(scheduler: Scheduler, node_run: NodeRun, steps: Mapping[str, Step], keyed_late: set[str]) -> None:
    """Let steps that a node expanded into take the place of other nodes of their ids, for all that has not begun yet.

    `keyed_late` (see `Lookup`) gets the ids of what is below.
    """
    there = [(scheduler.step(node_id), step) for node_id, step in steps.items()]
    others = [step.id for old, step in there if old is not None and _is_other(old, step)]
    if not others:
        return
    takers = topology.children_of({step.id: [link.origin for link in step.links] for step in steps.values()})
    ids = topology.reach(others, lambda node_id: takers.get(node_id, ()))
    scheduler.add(node_run, steps.values())
    scheduler.is_invalidated = True
    ids_below = below(scheduler, ids)
    keyed_late |= ids_below
    for each in [scheduler.node_runs[node_id] for node_id in ids_below if node_id in scheduler.node_runs]:
        has_its_inputs = each.state is NodeState.DONE or each.expansion is not None or each is node_run
        if not has_its_inputs:
            each.key = each.key.forgotten()
    replaced = [old for node_id in steps if node_id in ids and (old := scheduler.node_runs.pop(node_id, None))]
    for old in replaced:
        _hand_over(scheduler, old)


def _is_other(old: Step, new: Step) -> bool:
    return old.head.value != new.head.value or old.links != new.links


def _hand_over(scheduler: Scheduler, old: NodeRun) -> None:
    """Let those who wait for a node that was replaced wait for the new one."""
    node_id, waiting, old.dependents = old.step.id, old.dependents, []
    if old.state in (NodeState.WAITING, NodeState.READY):
        scheduler.drop(old)
    if not old.refs and node_id not in scheduler.retained:
        return
    scheduler.need([node_id])
    new = scheduler.node_runs[node_id]
    new.refs += old.refs
    for each in waiting:
        each.unmet -= 1
    expanded = [each for each in scheduler.node_runs.values() if each.expansion and node_id in each.expansion.wanted]
    for each in {each.sequence: each for each in (*waiting, *expanded)}.values():
        new.refs -= 1
        scheduler.depend(each, new)
        if each.unmet == 0:
            scheduler.make_ready(each)
