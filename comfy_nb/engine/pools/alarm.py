"""An alarm: calls a function at a time, on a thread that is there only as long as it is set."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from comfy_nb.engine.own_thread import OwnThread


class Alarm:
    """Calls `ring()` once it is the time that was set last; all times are `time.monotonic()` seconds."""

    def __init__(self, ring: Callable[[], None], name: str) -> None:
        self._ring = ring
        self._name = name
        self._changed = threading.Condition()
        self._at: float | None = None
        self._has_thread = False

    def set(self, at: float | None) -> None:
        """Ring at this time, and not at the one that was set before; None: not at all."""
        with self._changed:
            if at == self._at:
                return
            self._at = at
            self._changed.notify()
            if at is not None and not self._has_thread:
                self._has_thread = True
                OwnThread(self._work, self._name).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._at is not None and (left := self._at - time.monotonic()) > 0:
                    self._changed.wait(left)
                if self._at is None:
                    self._has_thread = False
                    return
                self._at = None
            self._ring()
