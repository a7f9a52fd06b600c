"""The queue of all pools of a session: who gets places next. It is pure; times are told to it.

A demand gets all places that it needs at once, or none, so that none waits for another one that waits for it. Who comes
first (see `turns`) keeps what is free for itself: nobody overtakes it at a pool that it needs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import NamedTuple, Protocol

from comfy_nb.engine.pools.turns import Order, Turns
from comfy_nb.spec.uses import Needs

OTHER_PROCESS_S = 0.05
"""How often it is looked whether another process has given places back."""


class Limit(Protocol):
    """What a pool may refuse; see `Capacity`."""

    def free_at(self, count: int, now: float) -> float | None:
        """Return when so many places may be had, not after `now` if at once; None: when some are given back."""
        ...

    def take(self, count: int, now: float) -> bool:
        """Take places that may be had; False where another process has them."""
        ...

    def give_back(self, count: int) -> None:
        """Give places back."""
        ...


class Demand:
    """Somebody's demand for places; `granted()` is called once, outside of the queue, when it has them all.

    `anew()` returns what it needs and its priority when these may have changed while it waits.
    """

    __slots__ = ("anew", "asked_at", "granted", "needs", "number", "priority", "source", "who")

    def __init__(
        self,
        needs: Needs,
        granted: Callable[[], None],
        *,
        source: Hashable,
        priority: int = 0,
        who: str = "",
        anew: Callable[[], tuple[Needs, int]] | None = None,
    ) -> None:
        self.needs = needs
        self.granted = granted
        self.source = source
        self.priority = priority
        self.who = who
        self.anew = anew
        self.asked_at = 0.0
        self.number = 0

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of the pools."""
        return tuple(name for name, _ in self.needs)

    @property
    def line(self) -> Hashable:
        """What the demands have in common of which one waits behind the other."""
        return self.source, self.priority, self.needs


class _Line:
    """The waiting demands of one source that have the same priority and needs, in their order."""

    __slots__ = ("demands", "needs", "pools", "priority", "source")

    def __init__(self, first: Demand) -> None:
        self.source, self.priority, self.needs = first.source, first.priority, first.needs
        self.pools = frozenset(name for name, _ in first.needs)
        self.demands: dict[Demand, None] = {}

    @property
    def head(self) -> Demand:
        return next(iter(self.demands))


class FairQueue:
    """The demands that wait, and those that have their places. The owner of its lock calls its methods."""

    def __init__(self, limits: Mapping[str, Limit], turns: Turns) -> None:
        self.limits = limits
        self.turns = turns
        self.holding: dict[Demand, None] = {}
        self._lines: dict[Hashable, _Line] = {}
        self._numbers = itertools.count(1)

    def ask(self, demand: Demand, now: float) -> None:
        """Let a demand wait; `serve` gives it places, at once if it can have them."""
        demand.asked_at, demand.number = now, next(self._numbers)
        self._enter(demand)
        self.turns.join(demand.source, now)

    def reconsider(self) -> None:
        """Ask all that wait what they need now, and with what priority; how long they have waited still counts."""
        for demand in self.waiting:
            needs, priority = demand.anew() if demand.anew is not None else (demand.needs, demand.priority)
            if (needs, priority) != (demand.needs, demand.priority):
                self._leave(self._lines[demand.line], demand)
                demand.needs, demand.priority = needs, priority
                self._enter(demand)

    def withdraw(self, demand: Demand) -> bool:
        """Let go of a demand, whether it waits or holds its places; False if it does neither any more."""
        if demand in self.holding:
            del self.holding[demand]
            for name, count in demand.needs:
                self.limits[name].give_back(count)
        elif (line := self._lines.get(demand.line)) is not None and demand in line.demands:
            self._leave(line, demand)
        else:
            return False
        self.turns.leave(demand.source)
        return True

    def serve(self, now: float) -> tuple[list[Demand], float | None]:
        """Give places to all that can have them now; return these, and when to look again if nobody comes before."""
        served: list[Demand] = []
        while True:
            line, again_at = self._serve_next(now)
            if line is None:
                return served, again_at
            demand = line.head
            self.holding[demand] = None
            self.turns.served(demand.source, now)
            self._leave(line, demand)
            served.append(demand)

    def _serve_next(self, now: float) -> tuple[_Line | None, float | None]:
        """Return the line whose head has got its places, or when one may, if nothing is given back before."""
        kept: set[str] = set()
        again_at: float | None = None
        for line in self._in_order(now):
            is_first, at = kept.isdisjoint(line.pools), None
            if is_first:
                times = [self.limits[name].free_at(count, now) for name, count in line.needs]
                at = None if None in times else max((time for time in times if time is not None), default=now)
                if at is not None and at <= now:
                    if self._take(line.needs, now):
                        return line, None
                    at = now + OTHER_PROCESS_S
            kept |= line.pools
            if at is not None:
                again_at = at if again_at is None else min(again_at, at)
        return None, again_at

    def _take(self, needs: Needs, now: float) -> bool:
        for taken, (name, count) in enumerate(needs):
            if not self.limits[name].take(count, now):
                for other, given_back in needs[:taken]:
                    self.limits[other].give_back(given_back)
                return False
        return True

    def _in_order(self, now: float) -> list[_Line]:
        return sorted(self._lines.values(), key=lambda line: self._order(line, now))

    def _order(self, line: _Line, now: float) -> Order:
        head = line.head
        return self.turns.order(line.source, line.priority, head.asked_at, head.number, now)

    def _level(self, line: _Line, now: float) -> int:
        return self.turns.level(line.source, line.priority, line.head.asked_at, now)

    def _enter(self, demand: Demand) -> None:
        line = self._lines.get(demand.line)
        if line is None:
            line = self._lines[demand.line] = _Line(demand)
        line.demands[demand] = None

    def _leave(self, line: _Line, demand: Demand) -> None:
        del line.demands[demand]
        if not line.demands:
            del self._lines[demand.line]

    @property
    def waiting(self) -> Iterable[Demand]:
        """All demands that wait."""
        return [demand for line in self._lines.values() for demand in line.demands]

    def ahead_of_newest(self, demand: Demand, now: float) -> int:
        """Return how many are served before the demand that came last, as `places_in_line` does for all."""
        lines = self._in_order(now)
        line = self._lines[demand.line]
        return _ahead(len(line.demands) - 1, self._others(lines, lines.index(line), now))

    def places_in_line(self, now: float) -> dict[Demand, int]:
        """Return for each demand that waits how many are served before it, if nobody comes and all take as long."""
        lines = self._in_order(now)
        found: dict[Demand, int] = {}
        for at, line in enumerate(lines):
            others = self._others(lines, at, now)
            for index, demand in enumerate(line.demands):
                found[demand] = _ahead(index, others)
        return found

    def _others(self, lines: list[_Line], at: int, now: float) -> list[_Other]:
        """Return the lines that wait for a pool of the one at this index."""
        own, level = lines[at].pools, self._level(lines[at], now)
        return [
            _Other(self._level(line, now) - level, index < at, len(line.demands))
            for index, line in enumerate(lines)
            if index != at and not line.pools.isdisjoint(own)
        ]


class _Other(NamedTuple):
    """Another line: by how many levels it is higher, whether its turn comes before, and how many wait in it."""

    higher: int
    is_before: bool
    length: int


def _ahead(index: int, others: list[_Other]) -> int:
    """Return how many are served before the one at this index of its line; lines of one level take turns."""
    ahead = index
    for other in others:
        if other.higher > 0:
            ahead += other.length
        elif other.higher == 0:
            ahead += min(other.length, index + other.is_before)
    return ahead
