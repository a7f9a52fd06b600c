"""A run as stock ipywidgets: a bar for each running node, and a Stop button."""

from __future__ import annotations

from collections.abc import Callable

from ipywidgets import Button, FloatProgress, HBox, Image, Label, Layout, VBox

from comfy_nb.ui.jupyter.cell_output import close_all
from comfy_nb.ui.run.snapshot import Row, RunSnapshot

PREVIEW_MAX = "192px"
NAME, BAR, DETAILS = "0 1 180px", "0 1 160px", "0 1 250px"  # flex columns: grow, shrink, basis
BAR_STYLES = {
    "done": "success",
    "cached": "success",
    "failed": "danger",
    "blocked": "warning",
    "stopped": "warning",
}


class Bars:
    """A screen of widgets: a header with the Stop button, and rows that are reused."""

    every_s = 0.2
    unfolded = ()

    def __init__(self, press_stop: Callable[[], None]) -> None:
        self._headline = Label()
        self._stop = _stop_button(press_stop)
        self._rows: dict[tuple[int, int], RowWidgets] = {}  # by the run and order of the row they show
        self._spare: list[RowWidgets] = []
        self._hidden = Label()
        self._header = HBox([self._headline, self._stop])
        self.box = VBox([self._header])

    def open(self) -> VBox:
        """Return the box that holds all widgets."""
        return self.box

    def draw(self, snapshot: RunSnapshot, now: float) -> None:
        """Show a snapshot, sending only what has changed."""
        self._headline.value = f"{snapshot.glyph} {snapshot.describe_block() or snapshot.headline(now)}"
        for gone in self._rows.keys() - {(row.run, row.order) for row in snapshot.rows}:
            self._spare.append(self._rows.pop(gone))
        used = [self._widgets(row) for row in snapshot.rows]
        for widgets, row in zip(used, snapshot.rows, strict=True):
            widgets.draw(row, now)
        self._hidden.value = snapshot.describe_hidden()
        children = (
            self._header,
            *(widgets.box for widgets in used),
            *([self._hidden] if snapshot.describe_hidden() else []),
        )
        if children != self.box.children:
            self.box.children = children

    def close(self) -> None:
        """Close all widgets."""
        rows = (*self._rows.values(), *self._spare)  # hidden ones too
        self.box.children = (self._header, *(row.box for row in rows), self._hidden)
        close_all(self.box)

    def _widgets(self, row: Row) -> RowWidgets:
        """Return the widgets that already show a row, else unused ones."""
        key = row.run, row.order
        if key not in self._rows:
            self._rows[key] = self._spare.pop() if self._spare else RowWidgets()
        return self._rows[key]


def _stop_button(press_stop: Callable[[], None]) -> Button:
    """Return the button. Only a press may use it: after any other use, a press would wait for the running cell."""
    tooltip = "Stop this run; what is computed stays cached"
    button = Button(description="Stop", icon="stop", tooltip=tooltip, layout=Layout(width="auto"))
    button.on_click(lambda _: press_stop())
    return button


class RowWidgets:
    """The widgets of one row: name, bar, details, and the newest preview."""

    def __init__(self) -> None:
        self._name = Label(layout=Layout(flex=NAME))
        self._bar = FloatProgress(min=0.0, max=1.0, layout=Layout(flex=BAR))
        self._details = Label(layout=Layout(flex=DETAILS))
        self._image = Image(layout=Layout(display="none", flex="none", max_width=PREVIEW_MAX, max_height=PREVIEW_MAX))
        self.box = HBox([self._name, self._bar, self._details, self._image])

    def draw(self, row: Row, now: float) -> None:
        """Show a row."""
        self._name.value = row.name
        fraction = row.fraction
        with self._bar.hold_sync():
            self._bar.value = fraction if fraction is not None else 0.0
            self._bar.bar_style = BAR_STYLES.get(row.state, "")
        text = " ".join((row.text or row.log).split())[-80:]
        percent = f"{fraction:.0%}" if fraction is not None and row.is_live else ""
        details = (row.state, percent, row.steps, row.pace, row.describe_duration(now), row.note, text)
        self._details.value = "  ".join(part for part in details if part)
        if row.preview != self._image.value:
            with self._image.hold_sync():
                self._image.format = row.preview_format or "jpeg"
                self._image.value = row.preview
            self._image.layout.display = "" if row.preview else "none"
