"""The code of tracers and debuggers, in which nothing of ours is raised.

It is called between any two lines. coverage.py takes a lock there, and would wait for ever for one that was not let go.
"""

from __future__ import annotations

import sys
import threading
import time
from types import FrameType

TRACERS = frozenset(("bdb", "coverage", "pydevd", "_pydevd_bundle"))
PATIENCE_S = 1.0


def is_of_tracer(frame: FrameType) -> bool:
    """Whether a frame executes the code of a tracer."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in TRACERS


def let_tracer_end(thread: threading.Thread) -> None:
    """Wait until a thread has left the code of a tracer, for a moment: a debugger may wait for a person."""
    until = time.monotonic() + PATIENCE_S
    while (frame := sys._current_frames().get(thread.ident or 0)) is not None and is_of_tracer(frame):
        if time.monotonic() > until:
            return
        time.sleep(0)
