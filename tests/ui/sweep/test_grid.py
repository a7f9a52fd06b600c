"""What a sweep shows: pictures and words in its cells, one picture of all, and HTML that keeps to its size."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

import comfy_nb as nb
from comfy_nb.ui.sweep.cell_contents import picture_in, words_in
from comfy_nb.ui.sweep.html import to_html


@pytest.fixture
def session():
    with nb.use_session(nb.Session()) as made:
        yield made


async def test_the_grid_is_one_picture_of_all_cells(session):
    picture = nb.nodes.EmptyImage(width=32, height=16)
    sweep = await nb.sweep(picture, {"color": [0xFF0000, 0x00FF00], "height": [16, 32]})
    sheet = sweep.grid
    assert isinstance(sheet, Image.Image)
    colours = {colour for _, colour in sheet.getcolors(100_000)}
    assert any(red > 240 and green < 20 for red, green, _ in colours)
    assert any(red < 20 and green > 240 for red, green, _ in colours)


@pytest.mark.parametrize("cells", [4, 250])
async def test_a_page_of_noise_stays_under_its_size(session, cells):
    @nb.node
    def noise(seed: int) -> nb.Image:
        return torch.rand(1, 256, 256, 3, generator=torch.Generator().manual_seed(seed))

    sweep = await nb.sweep(noise(0), {"seed": range(cells)})
    page = to_html(sweep)
    assert len(page.encode()) < 300_000
    assert "seed = 3" in page
    if cells == 4:
        assert page.count("<img") == 4
    else:
        assert "50 more cells are not shown" in page


async def test_text_is_escaped(session):
    @nb.node
    def echo(words: str) -> str:
        return words

    page = to_html(await nb.sweep(echo(""), {"words": ["<script>alert(1)</script>"]}))
    assert "<script>" not in page and "&lt;script&gt;" in page


async def test_a_blocked_cell_shows_that_with_its_message(session):
    @nb.node
    def gate(number: int) -> nb.Image:
        return nb.ExecutionBlocker("too <large>")

    sweep = await nb.sweep(gate(1), {"number": [1, 2]})
    assert words_in(sweep.cell(0), sweep.output.kind) == "blocked: too <large>"
    assert "blocked: too &lt;large&gt;" in to_html(sweep)
    assert picture_in(sweep.cell(0), sweep.output.kind) is None
    assert isinstance(sweep.grid, Image.Image)


async def test_a_failed_cell_shows_its_error_and_another_its_value(session):
    @nb.node
    def half(number: int) -> float:
        if number == 13:
            raise ValueError("thirteen is bad luck")
        return number / 2

    sweep = await nb.sweep(half(0), {"number": [1, 13]})
    assert words_in(sweep.cell(0), "FLOAT") == "0.5"
    assert "thirteen is bad luck" in words_in(sweep.cell(1), "FLOAT")
    assert "thirteen is bad luck" in to_html(sweep)


async def test_a_value_that_cannot_be_drawn_is_shown_in_words_and_its_cell_is_done(session):
    @nb.node
    def nowhere(size: int) -> nb.Image:
        return torch.empty(1, size, 8, 3, device="meta")

    sweep = await nb.sweep(nowhere(0), {"size": [8]})
    (cell,) = sweep
    assert (cell.state, picture_in(cell, "IMAGE"), words_in(cell, "IMAGE")) == ("done", None, "Tensor[1, 8, 8, 3]")
    assert "Tensor[1, 8, 8, 3]" in to_html(sweep) and sweep.grid.size[0] > 0


async def test_a_picture_is_drawn_once(session, monkeypatch):
    sweep = await nb.sweep(nb.nodes.EmptyImage(width=8, height=8), {"color": [0xFF0000]})
    first = picture_in(sweep.cell(0), "IMAGE")
    monkeypatch.setattr("comfy_nb.ui.sweep.cell_contents.value_thumbnail", None)
    assert first is not None and picture_in(sweep.cell(0), "IMAGE") is first
