"""The display of the runs that one cell awaits, or of one background job: a live screen, and then HTML."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from comfy_nb.engine.presenter import safely
from comfy_nb.ui.jupyter.capture import capture
from comfy_nb.ui.jupyter.cell_output import SAVED_MEANWHILE, Output, unfinished
from comfy_nb.ui.jupyter.cells import cells
from comfy_nb.ui.jupyter.ticker import REST_FACTOR, ticker
from comfy_nb.ui.run.counts import SharedNodes
from comfy_nb.ui.run.html import faint, to_html
from comfy_nb.ui.run.monitor import RunMonitor
from comfy_nb.ui.run.snapshot import RunSnapshot, after, has_details, labelled, merge, without_repeated

if TYPE_CHECKING:
    from ipywidgets import Widget

    from comfy_nb.engine.run import Run

REDRAW_S = 0.2
DISPLAY_FAILED, VIEW_FAILED = "A display of a run failed", "A view of a run failed"
NOT_VIEWED_MAX = 200  # runs that have ended and of which the views do not know yet


class Screen(Protocol):
    """A live rendering of runs, drawn at most once in `every_s` seconds."""

    every_s: float

    @property
    def unfolded(self) -> Collection[str]:
        """The labels of the views that a person has unfolded."""
        ...

    def open(self) -> Widget:
        """Return the widget to display."""
        ...

    def draw(self, snapshot: RunSnapshot, now: float) -> None:
        """Show a snapshot; called on the ticker's thread."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class Views(Protocol):
    """What a person may unfold below the rows."""

    def add(self, run: Run) -> None:
        """Take in a run that has ended."""
        ...

    def timeline(self, live: Sequence[Run] = ()) -> str:
        """Return who did what when, as HTML; on the loop of the runs that go on."""
        ...

    def why(self, live: Sequence[Run] = ()) -> str:
        """Return why nodes ran or did not, as HTML."""
        ...

    def html(self) -> Mapping[str, str]:
        """Return the views of the runs that have ended, by their labels."""
        ...


class MakeScreen(Protocol):
    """Makes a screen for a display, which it asks to stop the runs, for the newest of them, and for its views."""

    def __call__(self, display: Display) -> Screen: ...


