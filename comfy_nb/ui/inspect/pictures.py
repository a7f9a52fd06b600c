"""The visible part of a tensor as an encoded picture: only that part is read and copied to the host."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from comfy_nb.spec.pixels import levels_of
from comfy_nb.ui.inspect.arrays import floats
from comfy_nb.ui.inspect.statistics import Sample, Statistics
from comfy_nb.ui.render.drawings import Drawing, Layout

SHEET_PICTURES = 24
SHEET_GAP_PX = 4
JPEG_QUALITY = 90
DIFFERENCE_GAIN = 10
SCALES = ("all", "most", "log")
MOST = (0.01, 0.99)  # the share of values below the darkest and the lightest
LOG_DEPTH = 1e-6
COLOURED_CHANNELS = 128
BAD = (1.0, 0.0, 1.0)  # magenta: a value that is NaN or infinite
MASK_RED = (0.9, 0.15, 0.2)
# Dark to light in even steps of lightness, through violet, red and yellow: 8 anchors, interpolated.
HEAT = (
    (8, 8, 32),
    (48, 18, 98),
    (104, 26, 122),
    (164, 44, 108),
    (214, 76, 76),
    (244, 126, 50),
    (252, 186, 62),
    (252, 248, 188),
)

Pixels = np.ndarray[Any, Any]


class Plane(NamedTuple):
    """A two-dimensional view of a tensor, [H, W] or [H, W, C]. `colour` is "rgb", "grey", "heat" or "latent".

    `low` and `high` are the values drawn darkest and lightest, or if it `is_log` the logarithms of their magnitudes.
    """

    values: torch.Tensor
    colour: str
    low: float
    high: float
    is_log: bool = False


class Encoded(NamedTuple):
    """A picture of the rectangle (x0, y0, x1, y1) of a plane; `format` is "png" or "jpeg"."""

    format: str
    data: bytes
    rect: tuple[int, int, int, int]


class Selection(NamedTuple):
    """A plane of a tensor: an index on each axis, which axes are rows and columns, and one channel or (None) all.

    `scale` is how numbers without a range of their own become light: one of `SCALES`, or None for what suits them.
    """

    at: Sequence[int]
    rows: int
    columns: int
    channel: int | None = None
    scale: str | None = None


def default_scale(x: torch.Tensor) -> str:
    """Return how the numbers of a tensor become light: a spectrum is black but for a few points otherwise."""
    return "log" if x.is_complex() else "all"


def plane_of(x: torch.Tensor, drawing: Drawing, selection: Selection, stats: Statistics) -> Plane:
    """Return the selected plane of a tensor; raises IndexError if the tensor has no such plane."""
    layout = drawing.layout(x.ndim)
    colours = layout.channels if selection.channel is None else None
    for axis in reversed(range(x.ndim)):
        if axis not in (selection.rows, selection.columns, colours):
            is_channel = axis == layout.channels
            x = x.select(axis, selection.channel or 0 if is_channel else selection.at[axis])
    kept = sorted(axis for axis in (selection.rows, selection.columns, colours) if axis is not None)
    x = x.permute([kept.index(axis) for axis in (selection.rows, selection.columns, colours) if axis is not None])
    if x.ndim == 3 and x.shape[-1] == 1:
        x = x[..., 0]
    if drawing.is_unit:
        top = 255.0 if x.dtype == torch.uint8 else 1.0
        return Plane(x, "rgb" if x.ndim == 3 else "grey", 0.0, top)
    if x.ndim == 3:
        return Plane(x, "latent", stats.low, stats.high)
    return _scaled(x, selection.scale or default_scale(x), stats)


def _scaled(x: torch.Tensor, scale: str, stats: Statistics) -> Plane:
    top = max(abs(stats.low), abs(stats.high))
    bottom = max(stats.low, top * LOG_DEPTH)
    if scale == "log" and bottom > 0 and math.isfinite(top):
        return Plane(x, "heat", math.log(bottom), math.log(top), is_log=True)
    if scale == "most" and x.numel():
        seen = floats(Sample(x).values).reshape(-1)
        seen = seen[torch.isfinite(seen)]
        low, high = torch.quantile(seen, seen.new_tensor(MOST)).tolist() if seen.numel() else (0.0, 0.0)
        if low < high:
            return Plane(x, "heat", low, high)
    return Plane(x, "heat", stats.low, stats.high)


def crop(plane: Plane, rect: Sequence[float], max_size: Sequence[int]) -> Encoded:
    """Return a rectangle (x0, y0, x1, y1) of a plane as a picture of at most `max_size` (width, height) pixels."""
    x0, y0, x1, y1 = _clamped(rect, plane.values.shape)
    pixels, is_exact = _read(plane, (x0, y0, x1, y1), max_size)
    return _encode(pixels, max_size, (x0, y0, x1, y1), is_exact=is_exact)


def difference(one: Plane, other: Plane, rect: Sequence[float], max_size: Sequence[int]) -> Encoded:
    """Return the rectangle of |one - other|, ten times brighter; raises ValueError if their sizes differ."""
    _check_sizes(one, other)
    box = _clamped(rect, one.values.shape)
    step = _step(box, max_size)
    a, b = (_unit(floats(_few_channels(_cut(each.values, box, step), 3)), each) for each in (one, other))
    gap = _coloured((a - b).abs() * DIFFERENCE_GAIN, "rgb" if a.ndim == 3 else "grey")
    return _encode(gap, max_size, box, is_exact=step == 1)


def overlay(mask: Plane, image: Plane, rect: Sequence[float], max_size: Sequence[int]) -> Encoded:
    """Return the rectangle of an image with a mask over it in red; raises ValueError if their sizes differ."""
    _check_sizes(mask, image)
    box = _clamped(rect, mask.values.shape)
    step = _step(box, max_size)
    under = _coloured(_unit(floats(_cut(image.values, box, step)), image), image.colour)[..., :3]
    over = _unit(floats(_cut(mask.values, box, step)), mask).nan_to_num(0.0).clamp(0, 1).cpu().numpy()[..., None]
    return _encode(under * (1 - 0.65 * over) + np.array(MASK_RED) * 0.65 * over, max_size, box, is_exact=step == 1)


def _check_sizes(one: Plane, other: Plane) -> None:
    if one.values.shape[:2] != other.values.shape[:2] or (
        one.values.shape[2:] != other.values.shape[2:] and (one.colour == other.colour)
    ):
        raise ValueError(f"the two values differ in size: {list(one.values.shape)} and {list(other.values.shape)}")


def draw_sheet(planes: Sequence[Plane], columns: int, max_size: Sequence[int]) -> Encoded:
    """Return several planes of one size on a contact sheet, `columns` in a row, with gaps of `SHEET_GAP_PX`."""
    rows = math.ceil(len(planes) / columns)
    cell = (max_size[0] // columns - SHEET_GAP_PX, max_size[1] // rows - SHEET_GAP_PX)
    height, width = planes[0].values.shape[:2]
    scale = max(1e-6, min(cell[0] / max(1, width), cell[1] / max(1, height)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    sheet = Image.new("RGBA", (columns * (size[0] + SHEET_GAP_PX), rows * (size[1] + SHEET_GAP_PX)))
    for place, plane in enumerate(planes):
        pixels, _ = _read(plane, (0, 0, width, height), size)
        row, column = divmod(place, columns)
        small = _picture(pixels).resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)
        sheet.paste(small, (column * (size[0] + SHEET_GAP_PX), row * (size[1] + SHEET_GAP_PX)))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=1)
    return Encoded("png", buffer.getvalue(), (0, 0, *sheet.size))


def texts(plane: Plane, rect: Sequence[float]) -> list[list[list[str]]]:
    """Return the values of a rectangle as text: rows of pixels of channels."""
    values = _cut(plane.values, _clamped(rect, plane.values.shape), 1)
    values = values.dequantize() if values.is_quantized else values.float() if values.element_size() == 1 else values
    rows = values.cpu().tolist()
    return [
        [[_write(value) for value in (pixel if isinstance(pixel, list) else [pixel])] for pixel in row] for row in rows
    ]


def _write(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | complex) else str(value)


def _clamped(rect: Sequence[float], shape: Sequence[int]) -> tuple[int, int, int, int]:
    height, width = shape[:2]
    x0, y0 = (min(max(0, math.floor(at)), max(0, end - 1)) for at, end in zip(rect[:2], (width, height), strict=True))
    x1, y1 = (min(max(0, math.ceil(at)), end) for at, end in zip(rect[2:], (width, height), strict=True))
    return x0, y0, max(x1, min(x0 + 1, width)), max(y1, min(y0 + 1, height))


def _step(rect: Sequence[int], max_size: Sequence[int]) -> int:
    x0, y0, x1, y1 = rect
    return max(1, int(max((x1 - x0) / max(1, max_size[0]), (y1 - y0) / max(1, max_size[1])) / 2))


def _cut(values: torch.Tensor, rect: Sequence[int], step: int) -> torch.Tensor:
    x0, y0, x1, y1 = rect
    return values[y0:y1:step, x0:x1:step]


def _few_channels(values: torch.Tensor, most: int) -> torch.Tensor:
    """Return at most so many channels of a plane, evenly spread."""
    return values if values.ndim == 2 else values[..., :: math.ceil(values.shape[2] / most)]


def _read(plane: Plane, rect: Sequence[int], max_size: Sequence[int]) -> tuple[Pixels, bool]:
    step = _step(rect, max_size)
    return _coloured(
        _unit(floats(_few_channels(_cut(plane.values, rect, step), COLOURED_CHANNELS)), plane), plane.colour
    ), step == 1


def _unit(values: torch.Tensor, plane: Plane) -> torch.Tensor:
    """Map the plane's range to 0..1."""
    if plane.colour == "latent" or not math.isfinite(plane.low):
        return values
    if plane.is_log:
        values = values.abs().log().clamp_min(plane.low)
    span = plane.high / 2 - plane.low / 2
    return (values / 2 - plane.low / 2) / span if span else values - values + 0.5


