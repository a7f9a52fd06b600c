"""What moves a run: the scheduler under a lock, the lane that drains sync nodes, the tasks of async ones, and the end.

Whoever holds the lock owns the scheduler for that moment. A lane drains a burst of ready nodes in one hop; async nodes
that become ready meanwhile are posted to the loop at once. Everything is cleaned up on the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.execution.callers import LaneCaller, LoopCaller
from comfy_nb.engine.execution.expansion import Expanded, read_expansion, set_keys
from comfy_nb.engine.execution.failure import failure_of
from comfy_nb.engine.execution.lanes import Lane, Worker, switch_interval
from comfy_nb.engine.execution.lookup import Lookup
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.pauses import Pauses
from comfy_nb.engine.execution.scheduler import NodeRun, Scheduler
from comfy_nb.engine.execution.turn import Ask, Done, Expand
from comfy_nb.errors import ComfyNBWarning, InterruptProcessingException
from comfy_nb.graph.gc_freeze import gc_frozen
from comfy_nb.wording import name_node

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

SLICE_S = 0.02
GRACE_S = 2.0
ASK_AGAIN_S = 0.5
GIVE_UP_S = 5.0


class Executor:
    """The moving parts of one run. Made and ended on the run's loop."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.session = run.session
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.context = contextvars.copy_context()
        self.lock = threading.Lock()
        self.lookup = Lookup(run)
        self.schedule = Scheduler(run.plan.steps, self.lookup.find, self._resolve)
        self.lookup.schedule = self.schedule
        self.pauses = Pauses(self)
        self.on_lane = LaneCaller(run, self.lookup, self.loop)
        self.on_loop = LoopCaller(run, self.lookup, self)
        self.tasks: dict[asyncio.Task[None], NodeRun] = {}
        self.calling: dict[Worker, NodeRun] = {}
        self.ending: str | None = None
        self.error: BaseException | None = None
        self.draining = False
        self.stepping: NodeRun | None = None
        self._is_woken = False
        self._lane = self.session.lane_for(run)
        self._closed = False
        self._switches = ExitStack()

    @property
    def is_over(self) -> bool:
        """Whether no further node is to be called: the run has ended, or is about to because a node failed."""
        return self.ending is not None or self.error is not None

    # Starting ----------------------------------------------------------------------------------------------------

    def start(self, wanted: list[str]) -> None:
        """Schedule what the wanted nodes need, and go."""
        self.schedule.kept.update(wanted)
        total = self.schedule.need(wanted)
        self.run.started(total, self.lookup.hits)
        if self.schedule.pending == 0:
            self._close("done")
            return
        self._switches.enter_context(switch_interval)
        self._switches.enter_context(gc_frozen(total))
        self._tick()

    def wake(self) -> None:
        """Have the loop look at the scheduler; from any thread, and at once on the loop's own."""
        if threading.get_ident() == self._thread:
            self._tick()
        elif not self._is_woken:
            self._is_woken = True
            post(self.loop, self._tick)

    def _tick(self) -> None:
        """On the loop: look at the scheduler. A fault of the engine's own ends the run."""
        self._is_woken = False
        try:
            self._advance()
        except Exception as error:
            self.error = self.error or error
            self.end("failed")

    def _advance(self) -> None:
        """Start ready async nodes, send the lane off, pause at breakpoints, notice the end."""
        with self.lock:
            if self.is_over:
                return
            schedule = self.schedule
            off_lane = schedule.take_off_lane()
            held = schedule.take_held()
            drain = schedule.has_ready() and not self.draining
            self.draining = self.draining or drain
            done = schedule.pending == 0
            cycle = schedule.find_cycle() if schedule.is_deadlocked and not off_lane and not drain else None
        for node_run in off_lane:
            if node_run.step.spec.is_async:
                self._start_task(node_run)
            else:
                self._send(self.session.pool, partial(self._sync_turn, node_run))
        if drain:
            self._send(self._lane, self._drain)
        for node_run in held:
            self.pauses.begin(node_run)
        if cycle:
            self.fail(*self.lookup.blame_cycle(cycle))
        elif done:
            self.loop.call_soon(self.end, "done")

    def _send(self, lane: Lane, job: Callable[[Worker], None]) -> None:
        context = self.context.copy()
        lane.submit(lambda worker: context.run(job, worker))

    # Sync nodes, on a lane -----------------------------------------------------------------------------------------

    def _drain(self, worker: Worker) -> None:
        """Call ready nodes one after the other, in one hop to the lane; after a while let other runs have it."""
        until = time.perf_counter() + SLICE_S
        while True:
            with self.lock:
                node_run = None if self.is_over or worker.retired else self.schedule.take()
                if node_run is None:
                    self.draining = False
                    look = self.schedule.pending == 0 or self.schedule.is_deadlocked or self.schedule.wants_loop
                    break
            self._sync_turn(node_run, worker)
            if time.perf_counter() > until:
                if self._lane.is_wanted:
                    self._send(self._lane, self._drain)
                    return
                until += SLICE_S
        if look:
            self.wake()

    def _sync_turn(self, node_run: NodeRun, worker: Worker) -> None:
        if not self.lookup.claim(node_run, self._shared):
            return
        self.run.event_log.node_started(node_run, worker.thread.name)
        self.calling[worker] = node_run
        try:
            try:
                outcome = self.on_lane.call(node_run, worker)
            finally:
                if self.calling.pop(worker, None) is None:
                    worker.retired = True  # the run has ended and left this worker behind, before its next job
            if isinstance(outcome, Expand):
                steps, expanded = read_expansion(outcome, node_run.step.id, self.schedule, self.run.graph.registry)
                marked = [step for step in steps.values() if step.spec.fingerprint is not None]
                if marked:
                    self.on_lane.fingerprint(marked, worker)
                self._expand(node_run, steps, expanded, outcome)
            else:
                self._accept(node_run, outcome)
        except InterruptProcessingException:
            self._interrupted()
        except BaseException as error:  # a node may raise or return anything, and none of it may end the lane
            self.fail(node_run, error)
        finally:
            self.lookup.give_back(node_run, None)

    # Async nodes, on the loop ----------------------------------------------------------------------------------------

    def on_stall(self, node_run: NodeRun, seconds: float) -> None:
        """Report that a node held the loop for 2 ms or more."""
        self.run.node_held(node_run, seconds)

    def _start_task(self, node_run: NodeRun) -> None:
        if not self.lookup.claim(node_run, self._shared):
            return
        self.run.event_log.node_started(node_run, "loop")
        task = self.loop.create_task(self._async_turn(node_run), context=self.context.copy())
        self.tasks[task] = node_run
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        node_run = self.tasks.pop(task)
        if self.ending is None and task.cancelled():
            self.fail(node_run, RuntimeError("the node's task was cancelled from outside the run."))
        if self.ending is not None and not self.tasks:
            self._close(self.ending)

    async def _async_turn(self, node_run: NodeRun) -> None:
        try:
            outcome = await self.on_loop.call(node_run)
            if isinstance(outcome, Expand):
                steps, expanded = read_expansion(outcome, node_run.step.id, self.schedule, self.run.graph.registry)
                marked = [step for step in steps.values() if step.spec.fingerprint is not None]
                if marked:
                    await self.on_loop.fingerprint(marked)
                self._expand(node_run, steps, expanded, outcome)
            else:
                self._accept(node_run, outcome)
        except InterruptProcessingException:
            self._interrupted()
        except asyncio.CancelledError:
            if self.ending is None:
                self.fail(node_run, RuntimeError("the node raised CancelledError though nobody cancelled it."))
            raise
        except BaseException as error:  # a node may raise or return anything, and none of it may end the loop
            self.fail(node_run, error)
        finally:
            self.lookup.give_back(node_run, None)

    # What came of a turn ---------------------------------------------------------------------------------------------

    def _accept(self, node_run: NodeRun, outcome: Ask | Done) -> None:
        if self.run.stopping:
            return  # a node that was told to stop may have returned half of its work
        if isinstance(outcome, Ask):
            self._ask(node_run, outcome.names)
            return
        node_run.ui = outcome.ui
        spoiled = self.lookup.check_inputs(node_run) if node_run.step.links else ()
        self.lookup.store(node_run, outcome.outputs)
        self._finished(node_run)
        with self.lock:
            if self.ending is not None:
                return
            for above in spoiled:
                self.schedule.invalidate(above)
            self.schedule.finish(node_run, outcome.outputs)
            look = self.schedule.wants_loop or not self.draining
        if look:
            self.wake()

    def _ask(self, node_run: NodeRun, names: Sequence[str]) -> None:
        with self.lock:
            if self.ending is not None:
                return
            added = self.schedule.ask(node_run, names)
        self.run.node_waits(node_run, "waits for " + ", ".join(names), added)
        self.wake()

    def _expand(self, node_run: NodeRun, steps: dict[str, Any], expanded: Expanded, outcome: Expand) -> None:
        set_keys(steps, self.schedule, self.run.graph.uid)
        node_run.ui = outcome.ui
        with self.lock:
            if self.ending is not None:
                return
            if self.pauses.at:
                self.lookup.below.update(steps)
            added = self.schedule.expand(node_run, list(steps.values()), expanded)
        self.run.node_waits(node_run, f"expanded into {len(steps)} nodes", added)
        self.wake()

    def _resolve(self, node_run: NodeRun) -> Any:
        outputs = node_run.expansion.outputs(node_run, self.schedule)
        self.lookup.store(node_run, outputs)
        self._finished(node_run)
        return outputs

    def _shared(self, node_run: NodeRun, entry: Any) -> None:
        """An equal node that was in flight is done (or was given up: then this one is computed)."""
        try:
            with self.lock:
                if self.ending is not None or self.error is not None:
                    return
                if entry is None:
                    self.schedule.requeue(node_run)
                else:
                    node_run.ui, node_run.source = entry.ui, "shared"
                    node_run.entry = entry
                    self._finished(node_run)
                    self.schedule.finish(node_run, entry.outputs)
        except Exception as error:  # an expansion's outputs may not fit; the run that computed the node is not to blame
            self.fail(node_run, error)
        self.wake()

    def _finished(self, node_run: NodeRun) -> None:
        if node_run.step.id not in self.pauses.at:  # else it is told of when it goes on
            self.run.node_finished(node_run)

    # Ending ----------------------------------------------------------------------------------------------------------

    def fail(self, node_run: NodeRun, error: BaseException) -> None:
        """Let the run fail at a node; from any thread."""
        failure = failure_of(self.run, self.schedule, node_run, error)
        with self.lock:
            if self.ending is not None or self.error is not None:
                return
            self.error = failure
        self.run.node_failed(node_run, failure)
        post(self.loop, self.end, "failed")

    def _interrupted(self) -> None:
        if self.ending is None:
            post(self.loop, self.end, self.run.stop_state)

    def end(self, state: str) -> None:
        """On the loop: end the run in a state. Its tasks are cancelled; a node on a lane is left behind."""
        with self.lock:
            if self.ending is not None:
                return
            self.ending = state
        if state != "done":
            self.run.stopping = True
            self.run.stop_event.set()
        left = [(worker, node_run) for worker in list(self.calling) if (node_run := self.calling.pop(worker, None))]
        for node_run in [*(node_run for _, node_run in left), *self.tasks.values()]:
            self.lookup.give_back(node_run, None)
        for worker, node_run in left:
            worker.lane.retire(worker)
            threading.Thread(
                target=self._interrupt_after_grace, args=(worker, node_run), name="comfy-nb-stop", daemon=True
            ).start()
        if not self.tasks:
            self._close(state)
        elif state != "done":
            self._cancel_tasks(time.perf_counter())

    def _cancel_tasks(self, since: float) -> None:
        """Cancel what is left, and again if it was swallowed; after a while go on without it, and say so."""
        if self._closed:
            return
        late = time.perf_counter() - since > GIVE_UP_S
        for task, node_run in list(self.tasks.items()):
            if late:
                _warn_left(node_run, "swallows its cancellation")
            task.cancel()
        if late:
            self._close(self.ending or "cancelled")
        else:
            self.loop.call_later(ASK_AGAIN_S, self._cancel_tasks, since)

    def _interrupt_after_grace(self, worker: Worker, node_run: NodeRun) -> None:
        """Give a sync node its grace, then interrupt it between bytecodes, then say that it goes on."""
        # While an interrupt is pending, traced code loops in CPython 3.11 (see `lanes`); this thread has to end.
        sys.settrace(None)
        worker.thread.join(GRACE_S)
        token = worker.token
        if token is not None and worker.interrupt(token):
            worker.thread.join(GRACE_S)
            worker.withdraw(token)
        if worker.token is not None:
            _warn_left(node_run, "sits in code that cannot be interrupted")

    def _close(self, state: str) -> None:
        if self._closed:
            return
        self._closed = True
        self.pauses.close()
        self._switches.close()
        self.session.lane_done(self._lane)
        self.run.ended(state, self.error)


def _warn_left(node_run: NodeRun, why: str) -> None:
    step = node_run.step
    warnings.warn(
        f"{name_node(step.id, step.class_type, step.title)} {why}; it was left behind and its result will be ignored.",
        ComfyNBWarning,
        stacklevel=2,
    )
