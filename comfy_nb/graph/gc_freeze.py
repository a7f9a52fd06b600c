"""Keeping the garbage collector off what was there before, while a large graph is planned or run.

A full collection looks at every container of the process, half a million of them once torch is imported, and the
hundreds of thousands that a large graph makes set off one after the other: half of its time. Set aside, the old objects
are not looked at; new ones are collected as ever.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = 1_000


class OldHeap:
    """The objects that exist: set aside while anybody asks for it, counted; left alone where somebody else did that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._ours = False

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1 and gc.get_freeze_count() == 0:
                gc.freeze()
                self._ours = True

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._ours:
                gc.unfreeze()
                self._ours = False

    @contextmanager
    def aside_for(self, nodes: int) -> Iterator[None]:
        """Set it aside for a `with` block that goes over this many nodes, if they are many."""
        if nodes < LARGE:
            yield
            return
        with self:
            yield


old_heap = OldHeap()
