"""What tests of the graph view point at. `shown` is the output of a cell with one such view."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator

ROW_PX = 24
FIRST_ROW_PX = 30 + 20
"""Where the rows of a node's inputs begin, below its top."""


def view_of(shown: Locator) -> Locator:
    """The element of the view; in the page its `graphView` is the view itself."""
    return shown.locator(".cnb-graph")


def canvas_of(shown: Locator) -> Locator:
    """The canvas of the graph."""
    return shown.locator(".cnb-graph-canvas")


def spot_in_node(shown: Locator, index: int, row_px: float) -> dict[str, float]:
    """Where on the canvas a point of a node is drawn, so many scene pixels below its top."""
    return canvas_of(shown).evaluate(
        "(canvas, [index, row]) => { const view = canvas.closest('.cnb-graph').graphView;"
        " const [x, y, w] = view.scene.nodes[index].box; const at = view.view;"
        " return { x: (x + w / 2 - at.x) * at.zoom, y: (y + row - at.y) * at.zoom }; }",
        [index, row_px],
    )


def camera_of(shown: Locator) -> dict[str, float]:
    """The left, the top and the zoom of what is seen."""
    return view_of(shown).evaluate("root => root.graphView.view")


def value_in(shown: Locator, name: str) -> Any:
    """What the first node shows of an input."""
    return view_of(shown).evaluate(
        "(root, name) => root.graphView.scene.nodes[0].fields.find((each) => each.name === name).value", name
    )


def until(shown: Locator, condition: str, arg: Any = None) -> None:
    """Wait until a condition on `root`, the element of the view, and on `arg` holds."""
    shown.page.wait_for_function(f"([root, arg]) => {condition}", arg=[view_of(shown).element_handle(), arg])
