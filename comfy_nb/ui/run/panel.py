"""A run as a live panel: one widget that draws all rows from one message a tick, and a Stop button."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipywidgets import VBox

from comfy_nb.engine.execution.loops import post
from comfy_nb.ui.jupyter.cell_output import close_when_loaded
from comfy_nb.ui.jupyter.stop_button import StopButton
from comfy_nb.ui.jupyter.ticker import TICK_S
from comfy_nb.ui.jupyter.widget import THEME, FrontEnd, script, style
from comfy_nb.ui.run.messages import Wire, packed
from comfy_nb.ui.run.snapshot import View

if TYPE_CHECKING:
    from comfy_nb.ui.graph.live import LiveGraph


class Rows(FrontEnd):
    """The front end of a panel: it draws each message that it is sent, and sends one when it begins to show."""

    _esm = script(Path(__file__).with_name("panel.js"))
    _css = style(THEME, Path(__file__).with_name("panel.css"))


class Panel:
    """A screen; `draw` may come on any thread."""

    every_s = TICK_S

    def __init__(self, press_stop: Callable[[], None], newest_run: Callable[[], Any]) -> None:
        self._newest_run = newest_run
        self._graph: LiveGraph | None = None
        self._wire = Wire()
        self._shown: tuple[View, float] | None = None
        self._lock = threading.Lock()
        self._rows = Rows()
        self._rows.on_msg(self._hear)
        self._stop = StopButton(press_stop)
        self._frame = VBox([self._stop, self._rows])
        self._frame.add_class("comfy-nb-frame")
        self._opened_at = -inf

    def open(self) -> Any:
        """Return the box that holds all of it."""
        self._opened_at = time.monotonic()
        return self._frame

    def draw(self, view: View, now: float) -> None:
        """Show a view, in one message."""
        with self._lock:
            self._send(view, now, is_asked=self._shown is None)
            self._shown = view, now

    def close(self) -> None:
        """Give the widgets back."""
        if self._graph is not None:
            self._graph.leave()
        close_when_loaded(self._frame, self._opened_at)

    def _hear(self, widget: Any, message: Any, buffers: Any) -> None:
        """Comes on any thread."""
        if message in ("graph", "no graph"):
            run = self._newest_run()
            post(run.drive.loop, self._show_graph, run, message == "graph")
        else:
            self._send_again()

    def _show_graph(self, run: Any, is_wanted: bool) -> None:
        """On the run's loop: add a view of the graph, or take it away."""
        from comfy_nb.ui.graph.live import LiveGraph

        before, self._graph = self._graph, None
        if is_wanted and run.state == "running":
            self._graph = LiveGraph(run.graph, run.session)
        self._frame.children = (self._stop, self._rows, *([self._graph.widget] if self._graph is not None else ()))
        if before is not None:
            before.close()

    def _send_again(self) -> None:
        """A front end has begun to show this, and has none of what was sent before."""
        with self._lock:
            if self._shown is not None:
                self._send(*self._shown, is_asked=True)

    def _send(self, view: View, now: float, *, is_asked: bool) -> None:
        content, buffers = packed(self._wire.message(view, now, is_asked=is_asked))
        self._rows.send(content, buffers)  # a fifth of the cost of a trait
