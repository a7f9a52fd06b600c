"""Eviction policies of the memory tier.

The default is GreedyDual: an entry ranks by the seconds it took to compute, per byte, on top of the rank of the last
eviction when it was used. So entries that are not used grow old.
"""

from __future__ import annotations

import math
from typing import Protocol

from comfy_nb.engine.cache.entry import Entry


class Policy(Protocol):
    """Decides which entries go first: those of the lowest `rank`, which may only grow while they are held."""

    most: float
    """How many entries may be held (`math.inf`: any number)."""

    def touch(self, entry: Entry) -> None:
        """Set `entry.rank`; called when the entry is put and each time it is used."""

    def evicted(self, entry: Entry) -> None:
        """Note that an entry was evicted."""


class ByCost:
    """GreedyDual: keeps what took longest to compute, per byte."""

    most = math.inf

    def __init__(self) -> None:
        self.age = 0.0

    def touch(self, entry: Entry) -> None:
        """Rank an entry by its seconds per byte, on top of the present age."""
        entry.rank = self.age + entry.seconds / entry.size if entry.reusable else -1.0

    def evicted(self, entry: Entry) -> None:
        """Raise the age, so that entries used later rank above this one."""
        if entry.rank > self.age:
            self.age = entry.rank


class ByRun:
    """ComfyUI's LRU: of what runs use nothing goes, and of what only older runs used, the oldest beyond `kept` results.

    `run` is the number of the run that began last.
    """

    most = math.inf

    def __init__(self, kept: int, run: int = 0) -> None:
        self.kept = kept
        self.run = run

    def touch(self, entry: Entry) -> None:
        """Rank an entry by the run that used it last."""
        entry.rank = float(self.run) if entry.reusable else -1.0

    def evicted(self, entry: Entry) -> None:
        """Do nothing: ranks do not depend on evictions."""


class Nothing:
    """Holds no entries."""

    most: float = 0

    def touch(self, entry: Entry) -> None:
        """Give all entries one rank."""
        entry.rank = 0.0

    def evicted(self, entry: Entry) -> None:
        """Do nothing: ranks do not depend on evictions."""
