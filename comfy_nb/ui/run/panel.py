"""A run as a live panel: one widget that draws all rows from one message a tick, and a Stop button."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ipywidgets import VBox, Widget

from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.presenter import safely
from comfy_nb.ui.jupyter.cell_output import close_all, close_when_loaded
from comfy_nb.ui.jupyter.stop_button import StopButton
from comfy_nb.ui.jupyter.ticker import REST_FACTOR, TICK_S
from comfy_nb.ui.jupyter.widget import THEME, FrontEnd, script, style
from comfy_nb.ui.run.display import VIEW_FAILED, Views
from comfy_nb.ui.run.messages import MessageEncoder, split_buffers
from comfy_nb.ui.run.snapshot import RunSnapshot

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

VIEW_EVERY_S = 0.4
SHOWN = "shown"


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


class Shown(Protocol):
    """The runs that a panel shows."""

    @property
    def views(self) -> Views:
        """What may be unfolded below the rows."""
        ...

    def press_stop(self) -> None:
        """Ask all runs to stop."""
        ...

    def newest_run(self) -> Run | None:
        """Return the newest run that goes on, else the newest of all."""
        ...

    def live_runs(self) -> list[Run]:
        """Return the runs that go on, and those that ended beside them."""
        ...


class Panel:
    """A screen; its methods may be called from any thread. `make_graph_view` makes what is unfolded as Graph."""

    every_s = TICK_S

    def __init__(self, shown: Shown, make_graph_view: Callable[[Run], EmbeddedView]) -> None:
        self._runs = shown
        self._make_graph_view = make_graph_view
        self._graph: EmbeddedView | None = None
        self._unfolded: set[str] = set()
        self._sent: dict[str, str] = {}
        self._refreshing: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._pages = 0
        self._encoder = MessageEncoder()
        self._shown: tuple[RunSnapshot, float] | None = None
        self._lock = threading.Lock()
        self._rows = Rows()
        self._rows.on_msg(self._on_message)
        self._stop = StopButton(shown.press_stop)
        self._frame = VBox([self._stop, self._rows])
        self._frame.add_class("comfy-nb-frame")
        self._opened_at = -inf

    @property
    def unfolded(self) -> list[str]:
        """The labels of the views that a person has unfolded."""
        return [name.capitalize() for name in self._unfolded]

    def open(self) -> VBox:
        """Return the box that holds all widgets."""
        self._opened_at = time.monotonic()
        return self._frame

    def draw(self, snapshot: RunSnapshot, now: float) -> None:
        """Show a snapshot, in one message; Stop is for the runs that are shown now."""
        if self._stop.acknowledged and not snapshot.is_over and not snapshot.stopping:
            self._stop.acknowledged = False
        with self._lock:
            self._send(snapshot, now, is_asked=self._shown is None)
            self._shown = snapshot, now

    def close(self) -> None:
        """Close all widgets once no page shows them: one that was loaded again cannot show what replaces them."""
        self._is_closed = True
        try:
            if self._graph is not None:
                self._graph.leave()
        finally:
            if self._pages == 0:
                close_when_loaded(self._frame, self._opened_at)

    def _on_message(self, widget: Any, message: Any, buffers: Any) -> None:
        """May be called from any thread."""
        if not isinstance(message, dict):
            self._note_page(message == SHOWN)
            return
        name = str(message.get("view"))
        if self._is_closed:  # a page that was loaded again
            self._rows.send({"view": name, "html": self._runs.views.html().get(name.capitalize(), "")})
            return
        (self._unfolded.add if message.get("isOpen") else self._unfolded.discard)(name)
        self._sent.pop(name, None)
        run = self._runs.newest_run()
        if run is not None and run.loop is not None:
            post(run.loop, self._show_graph if name == "graph" else self._begin_to_refresh, run)

    def _note_page(self, shows_it: bool) -> None:
        """Note that a page has begun to show this, or shows it no longer; one that was left does not say so."""
        self._pages += 1 if shows_it else -1
        if shows_it:
            self._send_again()
        elif self._is_closed and self._pages == 0:
            close_all(self._frame)

    def _begin_to_refresh(self, run: Run) -> None:
        if self._refreshing is None or self._refreshing.is_closed():
            self._refresh()

    def _refresh(self) -> None:
        """Send what is unfolded, as long as something is; called on a run's loop, for the runs of this one."""
        self._refreshing = None
        if self._is_closed or not self._unfolded - {"graph"}:
            return
        began, loop = time.perf_counter(), asyncio.get_running_loop()
        if safely(VIEW_FAILED, self._send_unfolded, loop):
            self._refreshing = loop
            loop.call_later(max(VIEW_EVERY_S, REST_FACTOR * (time.perf_counter() - began)), self._refresh)

    def _send_unfolded(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Send the views that have changed; always true."""
        views, live = self._runs.views, [run for run in self._runs.live_runs() if run.loop is loop]
        for name, view in (("timeline", views.timeline), ("why", views.why)):
            if name in self._unfolded and (html := view(live)) != self._sent.get(name):
                self._sent[name] = html
                self._rows.send({"view": name, "html": html})
        return True

    def _show_graph(self, run: Run) -> None:
        """Add a view of the graph, or remove it; called on the run's loop."""
        before, self._graph = self._graph, None
        if "graph" in self._unfolded and not self._is_closed:
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
