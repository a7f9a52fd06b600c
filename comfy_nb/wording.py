"""How messages and displays write things: nodes, values, exceptions, sizes, durations, counts; and text cut to length.

It knows no graph and no notebook, so that every room can use it.
"""

from __future__ import annotations

import ctypes
import difflib
import gc
import itertools
import re
from collections import UserDict, UserList, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

# Nodes and names ------------------------------------------------------------------------------------------------------


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
CONSTANT_ADVICE = "If it does not change, say so: nb.constant(obj), or a method __comfy_nb_key__ of its class."


def name_node(node_id: str, class_type: str, title: str = "") -> str:
    """Name a node as messages do: `"Blur it" (node 3, ImageBlur)`, or `ImageBlur (node 3)` without a title."""
    if title and title != class_type:
        return f'"{title}" (node {node_id}, {class_type})'
    return f"{class_type} (node {node_id})"


def title_in(meta: Any) -> str:
    """Return the title that the `_meta` of a node gives it; nothing where it gives none."""
    title = dict.get(meta, "title") if issubclass(type(meta), dict) else None
    if issubclass(type(title), str):
        return str.__str__(title)
    return "" if title is None else short(title)


def suggest(name: str, known: Iterable[str], most: int = 12) -> str:
    """Suggest which of the `known` names was meant by `name`, else list the first `most` of them."""
    names = [str(candidate) for candidate in known]
    if not names:
        return "There are none."
    if meant := near(name, names):
        return meant
    return f"There are: {listed(names, most)}."


def listed(names: Sequence[str], most: int = 12) -> str:
    """Return the first `most` of some names as text, and how many more there are."""
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def near(name: str, known: Iterable[str]) -> str:
    """Ask whether one of the `known` names was meant by `name`, else one with a word like it; nothing without any."""
    lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6) or _with_word_like(name.lower(), lower)
    return "Did you mean " + " or ".join(repr(lower[match]) for match in found) + "?" if found else ""


def _with_word_like(name: str, lower: Mapping[str, str]) -> list[str]:
    """Return up to three names one of whose words is like `name`: ImageBlur for "blurr", blur_radius for "radius"."""
    holders: dict[str, list[str]] = {}
    for key, candidate in lower.items():
        for word in _WORD.findall(candidate):
            holders.setdefault(word.lower(), []).append(key)
    words = difflib.get_close_matches(name, holders, n=3, cutoff=0.8)
    return list(dict.fromkeys(key for word in words for key in holders[word]))[:3]


def count(number: int, thing: str) -> str:
    """Return a number with its noun: "1 node", "4 nodes"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


# Text -----------------------------------------------------------------------------------------------------------------


def clip(text: str, most: int) -> str:
    """Return text of at most `most` characters: its beginning, where it is longer."""
    return text if len(text) <= most else text[: most - 1] + "…"


def cut_middle(text: str, most: int) -> str:
    """Return text without its middle where it has more than `most` characters."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}\n…\n{text[len(text) - half :]}"


def table_lines(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Return rows of texts as lines with aligned columns; the columns numbered in `right` are aligned right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def encodable(text: str) -> str:
    """Return text that UTF-8 can encode: lone surrogates, such as a path may hold, become question marks."""
    return text.encode("utf-8", "replace").decode()


# Values and exceptions ------------------------------------------------------------------------------------------------

TEXT_MAX = 200
MESSAGE_MAX = 10_000
DIMENSIONS_MAX = 64
ITEMS_MAX = 20
DEPTH_MAX = 4
LOOKED_AT_MAX = 20_000
_REPEATED_MAX = 1_000
_BRACKETS: dict[Any, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")"), dict: ("{", "}"), set: ("{", "}")}
_WITH_ITEMS: tuple[Any, ...] = (list, tuple, dict)
_WITH_MEMBERS: tuple[Any, ...] = (set, frozenset, deque)
_WRITTEN_OUT = (list, tuple, dict, set, frozenset, deque, UserList, UserDict, SimpleNamespace)


