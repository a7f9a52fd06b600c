"""The end of an interrupted cell: an error of one line, also where asyncio hides the interrupt.

Out of asyncio.wait and out of gathers and groups comes a bare CancelledError, or a group of errors. What is plain
Python's, a KeyboardInterrupt, is shown with the person's own lines.
"""

from __future__ import annotations

import asyncio
import threading
from traceback import walk_tb
from types import TracebackType
from typing import Any
from weakref import WeakSet

from comfy_nb.engine.execution.interrupt import interrupt_watch
from comfy_nb.engine.execution.loops import running_loop
from comfy_nb.errors import Interrupted
from comfy_nb.ui.jupyter.cells import shell

INTERRUPTED = "The cell was interrupted; what had finished stays cached."

_registered: WeakSet[Any] = WeakSet()


def register() -> None:
    """End interrupted cells of this notebook in one line; one call is enough."""
    found = shell()
    if found is None or found in _registered:
        return
    _registered.add(found)
    ending = _Ending(found)
    interrupt_watch.on_interrupt = ending.expect
    interrupt_watch.watch_first_cell(_task_of_cell())
    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        found.kernel.io_loop.add_callback(interrupt_watch.watch_cell)
    found.events.register("pre_run_cell", ending.begin)
    found.events.register("post_run_cell", ending.end)


def _task_of_cell() -> asyncio.Task[Any] | None:
    """Return the task of the cell that is running, if it has one: whatever task this is called in."""
    tasks = asyncio.all_tasks() if running_loop() is not None else ()
    return next((task for task in tasks if getattr(task.get_coro(), "__name__", "") == "run_cell_async"), None)


class _Ending:
    """How the running cell ends, if it is interrupted: the shell's own handling of errors is replaced until then."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._before: tuple[Any, Any] | None = None
        self._shown: Interrupted | None = None

    def begin(self, _info: Any) -> None:
        """A cell begins."""
        interrupt_watch.begin_cell()

    def expect(self) -> None:
        """The running cell has been interrupted."""
        if self._before is None:
            self._before = self._shell.custom_exceptions, self._shell.CustomTB
        self._shell.set_custom_exc((KeyboardInterrupt, asyncio.CancelledError, BaseExceptionGroup), self._show)

    def end(self, result: Any) -> None:
        """The cell has ended; its reply says what was shown."""
        interrupt_watch.end_cell()
        self._restore()
        shown, self._shown = self._shown, None
        if shown is not None and result is not None:
            result.error_in_exec = shown

    def _show(self, shell: Any, kind: Any, error: BaseException, trace: Any, tb_offset: int | None = None) -> None:
        self._restore()
        self._shown = _interrupt_in(error) if interrupt_watch.has_run else None
        if isinstance(error, KeyboardInterrupt):
            whole, trace = trace, _until_ours(trace)
            is_ours = _length(trace) < _length(whole)
            if is_ours or isinstance(error.__context__, (Interrupted, KeyboardInterrupt)):
                error.__context__ = None  # what our code was handling, or the interrupt before this one
        elif self._shown is not None:
            self._shown.__context__ = None  # for a group of errors in there IPython shows all, also if it is suppressed
            kind, error, trace = type(self._shown), self._shown, None
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    def _restore(self) -> None:
        if self._before is not None:
            self._shell.custom_exceptions, self._shell.CustomTB = self._before
            self._before = None


def _interrupt_in(error: BaseException) -> Interrupted | None:
    """Return the interrupt that an error stands for; None for a KeyboardInterrupt, or for more than cancellations."""
    if isinstance(error, KeyboardInterrupt):
        return None
    if isinstance(error, BaseExceptionGroup):
        cancelled, other = error.split(asyncio.CancelledError)
        if cancelled is None or other is not None:
            return None
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
    return error if isinstance(error, Interrupted) else Interrupted(INTERRUPTED)


def _until_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback before our own code: what that was doing tells a person nothing."""
    theirs: list[TracebackType] = []
    while trace is not None and not str(trace.tb_frame.f_globals.get("__name__")).startswith("comfy_nb."):
        theirs.append(trace)
        trace = trace.tb_next
    found = None
    for each in reversed(theirs):
        found = TracebackType(found, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return found


def _length(trace: TracebackType | None) -> int:
    return sum(1 for _ in walk_tb(trace))
