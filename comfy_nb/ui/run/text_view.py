"""A run as text alone: its final rows, below the cell that began it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from comfy_nb.engine.events import Event, RunFinished
from comfy_nb.ui.jupyter.cell_output import Output
from comfy_nb.ui.run.model import RunModel, names_in

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run


class TextView:
    """Shows one text, when the run has ended."""

    def __init__(self, run: Run, output: Output) -> None:
        self._output = output
        self._model = RunModel(names_in(run))
        run.subscribe(self.on_events)

    def on_events(self, events: Sequence[Event]) -> None:
        """Fold a batch of events in; the end of the run shows the text."""
        self._model.apply(events)
        if any(isinstance(event, RunFinished) for event in events):
            snapshot, now = self._model.snapshot(), time.perf_counter()
            self._output.show({"text/plain": snapshot.as_text(now)})
