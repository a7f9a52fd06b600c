"""What all views of one run share: its board, fed on the run's loop and read on any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from comfy_nb.engine.events import Event, RunFinished
from comfy_nb.ui.render.labels import constants_of
from comfy_nb.ui.run.model import Board, labels_of
from comfy_nb.ui.run.snapshot import View
from comfy_nb.wording import name_node

BLOCKED_S = 0.3

_bridges: WeakValueDictionary[int, Bridge] = WeakValueDictionary()


class Bridge:
    """Follows one run from its start. `on_end` are called on the loop, each once, when the run has ended."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.on_end: list[Callable[[], None]] = []
        self.is_over = False
        self._board = Board(labels_of(run), started=run.started_at)
        self._lock = threading.Lock()
        self._is_heard = False
        self._pulse_sent: float | None = None
        self._blocked: tuple[str, float] | None = None
        run.subscribe(self.take)

    def take(self, events: Sequence[Event]) -> None:
        """On the loop: fold a batch of events in."""
        self._is_heard = True
        with self._lock:
            self._board.take(events)
        if any(isinstance(event, RunFinished) for event in events):  # a node that would not stop may print after it
            self.is_over = True
            waiting, self.on_end = self.on_end, []
            for tell in waiting:
                tell()

    def view(self) -> View:
        """Return what is to be shown now; from any thread."""
        with self._lock:
            view = self._board.view()
        for row in view.rows:
            row.constants = constants_of(self.run, row.node_id)
            row.run = self.run.number
        blocked = None if view.is_over else self._blocked
        view = replace(view, blocked=blocked, stopping=self.run.stopping and not view.is_over)
        # a loop that is blocked from the start has not told the board how many nodes there are
        return view if view.total else replace(view, total=self.run.total + self.run.cached)

    def feel(self, now: float) -> None:
        """Off the loop: see whether the loop still turns, and who keeps it if it does not."""
        if self.is_over or self.run.drive is None:
            return
        if self.run.drive.loop.is_closed():  # nothing goes on there, and nothing says so
            self.take([RunFinished(self.run.id, now, "cancelled", now - self.run.started_at)])
            return
        if self._is_heard:  # it turned since the last time
            self._is_heard = False
            self._answer()
            return
        sent = self._pulse_sent  # the answer may come at any moment
        if sent is None:
            self._pulse_sent = now
            with suppress(RuntimeError):  # it was closed just now
                self.run.drive.loop.call_soon_threadsafe(self._answer)
        elif now - sent > BLOCKED_S:
            self._blocked = self._who(), now - sent
            if self._pulse_sent is None:  # it came in between
                self._blocked = None

    def _answer(self) -> None:
        self._pulse_sent = self._blocked = None

    def _who(self) -> str:
        for run in self.run.session.live_runs():
            ticket = run.drive.stepping if run.drive is not None else None
            if ticket is not None and run.drive.loop is self.run.drive.loop:
                step = ticket.step
                return name_node(step.id, step.class_type, step.title)
        return "a cell or a callback"


def bridge_of(run: Any) -> Bridge:
    """Return the bridge of a run, the same for all its views."""
    bridge = _bridges.get(run.number)
    if bridge is None:
        bridge = _bridges[run.number] = Bridge(run)  # the run's journal keeps it
    return bridge
