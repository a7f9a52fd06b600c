"""A thread that answers a view's requests, the newest of each kind only, and continues a long task in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from comfy_nb.errors import warn_of_fault

Request = Callable[[], None]


class BackgroundThread:
    """Runs requests off the event loop. The thread exists only while there is something to do."""

    def __init__(self) -> None:
        self._requests: dict[str, Request] = {}
        self._long_task: Iterator[object] | None = None
        self._lock = threading.Lock()
        self._is_running = False

    def submit(self, key: str, request: Request) -> None:
        """Run a request soon, in place of a waiting one of the same key; may be called from any thread."""
        with self._lock:
            self._requests[key] = request
            self._start()

    def start_long_task(self, task: Iterator[object]) -> None:
        """Take up a long task: one step whenever no request waits."""
        with self._lock:
            self._long_task = task
            self._start()

    def drop_long_task(self) -> None:
        """Do no more of the long task."""
        with self._lock:
            self._long_task = None

    def drop_all(self) -> None:
        """Forget the requests that wait, and the long task."""
        with self._lock:
            self._requests.clear()
            self._long_task = None

    def _start(self) -> None:
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._run, name="comfy-nb-inspect", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                key = next(iter(self._requests), None)
                request = self._requests.pop(key) if key is not None else None
                task = self._long_task
                if request is None and task is None:
                    self._is_running = False
                    return
            is_over = False
            try:
                if request is not None:
                    request()
                else:
                    is_over = task is not None and next(task, self) is self
            except Exception as error:  # a fault in one request must not silence the view
                is_over = request is None
                warn_of_fault("A view failed to answer", error)
            if is_over:
                with self._lock:
                    if self._long_task is task:
                        self._long_task = None
