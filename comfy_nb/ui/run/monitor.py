"""One monitor per run, which all its views share: a model fed on the run's loop, and snapshots for any thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from comfy_nb.engine.events import Event, RunFinished
from comfy_nb.ui.render.labels import constants_of
from comfy_nb.ui.run.model import RunModel, names_in
from comfy_nb.ui.run.snapshot import RunSnapshot

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

BLOCKED_S = 0.3
ESTIMATE_EVERY_S = 0.5
ESTIMATED_MAX = 500  # nodes


class RunMonitor:
    """Follows one run from its start, and notices when its event loop is blocked."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._at_end: list[Callable[[], None]] = []
        self.is_over = False
        self._unsubscribe: Callable[[], None] = lambda: None
        self._model = RunModel(lambda node_id: names_in(self.run)(node_id), started=run.started_at)
        self._lock = threading.Lock()
        self._has_new_events = False
        self._pinged_at: float | None = None
        self._blocked: tuple[str, float] | None = None
        self._estimate_of: tuple[float, float | None] = -inf, None
        self._unsubscribe = run.subscribe(self.on_events)
        if self.is_over:
            self._unsubscribe()

    def on_events(self, events: Sequence[Event]) -> None:
        """Fold a batch of events in; called on the run's loop."""
        self._has_new_events = True
        with self._lock:
            self._model.apply(events)
        if any(isinstance(event, RunFinished) for event in events):
            self._end()

    def when_over(self, callback: Callable[[], None]) -> None:
        """Call `callback()` once when the run has ended, on its loop; at once if it has."""
        with self._lock:
            if not self.is_over:
                self._at_end.append(callback)
                return
        callback()

    def _end(self) -> None:
        """The run keeps this as long as somebody has the run; this does not keep the run's values."""
        with self._lock:
            self.is_over = True
            self.run = self.run.without_values()
            callbacks, self._at_end = self._at_end, []
        self._unsubscribe()
        for callback in callbacks:
            callback()

    def snapshot(self) -> RunSnapshot:
        """Return what to show now; may be called from any thread."""
        with self._lock:
            snapshot = self._model.snapshot()
        for row in snapshot.rows:
            row.constants = constants_of(self.run, row.node_id)
            row.run = self.run.number
        if not snapshot.is_over:
            eta = snapshot.eta if snapshot.eta is not None else self._estimated(time.perf_counter())
            snapshot = replace(snapshot, eta=eta, loop_blocked=self._blocked, stopping=self.run.stopping)
        # a loop that is blocked from the start has not delivered how many nodes there are
        if not snapshot.total:
            return replace(snapshot, total=self.run.total + self.run.cached)
        if not self._model.has_begun:
            return snapshot
        above = self.run.above_cached
        return replace(snapshot, **{name: getattr(snapshot, name) + above for name in ("total", "done", "cached")})

    def _estimated(self, now: float) -> float | None:
        """Return the seconds left by how long the nodes took before; None where that is not known of all."""
        if now - self._estimate_of[0] > ESTIMATE_EVERY_S and len(self.run.needed) <= ESTIMATED_MAX:
            rest = self.run.remaining()
            self._estimate_of = now, rest.seconds if not rest.unknown else None
        at, seconds = self._estimate_of
        return max(seconds - (now - at), 0.0) if seconds else None

    def check_loop(self, now: float) -> None:
        """Check whether the run's event loop still turns, and what blocks it if not; called off the loop."""
        loop = self.run.loop
        if self.is_over or loop is None:
            return
        if loop.is_closed():  # the run cannot go on, and will never report its end
            self.on_events([RunFinished(self.run.id, now, "cancelled", now - self.run.started_at)])
            return
        if self._has_new_events:  # so the loop has turned since the last check
            self._has_new_events = False
            self._pong()
            return
        pinged_at = self._pinged_at  # read once: the answer may arrive at any moment
        if pinged_at is None:
            self._pinged_at = now
            with suppress(RuntimeError):  # the loop was closed just now
                loop.call_soon_threadsafe(self._pong)
        elif now - pinged_at > BLOCKED_S:
            self._blocked = self._blocker(loop), now - pinged_at
            if self._pinged_at is None:  # the answer arrived in between
                self._blocked = None

    def _pong(self) -> None:
        self._pinged_at = self._blocked = None

    def _blocker(self, loop: asyncio.AbstractEventLoop) -> str:
        for run in self.run.session.live_runs():
            step = run.holding_loop
            if step is not None and run.loop is loop:
                return step.named
        return "a cell or a callback"


def monitor_of(run: Run) -> RunMonitor:
    """Return the monitor of a run, the same for all its views."""
    monitor: RunMonitor | None = run.attached.get("monitor")
    if monitor is None:
        monitor = run.attached["monitor"] = RunMonitor(run)
    return monitor
