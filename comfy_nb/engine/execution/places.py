"""The places in pools that the nodes of a run wait for and have; what code has already it does not wait for again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.planning.step import LOOP, Step
from comfy_nb.engine.pools.fair_queue import Demand
from comfy_nb.engine.pools.held import held_here, holding, names_held
from comfy_nb.engine.pools.pools import Pools
from comfy_nb.spec.uses import Needs

REFRESH_S = 0.1
TOLD_MAX = 20
"""So many of those that wait are told how many are ahead of them whenever that changes."""


class Wait:
    """A node that waits for places, what is called when it has them, and how many it was told to be ahead of it."""

    __slots__ = ("ahead", "began", "node_run", "when_granted")

    def __init__(self, node_run: NodeRun, when_granted: Callable[[Demand], None]) -> None:
        self.node_run = node_run
        self.when_granted = when_granted
        self.began = time.perf_counter()
        self.ahead: int | None = None


class Places:
    """What one run asks of the pools of its session; made in the run's context, its methods are called on its loop."""

    def __init__(self, state: RunState, pools: Pools, loop: asyncio.AbstractEventLoop) -> None:
        self._state = state
        self._pools = pools
        self._loop = loop
        self._around = held_here.get()
        self._waits: dict[Demand, Wait] = {}
        self._held: dict[Demand, NodeRun] = {}
        self._listens = False

    def needed_by(self, step: Step) -> Needs:
        """Return what a node needs of pools, beside what the code around the run has of them."""
        needs = step.spec.uses
        if self._pools.has_assigned and (assigned := self._pools.assigned_to(step.class_type)):
            needs = tuple(sorted((dict(needs) | dict(assigned)).items()))
        return self._lacking(needs) if needs else ()

    def _lacking(self, needs: Needs) -> Needs:
        held = names_held(self._around)
        return tuple(need for need in needs if need[0] not in held)

    @property
    def _is_inside(self) -> bool:
        return bool(names_held(self._around))

    def ask(self, node_run: NodeRun, needs: Needs, when_granted: Callable[[Demand], None]) -> Demand:
        """Call `when_granted(demand)` on the loop when a node has its places, which `give_back` gives back.

        Raises UnknownName for a pool that was not made, and GraphError for more places than it has; `taken` too.
        """
        state, step = self._state, node_run.step
        demand = Demand(
            self._pools.checked(needs),
            lambda: post(self._loop, self._granted, demand),
            source=state.source,
            priority=state.priority + step.spec.priority,
            who=step.named,
            is_inside=self._is_inside,
            anew=lambda: (self._lacking(needs), state.priority + step.spec.priority, self._is_inside),
        )
        wait = self._waits[demand] = Wait(node_run, when_granted)
        ahead = self._pools.ask(demand)
        if ahead is not None:
            self._tell(demand, wait, ahead)
            self._listen()
        return demand

    @asynccontextmanager
    async def taken(self, node_run: NodeRun) -> AsyncGenerator[None, None]:
        """Have the places that a node needs, for one call of it."""
        needs = self.needed_by(node_run.step)
        if not needs:
            yield
            return
        is_granted = self._loop.create_future()
        demand = self.ask(node_run, needs, lambda _: set_done(is_granted))
        try:
            await is_granted
            self._state.event_log.node_started(node_run, LOOP)
            with holding(name for name, _ in needs):
                yield
        finally:
            self._waits.pop(demand, None)
            self.give_back(demand)

    def give_back(self, demand: Demand) -> None:
        """Give places back; from any thread."""
        node_run = self._held.pop(demand, None)
        if node_run is not None:
            self._state.event_log.places_given_back(node_run, demand.pools)
        self._pools.withdraw(demand)

    def give_up(self, node_run: NodeRun) -> None:
        """Give back the places of a node that goes on though it should not; from any thread."""
        for demand in [demand for demand, holder in self._held.copy().items() if holder is node_run]:
            self.give_back(demand)

    def close(self) -> list[NodeRun]:
        """Let nodes wait no longer, and return them."""
        waits, self._waits = self._waits, {}
        for demand in waits:
            self._pools.withdraw(demand)
        return [wait.node_run for wait in waits.values()]

    def _granted(self, demand: Demand) -> None:
        wait = self._waits.pop(demand, None)
        if wait is None:  # the run has ended meanwhile
            self._pools.withdraw(demand)
        else:
            self._held[demand] = wait.node_run
            self._state.event_log.places_taken(wait.node_run, demand.pools, time.perf_counter() - wait.began)
            wait.when_granted(demand)

    def _tell(self, demand: Demand, wait: Wait, ahead: int) -> None:
        wait.ahead = ahead
        self._state.event_log.node_queued(wait.node_run, demand.pools, ahead)

    def _listen(self) -> None:
        """Tell nodes how many are ahead of them a while after that has changed."""
        if not self._listens and self._waits:
            self._listens = True
            self._pools.call_at_change(lambda: post(self._loop, self._loop.call_later, REFRESH_S, self._tell_changes))

    def _tell_changes(self) -> None:
        self._listens = False
        if not self._waits:
            return
        in_line = self._pools.places_in_line()
        changed = [each for each in self._waits.items() if each[0] in in_line and each[1].ahead != in_line[each[0]]]
        for demand, wait in sorted(changed, key=lambda each: in_line[each[0]])[:TOLD_MAX]:
            self._tell(demand, wait, in_line[demand])
        self._listen()


def set_done(future: asyncio.Future[None]) -> None:
    """Let who awaits a future go on, if it has not been cancelled."""
    if not future.done():
        future.set_result(None)
