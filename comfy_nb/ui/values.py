"""A node's value as something to look at below a cell: pictures, statistics, text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import torch

from comfy_nb.ui.page import FAINT
from comfy_nb.ui.thumbnails import Thumbnail, of_picture, of_tensor

PICTURES_MAX = 16
ONE_MAX_PX = 512
MANY_MAX_PX = 192
ITEMS_MAX = 8
TEXT_MAX = 20_000
REPR_MAX = 2_000


class Shown:
    """A value that shows itself: pictures and words as HTML, the words alone as text."""

    def __init__(self, words: Sequence[str], pictures: Sequence[Thumbnail] = (), text: str = "") -> None:
        self.words = tuple(words)
        self.pictures = tuple(pictures)
        self.text = text

    def __repr__(self) -> str:
        return "\n".join([*self.words, self.text] if self.text else self.words)

    def _repr_html_(self) -> str:
        style = f"max-width:{ONE_MAX_PX if len(self.pictures) == 1 else MANY_MAX_PX}px;margin:2px"
        images = "".join(f'<img src="{each.uri}" alt="picture" style="{style}">' for each in self.pictures)
        words = "".join(f'<div style="{FAINT}">{escape(line)}</div>' for line in self.words)
        text = f'<pre style="white-space:pre-wrap">{escape(self.text)}</pre>' if self.text else ""
        return f'<div class="comfy-nb-value">{images}{text}{words}</div>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}


def show_value(value: Any, kind: str | None = None) -> Shown:
    """Return a display of a value. `kind` is its socket type; None means to judge by the value's look.

    IMAGE [B, H, W, C] and MASK [B, H, W] become thumbnails, LATENT statistics, a str text; all else is
    described by its repr, shape, dtype and range. NaN, infinities and pictures beyond 0..1 are called out.
    """
    kind = kind if kind in ("IMAGE", "MASK", "LATENT") else _kind_of(value)
    if kind in ("IMAGE", "MASK") and _is_batch(value, kind):
        return _pictures(value, kind)
    if kind == "PICTURE":
        return Shown([f"{value.width} × {value.height}, {value.mode}"], [of_picture(value, ONE_MAX_PX)])
    if isinstance(value, str):
        return Shown([f"{len(value):,} characters"] if len(value) > TEXT_MAX else [], text=value[:TEXT_MAX])
    if isinstance(value, torch.Tensor | np.ndarray):
        return Shown([_described(value)])
    if isinstance(value, Mapping):
        return Shown(_entries("LATENT" if kind == "LATENT" else "", value.items()))
    if isinstance(value, list | tuple) and any(_is_array(item) for item in value):
        return Shown(_entries(f"{type(value).__name__} of {len(value)}", enumerate(value)))
    return Shown([], text=_clipped_repr(value))


def _kind_of(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        looks_like_image = value.ndim == 4 and value.shape[-1] in (1, 3, 4) and value.is_floating_point()
        return "IMAGE" if looks_like_image and value.shape[1] > 4 else ""
    if isinstance(value, Mapping) and isinstance(value.get("samples"), torch.Tensor):
        return "LATENT"
    is_picture = hasattr(value, "thumbnail") and hasattr(value, "mode") and hasattr(value, "getpixel")
    return "PICTURE" if is_picture else ""


def _is_batch(value: Any, kind: str) -> bool:
    if not isinstance(value, torch.Tensor) or value.numel() == 0:
        return False
    if kind == "IMAGE":
        return value.ndim == 4 and value.shape[-1] in (1, 3, 4)
    return value.ndim in (2, 3)


def _pictures(value: torch.Tensor, kind: str) -> Shown:
    batch = value[None] if value.ndim == 2 else value
    max_px = ONE_MAX_PX if len(batch) == 1 else MANY_MAX_PX
    pictures = [of_tensor(pixels, max_px) for pixels in batch[:PICTURES_MAX]]
    height, width = batch.shape[1:3]
    number = "" if len(batch) == 1 else f"{len(batch)} pictures of "
    words = [f"{kind} {number}{width} × {height}: {_described(value, unit_range=True)}"]
    if len(batch) > PICTURES_MAX:
        words.append(f"{len(batch) - PICTURES_MAX} more are not shown")
    return Shown(words, pictures)


def _entries(head: str, items: Iterable[tuple[Any, Any]]) -> list[str]:
    every = list(items)
    lines = [head] if head else []
    for key, item in every[:ITEMS_MAX]:
        lines.append(f"{key}: {_described(item) if _is_array(item) else _clipped_repr(item, 200)}")
    if len(every) > ITEMS_MAX:
        lines.append(f"{len(every) - ITEMS_MAX} more are not shown")
    return lines


def _is_array(value: Any) -> bool:
    return isinstance(value, torch.Tensor | np.ndarray)


def _described(value: Any, unit_range: bool = False) -> str:
    """Say shape, dtype, device, range and mean of an array, and what is alarming about its values."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            return f"array {list(value.shape)} {value.dtype}"
        value = torch.from_numpy(np.ascontiguousarray(value.astype("float64")))
        head = f"array {list(value.shape)}"
    else:
        device = "" if value.device.type == "cpu" else f" on {value.device}"
        head = f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}{device}"
    if value.numel() == 0:
        return f"{head}, empty"
    if value.is_complex() or value.is_quantized or value.layout != torch.strided:
        return head
    return ", ".join([head, *_statistics(value.detach(), unit_range)])


def _statistics(value: torch.Tensor, unit_range: bool) -> list[str]:
    values = value.float() if value.dtype in (torch.float16, torch.bfloat16, torch.bool) else value
    finite = torch.isfinite(values) if values.is_floating_point() else None
    bad = 0 if finite is None else values.numel() - int(finite.sum())
    said = []
    if bad and finite is not None:
        nan = int(torch.isnan(values).sum())
        of = f"of {values.numel():,} values are"
        counts = ((nan, "NaN"), (bad - nan, "infinite"))
        said = [f"WARNING: {number:,} {of} {word}" for number, word in counts if number]
        values = values[finite]
    if not values.numel():
        return said
    low, high = (float(each) for each in torch.aminmax(values))
    statistics = [f"{low:.4g} to {high:.4g}, mean {float(values.mean(dtype=torch.float64)):.4g}", *said]
    if unit_range and (low < 0 or high > 1):
        statistics.append("WARNING: values outside 0 to 1 are clipped in the picture")
    return statistics


def _clipped_repr(value: Any, most: int = REPR_MAX) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
