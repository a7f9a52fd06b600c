"""A value as HTML that needs neither a kernel nor a script: what a saved notebook keeps of its view."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

from comfy_nb.ui.inspect.inspector import Inspector
from comfy_nb.ui.inspect.pictures import Selection, crop, plane_of
from comfy_nb.ui.inspect.plots import envelope
from comfy_nb.ui.inspect.statistics import Statistics
from comfy_nb.ui.render.style import FAINT
from comfy_nb.ui.render.thumbnails import Thumbnail, picture_thumbnail

PICTURES_MAX = 16
BYTES_MAX = 240_000
EXACT_MAX_BYTES = 16_000
ONE_PX, MANY_PX, SMALL_PX = 512, 160, 96
LINES_MAX = 60
TEXT_MAX = 20_000
PLOT = (480, 110)
ALARM = "color:#c6222d;font-weight:600"


def to_html(inspector: Inspector, origin: str) -> str:
    """Return a value as HTML of less than 300 kB: its first pictures, its numbers, and what made it."""
    pieces: list[str] = []
    left = BYTES_MAX
    for place in range(len(inspector.parts)):
        piece = _drawing(inspector, place, left)
        left -= len(piece)
        pieces.append(piece)
    lines = inspector.lines()
    texts = [part.text for part in inspector.parts if part.kind == "TEXT" and not part.name]
    body = "".join(f'<pre style="white-space:pre-wrap">{escape(text[:TEXT_MAX])}</pre>' for text in texts)
    if not texts:
        body = "".join(_line(line) for line in lines[:LINES_MAX])
    rest = f"{len(lines) - LINES_MAX} more lines are not shown" if len(lines) > LINES_MAX and not texts else ""
    tail = "".join(f'<div style="{FAINT}">{escape(line)}</div>' for line in (rest, origin) if line)
    return f'<div class="comfy-nb-value">{"".join(pieces)}{body}{tail}</div>'


def _line(line: str) -> str:
    return f'<div style="{ALARM if "WARNING: " in line else FAINT}">{escape(line[:1_000])}</div>'


def _drawing(inspector: Inspector, place: int, left: int) -> str:
    view, stats = inspector.view_kind(place), inspector.statistics.get(place)
    if stats is None or view == "words" or left < 1_000:
        return ""
    part = inspector.parts[place]
    if view == "plot":
        x = inspector.tensor(place)
        return _plot(*envelope(x.reshape(-1) if x.ndim == 1 else x[(0,) * (x.ndim - 1)], PLOT[0])) if x.numel() else ""
    name = f'<div style="{FAINT}">{escape(part.name)}</div>' if part.name else ""
    images = ""
    shape = inspector.tensor(place).shape
    layout = part.drawing.layout(len(shape))
    is_small = max(shape[layout.rows], shape[layout.columns]) < SMALL_PX
    style = "max-width:100%;margin:2px" + (f";width:{SMALL_PX}px;image-rendering:pixelated" if is_small else "")
    for picture in _pictures(inspector, place, stats):
        if len(images) + len(picture.uri) < left:
            images += f'<img src="{picture.uri}" alt="{escape(part.kind)}" style="{style}">'
    return f"{name}<div>{images}</div>" + (_histogram(stats) if stats.finite and not part.name else "")


def _pictures(inspector: Inspector, place: int, stats: Statistics) -> list[Thumbnail]:
    x, drawing = inspector.tensor(place), inspector.parts[place].drawing
    layout = drawing.layout(x.ndim)
    batch = layout.batch
    count = 1 if batch is None else min(PICTURES_MAX, x.shape[batch])
    max_size = (ONE_PX, ONE_PX) if count == 1 else (MANY_PX, MANY_PX)
    found = []
    for at in range(count):
        index = [at if axis == batch else 0 for axis in range(x.ndim)]
        plane = plane_of(x, drawing, Selection(index, layout.rows, layout.columns), stats)
        height, width = plane.values.shape[:2]
        exact = crop(plane, (0, 0, width, height), max_size)
        found.append(_smaller(Thumbnail(exact.format, exact.data)))
    return found


def _smaller(exact: Thumbnail) -> Thumbnail:
    """Return a large PNG as a JPEG; a small one, whose pixels can be counted, stays exact."""
    if exact.format != "png" or len(exact.data) < EXACT_MAX_BYTES:
        return exact
    from PIL import Image

    return picture_thumbnail(Image.open(io.BytesIO(exact.data)), ONE_PX)


def _plot(low: bytes, high: bytes) -> str:
    import numpy as np

    edges = [np.frombuffer(each, np.float32) for each in (low, high)]
    finite = [each[np.isfinite(each)] for each in edges]
    if not finite[0].size:
        return ""
    bottom, top = float(finite[0].min()), float(finite[1].max())
    return _curve(edges[0].tolist(), edges[1].tolist(), bottom, top)


def _curve(low: Sequence[float], high: Sequence[float], bottom: float, top: float) -> str:
    width, height = PLOT
    span, wide = (top - bottom) or 1.0, max(1, len(low) - 1)

    def points(edge: Sequence[float]) -> list[str]:
        kept = ((at, value) for at, value in enumerate(edge) if value == value and abs(value) != float("inf"))
        return [f"{at * width / wide:.1f},{(top - value) / span * (height - 8) + 4:.1f}" for at, value in kept]

    both = " ".join([*points(high), *reversed(points(low))])
    style = f'width="{width}" height="{height}" style="max-width:100%" viewBox="0 0 {width} {height}"'
    line = '<polyline points="{}" fill="#3b82c4" fill-opacity=".5" stroke="#3b82c4" stroke-width="1.2"/>'
    return f'<svg role="img" aria-label="plot" {style}>{line.format(both)}</svg>'


def _histogram(stats: Statistics) -> str:
    most, height = max(stats.counts), 40
    talls = ((at, count * height / most) for at, count in enumerate(stats.counts) if count)
    bars = "".join(f'<rect x="{at * 4}" y="{height - h:.1f}" width="3.4" height="{h:.1f}"/>' for at, h in talls)
    label = f"histogram from {stats.low:.4g} to {stats.high:.4g}"
    size = f'width="{4 * len(stats.counts)}" height="{height}"'
    return f'<svg role="img" aria-label="{label}" {size} fill="#7a8a99">{bars}</svg>'


def as_text(inspector: Inspector, origin: str) -> str:
    """Return the same in words."""
    return "\n".join([*inspector.lines()[:LINES_MAX], *([origin] if origin else [])])
