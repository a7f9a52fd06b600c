"""A run as stock ipywidgets: a bar for each node at work, and a Stop button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy_nb.ui.jupyter.cell_output import close_all
from comfy_nb.ui.run.snapshot import Row, View

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
    """A screen of widgets: a header with the Stop button, and rows that are used again and again."""

    every_s = 0.2

    def __init__(self, press_stop: Callable[[], None]) -> None:
        from ipywidgets import HBox, Label, VBox

        self._headline = Label()
        self._stop = _stop_button(press_stop)
        self._rows: dict[tuple[int, int], RowWidgets] = {}  # by what the row shown in them is known by
        self._spare: list[RowWidgets] = []
        self._folded = Label()
        self._header = HBox([self._headline, self._stop])
        self.box = VBox([self._header])

    def open(self) -> Any:
        """Return the box that holds all of it."""
        return self.box

    def draw(self, view: View, now: float) -> None:
        """Show a view; sends only what differs from what is shown."""
        self._headline.value = f"{view.glyph} {view.block() or view.headline(now)}"
        for gone in self._rows.keys() - {(row.run, row.order) for row in view.rows}:
            self._spare.append(self._rows.pop(gone))
        used = [self._widgets(row) for row in view.rows]
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
        rows = (*self._rows.values(), *self._spare)  # also those not in sight
        self.box.children = (self._header, *(row.box for row in rows), self._folded)
        close_all(self.box)

    def _widgets(self, row: Row) -> RowWidgets:
        """Return those that show a row already, or others."""
        key = row.run, row.order
        if key not in self._rows:
            self._rows[key] = self._spare.pop() if self._spare else RowWidgets()
        return self._rows[key]


def _stop_button(press_stop: Callable[[], None]) -> Any:
    """Return the button. Only a press may touch it, or a press during a cell would wait for its end."""
    from ipywidgets import Button, Layout

    tooltip = "Stop this run; what is computed stays cached"
    button = Button(description="Stop", icon="stop", tooltip=tooltip, layout=Layout(width="auto"))
    button.on_click(lambda _: press_stop())
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
        said = " ".join((row.text or row.log).split())[-80:]
        percent = f"{fraction:.0%}" if fraction is not None and row.is_live else ""
        words = (row.state, percent, row.steps, row.pace, row.took(now), row.note, said)
        self._words.value = "  ".join(word for word in words if word)
        if row.preview != self._image.value:
            with self._image.hold_sync():
                self._image.format = row.preview_format or "jpeg"
                self._image.value = row.preview
            self._image.layout.display = "" if row.preview else "none"
