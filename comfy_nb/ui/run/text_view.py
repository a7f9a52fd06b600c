"""A run as text alone: its final rows, below the cell that began it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from comfy_nb.engine.events import Event, RunFinished
from comfy_nb.ui.jupyter.capture import capture
from comfy_nb.ui.jupyter.cell_output import Output, unfinished
from comfy_nb.ui.run.model import RunModel, names_in

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run


class TextView:
    """Shows one text: when the run has ended, or what is known of it when its cell ends before."""

    def __init__(self, run: Run, output: Output) -> None:
        self._output = output
        self._is_shown = False
        self._model = RunModel(names_in(run))
        self._run = run
        if run.in_background:  # else its prints are below its cell anyway, and at once
            capture.start(run)
        run.subscribe(self.on_events)

    def on_events(self, events: Sequence[Event]) -> None:
        """Fold a batch of events in; the end of the run shows the text."""
        self._model.apply(events)
        if any(isinstance(event, RunFinished) for event in events):
            capture.stop(self._run)
            self._is_shown = True
            self._output.show(self._static())

    def show_now(self) -> None:
        """Show the run if it is not shown yet: its cell is about to end."""
        if not self._is_shown:
            self._is_shown = True
            self._output.show(unfinished(self._static()))

    def _static(self) -> dict[str, str]:
        return {"text/plain": self._model.snapshot().as_text(time.perf_counter())}
