"""The tensor view in a real JupyterLab: what a person sees, and can do with hands and keys."""

from __future__ import annotations

import json

import pytest

from tests.browser.inspecting import INK, PATIENCE_MS, inspect, press, readout, rectangle, stage, until

pytestmark = pytest.mark.browser

PREPARE = """
import torch
import comfy_nb as nb
image = torch.rand(1, 64, 96, 3)
image[0, 10, 20] = torch.tensor([0.25, 0.5, 0.75])
broken = image.clone()
broken[0, 40, 70, 1] = float("nan")
many = torch.arange(60.0)[:, None, None, None].expand(60, 16, 16, 3) / 60
deep = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).double()
numbers = [3.0, 1.0, 2.0]
sound = {"waveform": torch.zeros(1, 1, 800), "sample_rate": 8000}
"""
GREYS = ("torch.full((1, 64, 96, 3), 0.5)", "torch.full((1, 64, 96, 3), 0.54)")
ALL = [("image",), ("broken",), GREYS, ("many",), ("deep",), ("numbers",), ("sound",)]


def test_every_view_is_alive_and_hides_what_is_kept_for_later(notebook):
    for values in ALL:
        shown = inspect(notebook, *values)
        assert shown.locator(".cnb-inspect").count() == 1
        assert not shown.locator(".comfy-nb-value").is_visible()


def test_views_that_rest_ask_the_kernel_for_nothing(notebook):
    for values in ALL:
        inspect(notebook, *values)
    notebook.page.evaluate(
        "() => { window.asked = 0; const { send } = WebSocket.prototype;"
        " WebSocket.prototype.send = function (data) { window.asked++; send.call(this, data) } }"
    )
    notebook.page.wait_for_timeout(1_500)
    assert notebook.page.evaluate("window.asked") <= len(ALL)


def test_zoom_leads_to_pixels_with_their_values(notebook):
    shown = inspect(notebook, "image")
    assert rectangle(shown) == [0, 0, 96, 64]
    stage(shown).focus()
    for _ in range(9):
        notebook.page.keyboard.press("+")
    until(shown, "Number(canvas.dataset.shown.split(' ')[0]) > 20")
    x0, y0, x1, y1 = rectangle(shown)
    assert x1 - x0 < 40 and y1 - y0 < 24
    notebook.page.keyboard.press("0")
    until(shown, "canvas.dataset.shown === '0 0 96 64'")


def test_the_pixel_under_the_pointer_is_read_out(notebook):
    shown = inspect(notebook, "image")
    canvas = stage(shown)
    box = canvas.bounding_box()
    scale = min(box["width"] / 96, box["height"] / 64)
    left = (box["width"] - 96 * scale) / 2
    canvas.hover(position={"x": left + 20.5 * scale, "y": (box["height"] - 64 * scale) / 2 + 10.5 * scale})
    readout(shown).get_by_text("row 10, column 20: R 0.25 G 0.5 B 0.75").wait_for(timeout=PATIENCE_MS)


def test_a_drag_moves_an_enlarged_picture(notebook):
    shown = inspect(notebook, "image")
    canvas, mouse = stage(shown), notebook.page.mouse
    for _ in range(4):
        press(shown, "Zoom in (+)")
    until(shown, "Number(canvas.dataset.shown.split(' ')[0]) > 35")  # all four of them
    before = rectangle(shown)[0]
    canvas.hover(position={"x": 200, "y": 100})
    box = canvas.bounding_box()
    mouse.down()
    mouse.move(box["x"] + 350, box["y"] + 100, steps=4)
    mouse.up()
    until(shown, f"Number(canvas.dataset.shown.split(' ')[0]) < {before}")


