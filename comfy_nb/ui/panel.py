"""A run as a live panel: one widget that draws all rows from one message a tick, and a Stop button."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from ipywidgets import VBox
from traitlets import Dict

from comfy_nb.ui.stop import StopButton
from comfy_nb.ui.ticker import TICK_S
from comfy_nb.ui.view import View
from comfy_nb.ui.wire import Wire

STATIC = Path(__file__).parent / "static"


class Rows(AnyWidget):
    """The front end of a panel: what it shows is the last `message`."""

    _esm = STATIC / "panel.js"
    _css = STATIC / "panel.css"
    message = Dict().tag(sync=True)


class Panel:
    """A screen; `draw` may come on any thread."""

    every_s = TICK_S

    def __init__(self, press_stop: Callable[[], None]) -> None:
        self._wire = Wire()
        self._is_asked = threading.Event()
        self._is_asked.set()
        self._rows = Rows()
        self._rows.on_msg(self._ask)
        self._stop = StopButton(press_stop)
        self._frame = VBox([self._stop, self._rows])
        self._frame.add_class("comfy-nb-frame")
        self._drawn: tuple[View, float] | None = None

    def open(self) -> Any:
        """Return the box that holds all of it."""
        return self._frame

    def draw(self, view: View, now: float) -> None:
        """Show a view, in one message."""
        self._drawn = view, now
        is_asked = self._is_asked.is_set()
        self._is_asked.clear()
        self._rows.message = self._wire.message(view, now, is_asked=is_asked)

    def flush(self) -> None:
        """Send all of the last view again, for when no other comes."""
        self._is_asked.set()
        if self._drawn is not None:
            self.draw(*self._drawn)

    def close(self) -> None:
        """Give the widgets back, and with each the layout that came with it."""
        for widget in (self._stop, self._rows, self._frame):
            widget.layout.close()
            widget.close()

    def _ask(self, widget: Any, message: Any, buffers: Any) -> None:
        """A front end has begun to show this. Comes on any thread; the next `draw` sends it everything."""
        self._is_asked.set()
