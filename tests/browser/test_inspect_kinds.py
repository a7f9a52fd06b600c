"""How the tensor view shows each kind of value, in a real JupyterLab."""

from __future__ import annotations

import json

import pytest

from tests.browser.inspecting import PATIENCE_MS, inspect, press, readout, rectangle, stage, until, until_ink

pytestmark = pytest.mark.browser

PREPARE = """
import matplotlib.pyplot
import pandas
import torch
import comfy_nb as nb
from PIL import Image
grey = torch.full((1, 64, 128, 3), 0.5)
mask = torch.zeros(1, 64, 128)
mask[:, :, :64] = 1.0
latent = {"samples": torch.arange(1024.0).reshape(1, 4, 16, 16).sin(), "noise_mask": torch.zeros(1, 16, 16)}
glass = torch.ones(1, 64, 128, 4)
glass[..., 1:3] = 0.0
glass[:, :, :64, 3] = 0.0
tokens = torch.arange(77.0)[None, :, None].expand(1, 77, 64)
deep = {"latent": latent, "prompts": ["a cat", "a dog"], "more": {"sigmas": [3.0, 2.0, 1.0, 0.0], "steps": 4}}
large = torch.zeros(1, 2_000, 2_000, 3)
large[0, 1_234, 777, 1] = float("nan")
figure, axes = matplotlib.pyplot.subplots(figsize=(2, 1))
axes.plot([1, 3, 2])
matplotlib.pyplot.close(figure)
conditioning = [[tokens, {"pooled_output": torch.arange(8.0)[None]}]]
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU()).half().eval()
text = "Zwei Zeilen\\n<b>und</b> ein ☂"
picture = Image.new("RGB", (128, 64), (200, 100, 0))
frame = pandas.DataFrame({"size": [1, 2], "name": ["small", "large"]})
"""
CELL = """((canvas, column, row) => {  // the least and the most blue in the middle of one of 8 x 8 cells
    const [side, left] = [canvas.height / 8, canvas.width / 2 - canvas.height / 2];
    const pen = canvas.getContext("2d");
    const { data } = pen.getImageData(left + (column + 0.4) * side, (row + 0.4) * side, side / 5, side / 5);
    const blue = [...data].filter((_, at) => at % 4 === 2);
    return [Math.min(...blue), Math.max(...blue)];
})"""


def test_what_is_large_is_sampled_at_once_and_then_looked_at_in_full(notebook):
    shown = inspect(notebook, "large")
    alarm = shown.locator(".cnb-inspect-alarm")
    alarm.get_by_text("1 of 12,000,000 values is NaN; the first is at [0, 1234, 777, 1]").wait_for(timeout=PATIENCE_MS)
    assert "no NaN, no infinity in the sample" in notebook.save()[-1].outputs[0].data["text/plain"]
    press(shown, "Show the first value that is not finite")
    until_ink(shown, 0.49, 0.49, "r > 250 && g < 5 && b > 250")


def test_a_mask_is_red_over_its_image_and_can_be_seen_alone(notebook):
    shown = inspect(notebook, "mask", "grey")
    until_ink(shown, 0.25, 0.5, "r > 150 && g < 110 && b < 110")
    until_ink(shown, 0.75, 0.5, "Math.abs(r - 128) < 3 && Math.abs(b - 128) < 3")
    press(shown, "The mask alone")
    until_ink(shown, 0.25, 0.5, "r > 250 && g > 250 && b > 250")
    press(shown, "The image alone")
    until_ink(shown, 0.25, 0.5, "Math.abs(r - 128) < 3")


def test_a_value_in_its_cell_is_black_on_a_light_colour_and_white_on_a_dark_one(notebook):
    shown = inspect(notebook, "torch.eye(8) > 0")
    until(shown, f"{CELL}(canvas, 0, 0)[0] < 60")
    until(shown, f"{CELL}(canvas, 1, 0)[1] > 200")
    assert stage(shown).evaluate(f"canvas => {CELL}(canvas, 0, 0)[1]") < 220  # pale yellow, and no white


