"""`nb.resource`: what nodes share and do not make themselves, opened at its first use and closed when it was idle.

A resource belongs to the process and not to a session, since it is asked for by its own object, and since two sessions
are no reason to load a model twice. An async one is open once per loop, as what it holds is bound to that.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, overload
from weakref import WeakSet, WeakValueDictionary

from comfy_nb.engine.execution.beside import Beside
from comfy_nb.engine.execution.loop_opening import LoopOpening
from comfy_nb.engine.execution.loops import post, running_loop
from comfy_nb.engine.execution.opening import Hold, warn_of_close
from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.execution.process_opening import ProcessOpening, Stage
from comfy_nb.errors import GraphError
from comfy_nb.spec.resource import Declared, check_needs, check_opener, check_parameters, read_needs
from comfy_nb.spec.type_hints import hints_of, names_around
from comfy_nb.wording import count

IDLE_S = 300.0

_resources: WeakSet[Resource] = WeakSet()
_newest: WeakValueDictionary[tuple[str, str], Resource] = WeakValueDictionary()


class Resource(Declared):
    """A resource: nodes ask for it by annotation, and other code has it by `async with`, or `with` if it is sync."""

    def __init__(self, function: Callable[..., Any], idle: float | None, needs: Mapping[str, Declared]) -> None:
        super().__init__(function, None if idle == math.inf else idle, needs)
        self.is_superseded = False
        self._in_process = ProcessOpening(self)
        self._on_loops: dict[asyncio.AbstractEventLoop, LoopOpening] = {}
        self._blocks: list[tuple[asyncio.AbstractEventLoop | None, int, Hold]] = []

    @property
    def declared(self) -> Declared:
        """What is opened."""
        return self

    # Uses -------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[Any, None]:
        """Use it on the running loop in a block; raises ResourceError if it cannot be opened."""
        hold = Hold(asyncio.current_task())
        try:
            await self._take(hold)
            yield hold.value
        finally:
            self._give_back(hold)

    @contextmanager
    def lent_here(self) -> Generator[Any, None, None]:
        """Use a sync one on this thread in a block; raises ResourceError if it cannot be opened."""
        process_end.do_last(close_at_end)
        hold = Hold()
        try:
            self._in_process.take(hold)
            yield hold.value
        finally:
            self._give_back(hold)

    async def _take(self, hold: Hold) -> None:
        process_end.do_last(close_at_end)
        if not self.is_async:
            if not self._in_process.take_if_open(hold):
                await Beside(partial(self._in_process.take, hold)).result()
            return
        loop = asyncio.get_running_loop()
        while (opening := self._on_loops.get(loop)) is not None and opening.is_closing:
            await asyncio.wait([opening.task])
        if opening is None:
            self._close_without_loops()
            opening = self._on_loops[loop] = LoopOpening(self, loop, self._note_end)
        await opening.take(hold)

    def _give_back(self, hold: Hold) -> None:
        (self._in_process if hold.opening is None else hold.opening).give_back(hold)

    def _note_end(self, opening: LoopOpening) -> None:
        if self._on_loops.get(opening.loop) is opening:
            del self._on_loops[opening.loop]

    async def __aenter__(self) -> Any:
        hold = Hold(asyncio.current_task())
        try:
            await self._take(hold)
        except BaseException:
            self._give_back(hold)
            raise
        return self._enter(asyncio.get_running_loop(), hold)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(asyncio.get_running_loop())

    def __enter__(self) -> Any:
        if self.is_async:
            raise GraphError(f"{self.name} is async: use `async with {self.name} as ...`.")
        hold = Hold()
        try:
            process_end.do_last(close_at_end)
            self._in_process.take(hold)
        except BaseException:
            self._give_back(hold)
            raise
        return self._enter(None, hold)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(None)

    def _enter(self, loop: asyncio.AbstractEventLoop | None, hold: Hold) -> Any:
        self._blocks.append((loop, threading.get_ident(), hold))
        return hold.value

    def _leave(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Give back what a block has; which one of a thread is all the same, as its blocks share one opening."""
        mine = [each for each in self._blocks if each[:2] == (loop, threading.get_ident())]
        task = asyncio.current_task() if loop is not None else None
        entry = next((each for each in reversed(mine) if each[2].owner is task), mine[-1])
        self._blocks.remove(entry)
        self._give_back(entry[2])

    # Closing ----------------------------------------------------------------------------------------------------------

    def close(self) -> Awaitable[None]:
        """Close it as soon as its users have given it back, on all loops; awaited, it waits for that.

        The next use opens it anew. Raises GraphError if the code that awaits it has the resource itself.
        """
        self.close_soon()
        return self._closed()

    def close_soon(self) -> None:
        """Close it as soon as its users have given it back; from any thread."""
        self._in_process.close_soon()
        self._close_without_loops()
        here = running_loop()
        for loop, opening in list(self._on_loops.items()):
            if loop is here:
                opening.close_soon()
            else:
                post(loop, opening.close_soon)

    def _closed(self) -> Awaitable[None]:
        if self.is_async:
            return _Closing(self._wait_on_loops)
        return _Closing(self._wait_in_process)

    async def _wait_on_loops(self) -> None:
        here, task = asyncio.get_running_loop(), asyncio.current_task()
        for loop, opening in list(self._on_loops.items()):
            if loop is not here:
                if loop.is_running():
                    waits = asyncio.run_coroutine_threadsafe(_wait_for_end(opening), loop)
                    await asyncio.wrap_future(waits)
                continue
            self._refuse_own(opening.users, task)
            await _wait_for_end(opening)

    async def _wait_in_process(self) -> None:
        self._refuse_own(self._in_process.users, asyncio.current_task())
        if self._in_process.stage is not Stage.CLOSED:
            await Beside(self._in_process.wait_closed).result()

    def _refuse_own(self, users: Iterable[Hold], task: Any) -> None:
        if any(hold.owner is task for hold in users):
            raise GraphError(
                f"{self.name} is closed once it is given back, and the code that waits for that has it itself. "
                "Close it after the block, or do not await it here."
            )

    def supersede(self) -> None:
        """Close when idle at once: a cell has defined another one of its name."""
        self.is_superseded, self.idle = True, 0.0
        if self._in_process.stage is Stage.OPEN and not self._in_process.users:
            self._in_process.close_soon()
        for loop, opening in list(self._on_loops.items()):
            post(loop, opening.look_again)

    def _close_without_loops(self) -> None:
        for loop in [each for each in self._on_loops if each.is_closed()]:
            opening = self._on_loops.pop(loop)
            if opening.is_open:
                _close_value(self, opening.value)

    def close_at_end(self) -> bool:
        """Close what can be closed without a loop, as the process ends; False where something is left open."""
        self._in_process.close_at_end()
        left = [each for each in self._on_loops.values() if each.is_open]
        self._on_loops.clear()
        closed = [_close_value(self, each.value) for each in left]
        return all(closed)

    def forget(self) -> None:
        """In a forked process: what is open is the parent's, and is neither used nor closed here."""
        self._in_process = ProcessOpening(self)
        self._on_loops, self._blocks = {}, []

    # Words ------------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        openings: list[Any] = list(self._on_loops.values()) if self.is_async else [self._in_process]
        if not self.is_async and self._in_process.stage is Stage.CLOSED:
            openings = []
        return f"{self.name}: {'; '.join(map(_state_of, openings)) or 'closed'}"


