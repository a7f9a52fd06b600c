"""Controls and sweeps in a real JupyterLab: a drag, a grid that fills, a click, and what the saved page shows."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Locator

pytestmark = pytest.mark.browser

PREPARE = """
import asyncio
from typing import Annotated
import torch
import comfy_nb as nb

@nb.node
def rings(size: Annotated[int, nb.Range(16, 256)] = 96) -> nb.Image:
    across = torch.linspace(-1, 1, size)
    far = (across[:, None] ** 2 + across[None] ** 2).sqrt()
    return (0.5 + 0.5 * torch.cos(far * 12))[None, :, :, None].repeat(1, 1, 1, 3)

@nb.node
async def tint(image: nb.Image, red: Annotated[float, nb.Range(0, 1, step=0.05)] = 0.5, seconds: float = 0) -> nb.Image:
    await asyncio.sleep(seconds)
    if red > 0.9:
        raise ValueError("that is too red")
    return image * torch.tensor([red, 0.4, 1 - red])
"""
CONTROLS = "nb.interact(tint(rings()), red=(0.0, 1.0), size=[64, 96])"
SWEEP = """
graph = nb.Graph(tint(rings(), seconds=0.3))
sweep = await nb.sweep(graph, {"red": [0.1, 0.5, 0.95], "size": [48, 96]})
"""
SLOW = 'slow = nb.sweep(tint(rings(), seconds=30.0), {"red": [0.1, 0.2, 0.3]})'
PATIENCE_S = 20.0


@pytest.fixture
def controls(notebook):
    """The output of a cell with two controls and a picture."""
    shown = notebook.run(CONTROLS)
    shown.get_by_text("done in").first.wait_for()
    return shown


def drag(shown: Locator, share: float) -> None:
    """Drag a slider's handle along the given share of its track, in steps."""
    slider, handle = shown.locator(".noUi-base").first, shown.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    box, start = slider.bounding_box(), handle.bounding_box()
    mouse = shown.page.mouse
    mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + box["width"] * share, start["y"] + start["height"] / 2, steps=12)
    mouse.up()


def visible_pictures(shown: Locator) -> list[str]:
    return [image.get_attribute("src") for image in shown.locator("img").all() if image.is_visible()]


def test_a_dragged_slider_changes_the_picture(notebook, controls):
    (before,) = visible_pictures(controls)
    drag(controls, 0.8)
    notebook.page.wait_for_function(
        "before => [...document.querySelectorAll('.comfy-nb-interact img')].some(image => image.src !== before)",
        arg=before,
    )
    controls.locator(".comfy-nb-interact").get_by_text("1 of 2 nodes ran").wait_for()
    assert len(visible_pictures(controls)) == 1


def test_an_error_is_shown_below_the_controls_and_goes_with_the_next_change(controls):
    drag(controls, 1.0)
    error = controls.locator(".comfy-nb-interact").get_by_text("that is too red")
    error.wait_for()
    drag(controls, 0.2)
    error.wait_for(state="detached")
    assert len(visible_pictures(controls)) == 1


def test_a_grid_fills_and_its_static_twin_is_hidden_meanwhile(notebook):
    shown = notebook.run(SWEEP)
    grid = shown.locator(".cnb-sweep")
    grid.get_by_text("done: 6 of 6 cells, 2 failed").wait_for()
    assert grid.locator("img[src^=blob]").count() == 4
    assert grid.get_by_text("that is too red").count() == 2
    assert grid.locator("th").all_inner_texts() == [
        "red = 0.1",
        "red = 0.5",
        "red = 0.95",
        "size = 48",
        "size = 96",
    ]
    assert not shown.locator(".comfy-nb-sweep").is_visible()


def test_a_click_on_a_cell_shows_it_and_takes_its_parameters(notebook):
    shown = notebook.run(SWEEP)
    shown.get_by_role("button", name="red = 0.1, size = 96").click()
    shown.get_by_text("[1, 96, 96, 3] float32").wait_for()
    shown.locator(".cnb-inspect-stage").wait_for()
    shown.get_by_role("button", name="Take these parameters").click()
    shown.get_by_role("button", name="taken into the graph").wait_for()


def stop(sweep: Locator) -> None:
    """Press the stop button of a sweep and wait for its end."""
    sweep.locator(".cnb-stop-button").click()
    sweep.locator(".cnb-sweep").get_by_text("stopped: 0 of 3 cells").wait_for()


def test_its_stop_button_ends_a_sweep(notebook):
    shown = notebook.run(SLOW)
    stop(shown)
    shown.locator(".cnb-stop-button").wait_for(state="detached")


def saved_html(notebook) -> list[str]:
    """The HTML of each cell in the file, after saving."""
    return ["".join(str(each["data"].get("text/html", "")) for each in cell.outputs) for cell in notebook.save()]


def test_the_saved_page_keeps_the_settings_and_the_grid_as_html(notebook, controls):
    drag(controls, 0.2)
    notebook.run(SWEEP)
    stop(notebook.run(SLOW))
    deadline = time.monotonic() + PATIENCE_S
    while "red = <b>0.2" not in (kept := saved_html(notebook))[1]:  # it is renewed once the controls rest
        assert time.monotonic() < deadline, kept[1]
        notebook.page.wait_for_timeout(100)
    assert kept[1].count("<img") == 1
    assert kept[2].count("<img") == 4 and "that is too red" in kept[2]
    assert "stopped: 0 of 3 cells" in kept[3]
    assert notebook.file.stat().st_size < 300_000