class Display:
    """Follows the runs of a cell: a screen once they have taken `show_after_s`, and HTML when they and the cell end.

    That time counts from the first of them that had something to compute. Runs that ended before that, and have nothing
    to show but their headline, are one line. Where nobody is watching, and so not `is_live`, there is only what is
    known at the end of the cell, and of the runs. `cell_runs()` says whether the cell may begin more runs: until then a
    screen stays. Whoever begins or ends a run does not wait for what is drawn meanwhile.
    """

    def __init__(
        self,
        make_screen: MakeScreen,
        output: Output,
        make_views: Callable[[], Views],
        *,
        show_after_s: float,
        is_live: bool = True,
        cell_runs: Callable[[], bool] = lambda: False,
    ) -> None:
        self._make_screen = make_screen
        self._output = output
        self._make_views = make_views
        self._show_after_s = show_after_s
        self._is_live = is_live
        self._cell_runs = cell_runs
        self._lock = threading.RLock()  # of what there is to show: held for a moment, and within the other one
        self._drawing = threading.RLock()  # of the screen and the output
        self._monitors: list[RunMonitor] = []
        self._before: RunSnapshot | None = None
        self._shared = SharedNodes()
        self._newest: Run | None = None
        self._not_viewed: list[Run] = []
        self._screen: Screen | None = None
        self._open_at = self._due = 0.0
        self._needs_box = self._is_stale = False

    def add(self, monitor: RunMonitor) -> None:
        """Show another run, from any thread."""
        with self._lock:
            if not self._monitors:
                if self._before is None or not self._before.ran:
                    self._open_at = time.perf_counter() + self._show_after_s
                ticker.add(self.tick)
            self._monitors.append(monitor)
            self._newest = monitor.run
        cells.at_end(self, self.end_cell)
        capture.start(monitor.run)
        monitor.when_over(partial(self._note_end, monitor.run))

    @cached_property
    def _views(self) -> Views:
        return self._make_views()

    @property
    def views(self) -> Views:
        """What a person may unfold below the rows, of all runs that have ended."""
        with self._lock:
            ended, self._not_viewed = self._not_viewed, []
        for run in ended:
            safely(VIEW_FAILED, self._views.add, run)
        return self._views

    def press_stop(self) -> None:
        """Ask all runs to stop; may be called from any thread, because each run hops to its own loop."""
        for monitor in list(self._monitors):
            monitor.run.stop()

    def newest_run(self) -> Run | None:
        """Return the newest run that is still going on, else the newest of all."""
        running = (each.run for each in reversed(list(self._monitors)) if each.run.state == "running")
        return next(running, self._newest)

    def live_runs(self) -> list[Run]:
        """Return the runs that go on, and those that ended beside them."""
        return [monitor.run for monitor in list(self._monitors)]

    def tick(self, now: float) -> None:
        """Draw if it is time to; called on the ticker's thread."""
        for monitor in list(self._monitors):
            monitor.check_loop(now)
        if now < self._due or not self._is_live:
            return
        with self._drawing:
            self._due = now + REDRAW_S  # also where drawing fails
            safely(DISPLAY_FAILED, self._show_due, now)

    def _show_due(self, now: float) -> None:
        if self._are_over or (self._screen is None and now < self._open_at):
            self._show_settled(now)
            return
        began, is_first = time.perf_counter(), self._screen is None
        every_s = self._draw(self._snapshot(), now).every_s
        rest = 0.0 if is_first else REST_FACTOR * (time.perf_counter() - began)  # later draws take less than the first
        self._due = now + max(every_s, rest)

    def show_now(self) -> None:
        """Show the runs, if they are not shown yet."""
        with self._drawing:
            if self._screen is None and self._monitors and not self._are_over:
                self._needs_box = True
                self._output.show(unfinished(_static(self._snapshot(), time.perf_counter())))

    def end_cell(self) -> None:
        """Show what came of the runs, before the cell ends; where nobody watches, also what is known by now."""
        with self._lock:
            is_over = self._are_over
            if is_over:
                self._settle()
        if is_over:
            self._finish()
        elif not self._is_live:
            self.show_now()

    @property
    def _are_over(self) -> bool:
        return all(monitor.is_over for monitor in self._monitors)

    def _draw(self, snapshot: RunSnapshot, now: float) -> Screen:
        """Draw on the screen, which is made for it the first time."""
        self._needs_box = True
        screen = self._screen or self._make_screen(self)
        screen.draw(snapshot, now)
        if self._screen is None:
            self._output.show(unfinished(_static(snapshot, now), SAVED_MEANWHILE), screen.open())
            self._screen = screen
        return screen

    def _snapshot(self) -> RunSnapshot:
        with self._lock:
            before, monitors = self._before, list(self._monitors)
            repeated = self._shared.repeated(self.live_runs())
        if not monitors:
            assert before is not None, "a display has runs"
            return labelled(before)
        now = _merged(monitors, repeated)
        return labelled(now if before is None else after(before, now))

    def _note_end(self, run: Run) -> None:
        """A run has ended: if it was the last, show that; not at once, because encoding pictures is slow."""
        capture.stop(run)
        with self._lock:
            if not self._are_over:
                return
            self._settle()
        if self._cell_runs():
            return  # the ticker shows it, or else the end of the cell
        try:
            asyncio.get_running_loop().call_soon(self._finish)
        except RuntimeError:  # this is not the run's loop, which was closed
            self._finish()

    def _settle(self) -> None:
        """Put the runs, which are over, to those before them, and let go of them."""
        if not self._monitors:
            return
        ended = _merged(self._monitors, self._shared.add(self.live_runs()))
        fits_a_line = ended.is_all_cached or ended.elapsed(ended.started) < self._show_after_s
        self._needs_box = self._needs_box or not fits_a_line or has_details(ended)
        self._before = ended if self._before is None else after(self._before, ended)
        if self._needs_box:
            self._not_viewed += self.live_runs()[: NOT_VIEWED_MAX - len(self._not_viewed)]
        self._newest = self._monitors[-1].run
        self._monitors = []
        self._is_stale = True

    def _show_settled(self, now: float) -> None:
        """Show the runs that are over; the screen stays as long as the cell may begin more of them."""
        with self._lock:
            if not self._monitors:
                ticker.remove(self.tick)
            before = self._before
            if not self._is_stale or before is None:
                return
            self._is_stale = False
        if self._screen is not None:
            self._screen.draw(self._snapshot(), now)
        else:
            self._output.show(self._final(labelled(before), now))

    def _finish(self) -> None:
        """Show what came of all runs, as HTML, and close the screen."""
        with self._drawing:
            with self._lock:
                if self._monitors or self._before is None or not (self._is_stale or self._screen is not None):
                    return
                ticker.remove(self.tick)
                screen, self._screen, self._newest, self._is_stale = self._screen, None, None, False
            snapshot, now = self._snapshot(), time.perf_counter()
            if screen is not None:  # for a page that cannot show what replaces it
                safely(DISPLAY_FAILED, screen.draw, snapshot, now)
            try:
                self._output.show(self._final(snapshot, now, screen.unfolded if screen is not None else ()))
            finally:
                if screen is not None:
                    screen.close()

    def _final(self, snapshot: RunSnapshot, now: float, unfolded: Collection[str] = ()) -> dict[str, str]:
        if self._needs_box and not snapshot.is_all_cached:
            return _static(snapshot, now, safely(VIEW_FAILED, lambda: self.views.html()), unfolded)
        if has_details(snapshot):
            return _static(snapshot, now)
        text = snapshot.as_text(now)
        return {"text/html": faint(text.splitlines()[0]), "text/plain": text}


def _merged(monitors: Sequence[RunMonitor], repeated: int) -> RunSnapshot:
    """Return runs that go on, or ended beside those, without nodes that are `repeated`."""
    return without_repeated(merge([monitor.snapshot() for monitor in monitors]), repeated)


def _static(
    snapshot: RunSnapshot, now: float, views: Mapping[str, str] | None = None, unfolded: Collection[str] = ()
) -> dict[str, str]:
    return {"text/html": to_html(snapshot, now, views, unfolded), "text/plain": snapshot.as_text(now)}
