"""`nb.pool`: a named limit on how many nodes work at a time, or begin in a minute, to be awaited by other code too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType

from comfy_nb.engine.execution.lanes import uninterrupted
from comfy_nb.engine.execution.loops import post, running_loop
from comfy_nb.engine.execution.places import set_done
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.pools.fair_queue import Demand
from comfy_nb.engine.pools.held import Holding, held_here, names_held
from comfy_nb.engine.pools.pools import Pools, PoolState
from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.spec.uses import Needs

LOOK_S = 0.05
"""How often a thread that waits lets an interrupt of its node arrive."""


class _Block(Holding):
    """The place of a block; it has no `demand` where the code around it has the place already."""

    __slots__ = ("_demand", "_pools", "owner")

    def __init__(self, owner: Pool, pools: Pools, demand: Demand | None) -> None:
        super().__init__(demand.pools if demand is not None else ())
        self.owner = owner
        self._pools = pools
        self._demand = demand

    def give_back(self) -> None:
        self.end()
        if self._demand is not None:
            uninterrupted(partial(self._pools.withdraw, self._demand))


class Pool:
    """A pool of a session: nodes use it (`@nb.node(uses="gpu")`), and other code has one of its places in a block.

    >>> import comfy_nb as nb
    >>> with nb.pool("scanner", 1):
    ...     pass

    In a coroutine that is `async with`. A block inside another one of the same pool has the place already.
    """

    def __init__(self, pools: Pools, name: str) -> None:
        self._pools = pools
        self.name = name

    def wait(self, seconds: float) -> None:
        """Let nothing begin for so many seconds, since the service asked for that (429, Retry-After).

        Raises GraphError for a pool without a limit of calls a minute.
        """
        self._pools.empty(self.name, seconds)

    @property
    def state(self) -> PoolState:
        """The pool as it is now."""
        return next(state for state in self._pools.states() if state.name == self.name)

    async def __aenter__(self) -> Pool:
        loop = asyncio.get_running_loop()
        is_granted = loop.create_future()
        demand = self._demand(lambda: post(loop, set_done, is_granted))
        try:
            if demand is not None:
                self._pools.ask(demand)
                await is_granted
        except BaseException:
            if demand is not None:
                self._pools.withdraw(demand)
            raise
        self._enter(demand)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def __enter__(self) -> Pool:
        is_granted = threading.Event()
        demand = self._demand(is_granted.set)
        if demand is None:
            self._enter(None)
            return self
        around, block = held_here.get(), _Block(self, self._pools, demand)
        try:
            held_here.set((*around, block))  # already: wherever an interrupt comes, the end of the node's call finds it
            uninterrupted(partial(self._pools.ask, demand))
            if not is_granted.is_set() and running_loop() is not None:
                raise GraphError(
                    f"All places of the pool {self.name!r} are taken, and waiting here would block the event loop. "
                    f"Use `async with`."
                )
            while not is_granted.wait(LOOK_S):
                pass
        except BaseException:
            block.give_back()
            held_here.set(around)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _demand(self, granted: Callable[[], None]) -> Demand | None:
        """Return the demand of the code that asks; None where that has a place already."""
        around = held_here.get()
        held = names_held(around)
        if self.name in held:
            return None
        call = current_call.get()
        if call is None:
            source, priority, who = "cells", 0, "code of a cell"
        else:
            run = call.run
            source, priority = getattr(run, "source", run.id), getattr(run, "priority", 0)
            who = run.name_of(call.node_id)
        needs = ((self.name, 1),)

        def anew() -> tuple[Needs, int, bool]:
            held = names_held(around)
            return () if self.name in held else needs, priority, bool(held)

        return Demand(needs, granted, source=source, priority=priority, who=who, is_inside=bool(held), anew=anew)

    def _enter(self, demand: Demand | None) -> None:
        held_here.set((*held_here.get(), _Block(self, self._pools, demand)))

    def _leave(self) -> None:
        held = held_here.get()
        mine = (each for each in reversed(held) if isinstance(each, _Block) and each.owner is self)
        block = next(mine)  # perhaps not the last: an interrupt may have kept that from ending
        block.give_back()
        held_here.set(tuple(each for each in held if each is not block))


def make_pool(
    pools: Pools, name: str, size: int | None = None, per_minute: int | None = None, shared: bool = False
) -> Pool:
    """Make a pool, change what one allows, or return it as it is where only its name is given."""
    if size is not None or per_minute is not None or shared:
        pools.define(name, size, per_minute, shared)
    elif name not in pools:
        raise UnknownName.of("pool", name, list(pools), f"in this session; make it: nb.pool({name!r}, 1)")
    return Pool(pools, name)
