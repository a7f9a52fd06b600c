"""`nb.sweep` begins here: its grid, and the widgets that this needs, are loaded only where they can be shown."""

from __future__ import annotations

from comfy_nb.graph.handle import Handle
from comfy_nb.graph.model import Graph
from comfy_nb.graph.node import Node
from comfy_nb.parameters.grid import Axes
from comfy_nb.parameters.sweep import Sweep
from comfy_nb.ui.jupyter.cells import shell
from comfy_nb.ui.sweep.image import draw_grid


class ShownSweep(Sweep):
    """A sweep that a notebook shows as its grid, once in a cell."""

    _shown_in = ""

    def show(self) -> None:
        """Show the grid below the running cell, unless it is there."""
        from comfy_nb.ui.jupyter.cell_output import cell_key
        from comfy_nb.ui.sweep.live import LiveGrid

        cell = cell_key()
        if not cell or cell != self._shown_in:
            self._shown_in = cell
            LiveGrid(self).open()

    def _ipython_display_(self) -> None:
        if shell() is not None:
            self.show()
        else:
            print(self)


def begin(
    source: Graph | Handle,
    axes: Axes,
    output: str | int | Node | Handle | None = None,
    limit: int | None = None,
    timeout: float | None = None,
    priority: int | None = None,
) -> Sweep:
    """Start a sweep, and in a notebook show its grid below the running cell."""
    sweep = ShownSweep(source, axes, output, limit, draw_grid, timeout, priority)
    if shell() is not None:
        sweep.show()
    return sweep
