"""The kernel's interrupt, noticed at once and distinguished from every other cancellation.

A kernel's SIGINT handler cancels the cell's task by a call that does not wake an idle loop, and the cancellation looks
like any other. So while a run is awaited the present handler is wrapped: it is called, the loop is woken, and a flag is
set for the few iterations of the loop in which the cancellation arrives. The handler is process-wide, so its users are
counted, and the last one restores it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from comfy_nb.errors import Stopped

# Iterations of the loop; the cancellation arrives within a few of them, more if awaits are nested.
TURNS = 32


class _Passing:
    """Calls the previous handler and then wakes the loop; one that is still installed later only passes signals on."""

    def __init__(self, watch: InterruptWatch, previous: Callable[[int, FrameType | None], Any]) -> None:
        self.watch = watch
        self.previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.watch.seen = True
        try:
            self.previous(number, frame)
        finally:
            self.watch.wake()


class InterruptWatch:
    """A context manager around awaiting a run; `seen` is true while an interrupt is arriving."""

    def __init__(self) -> None:
        self.seen = False
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> InterruptWatch:
        if threading.current_thread() is threading.main_thread():
            if self._users == 0:
                self.seen = False  # an earlier interrupt, on a loop that has stopped since, is not for this run
            self._users += 1
            self._loop = asyncio.get_running_loop()
            present = signal.getsignal(signal.SIGINT)
            if callable(present) and not isinstance(present, _Passing):
                signal.signal(signal.SIGINT, _Passing(self, present))
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is not threading.main_thread() or self._users == 0:
            return
        self._users -= 1
        present = signal.getsignal(signal.SIGINT)
        if self._users == 0 and isinstance(present, _Passing):
            signal.signal(signal.SIGINT, present.previous)

    def absorb_cancellation(self) -> bool:
        """Return whether the cancellation just caught came from an interrupt; if so, uncancel the task."""
        task = asyncio.current_task()
        if not self.seen or task is None:
            return False
        task.uncancel()
        return True

    def wake(self) -> None:
        """Wake the loop, and clear the flag once the cancellation has had time to arrive."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._clear, TURNS)

    def _clear(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._clear, turns - 1)
        else:
            self.seen = False


interrupt_watch = InterruptWatch()


@contextmanager
def stopped_by_interrupt(message: str) -> Iterator[None]:
    """Around an await: a kernel's interrupt raises Stopped(message) there; other cancellations propagate."""
    with interrupt_watch:
        try:
            yield
        except asyncio.CancelledError:
            if interrupt_watch.absorb_cancellation():
                raise Stopped(message) from None
            raise
