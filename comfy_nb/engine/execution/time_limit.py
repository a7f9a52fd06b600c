"""The time limit of a run, and the error that tells what it had not done by then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from comfy_nb.engine.events import NodeQueued
from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.execution.state import RunState
from comfy_nb.errors import RunTimeout
from comfy_nb.wording import format_seconds

NAMED_MAX = 5
ADVICE = "What had finished stays cached, so that a run with a longer timeout goes on from there."


class TimeLimit(NamedTuple):
    """The seconds that a run may take, and the error that it then ends with."""

    seconds: float
    error: Callable[[], BaseException]


def timed_out(run: Any, state: RunState, seconds: float) -> RunTimeout:
    """Make the error of a run that has taken its `seconds`, from how its nodes stand."""
    scheduler = state.scheduler
    node_runs = list(scheduler.node_runs.values()) if scheduler is not None else []
    queued = state.event_log.queued
    running = [each for each in node_runs if each.state is NodeState.RUNNING and each.step.id not in queued]
    waiting = [each for each in node_runs if _is_waiting(each, queued) and not _has_begun(each)]
    parts = [f"The run took longer than its timeout of {format_seconds(seconds)}."]
    if scheduler is None:
        parts.append("Its nodes were still being asked for VALIDATE_INPUTS or IS_CHANGED.")
    if running:
        parts.append(f"Still running: {_named(running)}.")
    if waiting:
        parts.append(f"Not begun: {_named(waiting, queued)}.")
    return RunTimeout(
        " ".join([*parts, ADVICE]),
        seconds=seconds,
        running=[each.step.id for each in running],
        not_begun=[each.step.id for each in waiting],
        run=run,
    )


def _is_waiting(node_run: NodeRun, queued: Mapping[str, NodeQueued]) -> bool:
    is_queued = node_run.state is NodeState.RUNNING and node_run.step.id in queued
    return is_queued or node_run.state in (NodeState.WAITING, NodeState.READY)


def _has_begun(node_run: NodeRun) -> bool:
    return node_run.expansion is not None or node_run.asked is not None


def _named(node_runs: Sequence[NodeRun], queued: Mapping[str, NodeQueued] = MappingProxyType({})) -> str:
    names = [
        f"{each.step.named}, which {queued[each.step.id].reason}" if each.step.id in queued else each.step.named
        for each in node_runs[:NAMED_MAX]
    ]
    if len(node_runs) > NAMED_MAX:
        names.append(f"{len(node_runs) - NAMED_MAX} more")
    return ", ".join(names)
