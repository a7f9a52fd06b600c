"""The views that a person asks a run for."""

from __future__ import annotations

import time
from typing import Any

from comfy_nb.ui.jupyter.cell_output import shell
from comfy_nb.ui.run.html import to_html
from comfy_nb.ui.run.monitor import Bridge, bridge_of
from comfy_nb.ui.run.snapshot import merge


class RunPanel:
    """A run's rows: live in the cell that shows this while the run goes on, then as they were at its end."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def _ipython_display_(self) -> None:
        from IPython.display import display

        from comfy_nb.ui.notebook import follow

        if shell() is not None and not self._bridge.is_over:
            follow(self._bridge)
        else:
            display({"text/html": self._repr_html_(), "text/plain": repr(self)}, raw=True)

    def _repr_html_(self) -> str:
        return to_html(merge([self._bridge.view()]), time.perf_counter())

    def __repr__(self) -> str:
        return merge([self._bridge.view()]).as_text(time.perf_counter())


def timeline(run: Any) -> Any:
    """Return a view of who did what when."""
    from comfy_nb.ui.timeline.live import Timeline

    return Timeline(run)


def panel(run: Any) -> RunPanel:
    """Return a view of a run's rows."""
    return RunPanel(bridge_of(run))


def inspect(run: Any, node_id: str, slot: int) -> Any:
    """Return a view of what is on an output of a node."""
    from comfy_nb.engine.provenance import maker_in
    from comfy_nb.ui.inspect.view import ValueView

    value = run.value(node_id, slot)
    maker = maker_in(run, node_id, slot)
    return ValueView(value, kind=maker.socket, origin=maker.say())


def graph(graph: Any) -> Any:
    """Return a view of a graph, live while it runs."""
    from comfy_nb.ui.graph.view import GraphView

    return GraphView(graph)
