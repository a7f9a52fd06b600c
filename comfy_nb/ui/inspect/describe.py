"""What there is to say of a tensor: its head, its numbers, and what is alarming about them."""

from __future__ import annotations

from typing import Any

import torch

from comfy_nb.errors import LayoutError
from comfy_nb.spec.coerce import coerce
from comfy_nb.ui.inspect.arrays import head
from comfy_nb.ui.inspect.parts import Part
from comfy_nb.ui.inspect.statistics import Facts

BYTES_ABOVE = 16.0


def numbers(facts: Facts) -> str:
    """Say range, mean and std in one line."""
    if not facts.total:
        return "empty"
    if not facts.finite:
        return "no finite value" + _scope(facts)
    said = f"{facts.low:.4g} to {facts.high:.4g}, mean {facts.mean:.4g}, std {facts.std:.4g}"
    return said + _scope(facts)


def _scope(facts: Facts) -> str:
    return "" if facts.is_exact else f" (in a sample of {facts.seen:,} of {facts.total:,} values)"


def alarms(part: Part, facts: Facts) -> list[str]:
    """Say what is wrong with a tensor for what it is taken for; nothing where all is well."""
    found = []
    of = f"of {facts.seen:,} values" + ("" if facts.is_exact else " in the sample")
    for number, word in ((facts.nan, "NaN"), (facts.infinite, "infinite")):
        if number:
            found.append(f"{number:,} {of} {'is' if number == 1 else 'are'} {word}")
    if found and facts.first_bad is not None:
        found[-1] += f"; the first is at {list(facts.first_bad)}"
    return [*found, *_range_alarm(part, facts), *_layout_alarm(part)]


def all_clear(facts: Facts) -> str:
    """Say that all is finite, as far as it was looked at."""
    if facts.nan or facts.infinite or not facts.total:
        return ""
    return "no NaN, no infinity" if facts.is_exact else "no NaN, no infinity in the sample"


def _range_alarm(part: Part, facts: Facts) -> list[str]:
    if part.kind not in ("IMAGE", "MASK") or not facts.finite or str(part.array.dtype).endswith(("uint8", "bool")):
        return []
    if facts.low >= 0 and facts.high <= 1:
        return []
    said = f"values from {facts.low:.4g} to {facts.high:.4g}, not 0 to 1"
    if BYTES_ABOVE < facts.high <= 256 and facts.low > -16:
        return [f"{said}: looks like 0..255, divide by 255"]
    if -1.5 <= facts.low < -0.5 and facts.high <= 1.5:
        return [f"{said}: looks like -1..1, use (x + 1) / 2"]
    return [f"{said}: what is outside is clipped in the picture"]


def _layout_alarm(part: Part) -> list[str]:
    """Where a tensor is no IMAGE, though it may be meant as one: say how to make it one."""
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


def part_words(part: Part, facts: Facts | None, note: str) -> list[str]:
    """Say all of a part that holds numbers, a line each; alarms begin with WARNING."""
    lines = [f"{part.kind} {head(part.array)}" if part.kind not in ("TENSOR", "NUMBERS") else head(part.array)]
    lines += [line for line in (part.text, note) if line]
    if facts is not None:
        lines += [numbers(facts), *(f"WARNING: {alarm}" for alarm in alarms(part, facts))]
        lines += [line for line in (all_clear(facts),) if line]
    return lines


def bars(facts: Facts) -> dict[str, Any]:
    """Return the histogram for drawing: its counts and the words at its ends."""
    return {"counts": list(facts.counts), "low": f"{facts.low:.4g}", "high": f"{facts.high:.4g}"}