def test_a_planted_nan_is_called_out_and_gone_to(notebook):
    shown = inspect(notebook, "broken")
    alarm = shown.locator(".cnb-inspect-alarm")
    assert "1 of 18,432 values is NaN; the first is at [0, 40, 70, 1]" in alarm.inner_text()
    press(shown, "Show the first value that is not finite")
    until(shown, "Number(canvas.dataset.shown.split(' ')[0]) > 50")
    box = stage(shown).bounding_box()
    middle = json.dumps([box["width"] / 2 - 20, box["height"] / 2 - 20])
    until(shown, f"{{ const [r, g, b] = ({INK})(canvas, {middle}); return r > 250 && g < 5 && b > 250; }}")


def grey_at(shown, fraction: float, value: int) -> None:
    """Wait until the picture has a grey of this value (0..255) at a fraction of its width."""
    until(shown, f"Math.abs(({INK})(canvas, [canvas.clientWidth * {fraction}, 200])[0] - {value}) < 3")


def test_two_are_compared_by_a_divider_and_by_their_difference(notebook):
    shown = inspect(notebook, *GREYS)
    press(shown, "Both, with a divider to move")
    shown.get_by_role("slider", name="Divider").fill("40")
    grey_at(shown, 0.35, 128)
    grey_at(shown, 0.45, 138)
    press(shown, "How far they differ, ten times brighter")
    grey_at(shown, 0.5, 102)


def test_a_batch_is_leafed_through_and_opened(notebook):
    shown = inspect(notebook, "many")
    readout(shown).get_by_text("1 to 24 of 60").wait_for(timeout=PATIENCE_MS)
    press(shown, "Next (Page Down)")
    readout(shown).get_by_text("25 to 48 of 60").wait_for(timeout=PATIENCE_MS)
    stage(shown).click(position={"x": 8, "y": 8})
    until(shown, "canvas.dataset.shown === '0 0 16 16'")
    number = shown.get_by_role("spinbutton")
    assert number.input_value() == "25"
    stage(shown).press("PageDown")
    assert number.input_value() == "26"


def test_axes_of_a_tensor_are_chosen(notebook):
    shown = inspect(notebook, "deep")
    shown.get_by_role("slider", name="axis 0").fill("1")
    shown.get_by_role("combobox", name="rows").select_option("1")
    until(shown, "canvas.dataset.shown === '0 0 5 3'")
    stage(shown).hover()
    readout(shown).get_by_text("row 1, column 2: 82").wait_for(timeout=PATIENCE_MS)


def test_numbers_are_a_curve_to_point_at(notebook):
    shown = inspect(notebook, "numbers")
    canvas = shown.locator("canvas.cnb-inspect-plot")
    canvas.focus()
    canvas.press("ArrowRight")
    canvas.press("ArrowRight")
    assert readout(shown).inner_text() == "1: 1"


def test_a_sound_is_loaded_to_be_played(notebook):
    shown = inspect(notebook, "sound")
    press(shown, "Load the audio and play it")
    player = shown.locator("audio")
    player.wait_for(timeout=PATIENCE_MS)
    notebook.page.wait_for_function(
        "player => player.duration === 0.1", arg=player.element_handle(), timeout=PATIENCE_MS
    )


def test_the_histogram_can_be_logarithmic(notebook):
    shown = inspect(notebook, "image")
    press(shown, "Logarithmic heights")
    toggle = shown.get_by_role("button", name="Logarithmic heights")
    assert toggle.get_attribute("aria-pressed") == "true"


def test_a_saved_notebook_keeps_pictures_numbers_and_words(notebook):
    for values in ALL:
        inspect(notebook, *values)
    kept = [cell.outputs[0].data for cell in notebook.save()[1:]]
    pages = [data["text/html"] for data in kept]
    assert all(len(page) < 300_000 for page in pages)
    assert ["<img" in page for page in pages] == [True] * 5 + [False] * 2
    assert ["<svg" in page for page in pages] == [True] * 7
    assert "WARNING: 1 of 18,432 values is NaN" in pages[1]
    assert kept[5]["text/plain"].startswith("array [3] float64")
