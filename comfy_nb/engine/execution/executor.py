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

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.execution.callers import Caller, LaneCaller, LoopCaller
from comfy_nb.engine.execution.coroutines import STALL_S
from comfy_nb.engine.execution.expansion import Expanded, read_expansion, set_keys
from comfy_nb.engine.execution.failure import failure_of
from comfy_nb.engine.execution.lanes import Lane, Worker, switch_interval
from comfy_nb.engine.execution.lookup import Lookup
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.pauses import MakePause, Pauses
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.execution.services import Services
from comfy_nb.engine.execution.state import RunState, Status
from comfy_nb.engine.execution.turn import Ask, Done, Expand
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.planning.step import LOOP, Step
from comfy_nb.errors import ComfyNBWarning, InterruptProcessingException
from comfy_nb.graph.gc_freeze import gc_frozen
from comfy_nb.wording import name_node

SLICE_S = 0.02
GRACE_S = 2.0
ASK_AGAIN_S = 0.5
GIVE_UP_S = 5.0


class Executor:
    """The moving parts of one run, made and ended on the run's loop.

    `on_end(status, error)` is called once, when nothing of the run is left on the loop.
    """

    def __init__(
        self,
        state: RunState,
        services: Services,
        make_pause: MakePause,
        on_end: Callable[[Status, BaseException | None], None],
    ) -> None:
        self.state = state
        self.loop = asyncio.get_running_loop()
        self.context = contextvars.copy_context()
        self.lock = threading.Lock()
        self.lookup = Lookup(state, services.store)
        self.scheduler = state.scheduler = Scheduler(state.plan.steps, self.lookup.find, self._resolve)
        self.lookup.scheduler = self.scheduler
        self.pauses = Pauses(self, services.breakpoints, make_pause)
        self.on_lane = LaneCaller(state, self.lookup, self.loop)
        self.callers: dict[str, Caller] = {
            LOOP: LoopCaller(state, self.lookup, self, services.call_hook),
            **{where: make(state, self.lookup, self) for where, make in services.callers.items()},
        }
        self.tasks: dict[asyncio.Task[None], NodeRun] = {}
        self.calling: dict[Worker, NodeRun] = {}
        self.stepping: NodeRun | None = None
        self.ending: Status | None = None
        self.error: BaseException | None = None
        self._services = services
        self._on_end = on_end
        self._thread = threading.get_ident()
        self._lane = services.lane_for(state)
        self._is_draining = False
        self._is_woken = False
        self._is_closed = False
        self._switches = ExitStack()

    @property
    def is_over(self) -> bool:
        """Whether no further node is to be called: the run has ended, or is about to because a node failed."""
        return self.ending is not None or self.error is not None

    # Starting ----------------------------------------------------------------------------------------------------

    def start(self, wanted: list[str]) -> None:
        """Schedule what the wanted nodes need, and go."""
        self.scheduler.kept.update(wanted)
        total = self.scheduler.need(wanted)
        self.state.event_log.run_started(self.state.started_at, total, self.lookup.hits)
        if self.scheduler.pending == 0:
            self._close(Status.DONE)
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
            self.end(Status.FAILED)

    def _advance(self) -> None:
        """Start ready async nodes, send the lane off, pause at breakpoints, notice the end."""
        with self.lock:
            if self.is_over:
                return
            scheduler = self.scheduler
            off_lane = scheduler.take_off_lane()
            held = scheduler.take_held()
            drain = scheduler.has_ready() and not self._is_draining
            self._is_draining = self._is_draining or drain
            done = scheduler.pending == 0
            cycle = scheduler.find_cycle() if scheduler.is_deadlocked and not off_lane and not drain else None
        for node_run in off_lane:
            caller = self.callers.get(node_run.step.where)
            if caller is not None:
                self._start_task(node_run, caller)
            else:
                self._send(self._services.pool, partial(self._sync_turn, node_run))
        if drain:
            self._send(self._lane, self._drain)
        for node_run in held:
            self.pauses.begin(node_run)
        if cycle:
            self.fail(*self.lookup.blame_cycle(cycle))
        elif done:
            self.loop.call_soon(self.end, Status.DONE)

    def _send(self, lane: Lane, job: Callable[[Worker], None]) -> None:
        context = self.context.copy()
        lane.submit(lambda worker: context.run(job, worker))

    # Sync nodes, on a lane -----------------------------------------------------------------------------------------

    def _drain(self, worker: Worker) -> None:
        """Call ready nodes one after the other, in one hop to the lane; after a while let other runs have it."""
        until = time.perf_counter() + SLICE_S
        while True:
            with self.lock:
                node_run = None if self.is_over or worker.retired else self.scheduler.take()
                if node_run is None:
                    self._is_draining = False
                    look = self.scheduler.pending == 0 or self.scheduler.is_deadlocked or self.scheduler.wants_loop
                    break
            self._sync_turn(node_run, worker)
            if time.perf_counter() > until:
                if self._lane.is_wanted and not self.is_over:  # what waits may be the end of the lane
                    self._send(self._lane, self._drain)
                    return
                until += SLICE_S
        if look:
            self.wake()

    def _sync_turn(self, node_run: NodeRun, worker: Worker) -> None:
        if not self.lookup.claim(node_run, self._shared):
            return
        self.state.event_log.node_started(node_run, worker.thread.name)
        self.calling[worker] = node_run
        try:
            try:
                outcome = self.on_lane.call(node_run, worker)
            finally:
                if self.calling.pop(worker, None) is None:
                    worker.retired = True  # the run has ended and left this worker behind, before its next job
            if isinstance(outcome, Expand):
                steps, expanded, marked = self._read(node_run, outcome)
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

    def _read(self, node_run: NodeRun, outcome: Expand) -> tuple[dict[str, Step], Expanded, list[Step]]:
        """Return the steps of an expansion, what it stands for, and the steps that have fingerprints."""
        registry = self.state.graph.registry
        steps, expanded = read_expansion(outcome, node_run.step.id, self.scheduler, registry)
        return steps, expanded, [step for step in steps.values() if step.spec.fingerprint is not None]

    # Async nodes, on the loop ----------------------------------------------------------------------------------------

    def on_stall(self, node_run: NodeRun, seconds: float) -> None:
        """Report that a node held the loop for 2 ms or more."""
        self.state.event_log.loop_held(node_run, seconds)
        if seconds >= STALL_S:
            _warn_stalled(node_run, seconds)

    def _start_task(self, node_run: NodeRun, caller: Caller) -> None:
        if not self.lookup.claim(node_run, self._shared):
            return
        self.state.event_log.node_started(node_run, node_run.step.where)
        task = self.loop.create_task(self._async_turn(node_run, caller), context=self.context.copy())
        self.tasks[task] = node_run
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        node_run = self.tasks.pop(task)
        if self.ending is None and task.cancelled():
            self.fail(node_run, RuntimeError("the node's task was cancelled from outside the run."))
        if self.ending is not None and not self.tasks:
            self._close(self.ending)

    async def _async_turn(self, node_run: NodeRun, caller: Caller) -> None:
        try:
            outcome = await caller.call(node_run)
            if isinstance(outcome, Expand):
                steps, expanded, marked = self._read(node_run, outcome)
                if marked:
                    await caller.fingerprint(marked)
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
        if self.state.stopping:
            return  # a node that was told to stop may have returned half of its work
        if isinstance(outcome, Ask):
            self._ask(node_run, outcome.names)
            return
        node_run.ui = outcome.ui
        spoiled = self.lookup.check_inputs(node_run) if node_run.step.links else ()
        self.lookup.keep(node_run, outcome.outputs)
        self._finished(node_run)
        with self.lock:
            if self.ending is not None:
                return
            for above in spoiled:
                self.scheduler.invalidate(above)
            self.scheduler.finish(node_run, outcome.outputs)
            look = self.scheduler.wants_loop or not self._is_draining
        if look:
            self.wake()

    def _ask(self, node_run: NodeRun, names: Sequence[str]) -> None:
        with self.lock:
            if self.ending is not None:
                return
            added = self.scheduler.ask(node_run, names)
        self.state.event_log.node_waits(node_run, "waits for " + ", ".join(names), added)
        self.wake()

    def _expand(self, node_run: NodeRun, steps: dict[str, Step], expanded: Expanded, outcome: Expand) -> None:
        set_keys(steps, self.scheduler, self.state.graph.scope.uid)
        node_run.ui = outcome.ui
        with self.lock:
            if self.ending is not None:
                return
            if self.pauses.at:
                self.lookup.below.update(steps)
            added = self.scheduler.expand(node_run, list(steps.values()), expanded)
        self.state.event_log.node_waits(node_run, f"expanded into {len(steps)} nodes", added)
        self.wake()

    def _resolve(self, node_run: NodeRun) -> Outputs:
        outputs: Outputs = node_run.expansion.outputs(node_run, self.scheduler)
        self.lookup.keep(node_run, outputs)
        self._finished(node_run)
        return outputs

    def _shared(self, node_run: NodeRun, entry: Entry | None) -> None:
        """An equal node that was in flight is done (or was given up: then this one is computed)."""
        try:
            with self.lock:
                if self.ending is not None or self.error is not None:
                    return
                if entry is None:
                    self.scheduler.requeue(node_run)
                else:
                    node_run.ui, node_run.source = entry.ui, "shared"
                    node_run.entry = entry
                    self._finished(node_run)
                    self.scheduler.finish(node_run, entry.outputs)
        except Exception as error:  # an expansion's outputs may not fit; the run that computed the node is not to blame
            self.fail(node_run, error)
        self.wake()

    def _finished(self, node_run: NodeRun) -> None:
        if node_run.step.id not in self.pauses.at:  # else it is told of when it goes on
            self.state.event_log.node_finished(node_run)

    # Ending ----------------------------------------------------------------------------------------------------------

    def fail(self, node_run: NodeRun, error: BaseException) -> None:
        """Let the run fail at a node; from any thread."""
        failure = failure_of(self.scheduler, node_run, error)
        with self.lock:
            if self.ending is not None or self.error is not None:
                return
            self.error = failure
        self.state.event_log.node_failed(node_run, failure)
        post(self.loop, self.end, Status.FAILED)

    def _interrupted(self) -> None:
        if self.ending is None:
            post(self.loop, self.end, self.state.stop_as or Status.STOPPED)

    def end(self, status: Status) -> None:
        """On the loop: end the run in a status. Its tasks are cancelled; a node on a lane is left behind."""
        with self.lock:
            if self.ending is not None:
                return
            self.ending = status
        if status is not Status.DONE:
            self.state.request_stop(status)
        left = [(worker, node_run) for worker in list(self.calling) if (node_run := self.calling.pop(worker, None))]
        for node_run in [*(node_run for _, node_run in left), *self.tasks.values()]:
            self.lookup.give_back(node_run, None)
        for worker, node_run in left:
            worker.lane.retire(worker)
            threading.Thread(
                target=self._interrupt_after_grace, args=(worker, node_run), name="comfy-nb-stop", daemon=True
            ).start()
        if not self.tasks:
            self._close(status)
        elif status is not Status.DONE:
            self._cancel_tasks(time.perf_counter())

    def _cancel_tasks(self, since: float) -> None:
        """Cancel what is left, and again if it was swallowed; after a while go on without it, and say so."""
        if self._is_closed:
            return
        late = time.perf_counter() - since > GIVE_UP_S
        for task, node_run in list(self.tasks.items()):
            if late:
                _warn_left(node_run, "it swallows its cancellation")
            task.cancel()
        if late:
            self._close(self.ending or Status.CANCELLED)
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
            _warn_left(node_run, "it is in C code")

    def _close(self, status: Status) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self.pauses.close()
        self._switches.close()
        self._services.lane_done(self._lane)
        self._on_end(status, self.error)


def _warn_left(node_run: NodeRun, why: str) -> None:
    named = _name(node_run)
    warnings.warn(
        f"{named} did not stop ({why}); it was abandoned, and its result is discarded.",
        ComfyNBWarning,
        stacklevel=2,
    )


def _warn_stalled(node_run: NodeRun, seconds: float) -> None:
    message = (
        f"{_name(node_run)} kept the event loop busy for {seconds:.1f} s without an await; nothing else could run "
        "meanwhile. Make it a plain function, or await asyncio.to_thread(...)."
    )
    outside = current_call.set(None)  # the warning is about the node, not printed by it
    try:
        warnings.warn(message, ComfyNBWarning, stacklevel=2)
    finally:
        current_call.reset(outside)


def _name(node_run: NodeRun) -> str:
    step = node_run.step
    return name_node(step.id, step.class_type, step.title)
