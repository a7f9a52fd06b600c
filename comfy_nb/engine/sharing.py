"""Equal nodes in flight: one computes, the others wait for it, within a run and between runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

Waiter = Callable[[Any], None]


class Claims:
    """The keys that are being computed now, each with those who wait for it."""

    def __init__(self) -> None:
        self._waiters: dict[bytes, list[Waiter]] = {}
        self._lock = threading.Lock()

    def claim(self, key: bytes, waiter: Waiter) -> bool:
        """Claim a key. False if it is claimed already: then `waiter` is called once with the entry, or with None if the
        computing run gave up."""
        with self._lock:
            waiting = self._waiters.get(key)
            if waiting is None:
                self._waiters[key] = []
                return True
            waiting.append(waiter)
            return False

    def release(self, key: bytes, entry: Any) -> None:
        """Give a key back, with what was computed or None."""
        with self._lock:
            waiting = self._waiters.pop(key, ())
        for waiter in waiting:
            waiter(entry)

    def __len__(self) -> int:
        return len(self._waiters)
