"""A run as a live panel: one widget that draws all rows from one message a tick, and a Stop button."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anywidget import AnyWidget
from ipywidgets import VBox
from traitlets import Dict

from comfy_nb.ui.cell import close_all
from comfy_nb.ui.stop import StopButton
from comfy_nb.ui.ticker import TICK_S
from comfy_nb.ui.view import View
from comfy_nb.ui.wire import Wire

LOADING_S = 2.0
STATIC = Path(__file__).parent / "static"


class Rows(AnyWidget):
    """The front end of a panel: what it shows is the last `message`."""

    _esm = (STATIC / "panel.js").read_text(encoding="utf-8")  # of a path anywidget keeps every widget for ever
    _css = (STATIC / "panel.css").read_text(encoding="utf-8")
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
        self._loaded_at = 0.0

    def open(self) -> Any:
        """Return the box that holds all of it."""
        self._loaded_at = time.monotonic() + LOADING_S
        return self._frame

    def draw(self, view: View, now: float) -> None:
        """Show a view, in one message."""
        is_asked = self._is_asked.is_set()
        if is_asked:  # else a question that comes just now would be lost
            self._is_asked.clear()
        self._rows.message = self._wire.message(view, now, is_asked=is_asked)

    def close(self) -> None:
        """Give the widgets back, once a front end has had the time to load them: it fails on what is gone by then."""
        left = self._loaded_at - time.monotonic()
        if left <= 0:
            self._close()
            return
        timer = threading.Timer(left, self._close)
        timer.daemon = True
        timer.start()

    def _close(self) -> None:
        close_all(self._frame)

    def _ask(self, widget: Any, message: Any, buffers: Any) -> None:
        """A front end has begun to show this. Comes on any thread; the next `draw` sends it everything."""
        self._is_asked.set()
