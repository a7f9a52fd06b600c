"""The end of the process: runs are stopped, and what our threads still do is interrupted and waited for.

Python ends a thread that comes back from C to an interpreter that is gone; where the C is C++, as torch's, that aborts
the process. Threads that are no daemons outlive the main one and go on with their runs, as in any program; but with a
kernel everything ends, so its runs are stopped before Python waits for these threads.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

WAIT_S = 2.0
KERNEL_WAIT_S = 1.0  # Jupyter kills a kernel that has not ended 2.5 s after it was asked to
LOOK_S = 0.05


class EndingThread(Protocol):
    """What runs on a thread of ours."""

    @property
    def thread(self) -> threading.Thread | None:
        """The thread, if there is one."""
        ...

    def end(self) -> None:
        """Let the thread end, and interrupt what it does."""
        ...


class EndingRuns(Protocol):
    """What has runs."""

    def stop_all(self) -> int:
        """Stop them."""
        ...


class ProcessEnd:
    """What is ended with the process, which may be one `of_cells`.

    `has_begun` once its runs are being stopped: no other one is to begin.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self.of_cells = False
        self._is_registered = False
        self.forget()

    def forget(self) -> None:
        """Forget what a forked process does not have."""
        self._threads: WeakSet[EndingThread] = WeakSet()
        self._runs: WeakSet[EndingRuns] = WeakSet()
        self._last: dict[Callable[[], None], None] = {}

    def end_thread(self, ending: EndingThread) -> None:
        """Let a thread end before the interpreter does."""
        self._register()
        self._threads.add(ending)

    def stop_runs(self, ending: EndingRuns) -> None:
        """Stop these runs before the interpreter ends."""
        self._register()
        self._runs.add(ending)

    def do_last(self, work: Callable[[], None]) -> None:
        """Do this once no thread of ours is at work any more, or none that can be waited for."""
        self._register()
        self._last[work] = None

    def _register(self) -> None:
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self._end)
            with suppress(RuntimeError):  # Python has begun to wait for the threads that it waits for
                threading._register_atexit(self._main_thread_ended)  # type: ignore[attr-defined]

    def _main_thread_ended(self) -> None:
        """Called before those threads are waited for that are no daemons."""
        if self.of_cells:
            self._stop_runs()

    def _stop_runs(self) -> None:
        self.has_begun = True
        for each in list(self._runs):
            each.stop_all()

    def _end(self) -> None:
        sys.settrace(None)  # while an interrupt is pending, traced code loops in CPython 3.11 (see `lanes`)
        deadline = time.monotonic() + (KERNEL_WAIT_S if self.of_cells else WAIT_S)
        try:
            self._stop_runs()
            self._end_threads(deadline)
            for work in list(self._last):
                work()
        except KeyboardInterrupt:  # pressed again, by someone who does not want to wait
            _end_by_signal()

    def _end_threads(self, deadline: float) -> None:
        """End the threads, also those that begin meanwhile, as the end of a run replaces its lane's."""
        told: WeakSet[EndingThread] = WeakSet()
        while time.monotonic() < deadline:  # a forked process has none of those from before
            alive = {each: thread for each in list(self._threads) if (thread := each.thread) and thread.is_alive()}
            if not alive:
                return
            for each in alive.keys() - told:
                told.add(each)
                each.end()
            for thread in alive.values():
                thread.join(min(max(deadline - time.monotonic(), 0), LOOK_S))


def _end_by_signal() -> None:
    """End the process as Python does after a KeyboardInterrupt, but without its own end."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


process_end = ProcessEnd()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process_end.forget)
