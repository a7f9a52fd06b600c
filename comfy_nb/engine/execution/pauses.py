"""The pauses of one run: nodes that are held at their breakpoints until they are resumed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.execution.breakpoints import Breakpoint, Breakpoints, Holder, Pause, is_wanted
from comfy_nb.engine.execution.lookup import Lookup
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.execution.skips import blocked_output
from comfy_nb.engine.execution.state import RunState

MakePause = Callable[[NodeRun, Sequence[Breakpoint], Holder], Pause]


class Pausable(Protocol):
    """The executor, as far as pauses need it."""

    state: RunState
    loop: asyncio.AbstractEventLoop
    lock: threading.Lock
    lookup: Lookup
    scheduler: Scheduler

    @property
    def is_over(self) -> bool:
        """Whether no further node is to be called."""
        ...

    def fail(self, node_run: NodeRun, error: BaseException) -> None:
        """Let a node fail, and with it the run or what needs it."""
        ...

    def wake(self) -> Any:
        """Have the loop look at the scheduler."""
        ...


class Pauses:
    """Begins and ends the pauses of a run, on its loop; `breakpoints` are those of its graph, by node id."""

    def __init__(self, executor: Pausable, breakpoints: Breakpoints, make_pause: MakePause) -> None:
        self.loop = executor.loop
        self.breakpoints = breakpoints.of(executor.state.graph)
        self._executor = executor
        self._announce = breakpoints.announce
        self._make_pause = make_pause
        self._event_log = executor.state.event_log
        self._now: list[Pause] = []
        if self.breakpoints:
            executor.scheduler.breakpoints = self.breakpoints.keys()
            executor.lookup.keyed_late = executor.state.plan.below(self.breakpoints)

    def begin(self, node_run: NodeRun) -> None:
        """Pause at the breakpoints of a node whose value is there."""
        if self._executor.is_over:
            return
        if node_run.source != "ran":
            self._event_log.node_started(node_run, "loop")
        self._hold(node_run, self.breakpoints[node_run.step.id])

    def resume(self, pause: Pause, replaced: Outputs | None) -> None:
        """Let the run go on, with other outputs in place of the computed ones if given."""
        executor, node_run = self._executor, pause.node_run
        if executor.is_over:
            pause.state = "stopped"
            return
        if replaced is None and executor.lookup.in_place.drop_if_changed(node_run):
            replaced = node_run.outputs
        if replaced is not None:
            self._replace(node_run, replaced)
        self._now.remove(pause)
        pause.close()
        if pause.next:
            self._hold(node_run, pause.next)
            return
        self._event_log.node_finished(node_run)
        try:
            with executor.lock:
                executor.scheduler.release(node_run, node_run.outputs or ())
        except Exception as error:  # an expansion's outputs may not fit
            executor.fail(node_run, error)
        executor.wake()

    def fail(self, node_run: NodeRun, error: Exception) -> None:
        """Let a paused node fail."""
        for pause in [each for each in self._now if each.node_run is node_run]:
            self._now.remove(pause)
            pause.close()
        self._executor.fail(node_run, error)

    def close(self) -> None:
        """End all pauses, since the run has ended."""
        for pause in self._now:
            pause.close()

    def _hold(self, node_run: NodeRun, points: Sequence[Breakpoint]) -> None:
        """Pause at the first of these breakpoints; the others follow when it is resumed."""
        pause = self._make_pause(node_run, points, self)
        self._now.append(pause)
        try:
            if not is_wanted(pause):
                pause.resume()
                return
        except Exception as error:
            self.fail(node_run, error)
            return
        pause.point.hold(pause)
        if pause.point.is_removed:  # by another thread meanwhile
            pause.resume()
            return
        self._event_log.node_waits(node_run, "paused at a breakpoint")
        self._announce(pause)

    def _replace(self, node_run: NodeRun, outputs: Outputs) -> None:
        self._executor.state.taint()
        node_run.key = node_run.key.forgotten()
        node_run.entry = None
        node_run.source = "replaced"
        node_run.outputs = outputs
        node_run.blocked_output = blocked_output(outputs)
        self._executor.scheduler.retained.add(node_run.step.id)  # it exists nowhere else
