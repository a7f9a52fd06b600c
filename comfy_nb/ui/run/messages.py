"""A view as messages for a front end, which puts words in place and makes none; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from xxhash import xxh3_64_hexdigest

from comfy_nb.ui.render.text import strip_terminal_codes
from comfy_nb.ui.render.tracebacks import report_error
from comfy_nb.ui.run.snapshot import GLYPHS, Row, View
from comfy_nb.wording import count, encodable, format_seconds

AGAIN_S = 0.7
EVERY_S = 5.0

Parts = dict[str, Callable[[], Any]]


class Wire:
    """Turns the views of one screen into messages `{"head", "rows", "parts"}`, one a tick.

    Pictures, texts and errors are parts that rows name. A message carries those that the one before it did not name.
    All of them are in it when the front end asked, once more 0.7 s later (one that comes while a page loads is
    missed), and every 5 s (a server may drop messages, and some kernels hear no question before the cell has ended).
    """

    def __init__(self) -> None:
        self._named: frozenset[str] = frozenset()
        self._whole_at = 0.0

    def message(self, view: View, now: float, *, is_asked: bool) -> dict[str, Any]:
        """Return what to send, of `str`, `bytes`, numbers, lists and dicts; bytes are encoded pictures."""
        is_whole = is_asked or now >= self._whole_at
        if is_whole:
            self._whole_at = now + (AGAIN_S if is_asked else EVERY_S)
        shown = () if view.is_all_cached else view.rows
        parts: Parts = {}
        rows = [_row(row, now, parts) for row in shown]
        new = {name: make() for name, make in parts.items() if is_whole or name not in self._named}
        self._named = frozenset(parts)
        return {"head": _head(view, now), "rows": rows, "parts": new}


def packed(message: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Return a message as it travels: the parts that are bytes as buffers, whose names stand in `pictures`."""
    pictures = {name: part for name, part in message["parts"].items() if isinstance(part, bytes)}
    said = {name: part for name, part in message["parts"].items() if name not in pictures}
    return {**message, "parts": said, "pictures": list(pictures)}, list(pictures.values())


def _head(view: View, now: float) -> dict[str, Any]:
    is_stopping = view.stopping and not view.is_over
    counts = f"{view.done:,} of {count(view.total, 'node')}"
    under_way = sum(row.fraction or 0.0 for row in view.rows if row.is_live)
    return _filled(
        {
            "state": "stopping" if is_stopping else view.state,
            "glyph": GLYPHS["stopped"] if is_stopping else view.glyph,
            "counts": f"{count(view.cached, 'node')} from cache" if view.is_all_cached else counts,
            "cached": f"{view.cached:,} cached" if view.cached and not view.is_all_cached else "",
            "failed": f"{view.failed:,} failed" if view.failed else "",
            "time": _clock(view.elapsed(now), not view.is_over),
            "left": _left(view.eta) if view.eta is not None and not is_stopping else "",
            "fraction": _rounded(min((view.done + under_way) / view.total, 1.0)) if view.total else 0.0,
            "kept": _rounded(view.cached / view.total) if view.total else 0.0,
            "blocked": _block(view),
            "more": view.folded(),
        }
    )


def _row(row: Row, now: float, parts: Parts) -> dict[str, Any]:
    """Return the words of a row, and add to `parts` what it names."""
    key = f"{row.run}.{row.order}"  # for several runs may have a node of one id
    log = strip_terminal_codes(row.log).rstrip()
    kind = row.class_type if row.class_type != row.title else ""
    fraction = row.fraction
    error, told = row.error, ""
    if error is not None:
        told = f"error of {key}"
        parts[told] = lambda: {name: encodable(text) for name, text in report_error(error)._asdict().items()}
    return _filled(
        {
            "key": key,
            "state": row.state,
            "glyph": GLYPHS[row.state],
            "title": row.title,
            "kind": " ".join(part for part in (kind, row.label) if part),
            "child": bool(row.under),
            "fraction": _rounded(fraction) if fraction is not None else None,
            "steps": f"{_number(row.value)}/{_number(row.total)}" if row.total > 0 else "",
            "calls": row.list_calls,
            "percent": f"{int(fraction * 100)} %" if fraction is not None and row.is_live else "",
            "pace": row.pace,
            "time": "" if row.state == "cached" else _clock(row.elapsed(now), row.is_live),
            "note": "" if told else row.note,
            "text": _part(row.text.rstrip(), parts),
            "log": _part(log, parts),
            "lines": log.count("\n") + 1 if log else 0,
            "picture": _part(row.preview, parts),
            "format": row.preview_format,
            "error": told,
        }
    )


def _part(part: str | bytes, parts: Parts) -> str:
    """Name a part by its content, for a row to refer to."""
    if not part:
        return ""
    name = xxh3_64_hexdigest(part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass"))
    parts[name] = lambda: part if isinstance(part, bytes) else encodable(part)
    return name


def _block(view: View) -> str:
    if view.blocked is None:
        return ""
    is_node = "node " in view.blocked[0]
    advice = ". Make it a plain function, or let it await." if is_node else " until it ends or awaits."
    return f"Event {view.block().removeprefix('event ')}{advice}"


def _clock(seconds: float, is_running: bool) -> str:
    """Write a duration; one that still grows without the hundredths, which would only flicker."""
    return f"{int(seconds * 10) / 10:.1f} s" if is_running and seconds < 60 else format_seconds(seconds)


def _left(seconds: float) -> str:
    return f"about {format_seconds(seconds) if seconds > 59 else f'{max(ceil(seconds), 1)} s'} left"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _rounded(fraction: float) -> float:
    return round(fraction, 4)


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing (a fraction of 0 says something), and make the rest fit to be sent."""
    said = {name: value for name, value in fields.items() if value is not None and value is not False and value != ""}
    return {name: encodable(value) if isinstance(value, str) else value for name, value in said.items()}
