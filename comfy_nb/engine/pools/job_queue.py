"""The jobs that wait for the workers of a lane: higher priority first, sources of equal priority in turns."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from comfy_nb.engine.pools.turns import Order, Turns

Job = TypeVar("Job")
_Line = tuple[Hashable, int]


class JobQueue(Generic[Job]):
    """Jobs in lines, by their source and priority; safe for threads."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._lines: dict[_Line, deque[tuple[float, int, Job]]] = {}
        self._numbers = itertools.count()
        self._signals: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def put(self, job: Job, source: Hashable = None, priority: int = 0) -> None:
        """Let a job wait."""
        line, now = (source, priority), time.monotonic()
        with self._lock:
            self._turns.join(source, now)
            self._lines.setdefault(line, deque()).append((now, next(self._numbers), job))
        self._signals.put(True)

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
            _, _, job = waiting.popleft()
            if not waiting:
                del self._lines[line]
            self._turns.served(line[0], now)
            self._turns.leave(line[0])
            return job

    def _first_line(self, now: float) -> _Line:
        def order(line: _Line) -> Order:
            asked_at, number, _ = self._lines[line][0]
            return self._turns.order(*line, asked_at, number, now)

        return min(self._lines, key=order)

    @property
    def is_wanted(self) -> bool:
        """Whether jobs wait."""
        return bool(self._lines)

    def is_wanted_above(self, priority: int) -> bool:
        """Whether a job waits that is of higher priority."""
        return bool(self._lines) and any(waits > priority for _, waits in self._lines.copy())
