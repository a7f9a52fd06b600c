"""What tests of the graph view point at."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator

from tests.browser.harness import NotebookPage


def spot_in_node(notebook: NotebookPage, cell: int, index: int, row_px: float) -> dict[str, float]:
    """Where on the canvas a point of a node is drawn, so many scene pixels below its top."""
    return canvas_of(notebook, cell).evaluate(
        "(canvas, [index, row]) => { const view = canvas.closest('.cnb-graph').graphView;"
        " const [x, y, w] = view.scene.nodes[index].box; const at = view.view;"
        " return { x: (x + w / 2 - at.x) * at.zoom, y: (y + row - at.y) * at.zoom }; }",
        [index, row_px],
    )


def canvas_of(notebook: NotebookPage, cell: int) -> Locator:
    """The canvas of the graph below a cell."""
    return notebook.output(cell).locator(".cnb-graph-canvas")


def view_of(notebook: NotebookPage, cell: int) -> dict[str, float]:
    """The left, the top and the zoom of what is seen."""
    return notebook.output(cell).locator(".cnb-graph").evaluate("root => root.graphView.view")


def value_in(notebook: NotebookPage, cell: int, name: str) -> Any:
    """What the first node of the graph below a cell shows of an input."""
    return (
        notebook.output(cell)
        .locator(".cnb-graph")
        .evaluate("(root, name) => root.graphView.scene.nodes[0].fields.find((each) => each.name === name).value", name)
    )
