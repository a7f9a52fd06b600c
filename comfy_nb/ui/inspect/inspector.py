"""A value under inspection: its parts, their statistics, and the answers to what a front end asks about them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from comfy_nb.ui.inspect import pictures, plots
from comfy_nb.ui.inspect.arrays import as_readable, describe_array, first_line, is_array
from comfy_nb.ui.inspect.describe import alarms, all_clear, describe_numbers, describe_part, histogram_of
from comfy_nb.ui.inspect.part import Part
from comfy_nb.ui.inspect.parts import parts_of
from comfy_nb.ui.inspect.statistics import Statistics, statistics_of
from comfy_nb.ui.render.drawings import Drawing

MAX_PX = 2_000
TEXTS_MAX = 4_096
LIMITS = {"pixels": MAX_PX, "texts": TEXTS_MAX, "sheetPictures": pictures.SHEET_PICTURES}  # of one answer
GONE = "the value is no longer held; run the cell again to inspect it"

Request = Mapping[str, Any]
Answer = tuple[dict[str, Any], list[bytes]]


class Inspector:
    """A value taken apart, and another one to compare it with. It holds both until `release`."""

    def __init__(self, value: Any, other: Any = None, kind: str | None = None) -> None:
        self.others = parts_of(other) if other is not None else []
        self.parts = parts_of(value, kind or _kind_beside(value, self.others))
        self.statistics: dict[int, Statistics] = {}
        self.notes: dict[int, str] = {}
        self._released: list[tuple[list[Part], int, weakref.ref[Any]]] = []
        for place, part in enumerate(self.parts):
            if part.array is None:
                continue
            x, self.notes[place] = as_readable(part.array)
            if x is not None:
                self._measure(place, x)

    def _measure(self, place: int, x: torch.Tensor) -> None:
        try:
            self.statistics[place] = statistics_of(x)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a tensor of somebody else's class may raise anything
            self.notes[place] = f"its values cannot be read: {first_line(error)}"

    def release(self) -> None:
        """Let go of all arrays that were passed in; those made from them stay."""
        for parts in (self.parts, self.others):
            for place, part in enumerate(parts):
                if part.array is not None and not part.text:
                    self._released.append((parts, place, weakref.ref(part.array)))
                    parts[place] = replace(part, array=None)

    def hold(self) -> None:
        """Take the released arrays back, those that somebody else has kept."""
        for parts, place, ref in self._released:
            parts[place] = replace(parts[place], array=ref())
        self._released.clear()

    @property
    def is_held(self) -> bool:
        """Whether all arrays are still there."""
        return all(self.parts[place].array is not None for place in self.notes)

    def tensor(self, place: int) -> torch.Tensor:
        """Return the tensor of a part; raises ValueError if it is gone or has no numbers."""
        return _tensor_in(self.parts[place])

    def view_kind(self, place: int) -> str:
        """Return how a part is drawn: "pixels", "plot" or "words"."""
        part, stats = self.parts[place], self.statistics.get(place)
        if stats is None or not stats.total or part.array is None:
            return "words"
        axes = self.tensor(place).ndim
        if part.drawing.view == "plot" or axes == 1:
            return "plot"
        return "pixels" if axes >= 2 else "words"

    def described(self, place: int) -> dict[str, Any]:
        """Return all that a front end needs to know of a part before it asks for slices."""
        part, stats = self.parts[place], self.statistics.get(place)
        view = self.view_kind(place)
        known: dict[str, Any] = {"name": part.name, "kind": part.kind, "view": view, "text": part.text}
        if part.array is None:
            return known
        known |= {"head": describe_array(part.array), "note": self.notes[place]}
        if stats is not None:
            known |= {"numbers": describe_numbers(stats), "alarms": alarms(part, stats), "clear": all_clear(stats)}
            known |= {"isExact": stats.is_exact, "histogram": histogram_of(stats) if stats.finite else None}
            known["bad"] = list(stats.first_bad) if stats.first_bad is not None else None
        if view != "words":
            x = self.tensor(place)
            known["shape"] = list(x.shape)
            known |= part.drawing.layout(x.ndim)._asdict() if view == "pixels" else {}
            known["scale"] = pictures.default_scale(x)
            known["compare"] = self._comparison(place) if view == "pixels" else ""
            known |= {"drawing": part.drawing.name, "rate": part.rate}
        return known

    def _comparison(self, place: int) -> str:
        """Return how the other value can be shown: "compare", "overlay" (a mask over its image), or "" for not."""
        other = self.others[place] if place < len(self.others) else None
        if other is None or other.array is None:
            return ""
        x, _ = as_readable(other.array)
        if x is None or x.ndim < 2:
            return ""
        if _is_mask_over_image(self.parts[place], other):
            return "overlay"
        return "compare" if x.ndim == self.tensor(place).ndim else ""

    def lines(self) -> list[str]:
        """Return the value in words, a line each."""
        lines: list[str] = []
        for place, part in enumerate(self.parts):
            found = part.text.splitlines() or [""]
            if part.array is not None:
                found = describe_part(part, part.array, self.statistics.get(place), self.notes[place])
            lines += found if not part.name else [f"{part.name}: {found[0]}", *(f"    {line}" for line in found[1:])]
        return lines

    # Answers ---------------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        """Answer a request of a front end, with pictures as bytes; a failure is an answer too, under "error"."""
        try:
            place = min(max(0, int(request.get("part", 0))), len(self.parts) - 1)
            return ANSWERS[str(request["ask"])](self, place, request)
        except (LookupError, RuntimeError, TypeError, ValueError, OverflowError, NotImplementedError) as error:
            return {"error": first_line(error)}, []

    def _plane(self, place: int, request: Request) -> pictures.Plane:
        return _selected(self.tensor(place), self.parts[place].drawing, request, self.statistics[place])

    def _other_plane(self, place: int, request: Request) -> pictures.Plane:
        """Return the same selection of the other value; an image beside a mask keeps its own channels."""
        other, drawing = self.others[place], self.parts[place].drawing
        if _is_mask_over_image(self.parts[place], other):
            drawing, request = other.drawing, {**request, "channel": None}
        return _selected(_tensor_in(other), drawing, request, self.statistics[place])

    def _slice(self, place: int, request: Request) -> Answer:
        which, rect, size = str(request.get("which", "one")), list(request["rect"]), _size(request)
        if which == "one":
            picture = pictures.crop(self._plane(place, request), rect, size)
        elif which == "other":
            picture = pictures.crop(self._other_plane(place, request), rect, size)
        else:
            draw = pictures.difference if which == "difference" else pictures.overlay
            picture = draw(self._plane(place, request), self._other_plane(place, request), rect, size)
        return {"rect": picture.rect, "format": picture.format}, [picture.data]

    def _sheet(self, place: int, request: Request) -> Answer:
        x, size = self.tensor(place), _size(request)
        layout = self.parts[place].drawing.layout(x.ndim)
        name, axis = ("channels", layout.channels) if request.get("over") == "channels" else ("batch", layout.batch)
        if axis is None:
            raise ValueError(f"this value has no {name}")
        total = x.shape[axis]
        page = min(max(0, int(request.get("page", 0))), (total - 1) // pictures.SHEET_PICTURES)
        first = page * pictures.SHEET_PICTURES
        count = min(pictures.SHEET_PICTURES, total - first)
        planes = [self._plane(place, _with_index(request, name, axis, first + each)) for each in range(count)]
        height, width = planes[0].values.shape[:2]
        columns = pictures.columns_for(count, width, height, size)
        sheet = pictures.draw_sheet(planes, columns, size)
        answer = {"rect": sheet.rect, "format": sheet.format, "columns": columns, "first": first, "count": count}
        return {**answer, "total": total, "rows": -(-count // columns)}, [sheet.data]

    def _texts(self, place: int, request: Request) -> Answer:
        x0, y0, x1, y1 = (float(at) for at in request["rect"])
        if (x1 - x0) * (y1 - y0) > TEXTS_MAX:
            raise ValueError("too many values to write")
        rect = (max(0, int(x0)), max(0, int(y0)), x1, y1)
        plane_of = self._other_plane if request.get("which") == "other" else self._plane
        return {"rect": rect, "texts": pictures.texts(plane_of(place, request), rect)}, []

    def _row(self, place: int, request: Request) -> torch.Tensor:
        x = self.tensor(place)
        chosen = zip(request.get("index", ()), x.shape[:-1], strict=False)
        index = [min(max(0, int(at)), size - 1) for at, size in chosen]
        for at in [*index, *([0] * (x.ndim - 1 - len(index)))]:
            x = x[at]
        return x

    def _plot(self, place: int, request: Request) -> Answer:
        row = self._row(place, request)
        low, high = plots.envelope(row)
        return {"length": row.numel()}, [low, high]

    def _audio(self, place: int, request: Request) -> Answer:
        rate = self.parts[place].rate
        if rate <= 0:
            raise ValueError("without a sample rate this cannot be played")
        x = self.tensor(place)
        batch = min(max(0, int((list(request.get("index") or ()) or [0])[0])), len(x) - 1)
        return {"format": "wav"}, [plots.wav(x[batch] if x.ndim == 3 else x, rate)]


ANSWERS: Mapping[str, Callable[[Inspector, int, Request], Answer]] = {
    "slice": Inspector._slice,
    "sheet": Inspector._sheet,
    "texts": Inspector._texts,
    "plot": Inspector._plot,
    "audio": Inspector._audio,
}


def _tensor_in(part: Part) -> torch.Tensor:
    if part.array is None:
        raise ValueError(GONE)
    x, note = as_readable(part.array)
    if x is None:
        raise ValueError(note)
    return x


def _kind_beside(value: Any, others: list[Part]) -> str | None:
    """Return MASK for a value that fits the image it is compared with: by its shape alone it could be anything."""
    image = others[0] if others else None
    if not is_array(value) or image is None or image.drawing.name != "image" or image.array is None:
        return None
    size = tuple(image.array.shape)[-3:-1]
    return "MASK" if value.ndim in (2, 3) and tuple(value.shape)[-2:] == size else None


def _is_mask_over_image(part: Part, other: Part) -> bool:
    return part.drawing.name == "mask" and other.drawing.name == "image"


def _selected(x: torch.Tensor, drawing: Drawing, request: Request, stats: Statistics) -> pictures.Plane:
    selection = pictures.read_selection(request, x.shape, drawing.layout(x.ndim))
    return pictures.plane_of(x, drawing, selection, stats)


def _with_index(request: Request, name: str, axis: int, at: int) -> Request:
    if name == "channels":
        return {**request, "channel": at}
    index = [int(each) for each in request.get("index") or ()]
    index += [0] * (axis + 1 - len(index))
    index[axis] = at
    return {**request, "index": index}


def _size(request: Request) -> Sequence[int]:
    width, height = (min(max(1, int(each)), MAX_PX) for each in request["size"])
    return width, height
