"""The kernel's interrupt: it ends what a cell awaits, and is told from every other cancellation.

A kernel's SIGINT handler cancels the cell's task by a call that does not wake an idle loop, and the cancellation looks
like any other. So the present handler is wrapped: it is called, the loop is woken, and in the few iterations of the
loop in which the cancellation arrives, each one counts as the interrupt's. Then what the cell's code and tasks still
await is ended too, since asyncio.wait and asyncio.shield pass no cancellation on. Handlers are process-wide: one is
wrapped while something is awaited, in a notebook until the cell ends, and then put back. What other threads await is
ended apart (see `other_threads`).
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import Any

from comfy_nb.engine.execution.coroutines import busy_since
from comfy_nb.engine.execution.held_loop import held_loop
from comfy_nb.engine.execution.loops import running_loop
from comfy_nb.engine.execution.other_threads import OtherThreads, is_ours
from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.execution.sigint import present_handler, set_handler
from comfy_nb.engine.execution.sigint_handlers import Handler, IdleHandler
from comfy_nb.engine.node_api.context import EndedRun, current_call
from comfy_nb.errors import Interrupted, InterruptProcessingException

# Iterations of the loop; the cancellation arrives within a few of them, more if awaits are nested.
TURNS = 32
# How long the loop sleeps at most while something is awaited.
TICK_S = 0.1
# How long an async node may keep the loop before an interrupt is raised in its code.
HELD_S = 0.5
HELD_BY_OTHERS_S = 3.0
# Presses that follow each other faster are one press: the second would hit the end of the cell.
AGAIN_S = 0.25
# How long after a press a cell ends: a second one that comes after its end would hit the kernel itself.
SETTLE_S = 0.05

_cell: ContextVar[object | None] = ContextVar("comfy_nb_cell", default=None)


class Awaited:
    """A `with` block around an await. Once an interrupt has come, `is_interrupted`, and the block raises Interrupted.

    In a script the cancellation that asyncio.run makes of Ctrl-C passes on instead, to become its KeyboardInterrupt.

    `end()` ends what is awaited, on any thread, where no cancellation does; `run` is the run of it, if there is one. An
    await in a node's code is the node's own affair: it is ended by the end of the node's run. `begun_after` is how many
    interrupts came before it. `loop` is the loop of this thread, if one runs.
    """

    __slots__ = (
        "_message",
        "_watch",
        "begun_after",
        "cell",
        "end",
        "is_elsewhere",
        "is_inner",
        "is_interrupted",
        "loop",
        "run",
    )

    def __init__(self, watch: InterruptWatch, message: str, end: Callable[[], Any], run: Any) -> None:
        call = current_call.get()
        self.cell = watch.cell_here()
        self.begun_after = watch.interrupts
        self.is_elsewhere = not _is_main_thread()
        self.is_inner = call is not None and not isinstance(call.run, EndedRun)
        self.is_interrupted = False
        self.loop = running_loop()
        self._watch = watch
        self._message = message
        self.end = end
        self.run = run

    def interrupt(self) -> None:
        """End what is awaited."""
        self.is_interrupted = True
        self.end()

    def notice_cancellation(self) -> bool:
        """Return whether the cancellation just caught came from an interrupt."""
        if not self.is_interrupted and not self.is_inner:
            self.is_interrupted = self._watch.is_arriving_here
        return self.is_interrupted

    def __enter__(self) -> Awaited:
        self._watch.enter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._watch.leave(self)
        is_cancelled = isinstance(error, asyncio.CancelledError)
        if is_cancelled:
            self.notice_cancellation()
        if not self.is_interrupted or not (error is None or is_cancelled or isinstance(error, Exception)):
            return
        if is_cancelled and not self._watch.has_cells:
            return  # asyncio.run makes a KeyboardInterrupt of it
        task = asyncio.current_task() if is_cancelled else None
        if task is not None:
            task.uncancel()
        raise Interrupted(self._message, run=self.run) from None


class InterruptWatch:
    """What is awaited in this process, by whom, how many `interrupts` have come, and whether one is arriving.

    `has_cells` in a notebook, where an interrupt ends a cell; elsewhere it ends the script. `has_run` once the running
    cell has begun a run. `on_interrupt()` is called before an interrupt reaches the code of a cell. `nested` is the
    handler of the run_sync() that the main thread is in.
    """

    def __init__(self) -> None:
        self.is_arriving = False
        self.interrupts = 0
        self.on_interrupt: Callable[[], None] = lambda: None
        self.has_cells = False
        self.nested: Callable[[int, FrameType | None], None] | None = None
        self._cell: object | None = None
        self._cell_task: asyncio.Task[Any] | None = None
        self._pressed_at = -math.inf
        self._presses_in_cell = 0
        self._owed: object | None = None
        self._heard = 0
        self._is_ticking = self._is_idle = False
        self.has_run = False
        self._awaits: set[Awaited] = set()
        self.forget_threads()
        self._users = self._runs = 0
        self._stands_in = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def awaiting(self, message: str, end: Callable[[], Any], run: Any = None) -> Awaited:
        """Return a `with` block for an await that an interrupt ends by `Interrupted(message, run=run)`."""
        return Awaited(self, message, end, run)

    # Cells -----------------------------------------------------------------------------------------------------------

    def begin_cell(self) -> None:
        """Note that a cell begins: an interrupt is for its code and tasks, not for the tasks of earlier cells."""
        if _is_main_thread():
            self._cell = object()
            _cell.set(self._cell)
            self._cell_task = asyncio.current_task() if running_loop() is not None else None
            self.has_run = self.is_arriving = False
            self._pressed_at = -math.inf
            self._presses_in_cell, self._owed = 0, None
            self.watch_cell()

    @property
    def running_cell(self) -> object | None:
        """The cell that is running."""
        return self._cell

    def cell_here(self) -> object | None:
        """Return the cell of this code; for a thread without a context, as of a pool, the one that is running."""
        cell = _cell.get()
        return cell if cell is not None or _is_main_thread() else self._cell

    def is_beside_cell(self) -> bool:
        """Whether this code is of another task than the running cell's or, in a script, of an async node."""
        if not self.has_cells:
            return current_call.get() is not None
        return running_loop() is not None and asyncio.current_task() is not self._cell_task

    def cancel_cell(self, cell: object) -> bool:
        """Cancel the task of a cell, if it is the running one's; False where that is not known.

        A kernel's handler takes some turns of the loop for this, in which the cell may go on, into a run_sync().
        """
        task = self._cell_task
        return cell is self._cell and task is not None and task.cancel()

    def watch_first_cell(self, task: asyncio.Task[Any] | None) -> None:
        """Notice interrupts from the midst of a cell on, of which this is the task, if it has one."""
        self._cell_task = task
        self.watch_cell()

    def watch_cell(self) -> None:
        """Notice interrupts until the running cell ends."""
        self.has_cells = process_end.of_cells = True
        self._is_idle = False
        if _is_main_thread():
            self._wrap_handler(until_cell_ends=True)

    def end_cell(self) -> None:
        """Note that no cell is running, once an interrupt of it cannot be followed by a second press."""
        if _is_main_thread():
            while (left := self._pressed_at + SETTLE_S - time.monotonic()) > 0:
                time.sleep(left)
            self._cell, self._cell_task, self._is_idle = object(), None, True
            self._put_handler_back(until_cell_ends=True)
            self._settle_idle()

    def begin_run(self) -> None:
        """Note that nodes of a run are called from here on; `end_run` is called on the same thread."""
        if _is_main_thread():
            self._runs += 1
            self._settle_idle()

    def end_run(self) -> None:
        """Note that they are not any more."""
        if _is_main_thread():
            self._runs -= 1
            self._settle_idle()

    def _settle_idle(self) -> None:
        """While no cell runs, stand in for the kernel's handler as long as nodes are called."""
        if not self._is_idle or not (self._runs or self._stands_in):
            return
        present, loop = present_handler(), running_loop()
        if present == signal.SIG_IGN:
            self._stands_in, self._loop = self._runs > 0, loop
            if self._stands_in:
                set_handler(IdleHandler(self, present))
        elif isinstance(present, IdleHandler):
            if not self._runs:
                self._stands_in = False
                set_handler(present.previous)
        elif not is_ours(present) and loop is not None:  # that of the cell, until the kernel puts back what was before
            loop.call_later(TICK_S, self._settle_idle)

    def note_run(self) -> None:
        """Note that a run has begun, perhaps one of the running cell."""
        self.has_run = self.has_run or self.cell_here() is self._cell

    def forget_threads(self) -> None:
        """Forget other threads, which a forked process does not have."""
        self._other_threads = OtherThreads(lambda: self._cell)

    # Awaits ----------------------------------------------------------------------------------------------------------

    def enter(self, awaited: Awaited) -> None:
        """Note that something is awaited from here on."""
        self.note_run()
        if awaited.is_elsewhere:
            if not awaited.is_inner:
                self._other_threads.enter(awaited)
            return
        if not awaited.is_inner:
            self._awaits.add(awaited)
            if self._owed is not None and awaited.cell is self._owed and awaited.loop is not None:
                self._owed = None
                awaited.loop.call_soon(awaited.interrupt)
        self._users += 1
        self._wrap_handler(until_cell_ends=False)
        self._tick()

    def leave(self, awaited: Awaited) -> None:
        """Note that it is no longer awaited."""
        if awaited.is_elsewhere:
            self._other_threads.leave(awaited)
            return
        self._awaits.discard(awaited)
        self._users -= 1
        if self._users == 0:
            self._put_handler_back(until_cell_ends=False)

    # Signals ---------------------------------------------------------------------------------------------------------

    @property
    def is_arriving_here(self) -> bool:
        """Whether an interrupt is arriving on this thread."""
        return self.is_arriving and _is_main_thread()

    def press(self) -> bool:
        """Note an interrupt; return whether it belongs to the one before, in a cell that has begun runs."""
        now = time.monotonic()
        is_again, self._pressed_at = self.has_run and now - self._pressed_at < AGAIN_S, now
        self.is_arriving = True
        self.interrupts += 1
        self._presses_in_cell += not is_again
        self.on_interrupt()
        return is_again

    def wake(self) -> None:
        """Wake the loop, and end what the cell awaits: on this thread once its cancellation has had time to arrive."""
        self._other_threads.interrupt()
        self._announce_soon()

    def press_while_idle(self, frame: FrameType | None) -> None:
        """Note an interrupt that comes while no cell runs: it is for the node that keeps the loop, or for nobody."""
        self.interrupts += 1
        self._announce_soon()
        self.press_on_node(frame)

    def press_on_node(self, frame: FrameType | None) -> None:
        """End the async node that keeps the loop busy, now or, if the loop does not turn before, in a while."""
        self.interrupt_node(frame)
        loop = running_loop()
        if loop is not None and busy_since(frame) is not None:
            held_loop.free(loop)

    def interrupt_node(self, frame: FrameType | None) -> None:
        """Raise InterruptProcessingException in the async node that keeps the loop busy.

        That is one that has done so for long, or already while an earlier interrupt came. One whose run the cell does
        not await goes on, if it lets the loop turn in good time: until then the cell cannot end. A press while no cell
        runs means it.
        """
        call, since = current_call.get(), busy_since(frame)
        if call is None or since is None or self._heard == self.interrupts:
            return
        held, is_again = time.perf_counter() - since, self.interrupts - self._heard > 1
        if held < HELD_S and not is_again:
            return
        for awaited in list(self._awaits):
            if awaited.cell is self._cell and _is_around(awaited.run, call.run):
                awaited.is_interrupted = True
                if awaited.loop is not None:  # the node may swallow the error, as Python does in some callbacks
                    awaited.loop.call_soon_threadsafe(awaited.end)
                raise InterruptProcessingException
        if self._is_idle or held > HELD_BY_OTHERS_S or (is_again and self._presses_in_cell > 1):
            raise InterruptProcessingException

    def interrupt_run(self, inner: Any) -> None:
        """End what is awaited of a run, by its state, and of those around it: an interrupt hit a node's own code."""
        found = [awaited for awaited in list(self._awaits) if _is_around(awaited.run, inner)]
        for awaited in found:  # all of them, before the end of one lets another thread ask
            awaited.is_interrupted = True
        for awaited in found:
            awaited.end()

    def _announce_soon(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._announce, self._cell, self.interrupts)

    def _announce(self, cell: object, number: int) -> None:
        self._heard = number
        self._arrive(cell, number, TURNS)

    def _arrive(self, cell: object, number: int, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._arrive, cell, number, turns - 1)
            return
        self.is_arriving = self.interrupts > number
        # A kernel cancels a cell's task once. A later press, if the cell swallows the first, also ends what has begun
        # since, or what begins next.
        is_later = self._presses_in_cell > 1 and cell is self._cell
        found = [
            awaited
            for awaited in list(self._awaits)
            if awaited.cell is cell and (awaited.begun_after < number or is_later) and not awaited.is_interrupted
        ]
        for awaited in found:
            awaited.interrupt()
        if is_later and not found and self.has_cells:
            self._owed = cell

    def _tick(self) -> None:
        """Wake the loop now and then: a signal that comes just before it sleeps, or to another thread, does not."""
        loop = self._loop
        if loop is not None and loop.is_running() and not self._is_ticking:
            self._is_ticking = True
            loop.call_later(TICK_S, self._tick_again)

    def _tick_again(self) -> None:
        self._is_ticking = False
        if self._users:
            self._tick()

    def _wrap_handler(self, *, until_cell_ends: bool) -> None:
        loop = running_loop()
        if loop is None:
            return
        if loop is not self._loop:  # what came to another loop, which has stopped since, is not for this one
            self._loop, self.is_arriving, self._is_ticking = loop, False, False
        present = present_handler()
        if callable(present) and not is_ours(present):
            set_handler(Handler(self, present, until_cell_ends=until_cell_ends))

    def _put_handler_back(self, *, until_cell_ends: bool) -> None:
        present = present_handler()
        if isinstance(present, Handler) and present.until_cell_ends is until_cell_ends:
            set_handler(present.previous)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_around(run: Any, inner: Any) -> bool:
    """Whether a run that is awaited is the one of this state, or is around it."""
    while inner is not None and run is not None and inner is not run.task.state:
        inner = getattr(inner, "outer", None)
    return inner is not None and run is not None


interrupt_watch = InterruptWatch()
held_loop.also = interrupt_watch.interrupt_node
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=interrupt_watch.forget_threads)
