"""Snapshots as messages for a front end, which only puts the words in place; no I/O."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from xxhash import xxh3_64_hexdigest

from comfy_nb.ui.render.text import strip_terminal_codes
from comfy_nb.ui.render.thumbnails import ui_thumbnail
from comfy_nb.ui.render.tracebacks import report_error
from comfy_nb.ui.run.snapshot import GLYPHS, Row, RunSnapshot
from comfy_nb.wording import count, encodable, format_seconds

AGAIN_S = 0.7
EVERY_S = 5.0
DEAF_S = 5.0
DEAF = "If the kernel's interrupt does not end it, restart the kernel: what the disk cache holds is kept."
PICTURE_MAX_BYTES = 20_000

Parts = dict[str, Callable[[], Any]]


class MessageEncoder:
    """Turns the snapshots of one screen into messages `{"head", "rows", "parts"}`, one a tick.

    Pictures, texts and errors are parts, which rows refer to by name. A message carries the parts that the previous
    one did not name. It carries all of them when the front end asked, once more 0.7 s later (a message that arrives
    while a page loads is lost), and every 5 s (a server may drop messages, and some kernels read no request before
    the cell has ended).
    """

    def __init__(self) -> None:
        self._named: frozenset[str] = frozenset()
        self._complete_at = 0.0

    def encode(self, snapshot: RunSnapshot, now: float, *, is_asked: bool) -> dict[str, Any]:
        """Return the message to send, of `str`, `bytes`, numbers, lists and dicts; bytes are encoded pictures."""
        is_complete = is_asked or now >= self._complete_at
        if is_complete:
            self._complete_at = now + (AGAIN_S if is_asked else EVERY_S)
        shown = () if snapshot.is_all_cached else snapshot.rows
        parts: Parts = {}
        rows = [_row(row, now, parts) for row in shown]
        new = {name: make() for name, make in parts.items() if is_complete or name not in self._named}
        self._named = frozenset(parts)
        return {"head": _head(snapshot, now), "rows": rows, "parts": new}


def split_buffers(message: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Return a message as JSON and buffers: the parts that are bytes become buffers, named in `pictures`."""
    pictures = {name: part for name, part in message["parts"].items() if isinstance(part, bytes)}
    texts = {name: part for name, part in message["parts"].items() if name not in pictures}
    return {**message, "parts": texts, "pictures": list(pictures)}, list(pictures.values())


def _head(snapshot: RunSnapshot, now: float) -> dict[str, Any]:
    is_stopping = snapshot.stopping and not snapshot.is_over
    counts = f"{snapshot.done:,} of {count(snapshot.total, 'node')}"
    under_way = sum(row.fraction or 0.0 for row in snapshot.rows if row.is_live)
    total = snapshot.total
    return _without_empty(
        {
            "state": "stopping" if is_stopping else snapshot.state,
            "glyph": GLYPHS["stopped"] if is_stopping else snapshot.glyph,
            "counts": f"{count(snapshot.cached, 'node')} from cache" if snapshot.is_all_cached else counts,
            "runs": count(snapshot.runs, "run") if snapshot.runs > 1 else "",
            "cached": f"{snapshot.cached:,} cached" if snapshot.cached and not snapshot.is_all_cached else "",
            "failed": ", ".join(snapshot.describe_wrong()),
            "time": _clock(snapshot.elapsed(now), not snapshot.is_over),
            "left": _time_left(snapshot.eta) if snapshot.eta is not None and not is_stopping else "",
            "fraction": _rounded(min((snapshot.done + under_way) / total, 1.0)) if total else 0.0,
            "kept": _rounded(snapshot.cached / total) if total else 0.0,
            "blocked": _block(snapshot),
            "more": snapshot.describe_hidden(),
            "over": snapshot.is_over,
        }
    )


def _row(row: Row, now: float, parts: Parts) -> dict[str, Any]:
    """Return the words of a row, and add the parts that it names to `parts`."""
    key = f"{row.run}.{row.order}"  # ids of nodes may occur in several runs
    log = strip_terminal_codes(row.log).rstrip()
    lines = log.count("\n") + 1
    kind = row.class_type if row.class_type != row.title else ""
    fraction = row.fraction
    error, error_name = row.error, ""
    if error is not None:
        error_name = f"error of {key}"
        parts[error_name] = lambda: {name: encodable(text) for name, text in report_error(error)._asdict().items()}
    return _without_empty(
        {
            "key": key,
            "state": row.state,
            "glyph": GLYPHS[row.state],
            "title": row.title,
            "kind": " ".join(part for part in (kind, row.label) if part),
            "child": bool(row.under),
            "fraction": _rounded(fraction) if fraction is not None else None,
            "steps": row.own_steps,
            "calls": row.list_calls,
            "percent": f"{int(fraction * 100)} %" if fraction is not None and row.is_live else "",
            "pace": row.pace,
            "time": _clock(row.elapsed(now), row.is_live) if row.has_duration else "",
            "note": "" if error_name else row.note,
            "text": _part(row.text.rstrip(), parts),
            "log": _part(log, parts),
            "log_label": f"log, {count(lines, 'line')}" if log else "",
            "picture": _picture(row, key, parts),
            "error": error_name,
        }
    )


def _picture(row: Row, key: str, parts: Parts) -> str:
    """Return the name of a row's picture: its newest preview, else the first that its node reported as output."""
    if row.preview or not (row.ui or {}).get("images"):
        return _part(row.preview, parts)
    name = f"output of {key}"
    parts[name] = lambda: getattr(ui_thumbnail(row.ui, PICTURE_MAX_BYTES), "data", b"")
    return name


def _part(part: str | bytes, parts: Parts) -> str:
    """Return a part's name, made from its content, and add it to `parts`."""
    if not part:
        return ""
    name = xxh3_64_hexdigest(part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass"))
    parts[name] = lambda: part if isinstance(part, bytes) else encodable(part)
    return name


def _block(snapshot: RunSnapshot) -> str:
    if snapshot.loop_blocked is None:
        return ""
    blocker, seconds = snapshot.loop_blocked
    if snapshot.stopping and seconds > DEAF_S:
        advice = f". {DEAF}"
    elif "node " in blocker:
        advice = ". Make it a plain function, or let it await."
    else:
        advice = " until it ends or awaits."
    return f"Event {snapshot.describe_block().removeprefix('event ')}{advice}"


def _clock(seconds: float, is_running: bool) -> str:
    """Write a duration; one that still grows has no hundredths, which would only flicker."""
    return f"{int(seconds * 10) / 10:.1f} s" if is_running and seconds < 60 else format_seconds(seconds)


def _time_left(seconds: float) -> str:
    return f"about {format_seconds(seconds) if seconds > 59 else f'{max(ceil(seconds), 1)} s'} left"


def _rounded(fraction: float) -> float:
    return round(fraction, 4)


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out empty fields (a fraction of 0 is not empty), and make the texts encodable."""
    filled = {name: value for name, value in fields.items() if value is not None and value is not False and value != ""}
    return {name: encodable(value) if isinstance(value, str) else value for name, value in filled.items()}
