"""Outputs that stay with the cell that began a run, whichever cell the kernel is at when they change."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from comfy_nb.ui.jupyter.cells import CellRef, cells, shell
from comfy_nb.ui.render.style import FAINT

if TYPE_CHECKING:
    from ipywidgets import Widget

LOADING_S = 2.0
STILL_RUNNING = "still running when the notebook ended"
SAVED_MEANWHILE = "saved while it ran"


class Output(Protocol):
    """One place below a cell, shown once and then replaced."""

    def show(self, static: Mapping[str, str], widget: Widget | None = None) -> None:
        """Replace what was shown by a widget, or by these texts by MIME type, which also stand in for the widget."""
        ...


def unfinished(static: Mapping[str, str], words: str = STILL_RUNNING) -> dict[str, str]:
    """Return what stands in for a view of something that goes on: nothing else is left if no update comes."""
    html = f'<div style="{FAINT}">{words}</div>'
    texts = {"text/html": static.get("text/html", "") + html, "text/plain": f"{static['text/plain']}\n{words}"}
    return {kind: text for kind, text in texts.items() if kind in static}


class CellOutput:
    """An output of a cell, by default of the one that is running when this is made."""

    def __init__(self, cell: CellRef | None = None) -> None:
        cells.follow()
        self._publisher = shell().display_pub
        self._cell = cell or running_cell()
        self._id = uuid.uuid4().hex
        self._is_shown = False

    def show(self, static: Mapping[str, str], widget: Widget | None = None) -> None:
        """Replace what was shown by a widget, or by these texts by MIME type, which also stand in for the widget."""
        bundle = {**(widget._repr_mimebundle_() if widget is not None else {}), **static}
        if is_watched(self._cell):
            update, self._is_shown = self._is_shown, True
            self._publish(bundle, self._cell, update=update)
        else:
            self._show_unwatched(bundle)

    def _show_unwatched(self, bundle: Mapping[str, Any]) -> None:
        """Show this so that a program which executes the notebook reads it: it takes what the running cell sends.

        An update says itself which output it is for. A first display of a cell that has ended goes below another one.
        """
        running = cells.running
        if running is not None:
            self._publish(bundle, running, update=self._is_shown)
            self._is_shown = True
        if running is None or cells.running is not running:
            cells.at_begin(self, partial(self._show_unwatched, bundle))

    def _publish(self, bundle: Mapping[str, Any], cell: CellRef, *, update: bool) -> None:
        from IPython.display import display

        with _publishing_for(self._publisher, cell):
            display(bundle, display_id=self._id, update=update, raw=True)


def close_all(widget: Widget) -> None:
    """Close a widget and all its descendants, each with its layout and style."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for part in (widget.layout, getattr(widget, "style", None), widget):
        if part is not None:
            part.close()


def close_when_loaded(widget: Widget, opened_at: float) -> None:
    """Close a widget and all its descendants, once front ends have had time to load them.

    A front end fails to load a widget that is already gone. `opened_at` is when it was displayed, in
    `time.monotonic()` seconds.
    """
    left = opened_at + LOADING_S - time.monotonic()
    if left <= 0:
        close_all(widget)
        return
    timer = threading.Timer(left, close_all, (widget,))
    timer.daemon = True
    timer.start()


def running_cell() -> CellRef:
    """Return the cell that is running; before ipykernel 7 that is the newest one, also for tasks of earlier cells."""
    cell: CellRef = shell().get_parent()
    return cell


def cell_key(cell: CellRef | None = None) -> str:
    """Return the id of a cell's execution, by default of the running one; empty outside a cell."""
    header = (running_cell() if cell is None else cell).get("header") or {}
    return str(header.get("msg_id", ""))


def is_running(cell: CellRef | None) -> bool:
    """Whether it is this cell that is running now."""
    return cells.running is not None and cell_key(cells.running) == cell_key(cell)


def is_watched(cell: CellRef | None = None) -> bool:
    """Whether a cell was sent by a page, where a person watches it; programs that execute notebooks take no input.

    Such a program, as papermill, logs of an output what is displayed first: that should be how a run ended.
    """
    return (cell or running_cell()).get("content", {}).get("allow_stdin") is not False


@contextmanager
def _publishing_for(publisher: Any, cell: CellRef) -> Iterator[None]:
    """Attribute what is displayed inside the `with` block to a cell."""
    if hasattr(publisher, "set_thread_parent"):
        token = publisher.set_thread_parent(cell)
        try:
            yield
        finally:
            publisher.reset_thread_parent(token)
        return
    before = publisher.parent_header
    publisher.set_parent(cell)
    try:
        yield
    finally:
        publisher.set_parent(before)
