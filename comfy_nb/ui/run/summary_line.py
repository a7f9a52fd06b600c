"""Runs that end quickly leave one faint line below their cell, however many there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from comfy_nb.ui.jupyter.cell_output import CellOutput, Output, cell_key
from comfy_nb.ui.jupyter.cells import CellRef, cells
from comfy_nb.ui.run.html import faint
from comfy_nb.ui.run.snapshot import RunSnapshot, merge
from comfy_nb.wording import count, encodable, format_seconds

REDRAW_S = 0.2
ROWS_MAX = 60  # in the text that stands for the line where there is no HTML, as in a log


class SummaryLine:
    """The line of one cell; several runs become one sentence. It is redrawn at most five times a second."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._runs = 0
        self._ran = self._cached = 0
        self._seconds = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None  # the one that will redraw it
        self._is_stale = False
        self._rows: list[str] = []
        self.text = ""

    def add(self, snapshot: RunSnapshot) -> None:
        """Add a run that has ended."""
        self._runs += 1
        self._ran += snapshot.ran
        self._cached += snapshot.cached
        self._seconds += snapshot.elapsed(snapshot.started)
        if len(self._rows) <= ROWS_MAX:
            computed = [row for row in merge([snapshot]).rows if row.state != "cached"]
            self._rows += [encodable(line) for row in computed for line in row.as_lines(snapshot.started)]
        self.text = f"{snapshot.glyph} {snapshot.headline(snapshot.started)}" if self._runs == 1 else self._sentence()
        if self._loop is None or self._loop.is_closed():
            self._draw()
        else:
            self._is_stale = True
            cells.at_end(self, self._draw_if_stale)

    def _sentence(self) -> str:
        counts = f"{count(self._ran, 'node')} ran, {self._cached:,} from cache"
        return f"✓ {count(self._runs, 'run')}: {counts}, {format_seconds(self._seconds)}"

    def _draw(self) -> None:
        rows = self._rows[:ROWS_MAX]
        more = ["  …"] if len(self._rows) > ROWS_MAX else []
        self._output.show({"text/html": faint(self.text), "text/plain": "\n".join([self.text, *rows, *more])})
        self._is_stale = False
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(REDRAW_S, self._redraw)

    def _redraw(self) -> None:
        self._loop = None
        self._draw_if_stale()

    def _draw_if_stale(self) -> None:
        if self._is_stale:
            self._draw()


class SummaryLines:
    """Finds the line of a cell. `make` makes a cell's output, `key` identifies a cell."""

    def __init__(
        self, make: Callable[[CellRef | None], Output] = CellOutput, key: Callable[[CellRef | None], str] = cell_key
    ) -> None:
        self._make = make
        self._key = key
        self._newest: tuple[str, SummaryLine] | None = None

    def of(self, cell: CellRef | None = None) -> SummaryLine:
        """Return the line of a cell, by default of the running one."""
        key = self._key(cell)
        if self._newest is None or self._newest[0] != key:
            self._newest = key, SummaryLine(self._make(cell))
        return self._newest[1]
