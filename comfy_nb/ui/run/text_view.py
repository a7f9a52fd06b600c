"""A run as text alone: its final rows, in the place of the cell that began it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from comfy_nb.engine.events import Event, RunFinished
from comfy_nb.ui.jupyter.cell_output import Output
from comfy_nb.ui.run.model import Board, labels_of


class TextView:
    """Shows one text when the run has ended."""

    def __init__(self, run: Any, output: Output) -> None:
        self._output = output
        self._board = Board(labels_of(run))
        run.subscribe(self.take)

    def take(self, events: Sequence[Event]) -> None:
        """Fold a batch of events in; the last one of a run shows the text."""
        self._board.take(events)
        if any(isinstance(event, RunFinished) for event in events):
            view, now = self._board.view(), time.perf_counter()
            self._output.show({"text/plain": view.as_text(now)})
