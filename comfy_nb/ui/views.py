"""The views that a person can ask a run or graph for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from comfy_nb.ui.jupyter.cell_output import shell
from comfy_nb.ui.run.html import to_html
from comfy_nb.ui.run.monitor import RunMonitor, monitor_of
from comfy_nb.ui.run.snapshot import merge
from comfy_nb.ui.show_run import follow_here
from comfy_nb.ui.timeline.live import Timeline

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run
    from comfy_nb.graph.model import Graph
    from comfy_nb.ui.graph.view import GraphView
    from comfy_nb.ui.inspect.view import ValueView


class RunPanel:
    """A run's rows: live in the cell that shows this while the run goes on, then as they were at its end."""

    def __init__(self, monitor: RunMonitor) -> None:
        self._monitor = monitor

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if shell() is not None and not self._monitor.is_over:
            follow_here(self._monitor)
        else:
            display({"text/html": self._repr_html_(), "text/plain": repr(self)}, raw=True)

    def _repr_html_(self) -> str:
        return to_html(merge([self._monitor.snapshot()]), time.perf_counter())

    def __repr__(self) -> str:
        return merge([self._monitor.snapshot()]).as_text(time.perf_counter())


def panel(run: Run) -> RunPanel:
    """Return a view of a run's rows."""
    return RunPanel(monitor_of(run))


def timeline(run: Run) -> Timeline:
    """Return a view of a run over time: which node ran when, and where."""
    return Timeline(run)


def inspect(run: Run, node_id: str, slot: int) -> ValueView:
    """Return a view of the value on an output of a node."""
    from comfy_nb.ui.inspect.view import ValueView

    value = run.value(node_id, slot)
    provenance = run.provenance(node_id, slot)
    return ValueView(value, kind=provenance.socket, origin=provenance.describe())


def graph(graph: Graph) -> GraphView:
    """Return a view of a graph, live while it runs."""
    from comfy_nb.ui.graph.view import GraphView

    return GraphView(graph)
