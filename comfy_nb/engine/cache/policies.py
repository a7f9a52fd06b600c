"""What the memory tier evicts first, by policy.

The default is GreedyDual: an entry ranks by the seconds it would take to compute it again per byte it takes, on top of
the rank of what had last been evicted when it was used, so that what is not used grows old.
"""

from __future__ import annotations

import itertools
import math
from typing import Protocol

from comfy_nb.engine.cache.entry import Entry


class Policy(Protocol):
    """Decides which entries go first: those of the lowest `rank`, which may only grow while they are held."""

    most: float
    """How many entries may be held (`math.inf`: any number)."""

    def touch(self, entry: Entry) -> None:
        """Set `entry.rank`; called when it is put and each time it is used."""

    def gone(self, entry: Entry) -> None:
        """Take notice that an entry was evicted."""


class ByCost:
    """GreedyDual: keeps what takes longest to compute again, per byte."""

    most = math.inf

    def __init__(self) -> None:
        self.age = 0.0

    def touch(self, entry: Entry) -> None:
        """Rank an entry by its seconds per byte, from the present age on."""
        entry.rank = self.age + entry.seconds / entry.size if entry.reusable else -1.0

    def gone(self, entry: Entry) -> None:
        """Let everything that is not used from now on be older by one eviction."""
        if entry.rank > self.age:
            self.age = entry.rank


class LRU:
    """Keeps the `most` entries that were used last (0: none at all)."""

    def __init__(self, most: int) -> None:
        self.most: float = most
        self._clock = itertools.count(1)

    def touch(self, entry: Entry) -> None:
        """Rank an entry as the one used last."""
        entry.rank = float(next(self._clock)) if entry.reusable else -1.0

    def gone(self, entry: Entry) -> None:
        """Nothing depends on what went."""
