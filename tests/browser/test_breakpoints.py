"""A breakpoint in a real JupyterLab: the value is shown with what to do about it, and HTML is left in the end."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

PATIENCE_MS = 20_000
CELLS = [
    """
import torch
import comfy_nb as nb
grey = nb.nodes.EmptyImage(width=32, height=16, color=0x808080)
white = nb.nodes.ImageInvert(grey)
point = nb.breakpoint(grey)
""",
    "picture = await white\npicture.shape, float(picture.mean())",
    "job = white.fresh().start()",
]


@pytest.fixture(scope="module")
def notebook(lab):
    lab.write("paused.ipynb", CELLS)
    with lab.open("paused.ipynb") as opened:
        opened.start("notebook:run-cell", 0)
        opened.wait_idle()
        yield opened


def pause_of(notebook, cell):
    """What a cell shows of its pause."""
    notebook.start("notebook:run-cell", cell)
    shown = notebook.output(cell).locator(".cnb-pause")
    shown.wait_for(timeout=PATIENCE_MS)
    return shown


def test_the_value_is_there_to_look_at_and_another_goes_on_by_the_return_key(notebook):
    pause = pause_of(notebook, 1)
    notebook.output(1).locator(".cnb-inspect canvas").first.wait_for(timeout=PATIENCE_MS)
    assert "EmptyImage (node 1), output 0" in pause.inner_text()
    field = pause.locator(".cnb-pause-field")
    field.fill("x * nothing")
    field.press("Enter")
    pause.get_by_text("NameError: name 'nothing' is not defined").wait_for(timeout=PATIENCE_MS)
    field.fill("torch.zeros_like(x)[:, :8]")
    field.press("Enter")
    notebook.wait_idle()
    notebook.output(1).get_by_text("continued with another value").wait_for(timeout=PATIENCE_MS)
    assert "(torch.Size([1, 8, 32, 3]), 1.0)" in notebook.output(1).inner_text()
    assert notebook.output(1).locator("img").count() == 2
    notebook.check()


def test_a_background_run_is_stopped_at_its_breakpoint(notebook):
    pause = pause_of(notebook, 2)
    pause.get_by_text("Stop").click()
    notebook.output(2).get_by_text("the run was stopped").wait_for(timeout=PATIENCE_MS)
    assert notebook.output(2).locator(".cnb-pause").count() == 0
    notebook.check()
