"""The kernel's interrupt, seen at once and told apart from every other cancellation.

A kernel's handler cancels the cell by a call that does not wake an idle loop, and the cancellation that arrives looks
like any other. So while a run is awaited the present handler is wrapped: it is called, the loop is woken, and a flag is
up for the few turns of the loop in which the cancellation arrives. The switch is process-wide, so it is counted and
put back.
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

TURNS = 32


class _Passing:
    """The handler that was there before, and after it a wake-up; one that is left behind passes on what comes."""

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
    """A context manager around awaiting a run; `seen` tells whether an interrupt is arriving just now."""

    def __init__(self) -> None:
        self.seen = False
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> InterruptWatch:
        if threading.current_thread() is threading.main_thread():
            if self._users == 0:
                self.seen = False  # an interrupt from before, on a loop that stopped, says nothing of this run
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
        """Return whether the cancellation just caught is an interrupt's; if it is, take it off the task."""
        task = asyncio.current_task()
        if not self.seen or task is None:
            return False
        task.uncancel()
        return True

    def wake(self) -> None:
        """Wake the loop, and lower the flag when the cancellation has had its turns to arrive."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._lower, TURNS)

    def _lower(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._lower, turns - 1)
        else:
            self.seen = False


interrupt_watch = InterruptWatch()


@contextmanager
def stopped_by_interrupt(message: str) -> Iterator[None]:
    """Around an await: a kernel's interrupt raises Stopped(message) there; other cancellations pass on."""
    with interrupt_watch:
        try:
            yield
        except asyncio.CancelledError:
            if interrupt_watch.absorb_cancellation():
                raise Stopped(message) from None
            raise
