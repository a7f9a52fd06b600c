"""A view of a run as HTML that needs neither kernel nor script: what a saved notebook keeps."""

from __future__ import annotations

from html import escape

from comfy_nb.ui.thumbnails import of_ui, within
from comfy_nb.ui.tracebacks import tell
from comfy_nb.ui.view import GLYPHS, ROWS_MAX, Row, View

PICTURES_MAX_BYTES = 120_000
PICTURE_MAX_BYTES = PICTURES_MAX_BYTES // ROWS_MAX
WORDS_MAX = 600
WORDS_MAX_BYTES = 2_000  # of each of the four kinds of words in a row, as HTML
COLOURS = {
    "done": "#2e9e5b",
    "cached": "#7a8a99",
    "failed": "#d64545",
    "blocked": "#c98a1b",
    "stopped": "#c98a1b",
    "cancelled": "#c98a1b",
    "running": "#3b82c4",
    "waiting": "#7a8a99",
}
FAINT = "font-size:90%;opacity:.7"
PICTURE = "max-width:128px;max-height:128px"
WRAPPED = "white-space:pre-wrap"
CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 0"


def to_html(view: View, now: float) -> str:
    """Return the view as HTML under 300 kB: the headline, and a row per node with its last picture."""
    rows = "".join(_row(row, now) for row in view.rows)
    folded = f'<div style="{FAINT}">{escape(view.folded())}</div>' if view.folded() else ""
    head = f'<div><b style="color:{COLOURS[view.state]}">{view.glyph}</b> {escape(view.headline(now))}</div>'
    table = f'<table style="border:0;margin:2px 0">{rows}</table>' if rows else ""
    return f'<div class="comfy-nb-run">{head}{table}{folded}</div>'


def faint(text: str) -> str:
    """Return text as one faint line of HTML."""
    return f'<div class="comfy-nb-run" style="{FAINT}">{escape(text)}</div>'


def _row(row: Row, now: float) -> str:
    state = f'<span style="color:{COLOURS[row.state]}">{GLYPHS[row.state]} {row.state}</span>'
    words = _words(row)
    small = within(row.preview, row.preview_format, PICTURE_MAX_BYTES) if row.preview else None
    small = small or of_ui(row.ui, PICTURE_MAX_BYTES)
    picture = ""
    if small is not None:
        picture = f'<img src="{small.uri}" alt="{escape(clip(row.title, 80))}" style="{PICTURE}">'
    name = ("↳ " if row.under else "") + escape(clip(row.name, 80))
    cells = (name, state, escape(row.steps), row.took(now), words + picture)
    return "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells) + "</tr>"


def clip(text: str, most: int = WORDS_MAX) -> str:
    """Return text that is no longer than `most` characters, its beginning where it is cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _words(row: Row) -> str:
    """Return what a node said, then its error in full; what it printed and its traceback open with a click."""
    told = tell(row.error) if row.error is not None else None
    note = told.message if told is not None else row.note
    said = "".join(f'<div style="{WRAPPED}">{_fitted(text)}</div>' for text in (note, row.text.rstrip()) if text)
    log = row.log.rstrip()
    count = f"log, {log.count(chr(10)) + 1} line{'s' if chr(10) in log else ''}"
    trace = told.trace if told is not None else ""
    return said + _folded(count, log) + _folded("traceback", trace)


def _folded(summary: str, text: str) -> str:
    if not text:
        return ""
    return f'<details><summary>{summary}</summary><pre style="{WRAPPED}">{_fitted(text)}</pre></details>'


def _fitted(text: str, most: int = WORDS_MAX_BYTES) -> str:
    """Return text as HTML of at most `most` bytes, without its middle where it is too long."""
    text = text.encode("utf-8", "replace").decode()
    kept = min(len(text), most)
    while True:
        half = kept // 2
        shown = text if kept == len(text) else f"{text[:half]}\n…\n{text[len(text) - half :]}"
        if len(escape(shown).encode()) <= most:
            return escape(shown)
        kept = kept * 3 // 4
