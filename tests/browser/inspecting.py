"""Where to look and click in a tensor view. `shown` is the output of a cell with one such view."""

from __future__ import annotations

import json

from playwright.sync_api import Locator

from tests.browser.harness import NotebookPage

PATIENCE_MS = 20_000
INK = """(canvas, [x, y]) => [...canvas.getContext('2d')
    .getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data]"""


def inspect(notebook: NotebookPage, *values: str) -> Locator:
    """Inspect these values in a new cell; returns its output once they are drawn."""
    shown = notebook.run(f"nb.inspect({', '.join(values)})")
    shown.locator("canvas[data-shown]").wait_for(timeout=PATIENCE_MS)
    return shown


def stage(shown: Locator) -> Locator:
    """The canvas of the picture."""
    return shown.locator("canvas.cnb-inspect-stage")


def rectangle(shown: Locator) -> list[float]:
    """The visible part (x0, y0, x1, y1) of the picture."""
    return [float(at) for at in stage(shown).get_attribute("data-shown").split()]


def until(shown: Locator, condition: str) -> None:
    """Wait until a JavaScript condition on `canvas`, the one of the picture, holds."""
    handle = stage(shown).element_handle()
    shown.page.wait_for_function(f"canvas => {condition}", arg=handle, timeout=PATIENCE_MS)


def until_ink(shown: Locator, across: float, down: float, condition: str) -> None:
    """Wait until the colour (r, g, b) at a fraction of the picture's stage meets a condition."""
    at = f"[canvas.clientWidth * {json.dumps(across)}, canvas.clientHeight * {json.dumps(down)}]"
    until(shown, f"{{ const [r, g, b] = ({INK})(canvas, {at}); return {condition}; }}")


def press(shown: Locator, name: str) -> None:
    """Click a button of the view."""
    shown.get_by_role("button", name=name, exact=True).click()


def readout(shown: Locator) -> Locator:
    """The line below the picture."""
    return shown.locator(".cnb-inspect-readout")
