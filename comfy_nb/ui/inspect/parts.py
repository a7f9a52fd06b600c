"""The parts of a value, at most a hundred: the tensors in it, and text for the rest.

`VIEWS` are the views that are asked in order, and `register_view` adds one. An object of any class may instead have a
method `__comfy_nb_parts__(self)`. Both return what to show: text, a tensor, a picture, a list of (name, value), or any
value that another view takes apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from comfy_nb.spec.attributes import of_class
from comfy_nb.ui.inspect.builtin_views import BUILT_IN, TEXT_MAX
from comfy_nb.ui.inspect.part import Entry, Part, View
from comfy_nb.wording import beginning, class_name, clip, describe_error, encodable

PARTS_MAX = 100
DEEPEST = 8
LINE_MAX = 200
OWN_PARTS = "__comfy_nb_parts__"


def own_parts(value: Any, kind: str) -> Any:
    """Show what an object of a class with `__comfy_nb_parts__` wants to be shown as."""
    if of_class(type(value), OWN_PARTS) is None or isinstance(value, type):
        return None
    return getattr(type(value), OWN_PARTS)(value)


VIEWS: list[View] = [own_parts, *BUILT_IN]


def register_view(view: View) -> View:
    """Ask a function before all other views, and return it; also a decorator.

    `view(value, kind)` gets the value and its socket type ("" if unknown). It returns what to show, or None for a value
    that it leaves to the others; a generator yields nothing. If it raises, its error is shown and the others are asked.
    """
    VIEWS.insert(0, view)
    return view


def parts_of(value: Any, kind: str | None = None) -> list[Part]:
    """Take a value apart. `kind` is its socket type; if it is None or does not fit, the shape decides."""
    found: list[Part] = []
    for part in _walk(value, kind or "", "", 0):
        if len(found) == PARTS_MAX:
            found.append(Part("", "TEXT", text=f"more than {PARTS_MAX} parts: the rest is not shown"))
            break
        found.append(replace(part, name=encodable(part.name), text=encodable(part.text)))
    return found


def _walk(value: Any, kind: str, name: str, depth: int) -> Iterator[Part]:
    has_fault = False
    for view in list(VIEWS):
        is_shown = False
        try:
            shown = view(value, kind)
            for part in _show(shown, value, name, depth) if shown is not None else ():
                is_shown = True
                yield part
            if is_shown:
                return
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # a value's own code may raise anything, an exit too; its type is known even so
            has_fault = True
            by = "" if view in BUILT_IN else f"by {_name_of(view)} "
            yield Part(name, "TEXT", text=f"{class_name(value)}: it cannot be inspected {by}({describe_error(error)})")
    if not has_fault:
        yield Part(name, "TEXT", text=clipped_repr(value, TEXT_MAX if depth == 0 else LINE_MAX))


def _name_of(view: View) -> str:
    return OWN_PARTS if view is own_parts else str(getattr(view, "__name__", type(view).__name__))


def _show(shown: Any, value: Any, name: str, depth: int) -> Iterator[Part]:
    for piece in _pieces(shown):
        if isinstance(piece, Part):
            yield replace(piece, name=_joined(name, piece.name))
        elif depth < DEEPEST:
            yield from _walk(piece.value, piece.kind, _joined(name, piece.key), depth + 1)
        else:
            yield Part(name, "TEXT", text=clipped_repr(value, LINE_MAX))
            return


def _pieces(shown: Any) -> Iterator[Part | Entry]:
    """Read what a view returned, one piece at a time: a value may have more of them than are ever shown."""
    if isinstance(shown, Part | Entry) or not isinstance(shown, list | Iterator):
        yield shown if isinstance(shown, Part | Entry) else Entry("", shown)
        return
    for place, piece in enumerate(shown):
        if isinstance(piece, Part | Entry):
            yield piece
        elif isinstance(piece, tuple) and len(piece) == 2 and isinstance(piece[0], str):
            yield Entry(*piece)
        else:
            yield Entry(place, piece)


def _joined(name: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{name}[{key}]"
    return f"{name}.{key}" if name and key else name or key


def clipped_repr(value: Any, most: int) -> str:
    """Return a value's repr, or the beginning of a long one."""
    try:
        return clip(beginning(value, most), most)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # somebody else's class, which may raise an exit too
        return f"a {class_name(value)}, whose repr raises {describe_error(error)}"
