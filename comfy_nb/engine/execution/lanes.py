"""Lanes: the threads that sync node code runs on.

A lane has a queue of jobs and one worker, or several for thread-safe nodes. A worker whose node does not stop is
replaced at once and ends when the node does; a node that never checks for a stop is interrupted between bytecodes. Runs
that code on a lane waits for have other lanes, since it occupies its own meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Hashable
from contextvars import copy_context
from typing import Any

import torch

from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.execution.tracers import let_tracer_end
from comfy_nb.engine.own_thread import OwnThread
from comfy_nb.engine.planning.torch_modes import has_torch_modes, switch_off_torch_modes
from comfy_nb.engine.pools.held import held_here
from comfy_nb.engine.pools.job_queue import JobQueue, no_priority
from comfy_nb.engine.pools.turns import Aging, Turns
from comfy_nb.errors import InterruptProcessingException

Job = Callable[["Worker"], None]


class Worker:
    """One thread of a lane. `token` stands for its present call; an interrupt can only hit the call it is meant for."""

    def __init__(self, lane: Lane, name: str) -> None:
        self.lane = lane
        self.name = name
        self.retired = False
        self.token: object | None = None
        self._interrupted = False
        self._lock = threading.Lock()
        self.thread: threading.Thread = OwnThread(self._work, name)
        self.thread.start()
        process_end.end_thread(self)

    def call(self, token: object, function: Callable[..., Any], inputs: dict[str, Any]) -> Any:
        """Call a function under a token."""
        self.token = token
        context = copy_context()  # what a node sets there, as precision of decimals, is not for the next one
        try:
            return context.run(function, **inputs)
        finally:
            self.token = None
            if torch.is_grad_enabled():  # a node may leave a mode on, and the modes belong to the thread
                torch.set_grad_enabled(False)
            if has_torch_modes():
                switch_off_torch_modes()
            if self._interrupted:
                self._absorb_late()
                switch_off_torch_modes()  # it may have come in between two of those that a block was switching off
            if held := context.get(held_here):
                for left in held[len(held_here.get()) :]:  # as an interrupt came before their end
                    left.give_back()

    def uninterrupted(self, work: Callable[[], object]) -> None:
        """Do something of the present call that an interrupt must not break off: it comes before, or after."""
        with self._lock:
            _let_arrive()
            work()

    def interrupt(self, token: object) -> bool:
        """Raise InterruptProcessingException in the call of this token; False where that call has ended.

        The order matters, here and in `call`: the flag is set before the token is read, and cleared after the token was
        removed. So either the call is seen to have ended, or it waits for the interrupt and absorbs it.
        """
        with self._lock:
            pending, self._interrupted = self._interrupted, True
            if self.token is not token:
                self._interrupted = pending
                return False
            raise_in_thread(self.thread, InterruptProcessingException)
            return True

    def withdraw(self, token: object) -> None:
        """Withdraw an interrupt that its call has not noticed because it is in C code."""
        with self._lock:
            if self.token is not token:
                return
            self._interrupted = False
            raise_in_thread(self.thread, None)
        _clear_pending()

    def end(self) -> None:
        """Interrupt the present call, and take no other job."""
        self.retired = True
        self.lane.jobs.put_end()
        token = self.token
        if token is not None:
            self.interrupt(token)

    def _absorb_late(self) -> None:
        """Receive an interrupt that was too late to end its call here, where it does no harm."""
        try:
            with self._lock:
                self._interrupted = False
            _clear_pending()
        except InterruptProcessingException:
            _clear_pending()

    def _work(self) -> None:
        _thread.worker = self
        torch.set_grad_enabled(False)
        jobs = self.lane.jobs
        while not self.retired:
            job = jobs.get()
            if job is None:
                return
            job(self)
            del job


class Lane:
    """A queue of jobs and the workers that take from it."""

    def __init__(self, name: str, workers: int, lanes: Lanes) -> None:
        self.name = name
        self.lanes = lanes
        self.size = workers
        self.jobs: JobQueue[Job] = JobQueue(Turns(lanes.aging))
        self.workers: list[Worker] = []
        self._lock = threading.Lock()
        self._jobs_beside = 0

    def submit_beside(self, job: Job) -> None:
        """Queue a job that has places of its own: a worker more is there if all others may be busy."""

        def counted(worker: Worker) -> None:
            try:
                job(worker)
            finally:
                with self._lock:
                    self._jobs_beside -= 1

        with self._lock:
            self._jobs_beside += 1
            self.size = max(self.size, self._jobs_beside)
        self.submit(counted)

    def submit(self, job: Job, source: Hashable = None, priority: Callable[[], int] = no_priority) -> None:
        """Queue a job; the first one starts the threads. Sources of equal priority take turns."""
        if len(self.workers) < self.size:
            with self._lock:
                while len(self.workers) < self.size:
                    self.workers.append(Worker(self, f"{self.name}-{len(self.workers)}"))
        self.jobs.put(job, source, priority)

    def retire(self, worker: Worker) -> None:
        """Replace a worker whose node goes on; the old thread ends when its node does."""
        with self._lock:
            if worker in self.workers:
                worker.retired = True
                self.workers[self.workers.index(worker)] = Worker(self, worker.name)

    def close(self) -> None:
        """Let the workers end after the queued jobs; later jobs get new ones."""
        with self._lock:
            for _ in self.workers:
                self.jobs.put_end()
            self.workers, self.jobs = [], JobQueue(Turns(self.lanes.aging))


class Lanes:
    """The lanes of runs that take turns: for sync nodes, for thread-safe ones, and for hooks of node classes.

    A run takes them, or the nested ones if code on these waits for it, and releases them when it has ended. Nested
    ones are closed when their last run has.
    """

    def __init__(self, aging: Aging, outer: Lanes | None = None) -> None:
        self.aging = aging
        self.lane = Lane("comfy-nb-lane", 1, self)
        self.pool = Lane("comfy-nb-pool", os.cpu_count() or 1, self)
        self.hooks = Lane("comfy-nb-hooks", 1, self)
        self._of_pools: dict[tuple[str, ...], Lane] = {}
        self._outer = outer
        self._nested: Lanes | None = None
        self._users = 0
        self._lock: threading.Lock = threading.Lock() if outer is None else outer._lock

    def of_pools(self, names: tuple[str, ...]) -> Lane:
        """Return the lane of the nodes that use these pools."""
        with self._lock:
            if names not in self._of_pools:
                self._of_pools[names] = Lane(f"comfy-nb-{'-'.join(names)}", 0, self)
            return self._of_pools[names]

    def take(self) -> Lanes:
        """Return these lanes, for one more run."""
        with self._lock:
            self._users += 1
        return self

    def take_nested(self) -> Lanes:
        """Return the lanes for a run that code on these waits for."""
        with self._lock:
            if self._nested is None:
                self._nested = Lanes(self.aging, outer=self)
            self._nested._users += 1
            return self._nested

    def reconsider(self) -> None:
        """Let the jobs that wait do so with the priority that their runs have now."""
        with self._lock:
            lanes, nested = [self.lane, self.pool, *self._of_pools.values()], self._nested
        for lane in lanes:
            lane.jobs.reconsider()
        if nested is not None:
            nested.reconsider()

    def release(self) -> None:
        """Take them back from a run that has ended."""
        with self._lock:
            self._users -= 1
            outer = self._outer
            if self._users or outer is None:
                return
            if outer._nested is self:
                outer._nested = None
        self.close()

    def close(self) -> None:
        """Let all workers end after the queued jobs."""
        for lane in (self.lane, self.pool, self.hooks, *self._of_pools.values()):
            lane.close()


class _Thread(threading.local):
    worker: Worker | None = None


_thread = _Thread()


def lanes_of_thread() -> Lanes | None:
    """Return the lanes that this thread belongs to."""
    return _thread.worker.lane.lanes if _thread.worker is not None else None


def uninterrupted(work: Callable[[], object]) -> None:
    """Do something that an interrupt of the node that runs on this thread, if one does, must not break off."""
    if _thread.worker is None:
        work()
    else:
        _thread.worker.uninterrupted(work)


def _let_arrive() -> None:
    """Do nothing: a pending exception of this thread is raised where a function begins."""


def raise_in_thread(thread: threading.Thread, kind: type[BaseException] | None) -> None:
    """Raise an exception between two bytecodes of another thread, not in a tracer's code; None withdraws it."""
    if kind is not None:
        let_tracer_end(thread)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), None if kind is None else ctypes.py_object(kind)
    )


def _clear_pending() -> None:
    """Clear CPython's process-wide flag for pending exceptions, which only the arrival of one does.

    If it stays set it slows down all code, and in 3.11 makes traced code (a debugger, coverage) loop for ever.
    """
    try:
        raise_in_thread(threading.current_thread(), InterruptProcessingException)
        while True:
            pass
    except InterruptProcessingException:
        return


class SwitchInterval:
    """A shorter thread switch interval while any run goes on, so that a pure-Python node leaves the loop responsive.

    It is process-wide, so its users are counted, and the last one restores it.
    """

    SECONDS = 0.0005

    def __init__(self) -> None:
        self._users = 0
        self._before = 0.0
        self._ours = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self.SECONDS, self._before))
                self._ours = sys.getswitchinterval()
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            # If somebody set another one meanwhile, it is left alone.
            if self._users == 0 and sys.getswitchinterval() == self._ours:
                sys.setswitchinterval(self._before)


switch_interval = SwitchInterval()
