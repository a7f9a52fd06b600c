"""A tensor in words: its shape and type, its numbers, and what is alarming about them."""

from __future__ import annotations

from typing import Any

import torch

from comfy_nb.errors import LayoutError
from comfy_nb.spec.coerce import coerce
from comfy_nb.ui.inspect.arrays import Array, describe_array
from comfy_nb.ui.inspect.part import Part
from comfy_nb.ui.inspect.statistics import Statistics

BYTES_ABOVE = 16.0


def describe_numbers(stats: Statistics) -> str:
    """Return range, mean and standard deviation in one line."""
    if not stats.total:
        return "empty"
    if not stats.finite:
        return "no finite value" + _scope(stats)
    return f"{stats.low:.4g} to {stats.high:.4g}, mean {stats.mean:.4g}, std {stats.std:.4g}" + _scope(stats)


def _scope(stats: Statistics) -> str:
    return "" if stats.is_exact else f" (in a sample of {stats.seen:,} of {stats.total:,} values)"


def alarms(part: Part, stats: Statistics) -> list[str]:
    """Return what is wrong with a tensor of its kind, a line each; nothing if all is well."""
    found = []
    of = f"of {stats.seen:,} values" + ("" if stats.is_exact else " in the sample")
    for number, word in ((stats.nan, "NaN"), (stats.infinite, "infinite")):
        if number:
            found.append(f"{number:,} {of} {'is' if number == 1 else 'are'} {word}")
    if found and stats.first_bad is not None:
        found[-1] += f"; the first is at {list(stats.first_bad)}"
    return [*found, *_range_alarm(part, stats), *_layout_alarm(part)]


def all_clear(stats: Statistics) -> str:
    """Return that all values are finite, as far as they were read; nothing if one is not."""
    if stats.nan or stats.infinite or not stats.total:
        return ""
    return "no NaN, no infinity" if stats.is_exact else "no NaN, no infinity in the sample"


def _range_alarm(part: Part, stats: Statistics) -> list[str]:
    if part.array is None or not part.drawing.is_unit or not stats.finite:
        return []
    if str(part.array.dtype).endswith(("uint8", "bool")):
        return []
    if stats.low >= 0 and stats.high <= 1:
        return []
    values = f"values from {stats.low:.4g} to {stats.high:.4g}, not 0 to 1"
    if BYTES_ABOVE < stats.high <= 256 and stats.low > -16:
        return [f"{values}: looks like 0..255, divide by 255"]
    if -1.5 <= stats.low < -0.5 and stats.high <= 1.5:
        return [f"{values}: looks like -1..1, use (x + 1) / 2"]
    return [f"{values}: the picture clips what lies outside"]


def _layout_alarm(part: Part) -> list[str]:
    """Return how to turn a tensor that may be meant as an IMAGE into one."""
    x = part.array
    if part.kind != "TENSOR" or not isinstance(x, torch.Tensor) or x.layout is not torch.strided or x.is_nested:
        return []
    is_planar = x.ndim == 4 and x.shape[1] in (1, 3, 4) and x.shape[2] > 4 and x.shape[3] > 4
    if not is_planar or not x.is_floating_point():
        return []
    try:
        coerce(torch.empty(x.shape, dtype=x.dtype, device="meta"), "IMAGE")
    except (LayoutError, RuntimeError, NotImplementedError) as error:
        if isinstance(error, LayoutError):
            return [f"as an IMAGE it would be refused: {error}"]
    return []


def describe_part(part: Part, array: Array, stats: Statistics | None, note: str) -> list[str]:
    """Return a part that holds an array in words, a line each; alarms begin with WARNING."""
    shape = describe_array(array)
    lines = [f"{part.kind} {shape}" if part.kind not in ("TENSOR", "NUMBERS") else shape]
    lines += [line for line in (part.text, note) if line]
    if stats is not None:
        lines += [describe_numbers(stats), *(f"WARNING: {alarm}" for alarm in alarms(part, stats))]
        lines += [line for line in (all_clear(stats),) if line]
    return lines


def histogram_of(stats: Statistics) -> dict[str, Any]:
    """Return the histogram for drawing: its counts, and the labels of its ends."""
    return {"counts": list(stats.counts), "low": f"{stats.low:.4g}", "high": f"{stats.high:.4g}"}
