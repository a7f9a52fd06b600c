"""An interrupt in code that cannot await: it is held back until our own code has ended, and then raised.

Python raises a KeyboardInterrupt between any two bytecodes. In the midst of our code that would leave a run half begun,
or half ended, and its traceback would show nothing of a person's code.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from comfy_nb.engine.execution.interrupt import AGAIN_S, Awaited, interrupt_watch
from comfy_nb.engine.execution.loops import running_loop
from comfy_nb.engine.execution.sigint import present_handler, set_handler
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.errors import Interrupted


class HeldBack:
    """A `with` block that notes when interrupts came, and raises one at its end if any did, with the `run`.

    It raises Interrupted in a notebook, and KeyboardInterrupt in a script, whose own handler of the signal is left
    alone. What waits inside sets `on_press(frame)`, to be told; until then a second interrupt is held back no longer.
    Other threads than the main one get no interrupts.

    In a task beside the cell's own, such as an async node's, an interrupt is for that one: it may await this task in a
    way that hides how it ends, or not at all.
    """

    def __init__(self, message: str) -> None:
        self.run: Any = None
        self.presses: list[float] = []
        self.on_press: Callable[[FrameType | None], None] | None = None
        self._message = message
        self._before: Any = None
        self._around: Callable[[int, FrameType | None], None] | None = None
        self._passes_on = False

    def __enter__(self) -> HeldBack:
        if threading.current_thread() is threading.main_thread():
            if interrupt_watch.has_cells:
                interrupt_watch.watch_cell()  # of a cell that has not quite begun, the kernel's handler alone is there
            before = present_handler()
            if before is signal.default_int_handler or (callable(before) and running_loop() is not None):
                self._before = before
                cancels_task = getattr(before, "previous", before) is not signal.default_int_handler
                self._passes_on = cancels_task and interrupt_watch.is_beside_cell()
                self._around = None if self._passes_on else interrupt_watch.nested
                set_handler(self)  # from here on nothing is raised, so that __exit__ is called
                if not self._passes_on:
                    interrupt_watch.nested = self
        return self

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        self.presses.append(time.monotonic())
        if self._passes_on:
            self._before(number, frame)
            return
        if self._around is not None:  # a node of its run has begun this one's
            self._around(number, frame)
        else:
            if running_loop() is not None:
                interrupt_watch.press()
            interrupt_watch.wake()
        if self.on_press is not None:
            self.on_press(frame)
        elif self.presses[-1] - self.presses[0] > AGAIN_S:
            raise KeyboardInterrupt

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._before is not None:
            if not self._passes_on:
                interrupt_watch.nested = self._around
            if present_handler() is self:  # else a later cell has begun inside, and has one of its own
                set_handler(self._before)  # one that comes here is still held back
        is_told = isinstance(error, Interrupted) or not isinstance(
            error, (type(None), Exception, asyncio.CancelledError)
        )
        call = current_call.get()
        is_ours = not self._passes_on or (call is not None and call.run.stopping)
        if self.presses and is_ours and not is_told:
            raise self.interrupt() from None

    def is_for(self, awaited: Awaited) -> bool:
        """Whether an interrupt came that is for what is `awaited` inside; the cell's is not for its background."""
        is_of_cell = awaited.cell is interrupt_watch.running_cell and not awaited.is_inner
        return bool(self.presses) and (is_of_cell or not self._passes_on)

    def interrupt(self) -> BaseException:
        """Make the error of an interrupt."""
        return Interrupted(self._message, run=self.run) if interrupt_watch.has_cells else keyboard_interrupt(self.run)


def keyboard_interrupt(run: Any) -> KeyboardInterrupt:
    """Make the error of an interrupt in a script, with the run as its attribute `run`."""
    error = KeyboardInterrupt()
    vars(error)["run"] = run
    return error
