"""A breakpoint in a real JupyterLab: the value is shown with what to do about it, and HTML is left in the end."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

PATIENCE_MS = 20_000
PREPARE = """
import torch
import comfy_nb as nb
grey = nb.nodes.EmptyImage(width=32, height=16, color=0x808080)
white = nb.nodes.ImageInvert(grey)
point = nb.breakpoint(grey)
"""


def pause_of(shown):
    """The element that shows the pause of a cell."""
    pause = shown.locator(".cnb-pause")
    pause.wait_for(timeout=PATIENCE_MS)
    return pause


def test_the_value_is_there_to_look_at_and_another_goes_on_by_the_return_key(notebook):
    shown = notebook.start_cell("picture = await white\npicture.shape, float(picture.mean())")
    pause = pause_of(shown)
    shown.locator(".cnb-inspect canvas").first.wait_for(timeout=PATIENCE_MS)
    assert "EmptyImage (node 1), output 0" in pause.inner_text()
    field = pause.locator(".cnb-pause-field")
    field.fill("x * nothing")
    field.press("Enter")
    pause.get_by_text("NameError: name 'nothing' is not defined").wait_for(timeout=PATIENCE_MS)
    field.fill("torch.zeros_like(x)[:, :8]")
    field.press("Enter")
    notebook.wait_idle()
    shown.get_by_text("continued with another value").wait_for(timeout=PATIENCE_MS)
    assert "(torch.Size([1, 8, 32, 3]), 1.0)" in shown.inner_text()
    assert shown.locator("img").filter(visible=True).count() == 2


def test_a_background_run_is_stopped_at_its_breakpoint(notebook):
    shown = notebook.start_cell("job = white.fresh().start()")
    pause_of(shown).get_by_text("Stop").click()
    shown.get_by_text("the run was stopped").first.wait_for(timeout=PATIENCE_MS)
    assert shown.locator(".cnb-pause").count() == 0
