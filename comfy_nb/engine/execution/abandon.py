"""Abandoning sync nodes that do not stop: the lane gets a new worker at once, and the old thread ends by itself.

A node has some seconds to notice that its run is over. Then it is interrupted between bytecodes, which code in C does
not see; if that does not help either, its thread goes on and a warning says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from comfy_nb.engine.execution.lanes import Worker
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.own_thread import OwnThread
from comfy_nb.errors import warn_each_time

GRACE_S = 2.0


def abandon(worker: Worker, node_run: NodeRun, give_up: Callable[[NodeRun], None]) -> None:
    """Replace a worker that is calling a node of an ended run, and interrupt the node if it does not stop by itself.

    `give_up(node_run)` is called where that does not help.
    """
    worker.lane.retire(worker)
    OwnThread(partial(_interrupt_after_grace, worker, node_run, give_up), "comfy-nb-stop").start()


def _interrupt_after_grace(worker: Worker, node_run: NodeRun, give_up: Callable[[NodeRun], None]) -> None:
    # While an interrupt is pending, traced code loops in CPython 3.11 (see `lanes`); this thread has to end.
    sys.settrace(None)
    worker.thread.join(GRACE_S)
    token = worker.token
    if token is not None and worker.interrupt(token):
        worker.thread.join(GRACE_S)
        worker.withdraw(token)
    if worker.token is not None:
        try:
            warn_abandoned(node_run, "it is in C code")
        finally:  # where warnings are errors, too
            give_up(node_run)


def warn_abandoned(node_run: NodeRun, reason: str) -> None:
    """Warn that a node goes on after its run has ended."""
    step = node_run.step
    message = f"{step.named} did not stop ({reason}); it was abandoned, and its result is discarded."
    warn_each_time(message, step.spec.function_code)
