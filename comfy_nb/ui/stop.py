"""The Stop button: a widget of its own, which only a press touches, so that a press is heard during a cell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from traitlets import Bool

from comfy_nb.ui.front import FrontEnd


class StopButton(FrontEnd):
    """Calls `press_stop()` when pressed, on whatever thread the press arrives, and then says that it was `heard`.

    A kernel gives messages to a thread of their own only while no cell code has used their comm: so nothing but the
    handler sets a trait. Where no answer comes within a second, the front end says how to stop the run instead.
    """

    _esm = (Path(__file__).parent / "static" / "stop.js").read_text(encoding="utf-8")  # not a path: see Rows
    heard = Bool(False).tag(sync=True)

    def __init__(self, press_stop: Callable[[], None]) -> None:
        super().__init__()
        self._press_stop = press_stop
        self.on_msg(self._take)

    def _take(self, widget: Any, message: Any, buffers: Any) -> None:
        if message == "stop":
            self._press_stop()
            self.heard = True
