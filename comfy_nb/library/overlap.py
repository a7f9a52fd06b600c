"""The overlap of two images."""

from __future__ import annotations

from torch import Tensor


def overlap(below: Tensor, above: Tensor, left: int, top: int) -> tuple[Tensor, Tensor]:
    """Return views of the overlapping parts of two [..., H, W] tensors, with `above` placed at (`left`, `top`).

    The position may be negative or outside; without an overlap the views are empty.
    """
    rows_below, rows_above = _spans(below.shape[-2], above.shape[-2], top)
    columns_below, columns_above = _spans(below.shape[-1], above.shape[-1], left)
    return below[..., rows_below, columns_below], above[..., rows_above, columns_above]


def _spans(below: int, above: int, start: int) -> tuple[slice, slice]:
    first, last = max(start, 0), min(start + above, below)
    if first >= last:
        return slice(0), slice(0)
    return slice(first, last), slice(first - start, last - start)
