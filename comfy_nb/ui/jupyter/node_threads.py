"""Threads that a node starts, and tasks that it gives to a thread pool, belong to its call.

So what they print, log and report finds the node's row. Of a thread's context only the call is set. A pool of
`multiprocessing` that a node makes is the node's, with all its tasks; which tasks a node gave to one that was there
before cannot be known, so these print as usual: below whatever cell is running.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.node_api.context import CallContext, EndedRun, current_call

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

CallOf = Callable[[], CallContext | None]


class NodeThreads:
    """Passes the calls of nodes on to their threads and tasks, within `passing_on`."""

    def __init__(self, call_of_node: CallOf) -> None:
        self._call_of_node = call_of_node
        self._calls: set[CallContext] = set()
        self._lock = threading.Lock()

    @contextmanager
    def passing_on(self) -> Iterator[None]:
        """Watch the starts of threads and the tasks of thread pools."""
        start, submit = threading.Thread.start, ThreadPoolExecutor.submit

        def start_here(thread: threading.Thread) -> None:
            call = self._call_of_node()
            if call is None:
                start(thread)
                return
            before = vars(thread).copy()
            vars(thread)["run"] = self._run_of(thread, call, before)
            try:
                start(thread)
            except BaseException:
                _put_back(thread, before)
                raise

        def submit_here(pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
            call = self._call_of_node()
            if call is None:
                return submit(pool, function, *args, **options)
            token = current_call.set(None)  # a thread that the pool starts for this task will get others'
            try:
                task: Future[Any] = submit(pool, _in_call, call, function, args, options)
            finally:
                current_call.reset(token)
            return task

        ours = ((threading.Thread, "start", start, start_here), (ThreadPoolExecutor, "submit", submit, submit_here))
        for owner, name, _, here in ours:
            setattr(owner, name, here)
        try:
            yield
        finally:
            for owner, name, before, here in ours:
                if vars(owner)[name] is here:  # else somebody else has wrapped it since
                    setattr(owner, name, before)

    def _run_of(self, thread: threading.Thread, call: CallContext, before: dict[str, Any]) -> Callable[[], None]:
        def run() -> None:
            _put_back(thread, before)
            # One of the thread's own, which lets go of the run when that ends: the thread may live for ever.
            own = CallContext(call.run, call.node_id, call.index, call.calls)
            with self._lock:
                self._calls.add(own)
            try:
                current_call.set(own)
                thread.run()
            finally:
                with self._lock:
                    self._calls.discard(own)

        return run

    def let_go(self, run: Run) -> None:
        """Let the threads of a run that has ended go on without it."""
        with self._lock:
            ended = [call for call in self._calls if call.run.id == run.id]
        for call in ended:
            call.run = EndedRun(run.id, run.stopping)


def _put_back(thread: threading.Thread, before: dict[str, Any]) -> None:
    """Give a thread its own `run` back."""
    vars(thread).pop("run", None)
    if "run" in before:
        vars(thread)["run"] = before["run"]


def _in_call(call: CallContext, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    token = current_call.set(call)
    try:
        return function(*args, **options)
    finally:
        current_call.reset(token)
