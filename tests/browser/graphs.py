"""Where to find and click things in a graph view. `shown` is the output of a cell with one such view."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator

ROW_PX = 24
FIRST_ROW_PX = 30 + 20
"""Distance from the top of a node to its first input."""


def show(notebook: Any, source: str) -> Locator:
    """Run a cell that shows a graph, and return its output once the view is there."""
    shown: Locator = notebook.run(source)
    view_of(shown).wait_for()
    return shown


def view_of(shown: Locator) -> Locator:
    """The root element of the view; its `graphView` property in the page is the view object."""
    return shown.locator(".cnb-graph")


def canvas_of(shown: Locator) -> Locator:
    """The canvas of the graph."""
    return shown.locator(".cnb-graph-canvas")


def spot_in_node(shown: Locator, index: int, row_px: float) -> dict[str, float]:
    """The position on the canvas of a point `row_px` scene pixels below the top of a node."""
    return canvas_of(shown).evaluate(
        "(canvas, [index, row]) => { const view = canvas.closest('.cnb-graph').graphView;"
        " const [x, y, w] = view.scene.nodes[index].box; const at = view.view;"
        " return { x: (x + w / 2 - at.x) * at.zoom, y: (y + row - at.y) * at.zoom }; }",
        [index, row_px],
    )


def camera_of(shown: Locator) -> dict[str, float]:
    """The left, top and zoom of the visible part."""
    return view_of(shown).evaluate("root => root.graphView.view")


def value_in(shown: Locator, name: str) -> Any:
    """The value that the first node shows for an input."""
    return view_of(shown).evaluate(
        "(root, name) => root.graphView.scene.nodes[0].fields.find((each) => each.name === name).value", name
    )


def until(shown: Locator, condition: str, arg: Any = None) -> None:
    """Wait until a JavaScript condition on `root` (the element of the view) and `arg` holds."""
    shown.page.wait_for_function(f"([root, arg]) => {condition}", arg=[view_of(shown).element_handle(), arg])
