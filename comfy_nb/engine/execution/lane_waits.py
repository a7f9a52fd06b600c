"""Tells which ready nodes wait because another one has the thread of plain nodes for long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

from comfy_nb.engine.execution.event_log import EventLog
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.scheduler import Scheduler

LOOK_S = 0.25
TOLD_MAX = 12


class Drained(Protocol):
    """The run whose nodes these are."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def lock(self) -> threading.Lock: ...
    @property
    def scheduler(self) -> Scheduler: ...
    @property
    def calling(self) -> Mapping[Any, NodeRun]: ...
    @property
    def is_draining(self) -> bool: ...


class LaneWaits:
    """Looks now and then at a run whose nodes are called on the lane, whether none has been since the last look.

    The ready nodes are looked at only then: there may be very many.
    """

    def __init__(self, run: Drained, event_log: EventLog) -> None:
        self._run = run
        self._event_log = event_log
        self._timer: asyncio.TimerHandle | None = None
        self._seen: tuple[list[NodeRun], int] = ([], 0)
        self._told: list[NodeRun] = []
        self._looked_at = 0.0

    def begin(self) -> None:
        """Look from now on, until the lane has nothing to do for the run."""
        if self._timer is None:
            self._timer = self._run.loop.call_later(LOOK_S, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        run = self._run
        with run.lock:
            is_draining, seen = run.is_draining, (list(run.calling.values()), run.scheduler.ready_count)
            waiting = run.scheduler.next_ready(TOLD_MAX) if seen == self._seen else self._told
        self._seen = seen
        if waiting != self._told:
            self._told = waiting
            for ahead, node_run in enumerate(waiting):
                self._event_log.node_queued(node_run, (), ahead, self._looked_at)
        self._looked_at = time.perf_counter()
        if is_draining:
            self.begin()
