"""The jobs that wait for the workers of a lane: higher priority first, sources of equal priority in turns."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from comfy_nb.engine.pools.turns import Order, Turns

Job = TypeVar("Job")
_Line = tuple[Hashable, int]


class _Waiting(NamedTuple, Generic[Job]):
    """A job that waits, with its priority, which may change meanwhile."""

    asked_at: float
    number: int
    job: Job
    priority: Callable[[], int]


def no_priority() -> int:
    """Return the priority of what has none."""
    return 0


class JobQueue(Generic[Job]):
    """Jobs in lines, by their source and priority; safe for threads."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._lines: dict[_Line, deque[_Waiting[Job]]] = {}
        self._numbers = itertools.count()
        self._signals: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def put(self, job: Job, source: Hashable = None, priority: Callable[[], int] = no_priority) -> None:
        """Let a job wait."""
        line, now = (source, priority()), time.monotonic()
        with self._lock:
            self._turns.join(source, now)
            self._lines.setdefault(line, deque()).append(_Waiting(now, next(self._numbers), job, priority))
        self._signals.put(True)

    def reconsider(self) -> None:
        """Put each job that waits where it belongs by the priority that it has now."""
        with self._lock:
            waiting = [(source, each) for (source, _), line in self._lines.items() for each in line]
            self._lines = {}
            for source, each in sorted(waiting, key=lambda found: found[1].number):
                self._lines.setdefault((source, each.priority()), deque()).append(each)

    def put_end(self) -> None:
        """Let one worker end, after the jobs that wait now."""
        self._signals.put(False)

    def get(self) -> Job | None:
        """Wait for the next job; None: the worker is to end."""
        if not self._signals.get():
            return None
        with self._lock:
            now = time.monotonic()
            line = next(iter(self._lines)) if len(self._lines) == 1 else self._first_line(now)
            waiting = self._lines[line]
            job = waiting.popleft().job
            if not waiting:
                del self._lines[line]
            self._turns.served(line[0], now)
            self._turns.leave(line[0])
            return job

    def _first_line(self, now: float) -> _Line:
        def order(line: _Line) -> Order:
            head = self._lines[line][0]
            return self._turns.order(*line, head.asked_at, head.number, now)

        return min(self._lines, key=order)

    @property
    def is_wanted(self) -> bool:
        """Whether jobs wait."""
        return bool(self._lines)

    def is_wanted_above(self, priority: int) -> bool:
        """Whether a job waits that is of higher priority."""
        return bool(self._lines) and any(waits > priority for _, waits in self._lines.copy())
