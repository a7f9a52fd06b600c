"""A clock for displays, ten ticks a second on its own thread, so that they update while the event loop is blocked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.own_thread import OwnThread
from comfy_nb.errors import warn_of_fault

TICK_S = 0.1
REST_FACTOR = 4  # a draw is followed by a pause of at least this many times its own duration

Tick = Callable[[float], None]


class Ticker:
    """Calls its members ten times a second on a daemon thread, which sleeps while there are none."""

    def __init__(self) -> None:
        self._members: list[Tick] = []
        self._changed = threading.Condition()
        self._is_ending = False
        self.thread: threading.Thread | None = None

    def add(self, tick: Tick) -> None:
        """Call `tick(now)` from now on, once a tick; a member that raises is not called again."""
        with self._changed:
            if tick not in self._members:
                self._members.append(tick)
            if self.thread is None or not self.thread.is_alive():
                self.thread = OwnThread(self._loop, "comfy-nb-ticker")
                self.thread.start()
                process_end.end_thread(self)
            self._changed.notify()

    def end(self) -> None:
        """Let the thread end."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()

    def remove(self, tick: Tick) -> None:
        """Stop calling it; a call that is under way on the thread may still finish."""
        with self._changed:
            if tick in self._members:
                self._members.remove(tick)

    def _loop(self) -> None:
        while not self._is_ending:
            with self._changed:
                while not self._members and not self._is_ending:
                    self._changed.wait()
            started = time.perf_counter()
            self._tick_all(started)
            time.sleep(max(TICK_S - (time.perf_counter() - started), TICK_S / 4))

    def _tick_all(self, now: float) -> None:
        """Call each member once; a function of its own, because a variable in `_loop` would keep a run alive."""
        for tick in list(self._members):
            self._call(tick, now)

    def _call(self, tick: Tick, now: float) -> None:
        try:
            tick(now)
        except Exception as error:  # one broken display must not stop the others
            self.remove(tick)
            warn_of_fault("A display failed and is no longer updated", error)


ticker = Ticker()
