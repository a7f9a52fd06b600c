"""The pools of a session: what they allow, and who has or waits for their places. All of it is safe for threads."""

from __future__ import annotations

import fnmatch
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from comfy_nb.engine.pools.alarm import Alarm
from comfy_nb.engine.pools.bucket import TokenBucket
from comfy_nb.engine.pools.capacity import Capacity, SharedPlaces
from comfy_nb.engine.pools.fair_queue import Demand, FairQueue
from comfy_nb.engine.pools.turns import Aging, Turns
from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.spec.uses import Needs, Uses, needs_of

NAME_MAX = 50
"""The name of a shared pool is part of a file's, which has 255 bytes at most."""
COUNT_S = 0.1
"""So long it holds how many are before whom, if nobody comes or goes: who waits may count as one level more."""


class PoolState(NamedTuple):
    """A pool at one moment: `holding` and `waiting` say who, in their order."""

    name: str
    size: int | None
    per_minute: int | None
    shared: bool
    in_use: int
    holding: tuple[str, ...]
    waiting: tuple[str, ...]


class Pools:
    """The pools of one session, by name."""

    def __init__(self, aging: Aging) -> None:
        self._capacities: dict[str, Capacity] = {}
        self._assigned: list[tuple[str, Needs]] = []
        self._assigned_to: dict[str, Needs] = {}
        self._listeners: list[Callable[[], None]] = []
        self._queue = FairQueue(self._capacities, Turns(aging))
        self._in_line: Mapping[Demand, int] | None = None
        self._counted_at = 0.0
        self._lock = threading.Lock()
        self._alarm = Alarm(self._ring, "comfy-nb-pools")

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._capacities))

    def __contains__(self, name: object) -> bool:
        return name in self._capacities

    def define(self, name: str, size: int | None, per_minute: int | None, shared: bool) -> None:
        """Make a pool, or give one that there is other limits; who has places there keeps them."""
        _check_limits(name, size, per_minute, shared)
        if shared and name not in self:
            SharedPlaces(name).check()
        with self._lock:
            now = time.monotonic()
            known = self._capacities.get(name)
            if known is None:
                bucket = TokenBucket(per_minute, now) if per_minute is not None else None
                self._capacities[name] = Capacity(size, bucket, SharedPlaces(name) if shared else None)
                return
            if shared != (known.shared is not None):
                raise GraphError(f"The pool {name!r} is {'not ' * (not known.shared)}shared; that cannot be changed.")
            known.size = size
            if per_minute is None:
                known.bucket = None
            elif known.bucket is None:
                known.bucket = TokenBucket(per_minute, now)
            else:
                known.bucket.resize(per_minute, now)
            finish = self._serve(now)
        finish()

    def assign(self, pattern: str, uses: Uses) -> None:
        """Let nodes of all classes whose names match (`KSampler*`) use pools, beside what they say themselves."""
        if not isinstance(pattern, str) or not pattern:
            raise GraphError(f"{pattern!r} is no pattern of class names: a text such as 'KSampler*' was expected.")
        self._assigned.append((pattern, self.checked(needs_of(uses, pattern))))
        self._assigned_to.clear()

    @property
    def has_assigned(self) -> bool:
        """Whether classes use pools that do not say so themselves."""
        return bool(self._assigned)

    def assigned_to(self, class_type: str) -> Needs:
        """Return what was assigned to a class."""
        found = self._assigned_to.get(class_type)
        if found is None:
            matching = (needs for pattern, needs in self._assigned if fnmatch.fnmatchcase(class_type, pattern))
            found = self._assigned_to[class_type] = tuple(sorted(dict(itertools.chain(*matching)).items()))
        return found

    def checked(self, needs: Needs) -> Needs:
        """Return these needs; raises UnknownName for a pool that was not made, GraphError for too many places."""
        for name, count in needs:
            if name not in self._capacities:
                raise UnknownName.of("pool", name, self._capacities, f"in this session; make it: nb.pool({name!r}, 1)")
            size = self._capacities[name].size
            if size is not None and count > size:
                raise GraphError(f"{count} places of the pool {name!r} are needed, which has {size}.")
        return needs

    def ask(self, demand: Demand) -> int | None:
        """Let somebody wait for places: return how many are before it, or None where it has them.

        `demand.granted()` is called once it has them, perhaps before this returns.
        """
        with self._lock:
            now = time.monotonic()
            self._queue.ask(demand, now)
            finish = self._serve(now)
            ahead = self._queue.ahead_of_newest(demand, now) if demand not in self._queue.holding else None
        finish()
        return ahead

    def reconsider(self) -> None:
        """Let those that wait do so for what they need now: code that has places may await them by now."""
        with self._lock:
            self._queue.reconsider()
            finish = self._serve(time.monotonic())
        finish()

    def withdraw(self, demand: Demand) -> None:
        """Give back the places of a demand, or let it wait no longer."""
        with self._lock:
            if not self._queue.withdraw(demand):
                return
            finish = self._serve(time.monotonic())
        finish()

    def empty(self, name: str, seconds: float) -> None:
        """Let nobody begin in a pool for so many seconds, since a service asked for that."""
        if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            raise GraphError(f"The pool {name!r} is to wait for {seconds!r}: a number of seconds from 0 was expected.")
        with self._lock:
            capacity = self._capacities[name]
            if capacity.bucket is None:
                raise GraphError(f"The pool {name!r} has no limit of calls a minute: nb.pool({name!r}, per_minute=60).")
            now = time.monotonic()
            capacity.bucket.empty(now, seconds)
            finish = self._serve(now)
        finish()

    def places_in_line(self) -> Mapping[Demand, int]:
        """Return for each demand that waits how many are before it; counted once for all that ask meanwhile."""
        with self._lock:
            now = time.monotonic()
            if self._in_line is None or now - self._counted_at > COUNT_S:
                self._in_line, self._counted_at = self._queue.places_in_line(now), now
            return self._in_line

    def states(self) -> list[PoolState]:
        """Return all pools as they are now."""
        with self._lock:
            ahead = self._queue.places_in_line(time.monotonic())
            waiting = sorted(ahead, key=lambda demand: (ahead[demand], demand.number))
            return [
                PoolState(
                    name,
                    capacity.size,
                    capacity.bucket.per_minute if capacity.bucket is not None else None,
                    capacity.shared is not None,
                    capacity.in_use,
                    _who(self._queue.holding, name),
                    _who(waiting, name),
                )
                for name, capacity in self._capacities.items()
            ]

    def call_at_change(self, callback: Callable[[], None]) -> None:
        """Call this once, from any thread, when the places of somebody in line may have changed."""
        with self._lock:
            self._listeners.append(callback)

    def _ring(self) -> None:
        with self._lock:
            finish = self._serve(time.monotonic())
        finish()

    def _serve(self, now: float) -> Callable[[], None]:
        """Serve those who can be; return what then tells them, for when the lock is not held any more."""
        served, again_at = self._queue.serve(now)
        self._in_line = None
        self._alarm.set(again_at)
        listeners, self._listeners = self._listeners, []

        def tell() -> None:
            for demand in served:
                demand.granted()
            for listener in listeners:
                listener()

        return tell


def _who(demands: Iterable[Demand], pool: str) -> tuple[str, ...]:
    return tuple(demand.who for demand in demands if any(name == pool for name, _ in demand.needs))


def _check_limits(name: str, size: int | None, per_minute: int | None, shared: bool) -> None:
    if not name or not isinstance(name, str) or not name.replace("-", "_").replace(".", "_").isidentifier():
        raise GraphError(f"{name!r} is no name of a pool: letters, digits, '-', '_' and '.', beginning with a letter.")
    if len(name) > NAME_MAX:
        raise GraphError(f"The name of a pool has {NAME_MAX} letters at most, not {len(name)}: {name[:20]}...")
    for what, value in (("size", size), ("per_minute", per_minute)):
        if value is not None and (type(value) is not int or value < 1):
            raise GraphError(f"The {what} of the pool {name!r} is {value!r}: a whole number from 1 was expected.")
    if type(shared) is not bool:
        raise GraphError(f"shared of the pool {name!r} is {shared!r}: True or False was expected.")
    if shared and size is None:
        raise GraphError(f"The pool {name!r} is shared, so it needs a size: nb.pool({name!r}, 1, shared=True).")
