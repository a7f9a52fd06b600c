"""Freeze existing objects for the garbage collector while a large graph is planned or run.

A full collection visits every container of the process, half a million of them once torch is imported, and the
hundreds of thousands that a large graph makes trigger one collection after another: half of its time. Frozen objects
are not visited; new ones are collected as usual.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LARGE = 1_000


class GCFreeze:
    """Freezes what exists while anybody needs it, counted; does nothing where somebody else has frozen objects."""

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


_freeze = GCFreeze()


@contextmanager
def gc_frozen(nodes: int) -> Iterator[None]:
    """Freeze existing objects in a `with` block that handles this many nodes, if they are many."""
    if nodes < LARGE:
        yield
        return
    with _freeze:
        yield