class _Closing:
    """What `close()` returns: awaited, it waits for the end, and it need not be awaited."""

    def __init__(self, wait: Callable[[], Awaitable[None]]) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()


async def _wait_for_end(opening: LoopOpening) -> None:
    await asyncio.wait([opening.task])


def _state_of(opening: Any) -> str:
    if isinstance(opening, LoopOpening):
        stage = "closing" if opening.is_closing else "open" if opening.is_open else "opening"
    else:
        stage = opening.stage.value
    if opening.users:
        return f"{stage}, used by {len(opening.users)}"
    return f"{stage}, idle {time.monotonic() - opening.unused_since:.0f} s" if stage == "open" else stage


def _close_value(resource: Resource, value: Any) -> bool:
    """Close what an async resource yielded, where there is no loop any more; False if it has no sync `close`."""
    close = getattr(value, "close", None)
    if not callable(close) or inspect.iscoroutinefunction(close):
        return False
    try:
        result = close()
    except Exception as error:
        warn_of_close(resource, error)
        return True
    if inspect.iscoroutine(result):
        result.close()
        return False
    return not inspect.isawaitable(result)


@overload
def resource(function: Callable[..., Any], /) -> Resource: ...
@overload
def resource(*, idle: float | None = IDLE_S) -> Callable[[Callable[..., Any]], Resource]: ...


def resource(function: Any = None, /, *, idle: float | None = IDLE_S) -> Any:
    """Make a resource of a generator function that yields it once, between opening and closing it.

        @nb.resource(idle=60)
        async def http():
            async with aiohttp.ClientSession() as session:
                yield session

        @nb.node
        async def fetch(url: str, *, session: http) -> str: ...

    It is opened when a node first asks for it by annotation (for type checkers: `Annotated[ClientSession, http]`), and
    shared by all that do: an async one by those on one loop, a sync one by all threads. It is closed after `idle`
    seconds without users (None: never), by `nb.stop_all()`, by `await http.close()`, and as the process ends. A cell
    has it by `async with http as session`. It is no input, and no part of a key: give a node what its result depends
    on as an input. It may ask for other resources in the same way. Raises SpecError for a function that does not yield.
    """
    if function is None:
        return partial(_declare, idle=idle)
    return _declare(function, idle)


def _declare(function: Callable[..., Any], idle: float | None) -> Resource:
    check_opener(function, idle)
    name = function.__name__
    parameters = inspect.signature(function).parameters
    needs = read_needs(name, parameters, hints_of(function, name, names_around(function)))
    check_needs(name, inspect.isasyncgenfunction(function), needs)
    check_parameters(name, parameters, needs)
    made = Resource(function, idle, needs)
    if "<locals>" not in function.__qualname__:
        place = (function.__module__, function.__qualname__)
        before = _newest.get(place)
        _newest[place] = made
        if before is not None:
            before.supersede()
    _resources.add(made)
    return made


def close_all() -> None:
    """Close every resource as soon as its users have given it back."""
    for each in list(_resources):
        each.close_soon()


def close_at_end() -> None:
    """Close what can be closed, as the process ends, and name the rest in one line."""
    left = sorted(each.name for each in list(_resources) if not each.close_at_end())
    if left:
        print(
            f"comfy_nb: {count(len(left), 'resource')} stayed open, for want of a loop to close on: {', '.join(left)}.",
            file=sys.stderr,
        )


def _forget_all() -> None:
    for each in list(_resources):
        each.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
