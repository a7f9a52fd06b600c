"""Whose turn it is among sources (a run is one) that wait for the same: higher priority first, equal ones in turns.

Who has waited for some seconds (see `Aging`) since its source was served last counts as one level higher, so that the
lowest is served in the end. It is pure; times are told to it.
"""

from __future__ import annotations

from collections.abc import Hashable

Order = tuple[int, int, int]
AGING_MIN_S = 1e-6


class _Source:
    """A source: how many of its demands are there, the number of its last turn, and when that was."""

    __slots__ = ("demands", "served_at", "turn")

    def __init__(self, turn: int, now: float) -> None:
        self.turn = turn
        self.served_at = now
        self.demands = 0


class Aging:
    """How many `seconds` of waiting count as one level of priority; one for all queues of a session."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.set(seconds)

    def set(self, seconds: float) -> None:
        """Let another number of seconds count; raises ValueError for one that is not above 0, or too small to count."""
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
            raise ValueError(f"aging is {seconds!r}, but it must be a number of seconds above 0.")
        if seconds < AGING_MIN_S:
            raise ValueError(f"aging is {seconds!r}, but it must be {AGING_MIN_S} seconds or more.")
        self.seconds = float(seconds)


class Turns:
    """The turns of the sources that have demands."""

    def __init__(self, aging: Aging) -> None:
        self._aging = aging
        self._sources: dict[Hashable, _Source] = {}
        self._turn = 0

    def join(self, source: Hashable, now: float) -> None:
        """Note one more demand of a source. Its first turn is after those of all others but who was served last."""
        known = self._sources.get(source)
        if known is None:
            known = self._sources[source] = _Source(self._turn - 1, now)
        known.demands += 1

    def served(self, source: Hashable, now: float) -> None:
        """Note that a source has had its turn."""
        self._turn += 2
        known = self._sources[source]
        known.turn, known.served_at = self._turn, now

    def leave(self, source: Hashable) -> None:
        """Note that a demand of a source is over."""
        known = self._sources[source]
        known.demands -= 1
        if not known.demands:
            del self._sources[source]

    def level(self, source: Hashable, priority: int, asked_at: float, now: float) -> int:
        """Return the priority with what a wait has added to it."""
        return priority + int((now - max(asked_at, self._sources[source].served_at)) / self._aging.seconds)

    def order(self, source: Hashable, priority: int, asked_at: float, number: int, now: float) -> Order:
        """Return what sorts those first whose turn is first; `number` counts demands."""
        return -self.level(source, priority, asked_at, now), self._sources[source].turn, number
