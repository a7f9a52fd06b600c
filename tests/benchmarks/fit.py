"""The line a + b N through the times of several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Fit:
    """`a` is the cost of a run and `b` of one more node, in seconds.

    `growth` is the cost of a node at the largest sizes over that at the smallest; None below three sizes.
    """

    a: float
    b: float
    growth: float | None


def fit(seconds: Mapping[int, float]) -> Fit | None:
    """Least squares of the relative errors, so that small sizes count as much as large; None for one size."""
    if len(seconds) < 2:
        return None
    points = sorted(seconds.items())
    weights = [1 / time**2 for _, time in points]
    total = sum(weights)
    mean_n = sum(w * n for w, (n, _) in zip(weights, points, strict=True)) / total
    mean_t = sum(w * t for w, (_, t) in zip(weights, points, strict=True)) / total
    covariance = sum(w * (n - mean_n) * (t - mean_t) for w, (n, t) in zip(weights, points, strict=True))
    variance = sum(w * (n - mean_n) ** 2 for w, (n, _) in zip(weights, points, strict=True))
    b = covariance / variance
    return Fit(a=mean_t - b * mean_n, b=b, growth=_growth(points))


def _growth(points: list[tuple[int, float]]) -> float | None:
    if len(points) < 3:
        return None
    slopes = [(t1 - t0) / (n1 - n0) for (n0, t0), (n1, t1) in pairwise(points)]
    return slopes[-1] / slopes[0] if slopes[0] > 0 else None
