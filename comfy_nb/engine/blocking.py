"""Waiting, until Ctrl-C, for a coroutine in code that cannot await: a kernel's cell, a node on a lane, or a script.

In a script all calls use one loop, on its own thread, because packs keep semaphores and sessions that are bound to the
loop of their first use.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from comfy_nb.engine.execution.lanes import on_lane
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.errors import InterruptProcessingException, Stopped

T = TypeVar("T")
CHECK_STOP_S = 0.05

_loop: asyncio.AbstractEventLoop | None = None
_lock = threading.Lock()


def process_loop() -> asyncio.AbstractEventLoop:
    """Return the process's own loop, which runs on its own thread; the first call starts it."""
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="comfy-nb-loop", daemon=True).start()
        return _loop


def _reset_after_fork() -> None:
    """In a forked process: forget the loop, whose thread was not copied."""
    global _loop, _lock
    _loop, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def wait_for(make: Callable[[], Coroutine[Any, Any, T]], stop: Callable[[], Any]) -> T:
    """Run a coroutine to its end and return its result; an interrupt calls `stop()`, which is to end it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        call = current_call.get() if on_lane() else None
        outer = getattr(call.run, "loop", None) if call is not None else None
        return _wait_here(outer or process_loop(), make, stop)
    return _nest(loop, make, stop)


def _wait_here(
    loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, T]], stop: Callable[[], Any]
) -> T:
    call = current_call.get()
    future = asyncio.run_coroutine_threadsafe(make(), loop)
    try:
        while not concurrent.futures.wait([future], CHECK_STOP_S).done:
            if call is not None and call.run.stopping:
                raise InterruptProcessingException
        return future.result()
    except KeyboardInterrupt:
        stop()
        concurrent.futures.wait([future])
        raise Stopped("Stopped by Ctrl-C.") from None
    except InterruptProcessingException:
        stop()
        raise


def _nest(loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, T]], stop: Callable[[], Any]) -> T:
    import nest_asyncio2

    nest_asyncio2.apply(loop)
    interrupts = 0

    def interrupt(*_: Any) -> None:
        # KeyboardInterrupt raised here would leave the run on the loop; the cell's own handler would wait for the run.
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(stop)

    with _sigint(interrupt):
        result = loop.run_until_complete(loop.create_task(make()))
    if interrupts:
        raise Stopped("Stopped by the kernel's interrupt.")
    return result


@contextmanager
def _sigint(handler: Callable[..., None]) -> Generator[None, None, None]:
    """Handle SIGINT in a `with` block; does nothing on other threads than the main one, where that is impossible."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
