"""A sweep as HTML that needs neither a kernel nor a script: what a saved notebook keeps."""

from __future__ import annotations

from html import escape

from comfy_nb.parameters.grid import Coordinates
from comfy_nb.parameters.sweep import Cell, Sweep
from comfy_nb.ui.render.style import COLOURS, FAINT
from comfy_nb.ui.render.thumbnails import shrink_to_fit
from comfy_nb.ui.sweep.cell_contents import note_on, picture_in, words_in
from comfy_nb.wording import clip

PAGE_MAX_BYTES = 280_000
CELLS_MAX = 200
WORDS_MAX = 120
LABEL_MAX = 40
BASE64 = 4 / 3
CELL = "text-align:left;vertical-align:top;padding:2px 8px 2px 0;white-space:normal"
PICTURE = "width:160px;max-height:160px;object-fit:contain"
IMAGE_TAG_BYTES = 140


def to_html(sweep: Sweep) -> str:
    """Return the grid as HTML of less than 300 kB; to keep to that, pictures are made smaller or left out."""
    shown = set(list(sweep.cells)[:CELLS_MAX])
    without_pictures = _page(sweep, shown, 0)
    count = sum(picture_in(sweep.cells[place], sweep.output.kind) is not None for place in shown)
    if not count:
        return without_pictures
    each = int((PAGE_MAX_BYTES - len(without_pictures.encode())) / count / BASE64) - IMAGE_TAG_BYTES
    return _page(sweep, shown, each)


def _page(sweep: Sweep, shown: set[Coordinates], picture_bytes: int) -> str:
    head = f"<div>{escape(sweep.headline())}</div>"
    parts = []
    for label, rows in sweep.layout.pages():
        kept = [row for row in rows if any(place in shown for place in row)]
        if kept:
            title = f"<div><b>{escape(clip(label, LABEL_MAX))}</b></div>" if label else ""
            body = "".join(_row(sweep, row, shown, picture_bytes) for row in kept)
            parts.append(f'{title}<table style="border:0;margin:2px 0">{_head(sweep)}{body}</table>')
    left = len(sweep) - len(shown)
    more = f'<div style="{FAINT}">{left:,} more cells are not shown</div>' if left else ""
    return f'<div class="comfy-nb-sweep">{head}{"".join(parts)}{more}</div>'


def _head(sweep: Sweep) -> str:
    axis = sweep.layout.axes[0]
    labels = [clip(axis.label(point), LABEL_MAX) for point in range(min(len(axis.points), CELLS_MAX))]
    cells = "".join(
        f'<th style="{CELL}">{escape(clip(axis.name, LABEL_MAX))} = {escape(label)}</th>' for label in labels
    )
    corner = f'<th style="{CELL}"></th>' if len(sweep.layout.axes) > 1 else ""
    return f"<tr>{corner}{cells}</tr>"


def _row(sweep: Sweep, row: list[Coordinates], shown: set[Coordinates], picture_bytes: int) -> str:
    label = ""
    if len(sweep.layout.axes) > 1:
        axis = sweep.layout.axes[1]
        named = f"{clip(axis.name, LABEL_MAX)} = {clip(axis.label(row[0][1]), LABEL_MAX)}"
        label = f'<th style="{CELL}">{escape(named)}</th>'
    cells = [_cell(sweep.cells[place], sweep.output.kind, picture_bytes) for place in row if place in shown]
    return f"<tr>{label}" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells) + "</tr>"


def _cell(cell: Cell, kind: str | None, picture_bytes: int) -> str:
    picture = picture_in(cell, kind)
    small = shrink_to_fit(picture.data, picture_bytes) if picture is not None and picture_bytes > 0 else None
    image = f'<img src="{small.uri}" alt="result" style="{PICTURE}">' if small is not None else ""
    text = escape(clip(words_in(cell, kind), WORDS_MAX))
    colour = f' style="color:{COLOURS["failed"]}"' if cell.state == "failed" else ""
    words = f"<div{colour}>{text}</div>" if text else ""
    return f'{image}{words}<div style="{FAINT}">{escape(note_on(cell))}</div>'
