"""Handlers of SIGINT: one around the present one, which it calls, and one for jobs that go on while no cell runs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from comfy_nb.engine.execution.loops import running_loop


class Watch(Protocol):
    """Who watches for interrupts (see `interrupt.InterruptWatch`)."""

    nested: Callable[[int, FrameType | None], None] | None

    @property
    def running_cell(self) -> object | None: ...
    def cancel_cell(self, cell: object) -> bool: ...
    def press(self) -> bool: ...
    def wake(self) -> None: ...
    def press_on_node(self, frame: FrameType | None) -> None: ...
    def press_while_idle(self, frame: FrameType | None) -> None: ...


class Handler:
    """Calls the previous handler and then wakes the loop; one that is still installed later only passes signals on.

    A kernel's handler, which cancels the cell's task, is called on the loop. Where that is turning for a run_sync() of
    the cell, the run ends instead: a task that is cancelled while it awaits nothing takes the kernel's reply with it.
    """

    def __init__(self, watch: Watch, previous: Any, *, until_cell_ends: bool) -> None:
        self.watch = watch
        self.previous = previous
        self.until_cell_ends = until_cell_ends

    def __call__(self, number: int, frame: FrameType | None) -> None:
        is_again = self.watch.press()
        try:
            if not is_again:
                self._pass_on(number, frame)
        finally:
            self.watch.wake()
        self.watch.press_on_node(frame)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        loop = running_loop()
        if self.until_cell_ends and loop is not None and self.previous is not signal.default_int_handler:
            loop.call_soon_threadsafe(self._cancel, number, self.watch.running_cell)
        else:
            self.previous(number, frame)

    def _cancel(self, number: int, cell: object) -> None:
        if cell is self.watch.running_cell and self.watch.nested is not None:
            self.watch.nested(number, None)
        elif not self.watch.cancel_cell(cell):
            self.previous(number, None)


class IdleHandler:
    """Ends the job that keeps the loop while no cell runs; else it ignores the signal, as a kernel does then."""

    def __init__(self, watch: Watch, previous: Any) -> None:
        self.watch = watch
        self.previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.watch.press_while_idle(frame)
