"""The runs of a cell as HTML that needs neither kernel nor script, for saved notebooks: what panel.js draws.

Where a viewer keeps no stylesheet (GitHub, a notebook that is not trusted) the rows are lines of text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from comfy_nb.ui.jupyter.widget import THEME, style
from comfy_nb.ui.render.style import FAINT
from comfy_nb.ui.render.thumbnails import shrink_to_fit
from comfy_nb.ui.run.messages import MessageEncoder
from comfy_nb.ui.run.snapshot import RunSnapshot
from comfy_nb.wording import cut_middle, encodable

STYLESHEETS = (THEME, *(Path(__file__).with_name(name) for name in ("panel.css", "rows.css")))
BYTES_MAX = 195_000
TEXT_MAX_BYTES = 1_500  # for each of a row's note, text, log and traceback, as HTML
NAME_MAX_BYTES = 300
PICTURES_MAX_BYTES = 60_000
PICTURES_MIN = 3  # a single picture gets the share of one of these

Fields = Mapping[str, Any]


def to_html(
    snapshot: RunSnapshot, now: float, views: Mapping[str, str] | None = None, unfolded: Collection[str] = ()
) -> str:
    """Return the snapshot as HTML under 200 kB, and below it the `views`, by label: as many as find room.

    Those in `unfolded` stand open.
    """
    message = MessageEncoder().encode(snapshot, now, is_asked=True)
    head, parts = message["head"], message["parts"]
    pictures = sum(bool(parts.get(row.get("picture"))) for row in message["rows"])
    picture_bytes = PICTURES_MAX_BYTES // max(pictures, PICTURES_MIN)
    rows = "".join(_row(row, parts, picture_bytes) for row in message["rows"])
    above = (
        f'<div class="comfy-nb-frame comfy-nb-run"><style>{_style()}</style>'
        f'<div class="cnb-panel" data-state="{head["state"]}"{" data-over" if "over" in head else ""}>{_head(head)}'
        f'<div class="cnb-rows" role="list">{rows}</div><div class="cnb-more">{escape(head.get("more", ""))}</div>'
    )
    return f"{above}{_views(views or {}, unfolded, BYTES_MAX - len(above.encode()))}</div></div>"


def faint(text: str) -> str:
    """Return text as one faint line of HTML."""
    return f'<div class="comfy-nb-run" style="{FAINT}">{escape(text)}</div>'


@cache
def _style() -> str:
    """Return the stylesheet of the live panel without its comments and spaces."""
    plain = re.sub(r"/\*.*?\*/", "", style(*STYLESHEETS), flags=re.DOTALL)
    return re.sub(r"\s*([{};,>])\s*", r"\1", re.sub(r"\s+", " ", plain)).strip()


def _head(head: Fields) -> str:
    tally = " ".join(_span(name, head.get(name, "")) for name in ("counts", "runs", "cached", "failed"))
    clock = _span("left", head.get("left", "")) + _span("time", head["time"])
    line = f'{_span("glyph", head["glyph"])} {_span("state", head["state"])} <span class="cnb-tally">{tally}</span>'
    kept = f'<div class="cnb-fill cnb-kept" style="transform:scaleX({head["kept"]})"></div>'
    return (
        f'<div class="cnb-head">{line} <span class="cnb-clock">{clock}</span></div>'
        f'<div class="cnb-overall">{_fill(head["fraction"])}{kept}</div>'
        f'<div class="cnb-blocked">{_fitted(head.get("blocked", ""))}</div>'
    )


def _row(row: Fields, parts: Fields, picture_bytes: int) -> str:
    """Return a node: state, name, bar, steps, time and picture in a line, and its texts below."""
    steps = " · ".join(words for words in (row.get("calls"), row.get("steps")) if words)
    numbers = _span("steps", steps) + _span("percent", row.get("percent", "")) + _span("pace", row.get("pace", ""))
    name = _span("title", row["title"], NAME_MAX_BYTES) + " " + _span("kind", row.get("kind", ""), NAME_MAX_BYTES)
    return (
        f'<div class="cnb-row{" cnb-child" if "child" in row else ""}" data-state="{row["state"]}" role="listitem">'
        f'<span class="cnb-glyph" role="img" aria-label="{row["state"]}">{row["glyph"]}</span> '
        f'<span class="cnb-name">{name}</span> <div class="cnb-bar">{_fill(row.get("fraction", 0))}</div>'
        f'<span class="cnb-numbers">{numbers}</span> {_span("time", row.get("time", ""))}'
        f"{_picture(parts.get(row.get('picture', '')), picture_bytes, row['title'])}"
        f'<div class="cnb-note">{_fitted(row.get("note", ""))}</div>'
        f'<div class="cnb-words">{_words(row, parts)}</div></div>'
    )


def _picture(data: bytes | None, most_bytes: int, title: str) -> str:
    small = shrink_to_fit(data, most_bytes) if data else None
    if small is None:
        return ""
    image = f'<img class="cnb-image" src="{small.uri}" alt="{_fitted(title, NAME_MAX_BYTES)}">'
    return f'<details class="cnb-picture"><summary class="cnb-label">{image}</summary></details>'


def _words(row: Fields, parts: Fields) -> str:
    """Return a node's text and what it printed, and its error with the traceback folded."""
    html = ""
    if "text" in row:
        html += f'<div class="cnb-reel" tabindex="0"><div class="cnb-text">{_fitted(parts[row["text"]])}</div></div>'
    if "log" in row:
        log = f'<pre class="cnb-log">{_fitted(parts[row["log"]])}</pre>'
        html += f'<div class="cnb-reel" tabindex="0" aria-label="{row["log_label"]}">{log}</div>'
    if "error" in row:
        error = parts[row["error"]]
        trace = f'<pre class="cnb-trace" tabindex="0">{_fitted(error["traceback"])}</pre>'
        folded = _fold("cnb-fold", "Traceback", trace) if error["traceback"] else ""
        html += f'<div class="cnb-failure"><div class="cnb-message">{_fitted(error["message"])}</div>{folded}</div>'
    return html


def _views(views: Mapping[str, str], unfolded: Collection[str], left_bytes: int) -> str:
    html = ""
    for label, view in views.items():
        fold = _fold("cnb-view", label, f'<div class="cnb-content">{view}</div>', is_open=label in unfolded)
        if len(fold.encode()) < left_bytes:
            left_bytes -= len(fold.encode())
            html += fold
    return f'<div class="cnb-views">{html}</div>' if html else ""


def _fold(name: str, label: str, html: str, *, is_open: bool = False) -> str:
    state = " open" if is_open else ""
    return f'<details class="{name}"{state}><summary class="cnb-label">{escape(label)}</summary>{html}</details>'


def _span(name: str, text: str, most_bytes: int = TEXT_MAX_BYTES) -> str:
    return f'<span class="cnb-{name}">{_fitted(text, most_bytes)}</span>'


def _fill(fraction: float) -> str:
    return f'<div class="cnb-fill" style="transform:scaleX({fraction})"></div>'


def _fitted(text: str, most: int = TEXT_MAX_BYTES) -> str:
    """Return text as HTML of at most `most` bytes; a longer text loses its middle."""
    text = encodable(text)
    kept = min(len(text), most)
    while True:
        shown = cut_middle(text, kept)
        if len(escape(shown).encode()) <= most:
            return escape(shown)
        kept = kept * 3 // 4
