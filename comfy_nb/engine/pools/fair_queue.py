"""The queue of all pools of a session: who gets places next. It is pure; times are told to it.

A demand gets all places that it needs at once, or none, so that none waits for another one that waits for it. Who comes
first (see `turns`) keeps what is free for itself: nobody overtakes it at a pool that it needs, but for code that has
places already. What comes first may wait for just these.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from typing import Protocol

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

    It `is_inside` if the code that waits has places of other pools meanwhile. `anew()` returns what it needs, its
    priority and whether it is inside, when these may have changed while it waits.
    """

    __slots__ = ("anew", "asked_at", "granted", "is_inside", "needs", "number", "priority", "source", "who")

    def __init__(
        self,
        needs: Needs,
        granted: Callable[[], None],
        *,
        source: Hashable,
        priority: int = 0,
        who: str = "",
        is_inside: bool = False,
        anew: Callable[[], tuple[Needs, int, bool]] | None = None,
    ) -> None:
        self.needs = needs
        self.granted = granted
        self.source = source
        self.priority = priority
        self.who = who
        self.is_inside = is_inside
        self.anew = anew
        self.asked_at = 0.0
        self.number = 0

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of the pools."""
        return tuple(name for name, _ in self.needs)

    @property
    def kind(self) -> Hashable:
        """What the demands have in common of which nobody can have places before the first."""
        return self.needs, self.is_inside

    @property
    def line(self) -> Hashable:
        """What those demands of one kind have in common of which one waits behind the other."""
        return self.source, self.priority


class _Line:
    """The waiting demands of one source that have the same priority and kind, in their order."""

    __slots__ = ("demands", "is_inside", "needs", "pools", "priority", "source")

    def __init__(self, first: Demand) -> None:
        self.source, self.priority, self.needs = first.source, first.priority, first.needs
        self.is_inside = first.is_inside
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
        self._lines: dict[Hashable, dict[Hashable, _Line]] = {}
        self._numbers = itertools.count(1)

    def ask(self, demand: Demand, now: float) -> None:
        """Let a demand wait; `serve` gives it places, at once if it can have them."""
        demand.asked_at, demand.number = now, next(self._numbers)
        self._enter(demand)
        self.turns.join(demand.source, now)

    def reconsider(self) -> None:
        """Ask all that wait what they need now, and with what priority; how long they have waited still counts."""
        for demand in self.waiting:
            known = demand.needs, demand.priority, demand.is_inside
            anew = demand.anew() if demand.anew is not None else known
            if anew != known:
                self._leave(demand)
                demand.needs, demand.priority, demand.is_inside = anew
                self._enter(demand)

    def withdraw(self, demand: Demand) -> bool:
        """Let go of a demand, whether it waits or holds its places; False if it does neither any more."""
        if demand in self.holding:
            del self.holding[demand]
            for name, count in demand.needs:
                self.limits[name].give_back(count)
        elif self._waits(demand):
            self._leave(demand)
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
            self._leave(demand)
            served.append(demand)

    def _serve_next(self, now: float) -> tuple[_Line | None, float | None]:
        """Return the line whose head has got its places, or when one may, if nothing is given back before.

        Of one kind only the first is looked at: the others are behind it at all of their pools.
        """
        free_at = {
            needs: self._free_at(needs, now)
            for needs in {next(iter(lines.values())).needs for lines in self._lines.values()}
        }
        if all(at is None for at in free_at.values()):
            return None, None
        kept: set[str] = set()
        again_at: float | None = None
        order = partial(self._order, now=now)
        for line in sorted((min(lines.values(), key=order) for lines in self._lines.values()), key=order):
            at = free_at[line.needs] if line.is_inside or kept.isdisjoint(line.pools) else None
            if at is not None and at <= now:
                if self._take(line.needs, now):
                    return line, None
                at = now + OTHER_PROCESS_S
            kept |= line.pools
            if at is not None:
                again_at = at if again_at is None else min(again_at, at)
        return None, again_at

    def _free_at(self, needs: Needs, now: float) -> float | None:
        times = [self.limits[name].free_at(count, now) for name, count in needs]
        return None if None in times else max((time for time in times if time is not None), default=now)

    def _take(self, needs: Needs, now: float) -> bool:
        for taken, (name, count) in enumerate(needs):
            if not self.limits[name].take(count, now):
                for other, given_back in needs[:taken]:
                    self.limits[other].give_back(given_back)
                return False
        return True

    def _order(self, line: _Line, now: float) -> Order:
        head = line.head
        return self.turns.order(line.source, line.priority, head.asked_at, head.number, now)

    def _level(self, line: _Line, now: float) -> int:
        return self.turns.level(line.source, line.priority, line.head.asked_at, now)

    def _enter(self, demand: Demand) -> None:
        lines = self._lines.setdefault(demand.kind, {})
        line = lines.get(demand.line)
        if line is None:
            line = lines[demand.line] = _Line(demand)
        line.demands[demand] = None

    def _leave(self, demand: Demand) -> None:
        lines = self._lines[demand.kind]
        line = lines[demand.line]
        del line.demands[demand]
        if not line.demands:
            del lines[demand.line]
        if not lines:
            del self._lines[demand.kind]

    def _waits(self, demand: Demand) -> bool:
        line = self._lines.get(demand.kind, {}).get(demand.line)
        return line is not None and demand in line.demands

    def _all_lines(self) -> Iterator[_Line]:
        return itertools.chain.from_iterable(lines.values() for lines in self._lines.values())

    @property
    def waiting(self) -> Iterable[Demand]:
        """All demands that wait."""
        return [demand for line in self._all_lines() for demand in line.demands]

    def ahead_of_newest(self, demand: Demand, now: float) -> int:
        """Return how many are served before the demand that came last, as `places_in_line` does for all."""
        own = self._lines[demand.kind][demand.line]
        own_order, index = self._order(own, now), len(own.demands) - 1
        ahead = index
        for line in self._all_lines():
            if line is own or line.pools.isdisjoint(own.pools):
                continue
            order = self._order(line, now)
            if order[0] < own_order[0]:
                ahead += len(line.demands)
            elif order[0] == own_order[0]:
                ahead += min(len(line.demands), index + (order < own_order))
        return ahead

    def places_in_line(self, now: float) -> dict[Demand, int]:
        """Return for each demand that waits how many are served before it, if nobody comes and all take as long."""
        orders = sorted(((self._order(line, now), line) for line in self._all_lines()), key=itemgetter(0))
        before: Counter[frozenset[str]] = Counter()
        found: dict[Demand, int] = {}
        for _, level in itertools.groupby(orders, key=lambda each: each[0][0]):
            for line, demand in _in_turns([line for _, line in level]):
                found[demand] = sum(each for pools, each in before.items() if not pools.isdisjoint(line.pools))
                before[line.pools] += 1
        return found


def _in_turns(lines: list[_Line]) -> Iterator[tuple[_Line, Demand]]:
    """Yield the first of each line, the second of each, and so on."""
    turns = [(line, iter(line.demands)) for line in lines]
    while turns:
        left = []
        for line, demands in turns:
            if (demand := next(demands, None)) is not None:
                yield line, demand
                left.append((line, demands))
        turns = left