def class_name(value: Any) -> str:
    """Return the name of a value's class, whatever the value or its class say of themselves."""
    return str(type.__dict__["__name__"].__get__(type(value)))


def short(value: Any, most: int = 40) -> str:
    """Return a value in a few characters: an array by its shape, all else by the beginning of its repr."""
    try:
        shape = _shape(value)
        return clip(f"{class_name(value)}{list(shape)}" if shape is not None else beginning(value, most), most)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a repr of somebody else's class may raise anything, an exit too
        return clip(_whose_repr_raised(value, error), most)


def printable(value: Any, depth: int = DEPTH_MAX) -> Any:
    """Return a value as a message or JSON can hold it: plain ones as they are, tensors by shape, all else clipped."""
    try:
        return _printable(value, depth)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an object of somebody else's class may raise anything, whatever it is asked
        return _whose_repr_raised(value, error)


def _printable(value: Any, depth: int) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if issubclass(kind, (int, float)):
        return int.__index__(value) if issubclass(kind, int) else float.__float__(value)
    if issubclass(kind, str):
        return clip(str.__str__(value), TEXT_MAX)
    shape = _shape(value)
    if shape is not None:
        return f"{class_name(value)} of shape {list(shape)}, {getattr(value, 'dtype', '?')}"
    if issubclass(kind, (dict, list, tuple)) and depth == 0:
        return "…"
    if issubclass(kind, dict):
        items = itertools.islice(dict.items(value), ITEMS_MAX)
        return {key if type(key) is str else short(key, TEXT_MAX): printable(item, depth - 1) for key, item in items}
    if issubclass(kind, (list, tuple)):
        base = list if issubclass(kind, list) else tuple
        return [printable(item, depth - 1) for item in itertools.islice(base.__iter__(value), ITEMS_MAX)]
    return clip(beginning(value, TEXT_MAX), TEXT_MAX)


def _shape(value: Any) -> tuple[Any, ...] | None:
    """Return the shape of an array or tensor; None for all else, and for a number, which may have one too."""
    if issubclass(type(value), (int, float)):
        return None
    try:
        shape: Any = getattr(value, "shape", None)
    except Exception:  # a nested tensor has none, and a proxy may refuse
        return None
    is_shape = issubclass(type(shape), tuple) and tuple.__len__(shape) <= DIMENSIONS_MAX
    return tuple(tuple.__iter__(shape)) if is_shape else None


def _whose_repr_raised(value: Any, error: BaseException) -> str:
    return f"<{class_name(value)} whose repr raised {class_name(error)}>"


def beginning(value: Any, most: int) -> str:
    """Return the repr of a value, or a longer text than `most` that begins as it does; in a time that `most` bounds.

    What a container holds is written until there is enough, since one whose parts are shared can have a repr without
    end. Raises what the repr of somebody else's class raises.
    """
    text = ""
    frames: dict[int, Iterator[str | _Held]] = {0: iter([_Held(value)])}
    while frames and len(text) <= most:
        place = next(reversed(frames))
        piece = next(frames[place], None)
        if piece is None:
            del frames[place]
        elif isinstance(piece, str):
            text += piece
        elif (base := _written_as(piece.value)) is None:
            text += _leaf(piece.value, most)
        elif id(piece.value) in frames:  # it holds itself
            text += "...".join(_BRACKETS[base])
        else:
            frames[id(piece.value)] = _pieces(piece.value, base)
    return text


class _Held(NamedTuple):
    value: Any


def _written_as(value: Any) -> Any:
    """Return the built-in container as which a value is written, if it is one and has no repr of its own."""
    kind: Any = type(value)
    if kind is set:
        return set if value else None
    return next((base for base in _WITH_ITEMS if kind.__repr__ is base.__repr__), None)


