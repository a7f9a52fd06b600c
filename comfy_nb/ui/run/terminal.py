"""A run in a terminal: live rows on a screen, plain lines in logs and pipes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from comfy_nb.engine.events import Event, RunFinished, RunQueued, RunRefused, Subscriber
from comfy_nb.ui.run.model import RunModel, names_in
from comfy_nb.ui.run.snapshot import GLYPHS, Row, RunSnapshot, format_row

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from comfy_nb.engine.run import Run

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


def watch(run: Run, console: Console | None = None) -> None:
    """Show a run on stderr (or `console`) from its start to its end. Use it as `session.on_run(watch)`."""
    from rich.console import Console

    console = console or Console(stderr=True)
    screen = LiveTerminal(run, console) if console.is_terminal else LogLines(run, console)
    run.subscribe(_unless_refused(screen.on_events))


def _unless_refused(show: Subscriber) -> Subscriber:
    """Pass the events of a run on, but nothing of one that is refused: that is an error to report, not a display."""
    is_refused = False

    def on_events(events: Sequence[Event]) -> None:
        nonlocal is_refused
        is_refused = is_refused or any(isinstance(event, RunRefused) for event in events)
        begun = [event for event in events if not isinstance(event, RunQueued)]
        if begun and not is_refused:
            show(begun)

    return on_events


class LiveTerminal:
    """Rows with bars, redrawn from the newest snapshot on a thread of Rich."""

    def __init__(self, run: Run, console: Console) -> None:
        from rich.live import Live

        self._model = RunModel(names_in(run))
        self._snapshot = self._model.snapshot()
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=REFRESH_PER_S, transient=True)
        self._console = console

    def on_events(self, events: Sequence[Event]) -> None:
        """Fold a batch of events in; the end of the run leaves its final rows on the screen."""
        self._model.apply(events)
        self._snapshot = self._model.snapshot()
        if not self._live.is_started and not self._snapshot.is_over:
            self._live.start()
        if any(isinstance(event, RunFinished) for event in events):
            self._live.stop()
            self._console.print(self.render())

    def render(self) -> RenderableType:
        """Return the newest snapshot for Rich to draw."""
        return to_rich(self._snapshot, time.perf_counter())


class LogLines:
    """A line for each node that ended, up to sixty, and one for the run."""

    def __init__(self, run: Run, console: Console) -> None:
        self._model = RunModel(names_in(run))
        self._console = console
        self._printed = 0

    def on_events(self, events: Sequence[Event]) -> None:
        """Print the nodes that ended in a batch of events."""
        now = time.perf_counter()
        for row in self._model.apply(events):
            self._print_row(row, now)
        if any(isinstance(event, RunFinished) for event in events):
            snapshot = self._model.snapshot()
            self._print(f"{snapshot.glyph} {snapshot.headline(now)}")

    def _print_row(self, row: Row, now: float) -> None:
        if row.state == "cached":
            return
        self._printed += 1
        if self._printed <= LINES_MAX or row.state == "failed":
            self._print(format_row(row, now))
        elif self._printed == LINES_MAX + 1:
            self._print("… further nodes are not listed")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def to_rich(snapshot: RunSnapshot, now: float) -> RenderableType:
    """Return a snapshot as something that Rich prints."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text(f"{snapshot.glyph} {snapshot.headline(now)}", style=STYLES.get(snapshot.state, ""))
    if not snapshot.rows or snapshot.is_all_cached:
        return head
    table = Table.grid(padding=(0, 2))
    for row in snapshot.rows:
        state = Text(f"{GLYPHS[row.state]} {row.state}", style=STYLES[row.state])
        words = "  ".join(word for word in (row.steps, row.note, " ".join(row.text.split())[-60:]) if word)
        table.add_row(Text(row.name), state, _bar(row), Text(row.describe_duration(now)), Text(words))
    return (
        Group(head, table, Text(snapshot.describe_hidden(), style="dim"))
        if snapshot.describe_hidden()
        else Group(head, table)
    )


def _bar(row: Row) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    if not row.is_live:
        return Text("")
    if row.fraction is None:
        return ProgressBar(pulse=True, width=BAR_WIDTH)
    return ProgressBar(total=1.0, completed=row.fraction, width=BAR_WIDTH)
