"""The runs that were awaited last, in each place: what `nb.last` finds, without keeping their values alive.

But for those of a run that failed: its errors keep the run.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import Any

from comfy_nb.engine.run import Run

PLACES_MAX = 8


@dataclass(slots=True)
class _Last:
    """A run, from its end on without its values, and the run with them as long as somebody else has it."""

    run: Run
    with_values: weakref.ref[Run]


class LastRuns:
    """Remembers the last run of each of the last places; in a notebook a place is a cell."""

    def __init__(self) -> None:
        self._lasts: list[_Last] = []
        self._lock = threading.Lock()

    def begin(self, run: Run) -> None:
        """Note a run that somebody awaits from now on."""
        with self._lock:
            elsewhere = [last for last in self._lasts if last.run.place != run.place]
            self._lasts = [*elsewhere[1 - PLACES_MAX :], _Last(run, weakref.ref(run))]

    def end(self, run: Run) -> None:
        """Let go of the values of a run, which has ended."""
        with self._lock:
            for last in self._lasts:
                if last.run is run:
                    last.run = run.without_values()

    def at(self, place: Any) -> Run | None:
        """Return the last run that was begun in a place, or else in any; None where there was none."""
        with self._lock:
            here = [last for last in self._lasts if last.run.place == place]
            found = here or self._lasts
            return (found[-1].with_values() or found[-1].run) if found else None
