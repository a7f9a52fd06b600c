"""A benchmark case, and how it is measured."""

from __future__ import annotations

import asyncio
import gc
import inspect
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["us/node", "us", "ms", "s", "x", "B/node"]
Timed = Callable[[], Any]

SIZES = (100, 1_000, 10_000, 100_000)
PER_SECOND = {"us/node": 1e6, "us": 1e6, "ms": 1e3, "s": 1.0, "x": 1.0}
REPEATS = {100: 20, 1_000: 10, 10_000: 5}
FEWEST_REPEATS = 3


class Seconds(float):
    """Returned by a callable that has timed the relevant part of itself."""


@dataclass(frozen=True)
class Case:
    """One figure to measure for each size.

    `prepare(n)` builds what is needed and returns the callable, or coroutine function, to time. It is
    called anew for each repeat, and not timed. `target` is the most that the figure may be, in `unit`, or a
    function of n that gives it. `floor` names an entry of `floors.FLOORS`, measured on the same shape and
    size. "B/node" is the peak of memory during the call,
    "x" how many times something else that the call has measured itself.
    """

    name: str
    shape: str
    sizes: tuple[int, ...]
    prepare: Callable[[int], Timed]
    target: float | Callable[[int], float] | None = None
    floor: str | None = None
    unit: Unit = "us/node"

    def target_at(self, n: int) -> float | None:
        """The highest acceptable figure at size n, in the unit of this case."""
        return self.target(n) if callable(self.target) else self.target

    def figure(self, measured: float, n: int) -> float:
        """Convert the seconds (or bytes, for "B/node") of one call to the unit of this case."""
        if self.unit == "B/node":
            return measured / n
        return measured * PER_SECOND[self.unit] / (n if self.unit == "us/node" else 1)


def measure(case: Case, n: int, quick: bool = False) -> float:
    """The minimum over some repeats: seconds, or peak bytes for "B/node". `quick` repeats only twice."""
    if case.unit == "B/node":
        return float(_peak_bytes(case.prepare(n)))
    repeats = 2 if quick else REPEATS.get(n, FEWEST_REPEATS)
    return min(_seconds(case.prepare(n)) for _ in range(repeats))


def _seconds(call: Timed) -> float:
    gc.collect()
    if inspect.iscoroutinefunction(call):
        return asyncio.run(_awaited_seconds(call))
    started = time.perf_counter()
    result = call()
    elapsed = time.perf_counter() - started
    return result if isinstance(result, Seconds) else elapsed


async def _awaited_seconds(call: Timed) -> float:
    started = time.perf_counter()
    result = await call()
    elapsed = time.perf_counter() - started
    return result if isinstance(result, Seconds) else elapsed


def _peak_bytes(call: Timed) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        if inspect.iscoroutinefunction(call):
            asyncio.run(call())
        else:
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
