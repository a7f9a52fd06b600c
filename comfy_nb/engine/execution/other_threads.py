"""What other threads than the main one await, and its end by an interrupt.

No cancellation reaches it, and the main thread may be waiting for these threads, so it is ended at once: by our handler
of the signal or, where that takes the main thread to be set, by a thread that looks at the main one.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.main_thread import interrupt_at_work
from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.execution.sigint import present_handler
from comfy_nb.engine.own_thread import OwnThread
from comfy_nb.errors import Interrupted

# How often the main thread is looked at.
LOOK_S = 0.05
# How long an interrupt takes at most from our handler to the code of the main thread.
ARRIVES_S = 0.25


class Await(Protocol):
    """An await of some thread: the cell that it belongs to, and its loop, if it has one."""

    @property
    def cell(self) -> object:
        """The cell."""
        ...

    @property
    def is_interrupted(self) -> bool:
        """Whether it has been interrupted."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop."""
        ...

    def interrupt(self) -> None:
        """End what is awaited; on the loop, if there is one."""
        ...


class OtherThreads:
    """The awaits of other threads; `running_cell()` is the cell that an interrupt is for."""

    def __init__(self, running_cell: Callable[[], object]) -> None:
        self._running_cell = running_cell
        self._awaits: set[Await] = set()
        self._interrupted: WeakSet[threading.Thread] = WeakSet()
        self._interrupted_cell: object | None = None
        self._interrupted_at = -math.inf
        self._seen: object | None = None
        self._is_at_work = False
        self._is_looking = False
        self._is_ending = False
        self.thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def enter(self, awaited: Await) -> None:
        """Note an await of this thread.

        A pool goes on with what is queued while the main thread, which has been interrupted, waits for its end. So an
        await ends as it begins if this thread was there before the interrupt that the main thread is dealing with.
        """
        with self._lock:
            if not self._is_looking:
                self._seen = interrupt_at_work()  # nothing was awaited on other threads when that came
                self._is_at_work = False
        self._look()
        with self._lock:
            self._awaits.add(awaited)
            if not self._is_looking:
                self._is_looking = True
                self.thread = OwnThread(self._look_on, "comfy-nb-interrupts")
                self.thread.start()
                process_end.end_thread(self)
        # An interrupt that came before it was added has not ended it; one that comes after that does.
        is_ending = self._is_at_work or self._is_arriving()
        is_of_cell = awaited.cell is self._interrupted_cell and threading.current_thread() in self._interrupted
        if is_ending and is_of_cell:
            awaited.interrupt()

    def leave(self, awaited: Await) -> None:
        """Note that it is no longer awaited."""
        self._awaits.discard(awaited)

    def interrupt(self) -> None:
        """End what is awaited for the running cell; from the main thread's handler or another thread."""
        self._interrupted = WeakSet(threading.enumerate())
        self._interrupted_at = time.monotonic()
        cell = self._interrupted_cell = self._running_cell()
        for awaited in list(self._awaits):
            if awaited.cell is not cell or awaited.is_interrupted:
                continue
            if awaited.loop is None:
                awaited.interrupt()
            else:
                post(awaited.loop, awaited.interrupt)

    def end(self) -> None:
        """Look no more."""
        self._is_ending = True

    def _look_on(self) -> None:
        while True:
            time.sleep(LOOK_S)
            found = self._look()
            with self._lock:
                if self._is_ending or (found is None and not self._awaits):
                    self._is_looking = False
                    return

    def _look(self) -> object | None:
        """Return what the main thread is dealing with; an interrupt of which no handler told us takes effect.

        A cancellation is an interrupt's if it comes with one, or follows at once on what was.
        """
        found = interrupt_at_work()
        is_any = isinstance(found, asyncio.CancelledError) and not isinstance(found, Interrupted)
        with self._lock:
            is_new, self._seen = found is not None and found is not self._seen, found
            self._is_at_work = found is not None and (not is_any or self._is_at_work or self._is_arriving())
        if is_new and not isinstance(found, asyncio.CancelledError) and not is_ours(present_handler()):
            self.interrupt()
        return found

    def _is_arriving(self) -> bool:
        return time.monotonic() - self._interrupted_at < ARRIVES_S


def is_ours(handler: object) -> bool:
    """Whether a handler of the signal is one of ours, which tells of interrupts itself."""
    return getattr(handler, "__module__", "").startswith("comfy_nb.")
