"""How messages and displays write things: nodes, values, exceptions, sizes, durations, counts; and text cut to length.

It knows no graph and no notebook, so that every room can use it.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

# Nodes and names ------------------------------------------------------------------------------------------------------


CONSTANT_ADVICE = "If it does not change, say so: nb.constant(obj), or a method __comfy_nb_key__ of its class."


def name_node(node_id: str, class_type: str, title: str = "") -> str:
    """Name a node as messages do: `"Blur it" (node 3, ImageBlur)`, or `ImageBlur (node 3)` without a title."""
    if title and title != class_type:
        return f'"{title}" (node {node_id}, {class_type})'
    return f"{class_type} (node {node_id})"


def suggest(name: str, known: Iterable[str], most: int = 12) -> str:
    """Suggest which of the `known` names was meant by `name`, else list the first `most` of them."""
    names = [str(candidate) for candidate in known]
    if not names:
        return "There are none."
    lower = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6)
    if near:
        return "Did you mean " + " or ".join(repr(lower[match]) for match in near) + "?"
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return "There are: " + ", ".join(names[:most]) + rest + "."


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
ITEMS_MAX = 20
DEPTH_MAX = 4


def short(value: Any, most: int = 40) -> str:
    """Return a value in a few characters: an array by its shape, all else by the beginning of its repr."""
    try:
        shape = getattr(value, "shape", None)
        if shape is not None and not isinstance(value, (int, float)):
            return f"{type(value).__name__}{list(shape)}"
        text = repr(value)
    except Exception as error:  # a repr of somebody else's class may raise anything
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return clip(text, most)


def printable(value: Any, depth: int = DEPTH_MAX) -> Any:
    """Return a value as a message or JSON can hold it: plain ones as they are, tensors by shape, all else clipped."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return clip(value, TEXT_MAX)
    try:
        return _printable(value, depth)
    except Exception as error:  # an object of somebody else's class may raise anything, whatever it is asked
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def _printable(value: Any, depth: int) -> Any:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} of shape {list(shape)}, {getattr(value, 'dtype', '?')}"
    if isinstance(value, (dict, list, tuple)) and depth == 0:
        return "…"
    if isinstance(value, dict):
        items = itertools.islice(value.items(), ITEMS_MAX)
        return {str(key): printable(item, depth - 1) for key, item in items}
    if isinstance(value, (list, tuple)):
        return [printable(item, depth - 1) for item in value[:ITEMS_MAX]]
    return clip(repr(value), TEXT_MAX)


def error_message(error: BaseException) -> str:
    """Return an exception's message; where its own `__str__` fails, a note that says so."""
    try:
        return str(error)
    except BaseException as trouble:  # whatever the exception's own code raises, an exit or interrupt too
        return f"(it cannot be shown: {type(trouble).__name__})"


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
