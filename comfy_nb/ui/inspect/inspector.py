"""A value that is being looked at: its parts, their facts, and the answers to what a front end asks of them."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from comfy_nb.ui.inspect import pictures, plots
from comfy_nb.ui.inspect.arrays import head, is_array, readable
from comfy_nb.ui.inspect.describe import alarms, all_clear, bars, numbers, part_words
from comfy_nb.ui.inspect.parts import Part, parts_of
from comfy_nb.ui.inspect.statistics import Facts, facts_of

DRAWN = ("IMAGE", "MASK", "LATENT", "TENSOR")
MOST_PX = 2_000
GONE = "the value is not held any more; run the cell again to look at it"
TEXTS_MAX = 4_096  # values written in pixels at once

Answer = tuple[dict[str, Any], list[bytes]]


class Subject:
    """A value taken apart, and another to compare it with. It holds both until `release`."""

    def __init__(self, value: Any, other: Any = None, kind: str | None = None) -> None:
        self.others = parts_of(other) if other is not None else []
        self.parts = parts_of(value, kind or _kind_beside(value, self.others))
        self.facts: dict[int, Facts] = {}
        self.notes: dict[int, str] = {}
        self._released: list[tuple[list[Part], int, weakref.ref[Any]]] = []
        for place, part in enumerate(self.parts):
            if part.array is None:
                continue
            x, self.notes[place] = readable(part.array)
            if x is not None:
                self._measure(place, x)

    def _measure(self, place: int, x: torch.Tensor) -> None:
        try:
            self.facts[place] = facts_of(x)
        except (RuntimeError, NotImplementedError, TypeError) as error:
            self.notes[place] = f"its values cannot be read: {str(error).splitlines()[0][:200]}"

    def release(self) -> None:
        """Nobody looks any more: keep no array alive that was given, only those that were made from it."""
        for parts in (self.parts, self.others):
            for place, part in enumerate(parts):
                if part.array is not None and not part.text:
                    self._released.append((parts, place, weakref.ref(part.array)))
                    parts[place] = replace(part, array=None)

    def hold(self) -> None:
        """Somebody looks again: take back what somebody else has kept."""
        for parts, place, ref in self._released:
            parts[place] = replace(parts[place], array=ref())
        self._released.clear()

    @property
    def is_held(self) -> bool:
        """Whether all arrays are still there."""
        return all(self.parts[place].array is not None for place in self.notes)

    def tensor(self, place: int) -> torch.Tensor:
        """Return the tensor of a part."""
        array = self.parts[place].array
        if array is None:
            raise ValueError(GONE)
        x, note = readable(array)
        if x is None:
            raise ValueError(note)
        return x

    def view_of(self, place: int) -> str:
        """Say how a part is drawn: "pixels", "plot" or "words"."""
        part, facts = self.parts[place], self.facts.get(place)
        if facts is None or not facts.total or part.array is None:
            return "words"
        axes = self.tensor(place).ndim
        if part.kind == "AUDIO" or axes == 1:
            return "plot"
        return "pixels" if axes >= 2 else "words"

    def drawn_as(self, place: int) -> str:
        """Return the kind by which a part is drawn; what is sparse is drawn by its stored values alone."""
        part = self.parts[place]
        return part.kind if part.kind in DRAWN else "TENSOR"

    def described(self, place: int) -> dict[str, Any]:
        """Return all that a front end needs to know of a part before it asks for slices."""
        part, facts = self.parts[place], self.facts.get(place)
        view = self.view_of(place)
        known: dict[str, Any] = {"name": part.name, "kind": part.kind, "view": view, "text": part.text}
        if part.array is None:
            return known
        known |= {"head": head(part.array), "note": self.notes[place]}
        if facts is not None:
            known |= {"numbers": numbers(facts), "alarms": alarms(part, facts), "clear": all_clear(facts)}
            known |= {"isExact": facts.is_exact, "histogram": bars(facts) if facts.finite else None}
            known["bad"] = list(facts.first_bad) if facts.first_bad is not None else None
        if view != "words":
            x = self.tensor(place)
            known["shape"] = list(x.shape)
            known |= pictures.layout_of(self.drawn_as(place), x.shape) if view == "pixels" else {}
            known["compare"] = self._compares(place) if view == "pixels" else ""
            known["rate"] = part.rate
        return known

    def _compares(self, place: int) -> str:
        """Say what can be done with the other value: "compare", "overlay" (a mask over its image), or nothing."""
        if place >= len(self.others) or self.others[place].array is None:
            return ""
        other = self.others[place]
        x, _ = readable(other.array)
        if x is None or x.ndim < 2:
            return ""
        if self.parts[place].kind == "MASK" and other.kind == "IMAGE":
            return "overlay"
        return "compare" if x.ndim == self.tensor(place).ndim else ""

    def words(self) -> list[str]:
        """Say all of it in lines of text."""
        lines: list[str] = []
        for place, part in enumerate(self.parts):
            said = part.text.splitlines() or [""]
            if part.array is not None:
                said = part_words(part, self.facts.get(place), self.notes[place])
            lines += said if not part.name else [f"{part.name}: {said[0]}", *(f"    {line}" for line in said[1:])]
        return lines

    # Answers ---------------------------------------------------------------------------------------------------------

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Answer one question of a front end, with pictures as bytes; what cannot be answered is said in words."""
        try:
            place = min(max(0, int(asked.get("part", 0))), len(self.parts) - 1)
            return ANSWERS[str(asked["ask"])](self, place, asked)
        except (LookupError, RuntimeError, TypeError, ValueError, OverflowError, NotImplementedError) as error:
            return {"error": str(error).splitlines()[0][:300] if str(error) else type(error).__name__}, []

    def _plane(self, place: int, asked: Mapping[str, Any], other: bool = False) -> pictures.Plane:
        x, kind, facts = self.tensor(place), self.drawn_as(place), self.facts[place]
        if other:
            part = self.others[place]
            if part.array is None:
                raise ValueError(GONE)
            found, note = readable(part.array)
            if found is None:
                raise ValueError(note)
            kind = part.kind if part.kind == "IMAGE" and kind == "MASK" else kind
            x, asked = found, {**asked, "channel": asked.get("channel") if kind == self.drawn_as(place) else None}
        choice = pictures.as_choice(asked, x.shape, pictures.layout_of(kind, x.shape))
        return pictures.plane_of(x, kind, choice, facts)

    def _slice(self, place: int, asked: Mapping[str, Any]) -> Answer:
        which, rect, most = str(asked.get("which", "one")), list(asked["rect"]), _size(asked)
        if which == "one" or which == "other":
            seen = pictures.crop(self._plane(place, asked, which == "other"), rect, most)
        else:
            draw = pictures.difference if which == "difference" else pictures.overlay
            seen = draw(self._plane(place, asked), self._plane(place, asked, other=True), rect, most)
        return {"rect": seen.rect, "format": seen.format}, [seen.data]

    def _grid(self, place: int, asked: Mapping[str, Any]) -> Answer:
        x, kind, most = self.tensor(place), self.drawn_as(place), _size(asked)
        layout = pictures.layout_of(kind, x.shape)
        axis = "channels" if asked.get("over") == "channels" else "batch"
        if layout[axis] is None:
            raise ValueError(f"this has no {axis}")
        total = x.shape[layout[axis]]
        first = min(max(0, int(asked.get("page", 0))), (total - 1) // pictures.GRID_CELLS) * pictures.GRID_CELLS
        count = min(pictures.GRID_CELLS, total - first)
        planes = [self._plane(place, _at(asked, layout, axis, first + each)) for each in range(count)]
        height, width = planes[0].values.shape[:2]
        columns = pictures.columns_for(count, width, height, most)
        sheet = pictures.grid(planes, columns, most)
        told = {"rect": sheet.rect, "format": sheet.format, "columns": columns, "first": first, "count": count}
        return {**told, "total": total, "perPage": pictures.GRID_CELLS, "rows": -(-count // columns)}, [sheet.data]

    def _texts(self, place: int, asked: Mapping[str, Any]) -> Answer:
        x0, y0, x1, y1 = (float(at) for at in asked["rect"])
        if (x1 - x0) * (y1 - y0) > TEXTS_MAX:
            raise ValueError("too many values to write")
        rect = (max(0, int(x0)), max(0, int(y0)), x1, y1)
        plane = self._plane(place, asked, asked.get("which") == "other")
        return {"rect": rect, "texts": pictures.texts(plane, rect)}, []

    def _row(self, place: int, asked: Mapping[str, Any]) -> torch.Tensor:
        x = self.tensor(place)
        index = [min(max(0, int(at)), size - 1) for at, size in zip(asked.get("index", ()), x.shape[:-1], strict=False)]
        for at in [*index, *([0] * (x.ndim - 1 - len(index)))]:
            x = x[at]
        return x

    def _plot(self, place: int, asked: Mapping[str, Any]) -> Answer:
        row = self._row(place, asked)
        low, high = plots.envelope(row)
        return {"length": row.numel()}, [low, high]

    def _sound(self, place: int, asked: Mapping[str, Any]) -> Answer:
        rate = self.parts[place].rate
        if rate <= 0:
            raise ValueError("no sample rate is given, so this cannot be played")
        x = self.tensor(place)
        batch = min(max(0, int((list(asked.get("index") or ()) or [0])[0])), len(x) - 1)
        return {"format": "wav"}, [plots.wav(x[batch] if x.ndim == 3 else x, rate)]


def _kind_beside(value: Any, others: list[Part]) -> str | None:
    """Three axes may be anything; beside an image of the same height and width they are a mask."""
    if not is_array(value) or not others or others[0].kind != "IMAGE":
        return None
    size = tuple(others[0].array.shape)[-3:-1]
    return "MASK" if value.ndim in (2, 3) and tuple(value.shape)[-2:] == size else None


def _at(asked: Mapping[str, Any], layout: Mapping[str, Any], axis: str, at: int) -> dict[str, Any]:
    if axis == "channels":
        return {**asked, "channel": at}
    index = [int(each) for each in asked.get("index") or ()]
    index += [0] * (layout[axis] + 1 - len(index))
    index[layout[axis]] = at
    return {**asked, "index": index}


def _size(asked: Mapping[str, Any]) -> Sequence[int]:
    width, height = (min(max(1, int(each)), MOST_PX) for each in asked["size"])
    return width, height


ANSWERS = {
    "slice": Subject._slice,
    "grid": Subject._grid,
    "texts": Subject._texts,
    "plot": Subject._plot,
    "sound": Subject._sound,
}
