"""What other threads see of an interrupt: only the main thread gets it, and may then wait for them.

Python tells them of no signal, and lets them set no handler. But an interrupted main thread shows: it handles a
KeyboardInterrupt while it waits for a pool to end, and asyncio.run counts the interrupts that it turns into a
cancellation.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from types import FrameType

from comfy_nb.engine.execution.sigint import present_handler


def interrupt_at_work() -> object | None:
    """Return what stands for the interrupt that the main thread is dealing with, or for a cancellation; else None.

    Each has an object of its own; a cancellation is an asyncio.CancelledError, and mostly no interrupt.
    """
    handler = present_handler()
    runner = getattr(getattr(handler, "func", None), "__self__", None)
    if isinstance(runner, asyncio.Runner) and getattr(runner, "_interrupt_count", False):
        return runner
    main = threading.main_thread().ident or 0
    handled: object = sys._current_exceptions().get(main)
    error = handled[1] if isinstance(handled, tuple) else handled  # before Python 3.12 it is what sys.exc_info returns
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
        return error
    ended_by = getattr(sys, "last_value", None)
    if isinstance(ended_by, KeyboardInterrupt) and _is_shutting_down(sys._current_frames().get(main)):
        return ended_by
    return None


def _is_shutting_down(frame: FrameType | None) -> bool:
    """Whether the program has ended, and the main thread waits for the others."""
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame is not None and (frame.f_globals.get("__name__"), frame.f_code.co_name) == ("threading", "_shutdown")