def _coloured(values: torch.Tensor, colour: str) -> Pixels:
    """Return [H, W, 3 or 4] in 0..1; values that are not finite are magenta."""
    values = values.cpu().double()
    bad = ~torch.isfinite(values if values.ndim == 2 else values.sum(-1))
    if colour == "latent":
        values = main_components(values)
    flat = values.nan_to_num(nan=0.0, posinf=1.0, neginf=0.0).clamp(0, 1).numpy()
    if colour == "heat":
        places = np.linspace(0, 1, len(HEAT))
        anchors = np.array(HEAT) / 255
        flat = np.stack([np.interp(flat, places, anchors[:, band]) for band in range(3)], axis=-1)
    elif flat.ndim == 2:
        flat = np.repeat(flat[..., None], 3, axis=-1)
    flat = flat.copy()
    flat[bad.numpy()] = (*BAD, 1.0)[: flat.shape[-1]]
    return flat


def main_components(values: torch.Tensor) -> torch.Tensor:
    """Return [H, W, C] as [H, W, 3] in 0..1: the three directions in which the channels differ most.

    An approximation that needs no model: similar latents get similar colours; the hues mean nothing.
    """
    flat = values.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).reshape(-1, values.shape[-1])
    flat = flat - flat.mean(0)
    _, directions = torch.linalg.eigh(flat.T @ flat)
    chosen = directions[:, -3:].flip(1)
    strongest = chosen.gather(0, chosen.abs().argmax(0, keepdim=True))
    seen = flat @ (chosen * strongest.sign())
    seen = torch.nn.functional.pad(seen, (0, 3 - seen.shape[1]))
    return (seen / (4 * seen.std(0, correction=0).clamp_min(1e-12)) + 0.5).reshape(*values.shape[:-1], 3)


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(levels_of(torch.from_numpy(pixels)))


