"""Nested runs: a run that code of a node waits for has lanes, and a loop, that this code does not occupy."""

from __future__ import annotations

from typing import NamedTuple

from comfy_nb.engine.execution.lanes import Lanes, lanes_of_thread
from comfy_nb.engine.execution.state import RunState, Status
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.planning.step import LANE, POOL


class Around(NamedTuple):
    """The run around some code of a node, and whether that node occupies a lane; else it may hold the run's loop."""

    state: RunState
    is_on_lane: bool


def run_around() -> Around | None:
    """Return the run of the node that this code belongs to, on whatever thread; None for all other code."""
    call = current_call.get()
    if call is None or not isinstance(call.run, RunState) or call.run.status is not Status.RUNNING:
        return None
    step = call.run.step(call.node_id)
    return Around(call.run, lanes_of_thread() is not None or (step is not None and step.where in (LANE, POOL)))


def take_lanes(own: Lanes) -> Lanes:
    """Take the lanes for a run that begins here; `own` are those of runs that are not nested."""
    here, around = lanes_of_thread(), run_around()
    if here is not None:
        return here.take_nested()
    if around is None:
        return own.take()
    return around.state.lanes.take_nested() if around.is_on_lane else around.state.lanes.take()
