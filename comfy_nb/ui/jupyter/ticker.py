"""A clock of its own for what is shown, so that a blocked event loop still shows, and shows that it is blocked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from comfy_nb.errors import warn_of_fault

TICK_S = 0.1
REST = 4  # a slow draw is followed by a pause of so many times its own length

Tick = Callable[[float], None]


class Ticker:
    """Calls its members ten times a second on a daemon thread, which sleeps while there are none."""

    def __init__(self) -> None:
        self._members: list[Tick] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, tick: Tick) -> None:
        """Call `tick(now)` from now on; a member that raises is not called again."""
        with self._changed:
            self._members.append(tick)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._go, name="comfy-nb-ticker", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, tick: Tick) -> None:
        """Call it no more; a call that is under way on the thread may still come to its end."""
        with self._changed:
            if tick in self._members:
                self._members.remove(tick)

    def _go(self) -> None:
        while True:
            with self._changed:
                while not self._members:
                    self._changed.wait()
            started = time.perf_counter()
            self._round(started)
            time.sleep(max(TICK_S - (time.perf_counter() - started), TICK_S / 4))

    def _round(self, now: float) -> None:
        """Call each member once; on its own, for a name in `_go` would keep a run alive until the next one."""
        for tick in list(self._members):
            self._call(tick, now)

    def _call(self, tick: Tick, now: float) -> None:
        try:
            tick(now)
        except Exception as error:  # a front end that has gone may not end the other displays
            self.remove(tick)
            warn_of_fault("A display failed and is not updated any more", error)


ticker = Ticker()