def _pieces(value: Any, base: Any) -> Iterator[str | _Held]:
    start, end = _BRACKETS[base]
    yield start
    for place, item in enumerate(base.__iter__(value)):
        if place:
            yield ", "
        yield _Held(item)
        if base is dict:
            yield ": "
            yield _Held(dict.get(value, item))
    yield f",{end}" if base is tuple and tuple.__len__(value) == 1 else end


def _leaf(value: Any, most: int) -> str:
    if type(value) in (str, bytes):
        return repr(value[: most + 1])
    if issubclass(type(value), (ctypes.c_char_p, ctypes.c_wchar_p)):  # its repr reads what it points to
        return f"<{class_name(value)}>"
    shape = _shape(value)
    if shape is not None:  # its repr may read what is on another device or was freed, or never end
        return f"{class_name(value)}{list(shape)}"
    if repeats_much(value):
        return f"<{class_name(value)}, which holds one thing in many places>"
    kind: Any = type(value)
    base = next((each for each in _WITH_MEMBERS if kind.__repr__ is each.__repr__ and kind is not each), None)
    if base is not None:  # its repr would go through it as the derived class says
        return f"{class_name(value)}({beginning(list(base.__iter__(value)), most)})"
    return repr(value)


def repeats_much(value: Any) -> bool:
    """Whether the containers in an object are shared so much that a repr which writes them all may never end."""
    kind: Any = type(value)
    if kind.__repr__ is object.__repr__:
        return False
    stack, seen, repeated = [value], set[int](), 0
    for _ in range(LOOKED_AT_MAX):
        if not stack or repeated > _REPEATED_MAX:
            break
        each = stack.pop()
        repeated += id(each) in seen
        seen.add(id(each))
        stack += [held for held in gc.get_referents(each) if _is_written_out(held)]
    return repeated > _REPEATED_MAX


def _is_written_out(value: Any) -> bool:
    kind = type(value)
    return issubclass(kind, _WRITTEN_OUT) or hasattr(kind, "__dataclass_fields__")


def error_message(error: BaseException) -> str:
    """Return an exception's message; where its own `__str__` fails, a note that says so."""
    try:
        args = BaseException.args.__get__(error)  # type: ignore[attr-defined]
        if type(error).__str__ is BaseException.__str__ and any(map(_is_shortened, args)):
            return beginning(args[0] if len(args) == 1 else args, MESSAGE_MAX)
        return str(error)
    except BaseException as trouble:  # whatever the exception's own code raises, an exit or interrupt too
        return f"(it cannot be shown: {type(trouble).__name__})"


def _is_shortened(value: Any) -> bool:
    return _written_as(value) is not None or _shape(value) is not None or repeats_much(value)


def describe_error(error: BaseException) -> str:
    """Return an exception's type and message."""
    return f"{type(error).__name__}: {error_message(error) or '(no message)'}"


# Sizes and durations --------------------------------------------------------------------------------------------------

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_size(size: int | float | str) -> int:
    """Return bytes for a number of them or a text such as "2 GB", "512MiB" or "1.5 gb"; raises ValueError."""
    if isinstance(size, str):
        match = _SIZE.fullmatch(size)
        if match and match[2].lower() in _UNITS:
            return int(float(match[1]) * _UNITS[match[2].lower()])
    elif not isinstance(size, bool) and 0 <= size < float("inf"):
        return int(size)
    raise ValueError(f'{size!r} is not a size. Give bytes as a number, or a text such as "2 GB" or "512 MiB".')


def format_size(size: int) -> str:
    """Write a number of bytes for people: `12 B`, `3.4 kB`, `1.2 GB`."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    return f"{value / 1000:.1f} TB"


def format_seconds(seconds: float) -> str:
    """Write a duration for people: "2 ms", "0.31 s", "12.4 s", "3 min 20 s", "1 h 05 min"."""
    if seconds < 0.0995:
        return f"{seconds * 1e3:.0f} ms" if seconds >= 0.001 else "under 1 ms"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
