"""Processes of which coverage.py is kept out."""

from __future__ import annotations

import os


def unmeasured() -> dict[str, str]:
    """Return the environment without what has coverage.py measure the processes that tests begin.

    Its tracer takes a lock at each call. An interrupt that comes just then leaves the lock taken, and the process waits
    for it for ever.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS_")}
