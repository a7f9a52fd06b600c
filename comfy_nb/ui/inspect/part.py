"""The pieces of a value: parts, which are shown, and entries, which are taken apart in their turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from comfy_nb.ui.inspect.arrays import Array
from comfy_nb.ui.render.drawings import Drawing, drawing_of


@dataclass(frozen=True)
class Part:
    """One part of a value. `kind` is a socket type that is drawn, NUMBERS (1-d), TENSOR, TEXT or MODEL.

    `array` is the tensor or numpy array itself, None for text; `rate` is the samples per second of sound. Name and text
    can be encoded as UTF-8 once `parts_of` returns them.
    """

    name: str
    kind: str
    array: Array | None = None
    text: str = ""
    rate: int = 0

    @property
    def drawing(self) -> Drawing:
        """How the array is drawn."""
        return drawing_of(self.kind)


class Entry(NamedTuple):
    """A value inside a value: under a key, at an index, or ("") in its place. `kind` is its socket type, if known."""

    key: str | int
    value: Any
    kind: str = ""


View = Callable[[Any, str], Any]
