"""A run as a live panel: one widget that draws all rows from one message a tick, and a Stop button."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ipywidgets import VBox, Widget

from comfy_nb.engine.execution.loops import post
from comfy_nb.ui.jupyter.cell_output import close_when_loaded
from comfy_nb.ui.jupyter.stop_button import StopButton
from comfy_nb.ui.jupyter.ticker import TICK_S
from comfy_nb.ui.jupyter.widget import THEME, FrontEnd, script, style
from comfy_nb.ui.run.messages import MessageEncoder, split_buffers
from comfy_nb.ui.run.snapshot import RunSnapshot

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run


class EmbeddedView(Protocol):
    """A live view that stands below the rows: that of a run's graph."""

    @property
    def widget(self) -> Widget:
        """The widget to put below the rows."""
        ...

    def leave(self) -> None:
        """Stop following runs and edits."""
        ...

    def close(self) -> None:
        """Stop following runs and edits, and close the widget."""
        ...


class Rows(FrontEnd):
    """The front end of a panel: it draws each message, and sends one when it begins to show."""

    _esm = script(Path(__file__).with_name("panel.js"))
    _css = style(THEME, *(Path(__file__).with_name(name) for name in ("panel.css", "rows.css")))


class Panel:
    """A screen; its methods may be called from any thread. `make_graph_view` makes what the Graph button shows."""

    every_s = TICK_S

    def __init__(
        self,
        press_stop: Callable[[], None],
        newest_run: Callable[[], Run],
        make_graph_view: Callable[[Run], EmbeddedView],
    ) -> None:
        self._newest_run = newest_run
        self._make_graph_view = make_graph_view
        self._graph: EmbeddedView | None = None
        self._encoder = MessageEncoder()
        self._shown: tuple[RunSnapshot, float] | None = None
        self._lock = threading.Lock()
        self._rows = Rows()
        self._rows.on_msg(self._on_message)
        self._stop = StopButton(press_stop)
        self._frame = VBox([self._stop, self._rows])
        self._frame.add_class("comfy-nb-frame")
        self._opened_at = -inf

    def open(self) -> VBox:
        """Return the box that holds all widgets."""
        self._opened_at = time.monotonic()
        return self._frame

    def draw(self, snapshot: RunSnapshot, now: float) -> None:
        """Show a snapshot, in one message."""
        with self._lock:
            self._send(snapshot, now, is_asked=self._shown is None)
            self._shown = snapshot, now

    def close(self) -> None:
        """Close all widgets."""
        if self._graph is not None:
            self._graph.leave()
        close_when_loaded(self._frame, self._opened_at)

    def _on_message(self, widget: Any, message: Any, buffers: Any) -> None:
        """May be called from any thread."""
        if message in ("graph", "no graph"):
            run = self._newest_run()
            if run.loop is not None:
                post(run.loop, self._show_graph, run, message == "graph")
        else:
            self._send_again()

    def _show_graph(self, run: Run, is_wanted: bool) -> None:
        """Add a view of the graph, or remove it; called on the run's loop."""
        before, self._graph = self._graph, None
        if is_wanted and run.state == "running":
            self._graph = self._make_graph_view(run)
        self._frame.children = (self._stop, self._rows, *([self._graph.widget] if self._graph is not None else ()))
        if before is not None:
            before.close()

    def _send_again(self) -> None:
        """A front end has begun to show this, and has received nothing yet."""
        with self._lock:
            if self._shown is not None:
                self._send(*self._shown, is_asked=True)

    def _send(self, snapshot: RunSnapshot, now: float, *, is_asked: bool) -> None:
        content, buffers = split_buffers(self._encoder.encode(snapshot, now, is_asked=is_asked))
        self._rows.send(content, buffers)  # a fifth of the cost of a trait
