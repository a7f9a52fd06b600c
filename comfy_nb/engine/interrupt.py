"""The kernel's interrupt, seen at once and told apart from every other cancellation.

A kernel's handler cancels the cell by a call that does not wake an idle loop, and the cancellation that arrives looks like
any other. So while a run is awaited the present handler is wrapped: it is called, the loop is woken, and a flag is up
for the few turns of the loop in which the cancellation arrives. The switch is process-wide; it is counted and put back.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType
from typing import Any

TURNS = 32


class InterruptWatch:
    """A context manager around awaiting a run; `seen` tells whether an interrupt is arriving just now."""

    def __init__(self) -> None:
        self.seen = False
        self._users = 0
        self._previous: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> InterruptWatch:
        if threading.current_thread() is threading.main_thread():
            self._users += 1
            self._loop = asyncio.get_running_loop()
            present = signal.getsignal(signal.SIGINT)
            if callable(present) and present != self._handle:
                self._previous = present
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is not threading.main_thread() or self._users == 0:
            return
        self._users -= 1
        if self._users == 0 and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        loop = self._loop
        try:
            self._previous(number, frame)
        finally:
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(self._lower, TURNS)

    def _lower(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._lower, turns - 1)
        else:
            self.seen = False


interrupt_watch = InterruptWatch()
