"""Equal nodes in flight: one computes, the others wait for it, within a run and between runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

Waiter = Callable[[Any], None]


class InFlight:
    """The keys that are being computed now, each with the callbacks of those who wait for it.

    Every step is one atomic operation on a dict or list, so no lock is held; a waiter that arrives while its key is
    being released is called by whoever takes it off the list.
    """

    def __init__(self) -> None:
        self._waiters: dict[bytes, list[Waiter]] = {}

    def claim(self, key: bytes, when_done: Callable[[Any, Any], None], node_run: Any) -> bool:
        """Claim a key; False if it is claimed already.

        Then `when_done(node_run, entry)` is called once, with None for the entry if its computation was given up.
        """
        while True:
            own: list[Waiter] = []
            waiting = self._waiters.setdefault(key, own)
            if waiting is own:
                return True
            waiter = partial(when_done, node_run)
            waiting.append(waiter)
            if self._waiters.get(key) is waiting:
                return False
            try:
                waiting.remove(waiter)
            except ValueError:
                return False

    def release(self, key: bytes, entry: Any) -> None:
        """Release a key, with the entry that was computed, or None."""
        waiting = self._waiters.pop(key, None)
        while waiting:
            try:
                waiter = waiting.pop(0)
            except IndexError:
                return
            waiter(entry)

    def __len__(self) -> int:
        return len(self._waiters)