def test_a_latent_is_seen_in_colours_by_channel_and_side_by_side(notebook):
    shown = inspect(notebook, "latent")
    assert shown.get_by_role("button", name="Show samples", exact=True).get_attribute("aria-pressed") == "true"
    assert "[1, 4, 16, 16] float32" in shown.locator(".cnb-inspect-statistics").inner_text()
    assert (
        shown.get_by_role("button", name="The three main components as colours").get_attribute("aria-pressed") == "true"
    )
    until_ink(shown, 0.5, 0.5, "r !== g || g !== b")
    coloured = stage(shown).evaluate("canvas => canvas.toDataURL()")
    press(shown, "Channel 3 alone")
    until(shown, f"canvas.toDataURL() !== {json.dumps(coloured)}")
    assert shown.get_by_role("button", name="Channel 3 alone").get_attribute("aria-pressed") == "true"
    press(shown, "All channels side by side")
    readout(shown).get_by_text("1 to 4 of 4; click one to open it").wait_for(timeout=PATIENCE_MS)
    stage(shown).press("Enter")
    until(shown, "canvas.dataset.shown === '0 0 16 16'")
    assert shown.get_by_role("button", name="Channel 0 alone").get_attribute("aria-pressed") == "true"


def test_a_checker_is_seen_through_what_is_transparent(notebook):
    shown = inspect(notebook, "glass")
    until_ink(shown, 0.75, 0.5, "r > 250 && g < 5 && b < 5")
    until(shown, "canvas.clientWidth > 64")
    inks = stage(shown).evaluate(
        "canvas => [4, 12, 20].map(x => canvas.getContext('2d')"
        ".getImageData((canvas.clientWidth / 4 + x) * devicePixelRatio, 4 * devicePixelRatio, 1, 1).data[1])"
    )
    assert inks[0] != inks[1] and inks[0] == inks[2] and set(inks) == {0xBB, 0xEE}
    press(shown, "Channel A alone")
    until_ink(shown, 0.25, 0.5, "r < 5 && g < 5 && b < 5")


def test_conditioning_is_tokens_by_dimensions_and_what_is_pooled(notebook):
    shown = inspect(notebook, "conditioning")
    assert rectangle(shown) == [0, 0, 64, 77]
    press(shown, "Show [0][1].pooled_output")
    until(shown, "canvas.dataset.shown === '0 0 8 1'")
    assert "[1, 8] float32" in shown.locator(".cnb-inspect-statistics").inner_text()


def test_a_dict_is_a_tree_of_its_parts(notebook):
    shown = inspect(notebook, "deep")
    parts = shown.get_by_role("group", name="Parts")
    assert parts.get_by_role("button").all_inner_texts() == [
        "latent.samples",
        "latent.noise_mask",
        "prompts[0]",
        "prompts[1]",
        "more.sigmas",
        "more.steps",
    ]
    press(shown, "Show prompts[1]")
    shown.get_by_label("Text").get_by_text("a dog").wait_for()
    press(shown, "Show more.sigmas")
    curve = shown.locator("canvas.cnb-inspect-plot[data-shown]")
    curve.wait_for(timeout=PATIENCE_MS)
    curve.press("End")
    readout(shown).get_by_text("3: 0").wait_for()


def test_a_model_is_told_in_words(notebook):
    shown = notebook.run("nb.inspect(model)")
    shown.get_by_text("16 parameters").first.wait_for(timeout=PATIENCE_MS)
    words = shown.inner_text()
    assert "Sequential\n16 parameters" in words and "float16, on cpu" in words and "evaluating" in words


def test_a_text_is_shown_as_it_is(notebook):
    shown = notebook.run("nb.inspect(text)")
    shown.get_by_text("ein ☂").first.wait_for(timeout=PATIENCE_MS)
    assert "Zwei Zeilen\n<b>und</b> ein ☂" in shown.inner_text()


def test_a_picture_of_pil_is_seen_in_its_colours(notebook):
    until_ink(inspect(notebook, "picture"), 0.5, 0.5, "r === 200 && g === 100 && b === 0")


def test_a_table_and_a_figure_are_shown_in_their_own_way(notebook):
    cells = notebook.run("nb.inspect(frame)").locator("table.dataframe td")
    cells.first.wait_for(timeout=PATIENCE_MS)
    assert cells.all_inner_texts() == ["1", "small", "2", "large"]
    notebook.run("nb.inspect(figure)").locator("img").wait_for(timeout=PATIENCE_MS)
