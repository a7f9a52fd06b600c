"""Waiting, until Ctrl-C, for a coroutine in code that cannot await: a kernel's cell, a node on a lane, or a script.

In a script all calls use one loop, on its own thread, because packs keep semaphores and sessions that are bound to the
loop of their first use. Only what threads of an async node wait for has another one, since the node may wait for them
without an await.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from comfy_nb.engine.execution.cancelling import GIVE_UP_S
from comfy_nb.engine.execution.coroutines import our_time
from comfy_nb.engine.execution.held_back import HeldBack, keyboard_interrupt
from comfy_nb.engine.execution.interrupt import AGAIN_S, HELD_S, Awaited, interrupt_watch
from comfy_nb.engine.execution.lanes import raise_in_thread
from comfy_nb.engine.execution.loops import post, running_loop
from comfy_nb.engine.execution.nesting import run_around
from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.own_thread import OwnThread
from comfy_nb.errors import InterruptProcessingException

T = TypeVar("T")
CHECK_STOP_S = 0.05
PATIENCE_S = GIVE_UP_S + 1.0

_loops: list[asyncio.AbstractEventLoop] = []
_lock = threading.Lock()


def process_loop(beside: asyncio.AbstractEventLoop | None = None) -> asyncio.AbstractEventLoop:
    """Return the process's own loop, which runs on its own thread, or the one for what keeps that `beside`.

    The first call starts it.
    """
    with _lock:
        number = _loops.index(beside) + 1 if beside in _loops else 0
        if number == len(_loops) or _loops[number].is_closed():
            _loops[number:] = [_LoopThread().loop]
        return _loops[number]


class _LoopThread:
    """A loop that turns until the process ends, on a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread: threading.Thread = OwnThread(self._turn, "comfy-nb-loop")
        self._is_ending = threading.Event()
        self.thread.start()
        process_end.end_thread(self)

    def _turn(self) -> None:  # a method, so that the thread keeps this object, which the end of the process looks for
        self.loop.run_forever()
        if not asyncio.all_tasks(self.loop):
            self.loop.close()

    def end(self) -> None:
        """Cancel what the loop does and stop it; an async node that keeps it busy is interrupted."""
        post(self.loop, lambda: self.loop.create_task(self._wind_up()))
        if not self._is_ending.wait(HELD_S):
            raise_in_thread(self.thread, InterruptProcessingException)

    async def _wind_up(self) -> None:
        self._is_ending.set()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            if not task.cancelling():  # the nodes of stopped runs are cleaning up
                task.cancel()
        if left:
            await asyncio.wait(left)
        self.loop.stop()


def _reset_after_fork() -> None:
    """In a forked process: forget the loops, whose threads were not copied."""
    global _loops, _lock
    _loops, _lock = [], threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def wait_for(make: Callable[[], Coroutine[Any, Any, T]], awaited: Awaited, held: HeldBack) -> T:
    """Run a coroutine to its end and return its result; a person's interrupt, `held` back, ends what is `awaited`.

    Raises KeyboardInterrupt, with the run as its attribute `run`, for Ctrl-C in a script.
    """
    if (loop := running_loop()) is not None:
        return _nest(loop, make, awaited, held)
    return _wait_here(_loop_here(), make, awaited, held)


def _loop_here() -> asyncio.AbstractEventLoop:
    around = run_around()
    if around is None or around.state.loop is None:
        return process_loop()
    return around.state.loop if around.is_on_lane else process_loop(beside=around.state.loop)


def _wait_here(
    loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, T]], awaited: Awaited, held: HeldBack
) -> T:
    call = current_call.get()
    presses = held.presses
    held.on_press = lambda _: None  # a second Ctrl-C ends the wait below
    future = asyncio.run_coroutine_threadsafe(make(), loop)
    try:
        while not concurrent.futures.wait([future], CHECK_STOP_S).done:
            if call is not None and call.run.stopping:
                raise InterruptProcessingException
            if process_end.has_begun:
                break
            if presses and not awaited.is_interrupted:
                awaited.interrupt()
            if presses and (time.monotonic() - presses[0] > PATIENCE_S or presses[-1] - presses[0] > AGAIN_S):
                break
    except BaseException:
        awaited.end()
        raise
    if process_end.has_begun:
        raise SystemExit  # of which a thread ends without a word
    if presses or (awaited.is_interrupted and not interrupt_watch.has_cells):
        raise keyboard_interrupt(awaited.run) from None
    return future.result()


def _nest(
    loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, T]], awaited: Awaited, held: HeldBack
) -> T:
    import nest_asyncio2

    nest_asyncio2.apply(loop)

    def interrupt(frame: FrameType | None) -> None:
        # KeyboardInterrupt raised here would leave the run on the loop; the cell's own handler would wait for the run.
        loop.call_soon_threadsafe(awaited.interrupt)
        interrupt_watch.interrupt_node(frame)

    held.on_press = interrupt
    if held.is_for(awaited):  # it came while the run was begun
        awaited.interrupt()
    with our_time(), _as_many_due(loop):
        result = loop.run_until_complete(loop.create_task(make()))
    if awaited.is_interrupted and not interrupt_watch.has_cells:
        raise keyboard_interrupt(awaited.run)
    return result


@contextmanager
def _as_many_due(loop: asyncio.AbstractEventLoop) -> Generator[None, None, None]:
    """Leave as many callbacks due as there were: the loop's turn that began before it was patched has counted them."""
    due = vars(loop)["_ready"]
    before = len(due)
    try:
        yield
    finally:
        for _ in range(before - len(due)):
            loop.call_soon(lambda: None)
