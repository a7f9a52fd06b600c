"""Calls of sync nodes that use pools: each begins on a lane of these pools once the node has its places."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from functools import partial
from typing import Protocol

from comfy_nb.engine.execution.callers import LaneOutcome
from comfy_nb.engine.execution.claims import Claims
from comfy_nb.engine.execution.lanes import Worker
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.places import Places
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.pools.fair_queue import Demand
from comfy_nb.engine.pools.held import holding
from comfy_nb.errors import ComfyNBError
from comfy_nb.spec.uses import Needs

LaneCall = Callable[[NodeRun, Worker], LaneOutcome]


class Calling(Protocol):
    """The executor, as far as such calls need it."""

    state: RunState
    context: contextvars.Context
    places: Places
    claims: Claims

    @property
    def is_over(self) -> bool:
        """Whether no further node is to be called."""
        ...

    def call_on_lane(self, node_run: NodeRun, call: LaneCall, worker: Worker) -> None:
        """Call a node whose turn it is, and take what came of it."""
        ...

    def fail(self, node_run: NodeRun, error: BaseException) -> None:
        """Let a node fail, and with it the run or what needs it."""
        ...


class PoolCalls:
    """Has nodes called in their places."""

    def __init__(self, executor: Calling) -> None:
        self._executor = executor

    def begin(self, node_run: NodeRun, needs: Needs, call: LaneCall) -> None:
        """On the loop: let a node whose turn it is have its next call once it has places."""
        executor = self._executor
        pools = tuple(name for name, _ in needs)

        def send(demand: Demand) -> None:
            context = executor.context.copy()
            lane = executor.state.lanes.of_pools(pools)
            lane.submit_beside(lambda worker: context.run(self._go_on, node_run, call, demand, pools, worker))

        try:
            executor.places.ask(node_run, needs, send)
        except ComfyNBError as error:
            executor.claims.release(node_run, None)
            executor.fail(node_run, error)

    def _go_on(self, node_run: NodeRun, call: LaneCall, demand: Demand, pools: tuple[str, ...], worker: Worker) -> None:
        executor = self._executor
        try:
            if executor.is_over:
                executor.claims.release(node_run, None)
                return
            executor.state.event_log.node_started(node_run, worker.name)
            executor.call_on_lane(node_run, partial(self._call, call, demand, pools), worker)
        finally:  # for all ways on which it was not called
            executor.places.give_back(demand)

    def _call(
        self, call: LaneCall, demand: Demand, pools: tuple[str, ...], node_run: NodeRun, worker: Worker
    ) -> LaneOutcome:
        """Make the call, and give the places back before its result counts: with that the run may end."""
        try:
            with holding(pools):
                return call(node_run, worker)
        finally:
            self._executor.places.give_back(demand)
