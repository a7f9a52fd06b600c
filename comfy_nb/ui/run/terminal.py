"""A run in a terminal: rows that move where there is a screen, plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.events import Event, RunFinished
from comfy_nb.ui.run.model import Board, labels_of
from comfy_nb.ui.run.snapshot import GLYPHS, Row, View, line_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

LINES_MAX = 60
REFRESH_PER_S = 8
BAR_WIDTH = 24
STYLES = {
    "done": "green",
    "cached": "dim",
    "failed": "red",
    "blocked": "yellow",
    "stopped": "yellow",
    "cancelled": "yellow",
    "running": "cyan",
    "waiting": "dim",
}


def watch(run: Any, console: Console | None = None) -> None:
    """Show a run on stderr (or `console`) from its start to its end. Use it as `session.on_run(watch)`."""
    from rich.console import Console

    console = console or Console(stderr=True)
    view = Moving(run, console) if console.is_terminal else Plain(run, console)
    run.subscribe(view.take)


class Moving:
    """Rows with bars, drawn over and over on a thread of Rich, from finished views."""

    def __init__(self, run: Any, console: Console) -> None:
        from rich.live import Live

        self._board = Board(labels_of(run))
        self._view = self._board.view()
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=REFRESH_PER_S, transient=True)
        self._console = console

    def take(self, events: Sequence[Event]) -> None:
        """Fold a batch of events in; the last one of a run leaves its final rows on the screen."""
        self._board.take(events)
        self._view = self._board.view()
        if not self._live.is_started and not self._view.is_over:
            self._live.start()
        if any(isinstance(event, RunFinished) for event in events):
            self._live.stop()
            self._console.print(self.render())

    def render(self) -> RenderableType:
        """Return the newest view for Rich to draw."""
        return to_rich(self._view, time.perf_counter())


class Plain:
    """A line for each node that ended, up to sixty, and one for the run: for logs and pipes."""

    def __init__(self, run: Any, console: Console) -> None:
        self._board = Board(labels_of(run))
        self._console = console
        self._printed = 0

    def take(self, events: Sequence[Event]) -> None:
        """Print what ended in a batch of events."""
        now = time.perf_counter()
        for row in self._board.take(events):
            self._print_row(row, now)
        if any(isinstance(event, RunFinished) for event in events):
            view = self._board.view()
            self._line(f"{view.glyph} {view.headline(now)}")

    def _print_row(self, row: Row, now: float) -> None:
        if row.state == "cached":
            return
        self._printed += 1
        if self._printed <= LINES_MAX or row.state in ("failed", "blocked"):
            self._line(line_of(row, now))
        elif self._printed == LINES_MAX + 1:
            self._line("… the nodes after these are not listed")

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def to_rich(view: View, now: float) -> RenderableType:
    """Return a view as something that Rich prints."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text(f"{view.glyph} {view.headline(now)}", style=STYLES.get(view.state, ""))
    if not view.rows or view.is_all_cached:
        return head
    table = Table.grid(padding=(0, 2))
    for row in view.rows:
        state = Text(f"{GLYPHS[row.state]} {row.state}", style=STYLES[row.state])
        words = "  ".join(word for word in (row.steps, row.note, " ".join(row.text.split())[-60:]) if word)
        table.add_row(Text(row.name), state, _bar(row), Text(row.took(now)), Text(words))
    return Group(head, table, Text(view.folded(), style="dim")) if view.folded() else Group(head, table)


def _bar(row: Row) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    if row.state not in ("running", "waiting"):
        return Text("")
    if row.fraction is None:
        return ProgressBar(pulse=True, width=BAR_WIDTH)
    return ProgressBar(total=1.0, completed=row.fraction, width=BAR_WIDTH)
