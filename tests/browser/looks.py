"""What tests of the tensor view look at and press."""

from __future__ import annotations

import json

from playwright.sync_api import Locator

from tests.browser.harness import NotebookPage

PATIENCE_MS = 20_000
INK = """(canvas, [x, y]) => [...canvas.getContext('2d')
    .getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data]"""


def stage(notebook: NotebookPage, cell: int) -> Locator:
    """The canvas of the picture below a cell."""
    return notebook.output(cell).locator("canvas.cnb-inspect-stage")


def shown(notebook: NotebookPage, cell: int) -> list[float]:
    """The rectangle (x0, y0, x1, y1) that the picture of a cell shows."""
    return [float(at) for at in stage(notebook, cell).get_attribute("data-shown").split()]


def until(notebook: NotebookPage, cell: int, script: str) -> None:
    """Wait until a condition on `canvas`, the picture of a cell, holds."""
    handle = stage(notebook, cell).element_handle()
    notebook.page.wait_for_function(f"canvas => {script}", arg=handle, timeout=PATIENCE_MS)


def until_ink(notebook: NotebookPage, cell: int, across: float, down: float, condition: str) -> None:
    """Wait until the colour (r, g, b) at a fraction of the picture's stage fulfils a condition."""
    at = f"[canvas.clientWidth * {json.dumps(across)}, canvas.clientHeight * {json.dumps(down)}]"
    until(notebook, cell, f"{{ const [r, g, b] = ({INK})(canvas, {at}); return {condition}; }}")


def press(notebook: NotebookPage, cell: int, name: str) -> None:
    """Click a button of the view below a cell."""
    notebook.output(cell).get_by_role("button", name=name, exact=True).click()


def readout(notebook: NotebookPage, cell: int) -> Locator:
    """The line below the picture of a cell."""
    return notebook.output(cell).locator(".cnb-inspect-readout")
