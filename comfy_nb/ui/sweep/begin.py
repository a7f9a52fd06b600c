"""`nb.sweep` begins here: its grid, and the widgets that this needs, are loaded only where they can be shown."""

from __future__ import annotations

from comfy_nb.graph.handle import Handle
from comfy_nb.graph.model import Graph
from comfy_nb.graph.node import Node
from comfy_nb.parameters.grid import Axes
from comfy_nb.parameters.sweep import Sweep
from comfy_nb.ui.jupyter.cells import shell
from comfy_nb.ui.sweep.image import draw_grid


def begin(
    source: Graph | Handle,
    axes: Axes,
    output: str | int | Node | Handle | None = None,
    limit: int | None = None,
    timeout: float | None = None,
) -> Sweep:
    """Start a sweep, and in a notebook show its grid below the running cell."""
    sweep = Sweep(source, axes, output, limit, draw_grid, timeout)
    if shell() is not None:
        from comfy_nb.ui.sweep.live import LiveGrid

        LiveGrid(sweep).open()
    return sweep
