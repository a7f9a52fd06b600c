"""The tensor view in a real JupyterLab: what a person sees, and can do with hands and keys."""

from __future__ import annotations

import json

import pytest

from tests.browser.looks import INK, PATIENCE_MS, press, readout, shown, stage, until

pytestmark = pytest.mark.browser

PREPARE = """
import torch
import comfy_nb as nb
image = torch.rand(1, 64, 96, 3)
image[0, 10, 20] = torch.tensor([0.25, 0.5, 0.75])
"""
CELLS = (
    "nb.inspect(image)",
    "broken = image.clone(); broken[0, 40, 70, 1] = float('nan'); nb.inspect(broken)",
    "nb.inspect(torch.full((1, 64, 96, 3), 0.5), torch.full((1, 64, 96, 3), 0.54))",
    "nb.inspect(torch.arange(60.0)[:, None, None, None].expand(60, 16, 16, 3) / 60)",
    "nb.inspect(torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).double())",
    "nb.inspect([3.0, 1.0, 2.0])",
    "nb.inspect({'waveform': torch.zeros(1, 1, 800), 'sample_rate': 8000})",
)


@pytest.fixture(scope="module")
def notebook(lab):
    """A notebook of views, all of them drawn."""
    name = lab.write("look.ipynb", [PREPARE, *CELLS])
    with lab.open(name) as opened:
        opened.run_all()
        for cell in range(1, len(CELLS) + 1):
            opened.output(cell).locator("canvas[data-shown]").wait_for(timeout=PATIENCE_MS)
        yield opened


def test_every_view_is_alive_and_hides_what_is_kept_for_later(notebook):
    notebook.check()
    for cell in range(1, len(CELLS) + 1):
        assert notebook.output(cell).locator(".cnb-inspect").count() == 1
        assert not notebook.output(cell).locator(".comfy-nb-value").is_visible()


def test_views_that_rest_ask_the_kernel_for_nothing(notebook):
    count = "window.asked = 0; const send = WebSocket.prototype.send;"
    count += "WebSocket.prototype.send = function (data) { window.asked++; send.call(this, data) }"
    notebook.page.evaluate(f"() => {{ {count} }}")
    notebook.page.wait_for_timeout(1_500)
    assert notebook.page.evaluate("window.asked") <= len(CELLS)


def test_zoom_leads_to_pixels_with_their_values(notebook):
    canvas = stage(notebook, 1)
    assert shown(notebook, 1) == [0, 0, 96, 64]
    canvas.focus()
    for _ in range(9):
        notebook.page.keyboard.press("+")
    until(notebook, 1, "Number(canvas.dataset.shown.split(' ')[0]) > 20")
    x0, y0, x1, y1 = shown(notebook, 1)
    assert x1 - x0 < 40 and y1 - y0 < 24
    notebook.page.keyboard.press("0")
    until(notebook, 1, "canvas.dataset.shown === '0 0 96 64'")


def test_the_pixel_under_the_pointer_is_read_out(notebook):
    canvas = stage(notebook, 1)
    box = canvas.bounding_box()
    scale = min(box["width"] / 96, box["height"] / 64)
    left = (box["width"] - 96 * scale) / 2
    canvas.hover(position={"x": left + 20.5 * scale, "y": (box["height"] - 64 * scale) / 2 + 10.5 * scale})
    readout(notebook, 1).get_by_text("row 10, column 20: R 0.25 G 0.5 B 0.75").wait_for(timeout=PATIENCE_MS)


def test_a_drag_moves_an_enlarged_picture(notebook):
    canvas, mouse = stage(notebook, 1), notebook.page.mouse
    for _ in range(4):
        press(notebook, 1, "Zoom in (+)")
    until(notebook, 1, "Number(canvas.dataset.shown.split(' ')[0]) > 35")  # all four of them
    before = shown(notebook, 1)[0]
    canvas.hover(position={"x": 200, "y": 100})
    box = canvas.bounding_box()
    mouse.down()
    mouse.move(box["x"] + 350, box["y"] + 100, steps=4)
    mouse.up()
    until(notebook, 1, f"Number(canvas.dataset.shown.split(' ')[0]) < {before}")
    press(notebook, 1, "Show all of it (0)")


