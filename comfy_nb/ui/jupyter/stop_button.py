"""The Stop button: a widget of its own, so that it can stand beside any display of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from traitlets import Bool

from comfy_nb.ui.jupyter.widget import FrontEnd, script


class StopButton(FrontEnd):
    """Calls `press_stop()` when pressed, on whichever thread the message arrives, and then sets `acknowledged`.

    If none arrives within a second, the front end explains how to stop the run instead.
    """

    _esm = script(Path(__file__).with_name("stop_button.js"))
    acknowledged = Bool(False).tag(sync=True)

    def __init__(self, press_stop: Callable[[], None]) -> None:
        super().__init__()
        self._press_stop = press_stop
        self.on_msg(self._on_message)

    def _on_message(self, widget: Any, message: Any, buffers: Any) -> None:
        if message == "stop":
            self._press_stop()
            self.acknowledged = True
