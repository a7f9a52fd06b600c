"""Outputs that stay with the cell that began a run, whichever cell the kernel is at when they change."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

LOADING_S = 2.0
Cell = Mapping[str, Any]  # the message that asked for its execution


class Output(Protocol):
    """One place below a cell, shown once and then replaced."""

    def show(self, texts: Mapping[str, str], widget: Any = None) -> None:
        """Show texts by MIME type, or a widget that has them for where no kernel is, in place of what was there."""
        ...


class CellOutput:
    """An output of a cell, by default of the one that is running when this is made."""

    def __init__(self, cell: Cell | None = None) -> None:
        self._publisher = shell().display_pub
        self._cell = cell or running_cell()
        self._id = uuid.uuid4().hex
        self._is_shown = False

    def show(self, texts: Mapping[str, str], widget: Any = None) -> None:
        """Show texts by MIME type, or a widget that has them for where no kernel is, in place of what was there."""
        from IPython.display import display

        bundle = {**(widget._repr_mimebundle_() if widget is not None else {}), **texts}
        update, self._is_shown = self._is_shown, True
        with _as_if_in(self._publisher, self._cell):
            display(bundle, display_id=self._id, update=update, raw=True)


def close_all(widget: Any) -> None:
    """Close a widget and all that it holds, each with the layout and the style that came with it."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for part in (widget.layout, getattr(widget, "style", None), widget):
        if part is not None:
            part.close()


def close_when_loaded(widget: Any, opened_at: float) -> None:
    """Close all of a widget once a front end has had the time to load it: it fails on what is gone by then.

    `opened_at` is when it was displayed, in `time.monotonic()` seconds.
    """
    left = opened_at + LOADING_S - time.monotonic()
    if left <= 0:
        close_all(widget)
        return
    timer = threading.Timer(left, close_all, (widget,))
    timer.daemon = True
    timer.start()


def shell() -> Any:
    """Return the shell of the notebook kernel that this runs in, or None outside one; loads nothing."""
    ipython = sys.modules.get("IPython")
    found = ipython.get_ipython() if ipython is not None else None
    return found if getattr(found, "kernel", None) is not None else None


def running_cell() -> Cell:
    """Return the cell that is running; before ipykernel 7 that is the newest one for all tasks, whoever began them."""
    cell: Cell = shell().get_parent()
    return cell


def cell_key(cell: Cell | None = None) -> str:
    """Name the execution of a cell, by default of the one that is running; empty outside a cell."""
    header = (cell or running_cell()).get("header") or {}
    return str(header.get("msg_id", ""))


@contextmanager
def _as_if_in(publisher: Any, cell: Cell) -> Iterator[None]:
    """Let what is displayed within belong to a cell."""
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
