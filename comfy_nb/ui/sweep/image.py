"""A sweep as one picture: the cells in their places, with the values along the edges."""

from __future__ import annotations

import io
import textwrap

from PIL import Image, ImageDraw, ImageFont, ImageOps

from comfy_nb.parameters.sweep import Cell, Sweep
from comfy_nb.ui.sweep.cell_contents import picture_in, words_in
from comfy_nb.wording import clip

CELL_PX = 160
GAP_PX = 6
LINE_PX = 20
SIDE_PX = 120
FONT_PX = 13
INK, PAPER, RED = "#1f2328", "white", "#c6222d"
WIDTH_CHARACTERS = 22
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw_grid(sweep: Sweep) -> Image.Image:
    """Return an RGB picture of all cells, the pages one below the other."""
    axes, pages = sweep.layout.axes, list(sweep.layout.pages())
    side = SIDE_PX if len(axes) > 1 else 0
    top = LINE_PX * (2 if len(axes) > 2 else 1)
    kind = sweep.output.kind
    pictures = {cell.place: picture for cell in sweep if (picture := _picture(cell, kind)) is not None}
    across = CELL_PX + GAP_PX
    down = GAP_PX + max((picture.height for picture in pictures.values()), default=CELL_PX // 2)
    page_height = top + down * len(pages[0][1])
    sheet = Image.new("RGB", (side + across * len(axes[0].points), page_height * len(pages)), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_PX)
    for number, (label, rows) in enumerate(pages):
        y0 = number * page_height
        draw.text((4, y0 + 2), label, INK, font)
        for x in range(len(axes[0].points)):
            text = axes[0].caption(x)
            draw.text((side + x * across, y0 + top - LINE_PX + 2), clip(text, WIDTH_CHARACTERS), INK, font)
        for y, row in enumerate(rows):
            if side:
                words = textwrap.fill(axes[1].caption(y), SIDE_PX // 8)
                draw.multiline_text((4, y0 + top + y * down), words, INK, font)
            for x, place in enumerate(row):
                at = (side + x * across, y0 + top + y * down)
                if place in pictures:
                    sheet.paste(pictures[place], at)
                else:
                    _write(draw, sweep.cells[place], kind, at, down, font)
    return sheet


def _picture(cell: Cell, kind: str | None) -> Image.Image | None:
    thumbnail = picture_in(cell, kind)
    if thumbnail is None:
        return None
    with Image.open(io.BytesIO(thumbnail.data)) as picture:
        return ImageOps.contain(picture.convert("RGB"), (CELL_PX, CELL_PX))


def _write(
    draw: ImageDraw.ImageDraw, cell: Cell, kind: str | None, at: tuple[int, int], height: int, font: Font
) -> None:
    lines = textwrap.wrap(words_in(cell, kind) or cell.state, WIDTH_CHARACTERS)[: height // LINE_PX]
    draw.multiline_text((at[0] + 4, at[1] + 4), "\n".join(lines), RED if cell.state == "failed" else INK, font)
