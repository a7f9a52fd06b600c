"""A background thread that writes entries one after the other, and can be waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.own_thread import OwnThread

WAITING_MAX_ENTRIES = 1024
WAITING_MAX_BYTES = 1 << 30
IDLE_SECONDS = 10.0


class Writer:
    """Passes entries to `write` on a daemon thread, which starts with the first one and ends when idle for long.

    The queue is bounded in number and bytes, since a waiting entry keeps its values in memory.
    """

    def __init__(self, write: Callable[[Entry], None]) -> None:
        self._write = write
        self._waiting: dict[bytes, Entry] = {}
        self._waiting_bytes = 0
        self._current: bytes | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._change = threading.Condition()

    def put(self, entry: Entry) -> bool:
        """Queue an entry; False where too much is queued already."""
        with self._change:
            if entry.key in self._waiting:
                return True
            size = self._waiting_bytes + entry.size
            if self._waiting and (len(self._waiting) >= WAITING_MAX_ENTRIES or size > WAITING_MAX_BYTES):
                return False
            self._waiting[entry.key] = entry
            self._waiting_bytes = size
            if self._thread is None:
                self._thread = OwnThread(self._work, "comfy-nb-disk")
                self._thread.start()
            self._change.notify_all()
        return True

    def forget(self, key: bytes | None = None) -> None:
        """Take an entry (None: all of them) off the queue, and wait for the end of a write under way."""
        with self._change:
            for each in [key] if key is not None else list(self._waiting):
                self._take(each)
            self._change.wait_for(lambda: self._current is None or key not in (None, self._current))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything queued is written; False where that takes more than `timeout` seconds."""
        with self._change:
            self._change.wait_for(lambda: not self._is_busy() or self._thread is None, timeout)
            return not self._is_busy()

    def close(self, timeout: float | None = None) -> None:
        """Write what is queued, for `timeout` seconds at most, and end the thread."""
        if not self.flush(timeout):
            return
        with self._change:
            self._is_closed, thread = True, self._thread
            self._change.notify_all()
        if thread is not None:
            thread.join()

    def __contains__(self, key: object) -> bool:
        return key in self._waiting or key == self._current

    def _is_busy(self) -> bool:
        return bool(self._waiting) or self._current is not None

    def _take(self, key: bytes) -> Entry | None:
        entry = self._waiting.pop(key, None)
        if entry is not None:
            self._waiting_bytes -= entry.size
        return entry

    def _next(self) -> Entry | None:
        with self._change:
            self._current = None
            self._change.notify_all()
            self._change.wait_for(lambda: self._waiting or self._is_closed, IDLE_SECONDS)
            if not self._waiting:
                self._thread = None
                return None
            self._current = next(iter(self._waiting))
            return self._take(self._current)

    def _work(self) -> None:
        try:
            while (entry := self._next()) is not None:
                self._write(entry)
        finally:
            # If `write` failed, nobody may wait for this thread any more; the next entry starts another.
            with self._change:
                if self._thread is threading.current_thread():
                    self._current = self._thread = None
                    self._change.notify_all()
