"""A run as stock ipywidgets: a bar for each node at work and a Stop button; at the end the same as HTML."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from comfy_nb.engine.events import Event, RunFinished
from comfy_nb.ui.board import ROWS_MAX, Board, Row, View, labels_of
from comfy_nb.ui.cell import Output
from comfy_nb.ui.lines import Line
from comfy_nb.ui.page import to_html

SHOW_AFTER_S = 0.15
TICK_S = 0.2
PREVIEW_MAX = "192px"
NAME, BAR, WORDS = "0 1 180px", "0 1 160px", "0 1 250px"  # columns: no growing, shrinking, width
BAR_STYLES = {
    "done": "success",
    "cached": "success",
    "failed": "danger",
    "blocked": "warning",
    "stopped": "warning",
}


class Bars:
    """Follows a run from its start, on its loop: widgets while it takes long, then HTML in the same place.

    A run that is over within 0.15 s and has nothing to show but its headline goes to the `line` of its cell.
    """

    def __init__(self, run: Any, output: Output, line: Line) -> None:
        self._run = run
        self._output = output
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._board = Board(labels_of(run))
        self._widgets: Widgets | None = None
        self.stop_pressed = threading.Event()
        self._timer = self._loop.call_later(SHOW_AFTER_S, self._tick)
        run.subscribe(self.take)

    def take(self, events: Sequence[Event]) -> None:
        """Fold a batch of events in; the last one of a run ends the display."""
        self._board.take(events)
        if events and isinstance(events[-1], RunFinished):
            self._timer.cancel()
            # Encoding pictures takes its time; this still comes before whoever awaits the run goes on.
            self._loop.call_soon(self._end, self._board.view())

    def press_stop(self, button: Any = None) -> None:
        """Ask the run to stop. May come on any thread and loop, so it only hops to the run's own."""
        self.stop_pressed.set()
        self._loop.call_soon_threadsafe(self._run.stop)

    def _tick(self) -> None:
        view, now = self._board.view(), time.perf_counter()
        if self._widgets is None:
            self._widgets = Widgets(self.press_stop)
            self._widgets.draw(view, now, self.stop_pressed.is_set())
            self._output.show(self._widgets.box)
        else:
            self._widgets.draw(view, now, self.stop_pressed.is_set())
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _end(self, view: View) -> None:
        now = time.perf_counter()
        if self._widgets is None and view.elapsed(now) < SHOW_AFTER_S and not _has_more_to_say(view):
            self._line.add(view)
            return
        self._output.show({"text/html": to_html(view, now), "text/plain": view.as_text(now)})
        if self._widgets is not None:
            self._widgets.close()


def _has_more_to_say(view: View) -> bool:
    says = any(row.preview or row.text or row.note or row.ui for row in view.rows)
    return view.state != "done" or (says and not view.is_all_cached)


class Widgets:
    """The widgets of one run: a header with the Stop button, and rows that are used again and again."""

    def __init__(self, press_stop: Callable[[Any], None]) -> None:
        from ipywidgets import HBox, Label, VBox

        self._headline = Label()
        self._stop = _stop_button(press_stop)
        self._rows: list[RowWidgets] = []
        self._folded = Label()
        self._header = HBox([self._headline, self._stop])
        self.box = VBox([self._header])

    def draw(self, view: View, now: float, is_stopping: bool) -> None:
        """Show a view; sends only what differs from what is shown."""
        doing = f"stopping, {view.headline(now)}" if is_stopping else view.headline(now)
        self._headline.value = f"{view.glyph} {doing}"
        while len(self._rows) < min(len(view.rows), ROWS_MAX):
            self._rows.append(RowWidgets())
        used = self._rows[: len(view.rows)]
        for widgets, row in zip(used, view.rows, strict=True):
            widgets.draw(row, now)
        self._folded.value = view.folded()
        children = (
            self._header,
            *(widgets.box for widgets in used),
            *([self._folded] if view.folded() else []),
        )
        if children != self.box.children:
            self.box.children = children

    def close(self) -> None:
        """Give all widgets back."""
        for row in self._rows:
            row.close()
        for widget in (self._headline, self._stop, self._folded, self._header, self.box):
            widget.close()


def _stop_button(press_stop: Callable[[Any], None]) -> Any:
    """Return the button. Only a press may touch it, or a press during a cell would wait for its end."""
    from ipywidgets import Button, Layout

    tooltip = "Stop this run; what is computed stays cached"
    button = Button(description="Stop", icon="stop", tooltip=tooltip, layout=Layout(width="auto"))
    button.on_click(press_stop)
    return button


class RowWidgets:
    """The widgets of one row: name, bar, words, and the newest preview."""

    def __init__(self) -> None:
        from ipywidgets import FloatProgress, HBox, Image, Label, Layout

        self._name = Label(layout=Layout(flex=NAME))
        self._bar = FloatProgress(min=0.0, max=1.0, layout=Layout(flex=BAR))
        self._words = Label(layout=Layout(flex=WORDS))
        self._image = Image(layout=Layout(display="none", flex="none", max_width=PREVIEW_MAX, max_height=PREVIEW_MAX))
        self.box = HBox([self._name, self._bar, self._words, self._image])

    def draw(self, row: Row, now: float) -> None:
        """Show a row."""
        self._name.value = row.name
        fraction = row.fraction
        with self._bar.hold_sync():
            self._bar.value = fraction if fraction is not None else 0.0
            self._bar.bar_style = BAR_STYLES.get(row.state, "")
        said = " ".join(row.text.split())[-80:]
        percent = f"{fraction:.0%}" if fraction is not None and row.is_live else ""
        words = (row.state, percent, row.steps, row.took(now), row.note, said)
        self._words.value = "  ".join(word for word in words if word)
        if row.preview != self._image.value:
            with self._image.hold_sync():
                self._image.format = row.preview_format or "jpeg"
                self._image.value = row.preview
            self._image.layout.display = "" if row.preview else "none"

    def close(self) -> None:
        """Give the widgets back."""
        for widget in (self._name, self._bar, self._words, self._image, self.box):
            widget.close()
