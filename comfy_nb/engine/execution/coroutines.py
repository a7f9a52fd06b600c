"""Driving a node's coroutine step by step: under its run's modes, and each step timed, since it keeps the loop busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from contextvars import copy_context
from decimal import setcontext
from types import CodeType, FrameType
from typing import Any, Protocol, TypeVar

from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.stepped_modes import SteppedModes
from comfy_nb.engine.execution.tracers import is_of_tracer
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.planning.modes import Modes
from comfy_nb.errors import warn_each_time

HELD_S = 0.002
T = TypeVar("T")
STALL_S = 0.1


class LoopWatch(Protocol):
    """Sees which node holds the event loop, and for how long."""

    holding_loop: NodeRun | None

    def on_stall(self, node_run: NodeRun, seconds: float, code: CodeType | None) -> None:
        """Report that a node, whose `code` it is, held the loop for 2 ms or more."""
        ...


class Unwatched:
    """The watch of hooks that are called before a run: it reports nothing."""

    holding_loop: NodeRun | None = None

    def on_stall(self, node_run: NodeRun, seconds: float, code: CodeType | None) -> None:
        """Ignore it."""


class _OurTime(threading.local):
    seconds = 0.0


_our_time = _OurTime()


@contextmanager
def our_time() -> Generator[None, None, None]:
    """Count what is done in a `with` block, such as beginning a run that a node awaits, not as the node's own time."""
    before, started = _our_time.seconds, time.perf_counter()
    try:
        yield
    finally:
        _our_time.seconds = before + time.perf_counter() - started


class WatchedCoroutine:
    """An awaitable that drives a node's coroutine, with gradients off unless `grad`; `watch` sees each of its steps.

    The coroutine has a copy of the context in which it is awaited: what it sets there is not for the next try.
    """

    __slots__ = ("_coroutine", "_decimal_context", "_modes", "_node_run", "_watch")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        node_run: NodeRun | None,
        watch: LoopWatch,
        *,
        grad: bool,
        modes: Modes,
    ) -> None:
        self._coroutine = coroutine
        self._decimal_context = modes.decimal_context
        self._modes = SteppedModes(modes.torch_for(grad), grad=grad)
        self._node_run = node_run
        self._watch = watch

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, modes, node_run, watch = self._coroutine, self._modes, self._node_run, self._watch
        context = copy_context()
        if self._decimal_context is not None:
            context.run(setcontext, self._decimal_context.copy())
        value: Any = None
        error: BaseException | None = None
        while True:
            modes.enter()
            outer, watch.holding_loop = watch.holding_loop, node_run
            ours, started = _our_time.seconds, time.perf_counter()
            try:
                waited_for = context.run(*((coroutine.send, value) if error is None else (coroutine.throw, error)))
            except StopIteration as stop:
                return stop.value
            finally:
                error = None  # its traceback holds this frame, and so all that the node holds
                seconds = time.perf_counter() - started - (_our_time.seconds - ours)
                watch.holding_loop = outer
                modes.leave()
                if seconds > HELD_S and node_run is not None:
                    watch.on_stall(node_run, seconds, getattr(coroutine, "cr_code", None))
            try:
                value = yield waited_for
            except GeneratorExit:
                modes.enter()
                try:
                    context.run(coroutine.close)
                finally:
                    modes.leave()
                raise
            except BaseException as thrown:  # whatever is thrown in belongs to the coroutine
                error = thrown


def busy_since(frame: FrameType | None) -> float | None:
    """Return when an async node got the loop, if it is its own code that this frame executes.

    An exception raised in our code, which the node may have called, or in a tracer's, would leave that half done.
    """
    is_inside = False
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("comfy_nb.engine"):
            break
        if is_of_tracer(frame):
            return None
        frame, is_inside = frame.f_back, True
    if not is_inside or frame is None or frame.f_code is not WatchedCoroutine.__await__.__code__:
        return None
    since: float = frame.f_locals["started"]
    return since


def run_without_waiting(coroutine: Coroutine[Any, Any, T], complaint: str) -> T:
    """Run a coroutine that does not have to wait, here and now; raises RuntimeError(complaint) where it does."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(complaint)


def warn_stalled(node_run: NodeRun, seconds: float, code: CodeType | None) -> None:
    """Warn that an async node kept the event loop busy, at the line where its `code` begins."""
    message = (
        f"{node_run.step.named} kept the event loop busy for {seconds:.1f} s without an await; nothing else could run "
        "meanwhile. Make it a plain function, or await asyncio.to_thread(...)."
    )
    token = current_call.set(None)  # so that the warning does not count as printed by the node
    try:
        warn_each_time(message, code)
    finally:
        current_call.reset(token)
