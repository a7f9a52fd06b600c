"""A thread for a view: it runs the newest task of each kind, and continues a long one in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.own_thread import OwnThread
from comfy_nb.errors import warn_of_fault

Task = Callable[[], None]


class BackgroundThread:
    """Runs tasks off the event loop. The thread exists only while there is something to do."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._long_task: Iterator[object] | None = None
        self._lock = threading.Lock()
        self._is_running = False
        self.thread: threading.Thread | None = None
        process_end.end_thread(self)

    def submit(self, key: str, task: Task) -> None:
        """Run a task soon, in place of a waiting one with the same key; may be called from any thread."""
        with self._lock:
            self._tasks[key] = task
            self._start()

    def start_long_task(self, steps: Iterator[object]) -> None:
        """Take up a long task, one step at a time, whenever no other waits."""
        with self._lock:
            self._long_task = steps
            self._start()

    def drop_long_task(self) -> None:
        """Leave the long task unfinished."""
        with self._lock:
            self._long_task = None

    def drop_all(self) -> None:
        """Forget the tasks that wait, and the long one."""
        with self._lock:
            self._tasks.clear()
            self._long_task = None

    def end(self) -> None:
        """Let the thread end after its present step."""
        self.drop_all()

    def _start(self) -> None:
        if not self._is_running:
            self._is_running = True
            self.thread = OwnThread(self._run, "comfy-nb-inspect")
            self.thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                key = next(iter(self._tasks), None)
                task = self._tasks.pop(key) if key is not None else None
                long_task = self._long_task
                if task is None and long_task is None:
                    self._is_running = False
                    return
            is_over = False
            try:
                if task is not None:
                    task()
                else:
                    is_over = long_task is not None and next(long_task, self) is self
            except Exception as error:  # a fault in one task must not silence the view
                is_over = task is None
                warn_of_fault("A view failed to answer", error)
            if is_over:
                with self._lock:
                    if self._long_task is long_task:
                        self._long_task = None
