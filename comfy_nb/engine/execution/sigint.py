"""The handler of SIGINT, read and set without looking it up among the names of `signal`.

For a handler that is a function, that look-up fails in Python 3.11 by a hidden ValueError with its repr. It would take
a fifth of the time of a small run, and stand in the traceback of an interrupt that comes meanwhile.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
from typing import Any


def present_handler() -> Any:
    """Return the handler of SIGINT, from any thread."""
    return _signal.getsignal(signal.SIGINT)


def set_handler(handler: Any) -> Any:
    """Set the handler of SIGINT, on the main thread, and return the one before."""
    return _signal.signal(signal.SIGINT, handler)
