"""`nb.pool`: a named limit on how many nodes work at a time, or begin in a minute, to be awaited by other code too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType

from comfy_nb.engine.execution.loops import post, running_loop
from comfy_nb.engine.execution.places import held_here, set_done
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.pools.fair_queue import Demand
from comfy_nb.engine.pools.pools import Pools, PoolState
from comfy_nb.errors import GraphError, UnknownName

LOOK_S = 0.05
"""How often a thread that waits lets an interrupt of its node arrive."""

# Of this context: the demands by which blocks have places, innermost last, and what was held around each.
_blocks: ContextVar[tuple[tuple[Demand | None, frozenset[str]], ...]] = ContextVar("comfy_nb_blocks", default=())


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
        is_waiting = self._pools.ask(demand) is not None
        try:
            if is_waiting and running_loop() is not None:
                raise GraphError(
                    f"All places of the pool {self.name!r} are taken, and waiting here would block the event loop. "
                    f"Use `async with`."
                )
            while not is_granted.wait(LOOK_S):
                pass
        except BaseException:
            self._pools.withdraw(demand)
            raise
        self._enter(demand)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _demand(self, granted: Callable[[], None]) -> Demand | None:
        """Return the demand of the code that asks; None where that has a place already."""
        if self.name in held_here.get():
            return None
        call = current_call.get()
        if call is None:
            return Demand(((self.name, 1),), granted, source="cells", who="code of a cell")
        run = call.run
        source, priority = getattr(run, "source", run.id), getattr(run, "priority", 0)
        return Demand(((self.name, 1),), granted, source=source, priority=priority, who=run.name_of(call.node_id))

    def _enter(self, demand: Demand | None) -> None:
        held = held_here.get()
        _blocks.set((*_blocks.get(), (demand, held)))
        held_here.set(held | {self.name})

    def _leave(self) -> None:
        *blocks, (demand, held) = _blocks.get()
        _blocks.set(tuple(blocks))
        held_here.set(held)
        if demand is not None:
            self._pools.withdraw(demand)


def make_pool(pools: Pools, name: str, size: int | None, per_minute: int | None, shared: bool) -> Pool:
    """Make a pool, change what one allows, or return it as it is where only its name is given."""
    if size is not None or per_minute is not None or shared:
        pools.define(name, size, per_minute, shared)
    elif name not in pools:
        raise UnknownName.of("pool", name, list(pools), f"in this session; make it: nb.pool({name!r}, 1)")
    return Pool(pools, name)
