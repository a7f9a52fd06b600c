"""The contents of a grid's cell: a small picture of its value, or a few words."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from comfy_nb.parameters.sweep import Cell
from comfy_nb.ui.render.thumbnails import Thumbnail, describe_value, value_thumbnail
from comfy_nb.wording import describe_error, format_seconds, short

PICTURE_PX = 160

_pictures: WeakKeyDictionary[Cell, Thumbnail | None] = WeakKeyDictionary()


def picture_in(cell: Cell, kind: str | None) -> Thumbnail | None:
    """Return a small picture of a finished cell's value of this socket type; None if there is none to draw."""
    if cell.state != "done":
        return None
    if cell not in _pictures:
        try:
            _pictures[cell] = value_thumbnail(cell.value, kind, PICTURE_PX)
        except Exception:  # a value's own code is asked here; its cell shows words then
            _pictures[cell] = None
    return _pictures[cell]


def words_in(cell: Cell, kind: str | None) -> str:
    """Return the error of a failed cell, why one is blocked, and the value of a finished one that has no picture."""
    if cell.error is not None:
        return describe_error(cell.error)
    if cell.state == "blocked":
        return cell.outcome
    if cell.state != "done" or picture_in(cell, kind) is not None:
        return ""
    try:
        return describe_value(cell.value)
    except Exception:  # a value's own code is asked here too
        return short(cell.value)


def note_on(cell: Cell) -> str:
    """Return how long a finished cell took and what ran, or the state of any other."""
    return f"{format_seconds(cell.seconds)}, {cell.note}" if cell.state in ("done", "blocked") else cell.state
