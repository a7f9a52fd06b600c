"""The end of the process: what our threads still do is interrupted and waited for, a few seconds at most.

Python ends a thread that comes back from C to an interpreter that is gone; where the C is C++, as torch's, that aborts
the process.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from typing import Protocol
from weakref import WeakSet

WAIT_S = 2.0


class EndingThread(Protocol):
    """What runs on a thread of ours."""

    thread: threading.Thread

    def end(self) -> None:
        """Let the thread end, and interrupt what it does."""
        ...


_threads: WeakSet[EndingThread] = WeakSet()


def end_at_exit(ending: EndingThread) -> None:
    """Let a thread end before the interpreter does."""
    if not _threads:
        atexit.register(_end_threads)  # again after all were gone, which does no harm
    _threads.add(ending)


def _end_threads() -> None:
    sys.settrace(None)  # while an interrupt is pending, traced code loops in CPython 3.11 (see `lanes`)
    alive = [each for each in list(_threads) if each.thread.is_alive()]  # a forked process has none of them
    deadline = time.monotonic() + WAIT_S
    try:
        for each in alive:
            each.end()
        for each in alive:
            each.thread.join(max(deadline - time.monotonic(), 0))
    except KeyboardInterrupt:  # pressed again, by someone who does not want to wait
        _end_by_signal()


def _end_by_signal() -> None:
    """End the process as Python does after a KeyboardInterrupt, but without its own end."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
