"""A thread that answers for one view, the newest question of each kind only, and goes on with a long task between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from comfy_nb.errors import warn_of_fault

Job = Callable[[], None]


class Worker:
    """Runs jobs off the loop. Its thread is there only while there is something to do."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._long: Iterator[object] | None = None
        self._lock = threading.Lock()
        self._is_running = False

    def ask(self, key: str, job: Job) -> None:
        """Run a job soon, in place of one of the same key that has not begun; from any thread."""
        with self._lock:
            self._jobs[key] = job
            self._start()

    def go_on_with(self, task: Iterator[object]) -> None:
        """Take up a long task, a step at a time whenever no job waits."""
        with self._lock:
            self._long = task
            self._start()

    def leave_task(self) -> None:
        """Leave the long task."""
        with self._lock:
            self._long = None

    def drop(self) -> None:
        """Leave what has not begun, and the long task."""
        with self._lock:
            self._jobs.clear()
            self._long = None

    def _start(self) -> None:
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._work, name="comfy-nb-look", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                key = next(iter(self._jobs), None)
                job = self._jobs.pop(key) if key is not None else None
                task = self._long
                if job is None and task is None:
                    self._is_running = False
                    return
            is_over = False
            try:
                if job is not None:
                    job()
                else:
                    is_over = task is not None and next(task, self) is self
            except Exception as error:  # one question's fault may not silence the view
                is_over = job is None
                warn_of_fault("A view failed to answer", error)
            if is_over:
                with self._lock:
                    if self._long is task:
                        self._long = None
