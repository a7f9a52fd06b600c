"""The display of the runs that one cell awaits, or of one background job: a live screen, and then HTML."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from comfy_nb.ui.jupyter.capture import capture
from comfy_nb.ui.jupyter.cell_output import Output, unfinished
from comfy_nb.ui.jupyter.ticker import REST_FACTOR, ticker
from comfy_nb.ui.run.html import faint, to_html
from comfy_nb.ui.run.monitor import RunMonitor
from comfy_nb.ui.run.snapshot import RunSnapshot, has_details, merge
from comfy_nb.ui.run.summary_line import SummaryLine

if TYPE_CHECKING:
    from ipywidgets import Widget

    from comfy_nb.engine.run import Run


class Screen(Protocol):
    """A live rendering of runs, drawn at most once in `every_s` seconds."""

    every_s: float

    def open(self) -> Widget:
        """Return the widget to display."""
        ...

    def draw(self, snapshot: RunSnapshot, now: float) -> None:
        """Show a snapshot; called on the ticker's thread."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class MakeScreen(Protocol):
    """Makes a screen, which calls `press_stop()` for its Stop button and `newest_run()` for the run to look into."""

    def __call__(self, press_stop: Callable[[], None], newest_run: Callable[[], Run]) -> Screen: ...


class Display:
    """Follows its runs to their end: a screen after `show_after_s`, replaced by HTML when all of them are over.

    Runs that end before that, and have nothing to show but their headline, go to the summary `line` of their cell.
    Where nobody is watching, and so not `is_live`, there is never a screen: only `show_now`, and the end.
    """

    def __init__(
        self, make_screen: MakeScreen, output: Output, line: SummaryLine, *, show_after_s: float, is_live: bool = True
    ) -> None:
        self._make_screen = make_screen
        self._output = output
        self._line = line
        self._show_after_s = show_after_s
        self._monitors: list[RunMonitor] = []
        self._lock = threading.Lock()
        self._screen: Screen | None = None
        self._due = time.perf_counter() + show_after_s
        self._is_live = is_live
        self._is_shown = self._is_finished = False
        self.is_over = False
        ticker.add(self.tick)

    def add(self, monitor: RunMonitor) -> None:
        """Show another run; called on its loop."""
        with self._lock:
            self._monitors.append(monitor)
        capture.start(monitor.run)
        monitor.on_end.append(lambda: capture.stop(monitor.run))
        monitor.on_end.append(self._note_end)

    def press_stop(self) -> None:
        """Ask all runs to stop; may be called from any thread, because each run hops to its own loop."""
        for monitor in list(self._monitors):
            monitor.run.stop()

    def newest_run(self) -> Run:
        """Return the newest run that is still going on, else the newest of all."""
        runs = [monitor.run for monitor in self._monitors]
        return next((run for run in reversed(runs) if run.state == "running"), runs[-1])

    def tick(self, now: float) -> None:
        """Draw if it is time to; called on the ticker's thread."""
        for monitor in list(self._monitors):
            monitor.check_loop(now)
        with self._lock:
            if self.is_over or now < self._due or not self._monitors or not self._is_live:
                return
            began = time.perf_counter()
            snapshot = merge([monitor.snapshot() for monitor in self._monitors])
            if snapshot.is_over:
                return
            if self._screen is None:
                self._screen = self._make_screen(self.press_stop, self.newest_run)
                self._screen.draw(snapshot, now)
                self._output.show(unfinished(_static(snapshot, now)), self._screen.open())
                self._due = now + self._screen.every_s  # making the screen takes longer than later draws will
            else:
                self._screen.draw(snapshot, now)
                self._due = now + max(self._screen.every_s, REST_FACTOR * (time.perf_counter() - began))

    def show_now(self) -> None:
        """Show the runs, or how they ended, if they are not shown yet: their cell is about to end."""
        if self.is_over:
            self._finish()
            return
        with self._lock:
            snapshot = merge([monitor.snapshot() for monitor in self._monitors])
            if self._screen is None and not snapshot.is_over:
                self._is_shown = True
                self._output.show(unfinished(_static(snapshot, time.perf_counter())))

    def _note_end(self) -> None:
        """A run has ended: if it was the last, finish, but not in its callback, because encoding pictures is slow."""
        if not self.is_over and all(monitor.is_over for monitor in self._monitors):
            self.is_over = True
            ticker.remove(self.tick)
            try:
                asyncio.get_running_loop().call_soon(self._finish)
            except RuntimeError:  # this is not the run's loop, which was closed
                self._finish()

    def _finish(self) -> None:
        with self._lock:
            if self._is_finished:
                return
            self._is_finished = True
            snapshots = [monitor.snapshot() for monitor in self._monitors]
            fit_a_line = all(self._fits_a_line(snapshot) for snapshot in snapshots)
            if self._screen is None and not self._is_shown and fit_a_line:
                for snapshot in snapshots:
                    self._line.add(snapshot)
                return
            static = _static(merge(snapshots), time.perf_counter())
            if fit_a_line:
                static["text/html"] = faint(static["text/plain"].splitlines()[0])
            try:
                self._output.show(static)
            finally:
                if self._screen is not None:
                    self._screen.close()

    def _fits_a_line(self, snapshot: RunSnapshot) -> bool:
        return snapshot.elapsed(snapshot.started) < self._show_after_s and not has_details(snapshot)


def _static(snapshot: RunSnapshot, now: float) -> dict[str, str]:
    return {"text/html": to_html(snapshot, now), "text/plain": snapshot.as_text(now)}
