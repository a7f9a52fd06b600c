"""A run as HTML that needs neither kernel nor script, for saved notebooks."""

from __future__ import annotations

from html import escape

from comfy_nb.ui.render.style import COLOURS, FAINT
from comfy_nb.ui.render.text import strip_terminal_codes
from comfy_nb.ui.render.thumbnails import shrink_to_fit, ui_thumbnail
from comfy_nb.ui.render.tracebacks import report_error
from comfy_nb.ui.run.snapshot import GLYPHS, ROWS_MAX, Row, RunSnapshot
from comfy_nb.wording import clip, count, cut_middle, encodable

PICTURES_MAX_BYTES = 120_000
PICTURE_MAX_BYTES = PICTURES_MAX_BYTES // ROWS_MAX
OPEN_LOG_LINES = 6
TEXT_MAX_BYTES = 2_000  # for each of a row's note, text, log and traceback, as HTML
FRAME = "max-width:940px;padding:6px 12px;border:1px solid rgba(128,128,128,.35);border-radius:6px"
PICTURE = "max-width:100%;max-height:96px"
WRAPPED = "white-space:pre-wrap"
TABLE = "border:0;border-collapse:collapse;width:100%;margin:2px 0"
ROW = "background:none"
CELL = "text-align:left;vertical-align:top;padding:2px 8px 2px 0;white-space:normal;width:"
NUMBER = "text-align:right;vertical-align:top;padding:2px 0 2px 8px;white-space:nowrap;width:"
COLUMNS = (CELL + "3%", CELL + "59%", NUMBER + "14%", NUMBER + "12%", NUMBER + "12%")
FAILED = f"border-left:3px solid {COLOURS['failed']};padding:2px 8px"


def to_html(snapshot: RunSnapshot, now: float) -> str:
    """Return the snapshot as HTML under 300 kB: the headline, and a row per node with its last picture."""
    rows = "".join(_row(row, now) for row in snapshot.rows)
    hidden = snapshot.describe_hidden()
    more = f'<div style="{FAINT}">{escape(hidden)}</div>' if hidden else ""
    state = f'<b style="color:{COLOURS[snapshot.state]}">{snapshot.glyph} {snapshot.state}</b>'
    counts = escape(snapshot.headline(now).removeprefix(f"{snapshot.state}: "))
    table = f'<table style="{TABLE}">{rows}</table>' if rows else ""
    return f'<div class="comfy-nb-run" style="{FRAME}"><div>{state} {counts}</div>{table}{more}</div>'


def faint(text: str) -> str:
    """Return text as one faint line of HTML."""
    return f'<div class="comfy-nb-run" style="{FAINT}">{escape(text)}</div>'


def _row(row: Row, now: float) -> str:
    """Return a table row: state, name with the node's texts below it, steps, time, and picture."""
    state = f'<span style="color:{COLOURS[row.state]}" title="{row.state}">{GLYPHS[row.state]}</span>'
    title = ("↳ " if row.under else "") + escape(clip(encodable(row.title), 80))
    about = [row.class_type if row.class_type != row.title else "", row.label, "" if row.state == "done" else row.state]
    name = (
        f'{title} <span style="{FAINT}">{escape(clip(encodable(" ".join(part for part in about if part)), 80))}</span>'
    )
    texts = (state, name + _texts(row), escape(row.steps), row.describe_duration(now), _picture(row))
    cells = zip(COLUMNS, texts, strict=True)
    return f'<tr style="{ROW}">' + "".join(f'<td style="{style}">{text}</td>' for style, text in cells) + "</tr>"


def _picture(row: Row) -> str:
    small = shrink_to_fit(row.preview, row.preview_format, PICTURE_MAX_BYTES) if row.preview else None
    small = small or ui_thumbnail(row.ui, PICTURE_MAX_BYTES)
    if small is None:
        return ""
    return f'<img src="{small.uri}" alt="{escape(clip(encodable(row.title), 80))}" style="{PICTURE}">'


def _texts(row: Row) -> str:
    """Return a node's error or note, and its text; its log and traceback open with a click."""
    report = report_error(row.error) if row.error is not None else None
    note = report.message if report is not None else row.note
    style = f"{WRAPPED};{FAILED}" if report is not None else f"{WRAPPED};{FAINT}"
    html = f'<div style="{style}">{_fitted(note)}</div>' if note else ""
    if row.text.strip():
        html += f'<div style="{WRAPPED}">{_fitted(row.text.rstrip())}</div>'
    log = strip_terminal_codes(row.log).rstrip()
    lines = log.count("\n") + 1
    html += _folded(f"log, {count(lines, 'line')}", log, is_open=lines <= OPEN_LOG_LINES)
    return html + _folded("traceback", report.traceback if report is not None else "", is_open=False)


def _folded(summary: str, text: str, *, is_open: bool) -> str:
    if not text:
        return ""
    body = f'<pre style="{WRAPPED}">{_fitted(text)}</pre>'
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>{body}</details>"


def _fitted(text: str, most: int = TEXT_MAX_BYTES) -> str:
    """Return text as HTML of at most `most` bytes; a longer text loses its middle."""
    text = encodable(text)
    kept = min(len(text), most)
    while True:
        shown = cut_middle(text, kept)
        if len(escape(shown).encode()) <= most:
            return escape(shown)
        kept = kept * 3 // 4
