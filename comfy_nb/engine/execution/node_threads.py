"""Threads that a node starts, and tasks that it gives to a thread pool, belong to its call.

So the runs that they begin are the node's own, which ends them when it ends and never waits for itself; and what they
print, log and report finds the node's row. Of a thread's context only the call is set, and what that has of pools. A
pool of `multiprocessing` that a node makes is the node's, with all its tasks; which tasks a node gave to one that was
there before cannot be known.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from comfy_nb.engine.node_api.context import CallContext, EndedRun, RunSide, current_call
from comfy_nb.engine.pools.held import Holding, held_here


class NodeThreads:
    """Passes the calls of nodes on to their threads and tasks, in a `with` block; the last one puts all back."""

    def __init__(self) -> None:
        self._calls: set[CallContext] = set()
        self._users = 0
        self._ours: list[tuple[type, str, Any, Any]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._ours = [
                    (threading.Thread, "start", threading.Thread.start, self._starting(threading.Thread.start)),
                    (ThreadPoolExecutor, "submit", ThreadPoolExecutor.submit, _submitting(ThreadPoolExecutor.submit)),
                ]
                for owner, name, _, ours in self._ours:
                    setattr(owner, name, ours)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for owner, name, before, ours in self._ours:
                    if vars(owner)[name] is ours:  # else somebody else has wrapped it since
                        setattr(owner, name, before)

    def _starting(self, start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
        def start_here(thread: threading.Thread) -> None:
            call = current_call.get()
            if call is None:
                start(thread)
                return
            before = vars(thread).copy()
            vars(thread)["run"] = self._run_of(thread, call, held_here.get(), before)
            try:
                start(thread)
            except BaseException:
                _put_back(thread, before)
                raise

        return start_here

    def _run_of(
        self, thread: threading.Thread, call: CallContext, held: tuple[Holding, ...], before: dict[str, Any]
    ) -> Callable[[], None]:
        def run() -> None:
            _put_back(thread, before)
            # One of the thread's own, which lets go of the run when that ends: the thread may live for ever.
            own = CallContext(call.run, call.node_id, call.index, call.calls)
            with self._lock:
                self._calls.add(own)
            try:
                current_call.set(own)
                held_here.set(held)
                thread.run()
            finally:
                with self._lock:
                    self._calls.discard(own)

        return run

    def let_go(self, run: RunSide) -> None:
        """Let the threads of a run that has ended go on without it."""
        with self._lock:
            ended = [call for call in self._calls if call.run is run]
        for call in ended:
            call.run = EndedRun(run.id, run.stopping)


def _submitting(submit: Callable[..., Any]) -> Callable[..., Any]:
    def submit_here(pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        call = current_call.get()
        if call is None:
            return submit(pool, function, *args, **options)
        token = current_call.set(None)  # a thread that the pool starts for this task will get others'
        try:
            task: Future[Any] = submit(pool, _in_call, call, held_here.get(), function, args, options)
        finally:
            current_call.reset(token)
        return task

    return submit_here


def _put_back(thread: threading.Thread, before: dict[str, Any]) -> None:
    """Give a thread its own `run` back."""
    vars(thread).pop("run", None)
    if "run" in before:
        vars(thread)["run"] = before["run"]


def _in_call(
    call: CallContext,
    held: tuple[Holding, ...],
    function: Callable[..., Any],
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    token, token_of_held = current_call.set(call), held_here.set(held)
    try:
        return function(*args, **options)
    finally:
        current_call.reset(token)
        held_here.reset(token_of_held)


node_threads = NodeThreads()
