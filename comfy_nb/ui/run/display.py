"""The display of the runs that one cell awaits, or of one background job: live while it takes long, then HTML."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from comfy_nb.ui.jupyter.capture import capture
from comfy_nb.ui.jupyter.cell_output import Output
from comfy_nb.ui.jupyter.ticker import REST_FACTOR, ticker
from comfy_nb.ui.run.html import to_html
from comfy_nb.ui.run.monitor import Bridge
from comfy_nb.ui.run.snapshot import View, merge, says_more
from comfy_nb.ui.run.summary_line import Line


class Screen(Protocol):
    """A live rendering of a view."""

    every_s: float

    def open(self) -> Any:
        """Return the object to display."""
        ...

    def draw(self, view: View, now: float) -> None:
        """Show a view; called on the ticker's thread."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


MakeScreen = Callable[[Callable[[], None], Callable[[], Any]], Screen]


class Display:
    """Follows its runs to their end: a screen after `show_after_s`, and in its place HTML when all of them are over.

    Runs that were over before that, and have nothing to show but their headline, go to the `line` of their cell.
    """

    def __init__(self, make_screen: MakeScreen, output: Output, line: Line, *, show_after_s: float) -> None:
        self._make_screen = make_screen
        self._output = output
        self._line = line
        self._show_after_s = show_after_s
        self._bridges: list[Bridge] = []
        self._lock = threading.Lock()
        self._screen: Screen | None = None
        self._due = time.perf_counter() + show_after_s
        self.is_over = False
        ticker.add(self.tick)

    def add(self, bridge: Bridge) -> None:
        """Show one run more; on the loop."""
        with self._lock:
            self._bridges.append(bridge)
        capture.start(bridge.run)
        bridge.on_end.append(lambda: capture.stop(bridge.run))
        bridge.on_end.append(self._look)

    def press_stop(self) -> None:
        """Ask all its runs to stop; may come on any thread and loop, and each run hops to its own."""
        for bridge in list(self._bridges):
            bridge.run.stop()

    def newest_run(self) -> Any:
        """Return the run that began last: of those that go on, if any does."""
        runs = [bridge.run for bridge in self._bridges]
        return next((run for run in reversed(runs) if run.state == "running"), runs[-1])

    def tick(self, now: float) -> None:
        """Off the loop: draw, when it is time to."""
        for bridge in list(self._bridges):
            bridge.feel(now)
        with self._lock:
            if self.is_over or now < self._due or not self._bridges:
                return
            began = time.perf_counter()
            view = self._view()
            if view.is_over:
                return
            if self._screen is None:
                self._screen = self._make_screen(self.press_stop, self.newest_run)
                self._screen.draw(view, now)
                self._output.show(_texts(view, now), self._screen.open())
                self._due = now + self._screen.every_s  # what it took to make the screen says nothing of a draw
            else:
                self._screen.draw(view, now)
                self._due = now + max(self._screen.every_s, REST_FACTOR * (time.perf_counter() - began))

    def _view(self) -> View:
        return merge([bridge.view() for bridge in self._bridges])

    def _look(self) -> None:
        """A run has ended: if it was the last, end too. Encoding pictures takes its time, so that comes after."""
        if not self.is_over and all(bridge.is_over for bridge in self._bridges):
            self.is_over = True
            ticker.remove(self.tick)
            try:
                asyncio.get_running_loop().call_soon(self._end)
            except RuntimeError:  # not on the run's loop: that was closed
                self._end()

    def _end(self) -> None:
        with self._lock:
            views = [bridge.view() for bridge in self._bridges]
            if self._screen is None and all(self._is_dull(view) for view in views):
                for view in views:
                    self._line.add(view)
                return
            try:
                self._output.show(_texts(merge(views), time.perf_counter()))
            finally:
                if self._screen is not None:
                    self._screen.close()

    def _is_dull(self, view: View) -> bool:
        return view.elapsed(view.started) < self._show_after_s and not says_more(view)


def _texts(view: View, now: float) -> dict[str, str]:
    return {"text/html": to_html(view, now), "text/plain": view.as_text(now)}
