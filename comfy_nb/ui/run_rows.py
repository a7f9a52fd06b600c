"""The view of a run that `run.panel` is."""

from __future__ import annotations

import time

from comfy_nb.ui.jupyter.cells import shell
from comfy_nb.ui.run.html import to_html
from comfy_nb.ui.run.monitor import RunMonitor
from comfy_nb.ui.run.snapshot import labelled
from comfy_nb.ui.show_run import follow_here, is_shown_here


class RunRows:
    """A run's rows: live in the cell that shows this while the run goes on, then as they were at its end.

    The cell that began the run shows them anyway.
    """

    def __init__(self, monitor: RunMonitor) -> None:
        self._monitor = monitor

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if shell() is not None and not self._monitor.is_over:
            if not is_shown_here(self._monitor.run):
                follow_here(self._monitor)
        else:
            display({"text/html": self._repr_html_(), "text/plain": repr(self)}, raw=True)

    def _repr_html_(self) -> str:
        return to_html(labelled(self._monitor.snapshot()), time.perf_counter())

    def __repr__(self) -> str:
        return labelled(self._monitor.snapshot()).as_text(time.perf_counter())