def _encode(pixels: Pixels, max_size: Sequence[int], rect: tuple[int, int, int, int], *, is_exact: bool) -> Encoded:
    picture = _picture(pixels)
    if picture.width > max_size[0] or picture.height > max_size[1]:
        picture.thumbnail((max(1, max_size[0]), max(1, max_size[1])), Image.Resampling.BOX)
        is_exact = False
    buffer = io.BytesIO()
    if is_exact or picture.mode == "RGBA":
        picture.save(buffer, "PNG", compress_level=1)
        return Encoded("png", buffer.getvalue(), rect)
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return Encoded("jpeg", buffer.getvalue(), rect)


def columns_for(count: int, width: int, height: int, max_size: Sequence[int]) -> int:
    """Return how many columns show `count` pictures of one size as large as possible in `max_size`."""

    def scale(columns: int) -> float:
        return min(max_size[0] / columns / max(1, width), max_size[1] / math.ceil(count / columns) / max(1, height))

    return max(range(1, count + 1), key=scale)


def read_selection(request: Mapping[str, Any], shape: Sequence[int], layout: Layout) -> Selection:
    """Read the selection in a front end's request; whatever it contains, the result lies within the tensor."""
    index = [0] * len(shape)
    for axis, at in enumerate(list(request.get("index") or ())[: len(shape)]):
        index[axis] = min(max(0, int(at)), max(0, shape[axis] - 1))
    rows, columns = int(request.get("rows", layout.rows)), int(request.get("columns", layout.columns))
    if not (0 <= rows < len(shape) and 0 <= columns < len(shape)) or rows == columns:
        rows, columns = layout.rows, layout.columns
    channel = request.get("channel")
    if channel is not None and layout.channels is not None:
        channel = min(max(0, int(channel)), shape[layout.channels] - 1)
    scale = request.get("scale")
    return Selection(index, rows, columns, channel, scale if scale in SCALES else None)