def test_a_planted_nan_is_called_out_and_gone_to(notebook):
    alarm = notebook.output(2).locator(".cnb-inspect-alarm")
    assert "1 of 18,432 values is NaN; the first is at [0, 40, 70, 1]" in alarm.inner_text()
    press(notebook, 2, "Show the first value that is not finite")
    until(notebook, 2, "Number(canvas.dataset.shown.split(' ')[0]) > 50")
    box = stage(notebook, 2).bounding_box()
    middle = [box["width"] / 2 - 20, box["height"] / 2 - 20]
    notebook.page.wait_for_function(
        f"canvas => {{ const [r, g, b] = ({INK})(canvas, {json.dumps(middle)}); return r > 250 && g < 5 && b > 250; }}",
        arg=stage(notebook, 2).element_handle(),
        timeout=PATIENCE_MS,
    )


def grey_at(notebook, cell, fraction: float, value: int) -> None:
    """Wait until the picture of a cell is grey of a value (0..255) at a fraction of its width."""
    until(notebook, cell, f"Math.abs(({INK})(canvas, [canvas.clientWidth * {fraction}, 200])[0] - {value}) < 3")


def test_two_are_compared_by_a_divider_and_by_their_difference(notebook):
    press(notebook, 3, "Both, with a divider to move")
    notebook.output(3).get_by_role("slider", name="Divider").fill("40")
    grey_at(notebook, 3, 0.35, 128)
    grey_at(notebook, 3, 0.45, 138)
    press(notebook, 3, "How far they differ, ten times brighter")
    grey_at(notebook, 3, 0.5, 102)


def test_a_batch_is_leafed_through_and_opened(notebook):
    assert "1 to 24 of 60" in readout(notebook, 4).inner_text()
    press(notebook, 4, "Next (Page Down)")
    readout(notebook, 4).get_by_text("25 to 48 of 60").wait_for(timeout=PATIENCE_MS)
    stage(notebook, 4).click(position={"x": 8, "y": 8})
    until(notebook, 4, "canvas.dataset.shown === '0 0 16 16'")
    number = notebook.output(4).get_by_role("spinbutton")
    assert number.input_value() == "25"
    stage(notebook, 4).press("PageDown")
    assert number.input_value() == "26"


def test_axes_of_a_tensor_are_chosen(notebook):
    output = notebook.output(5)
    output.get_by_role("slider", name="axis 0").fill("1")
    output.get_by_role("combobox", name="rows").select_option("1")
    until(notebook, 5, "canvas.dataset.shown === '0 0 5 3'")
    stage(notebook, 5).hover()
    readout(notebook, 5).get_by_text("row 1, column 2: 82").wait_for(timeout=PATIENCE_MS)


def test_numbers_are_a_curve_to_point_at(notebook):
    canvas = notebook.output(6).locator("canvas.cnb-inspect-plot")
    canvas.focus()
    canvas.press("ArrowRight")
    canvas.press("ArrowRight")
    assert readout(notebook, 6).inner_text() == "1: 1"


def test_a_sound_is_loaded_to_be_played(notebook):
    press(notebook, 7, "Load the audio and play it")
    sound = notebook.output(7).locator("audio")
    sound.wait_for(timeout=PATIENCE_MS)
    notebook.page.wait_for_function("sound => sound.duration === 0.1", arg=sound.element_handle(), timeout=PATIENCE_MS)


def test_the_histogram_can_be_logarithmic(notebook):
    press(notebook, 1, "Logarithmic heights")
    toggle = notebook.output(1).get_by_role("button", name="Logarithmic heights")
    assert toggle.get_attribute("aria-pressed") == "true"


def test_a_saved_notebook_keeps_pictures_numbers_and_words(notebook):
    outputs = notebook.page.evaluate(
        "window.notebookPanel().content.widgets.slice(1).map(cell => cell.model.outputs.toJSON()[0].data)"
    )
    pages = [output["text/html"] for output in outputs]
    assert all(len(page) < 300_000 for page in pages)
    assert ["<img" in page for page in pages] == [True] * 5 + [False] * 2
    assert ["<svg" in page for page in pages] == [True] * 7
    assert "WARNING: 1 of 18,432 values is NaN" in pages[1]
    assert outputs[5]["text/plain"].startswith("array [3] float64")
