"""Range, mean, histogram and the first NaN or infinity of a tensor, read in chunks or from a sample."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import torch

from comfy_nb.ui.inspect.arrays import floats

EXACT_MAX = 1 << 21
SAMPLE_MAX = 1 << 15  # torch wakes no other threads for so few
CHUNK = 1 << 20
RUN = 4096  # neighbours are sampled together, because memory comes in pages
BINS = 64

Index = tuple[int, ...]


@dataclass(frozen=True)
class Statistics:
    """`seen` of `total` values were read. Range, mean, std and `counts` are of the finite ones; NaN without any."""

    total: int
    seen: int
    nan: int
    infinite: int
    first_bad: Index | None
    low: float
    high: float
    mean: float
    std: float
    counts: tuple[int, ...]

    @property
    def is_exact(self) -> bool:
        """Whether all values were read."""
        return self.seen == self.total

    @property
    def finite(self) -> int:
        """How many of the values that were read are finite."""
        return self.seen - self.nan - self.infinite


def statistics_of(x: torch.Tensor) -> Statistics:
    """Return the statistics of a tensor in bounded time: exact up to `EXACT_MAX` values, of a sample beyond."""
    if x.numel() <= EXACT_MAX:
        return finish(scan(x))
    sample = Sample(x)
    seen = finish(scan(sample.values))
    first = None if seen.first_bad is None else sample.place(seen.first_bad)
    return replace(seen, total=x.numel(), first_bad=first)


def finish(scanning: Generator[float, None, Statistics]) -> Statistics:
    """Run a scan to its end."""
    while True:
        try:
            next(scanning)
        except StopIteration as done:
            stats: Statistics = done.value
            return stats


def scan(x: torch.Tensor) -> Generator[float, None, Statistics]:
    """Read all values in chunks, twice; yield the progress (0..1) after each chunk and return the statistics."""
    total = max(1, 2 * x.numel())
    tally = _Tally()
    done = 0
    for start, part in chunks(x):
        tally.take(start, floats(part))
        done += part.numel()
        yield done / total
    counts = torch.zeros(BINS, dtype=torch.int64)
    for _, part in chunks(x):
        if tally.count:
            counts += _histogram(floats(part), tally.low, tally.high)
        done += part.numel()
        yield done / total
    return tally.statistics(x.numel(), counts)


def chunks(x: torch.Tensor, start: Index = ()) -> Iterator[tuple[Index, torch.Tensor]]:
    """Cut a tensor into views of at most `CHUNK` values, in reading order, each with the index of its first value."""
    start = start or (0,) * x.ndim
    if x.numel() <= CHUNK:
        yield start, x
        return
    axis = next(axis for axis, size in enumerate(x.shape) if size > 1)
    step = max(1, CHUNK * x.shape[axis] // x.numel())
    for first in range(0, x.shape[axis], step):
        part = x.narrow(axis, first, min(step, x.shape[axis] - first))
        yield from chunks(part, (*start[:axis], start[axis] + first, *start[axis + 1 :]))


class _Tally:
    """Counts, range and moments of the chunks so far (Chan's parallel variance)."""

    def __init__(self) -> None:
        self.count = self.nan = self.infinite = 0
        self.low, self.high = math.inf, -math.inf
        self.mean = self.squares = 0.0
        self.first_bad: Index | None = None

    def take(self, start: Index, values: torch.Tensor) -> None:
        is_finite = torch.isfinite(values)
        bad = values.numel() - int(is_finite.sum())
        if bad:
            nan = int(torch.isnan(values).sum())
            self.nan, self.infinite = self.nan + nan, self.infinite + bad - nan
            if self.first_bad is None:
                place = int((~is_finite).reshape(-1).to(torch.uint8).argmax())
                self.first_bad = tuple(a + b for a, b in zip(start, _unravel(place, values.shape), strict=True))
            values = values[is_finite]
        count = values.numel()
        if not count:
            return
        low, high = (float(each) for each in torch.aminmax(values))
        self.low, self.high = min(self.low, low), max(self.high, high)
        mean = float(values.mean())
        squares = float((values - mean).square_().sum())
        both, apart = self.count + count, mean - self.mean
        self.squares += squares + apart * apart * self.count * count / both
        self.mean += apart * count / both
        self.count = both

    def statistics(self, total: int, counts: torch.Tensor) -> Statistics:
        found = (
            (self.low, self.high, self.mean, math.sqrt(self.squares / self.count)) if self.count else (math.nan,) * 4
        )
        low, high, mean, std = found
        every = tuple(counts.tolist())
        return Statistics(total, total, self.nan, self.infinite, self.first_bad, low, high, mean, std, every)


def _unravel(place: int, shape: torch.Size) -> Index:
    index = []
    for size in reversed(shape):
        place, rest = divmod(place, size)
        index.append(rest)
    return tuple(reversed(index))


def _histogram(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    values = values[torch.isfinite(values)]
    span = high / 2 - low / 2  # halves, because the span of the largest floats overflows
    if not span:
        return torch.bincount(torch.zeros(values.numel(), dtype=torch.int64), minlength=BINS)
    places = ((values / 2 - low / 2) / span * BINS).long().clamp_(0, BINS - 1)
    return torch.bincount(places.reshape(-1), minlength=BINS).cpu()


class Sample:
    """About `SAMPLE_MAX` values at most, spread over a tensor; `values` is a view of it, not a copy."""

    def __init__(self, x: torch.Tensor) -> None:
        self._run = RUN if x.shape[-1] > RUN else 0
        if self._run:
            kept = x.shape[-1] // RUN * RUN
            x = x.narrow(-1, 0, kept).unflatten(-1, (kept // RUN, RUN))
        self._steps = [1] * x.ndim
        outer = sorted(range(x.ndim - 1), key=lambda axis: x.shape[axis])
        for done, axis in enumerate(outer):  # the longer axes make up for what a short one cannot give
            too_many = x.numel() / SAMPLE_MAX
            step = min(x.shape[axis], math.ceil(too_many ** (1 / (len(outer) - done))))
            self._steps[axis] = max(1, step)
            x = x[(slice(None),) * axis + (slice(None, None, self._steps[axis]),)]
        self.values = x

    def place(self, index: Index) -> Index:
        """Return the index in the tensor of a value of the sample."""
        place = [at * step for at, step in zip(index, self._steps, strict=True)]
        if self._run:
            *place, block, within = place
            place.append(block * self._run + within)
        return tuple(place)
