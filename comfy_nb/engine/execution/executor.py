"""The executor of a run: it moves nodes from the scheduler to their callers, and ends the run.

Whoever holds the lock owns the scheduler for that moment. A lane calls ready sync nodes one after the other in one hop;
async nodes that become ready meanwhile are posted to the loop at once. Everything is cleaned up on the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from types import CodeType

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.execution.abandon import abandon, warn_abandoned
from comfy_nb.engine.execution.after_failure import Failures
from comfy_nb.engine.execution.backoff import Backoff
from comfy_nb.engine.execution.callers import Caller, LaneCaller, LaneTurn, LoopCaller
from comfy_nb.engine.execution.cancelling import cancel_until_done
from comfy_nb.engine.execution.claims import Claims
from comfy_nb.engine.execution.coroutines import STALL_S, warn_stalled
from comfy_nb.engine.execution.failure import blame_cycle, failure_of
from comfy_nb.engine.execution.interrupt import interrupt_watch
from comfy_nb.engine.execution.lane_waits import LaneWaits
from comfy_nb.engine.execution.lanes import Lane, Worker, switch_interval
from comfy_nb.engine.execution.lookup import Lookup
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.execution.node_threads import node_threads
from comfy_nb.engine.execution.outdated import drop_outdated
from comfy_nb.engine.execution.pauses import MakePause, Pauses
from comfy_nb.engine.execution.places import Places
from comfy_nb.engine.execution.pool_calls import LaneCall, PoolCalls
from comfy_nb.engine.execution.results import Results
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.execution.services import Services
from comfy_nb.engine.execution.state import RunState, Status
from comfy_nb.engine.execution.turn import Expand
from comfy_nb.engine.execution.turn_services import TurnServices
from comfy_nb.engine.planning.step import LANE, LOOP, POOL
from comfy_nb.errors import Interrupted, InterruptProcessingException, NodeError
from comfy_nb.graph.gc_freeze import gc_frozen

SLICE_S = 0.02
"""How long a run has the lane for its nodes while others of the same priority wait."""
LOOK_S = 0.001
"""How often a run that has the lane looks whether one of higher priority waits."""


class Executor:
    """Executes one run; made and ended on the run's loop.

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
        self.lookup = Lookup(state, services.store, services.inside)
        self.claims = Claims(state, services.store, services.inside)
        self.scheduler = state.scheduler = Scheduler(state.plan.steps, self.lookup.find, self._resolve)
        self.lookup.scheduler = self.lookup.in_place.scheduler = self.scheduler
        self.failures = Failures(state, self.scheduler)
        self.pauses = Pauses(self, services.breakpoints, make_pause)
        self.backoff = Backoff(self.loop, self._send_again)
        self.places = Places(state, services.pools, self.loop)
        self.pool_calls = PoolCalls(self)
        if services.pools.has_assigned:
            self.scheduler.uses_pools = lambda step: services.pools.assigned_to(step.class_type)
        turn_services = TurnServices(state, self.scheduler, services.store, self.lookup.skips, self.lookup.remarks)
        self.lane_caller = LaneCaller(state, turn_services, self.loop)
        self.callers: dict[str, Caller] = {
            LOOP: LoopCaller(state, turn_services, self, self.places),
            **{where: make(state, turn_services, self) for where, make in services.callers.items()},
        }
        self.tasks: dict[asyncio.Task[None], NodeRun] = {}
        self.calling: dict[Worker, NodeRun] = {}
        self.holding_loop: NodeRun | None = None
        self.ending: Status | None = None
        self.is_draining = False
        self._event_log = state.event_log
        self.lane_waits = LaneWaits(self, self._event_log)
        self.results = Results(self, services.is_strict)
        self._is_strict = services.is_strict
        self._store = services.store
        self._on_end = on_end
        self._thread = threading.get_ident()
        self._lane = state.lanes.lane
        self._is_woken = False
        self._is_closed = False
        self._process_settings = ExitStack()

    @property
    def is_over(self) -> bool:
        """Whether no further node is to be called: the run has ended, or is about to because a node failed."""
        return self.ending is not None or self.failures.error is not None

    # Starting ----------------------------------------------------------------------------------------------------

    def start(self, wanted: list[str]) -> None:
        """Schedule what the wanted nodes need, and go."""
        self._store.run_began(self.state.number)
        self.scheduler.retained.update(wanted)
        if self._is_strict:
            self.lookup.drop_faulty()
        total = self.scheduler.need(wanted)
        self._event_log.run_started(self.state.started_at, total, self.lookup.hits)
        if self.scheduler.pending == 0:
            self._close(Status.DONE)
            return
        interrupt_watch.begin_run()
        self._process_settings.callback(interrupt_watch.end_run)
        self._process_settings.enter_context(switch_interval)
        self._process_settings.enter_context(node_threads)
        self._process_settings.enter_context(gc_frozen(total))
        self._tick()

    def wake(self) -> None:
        """Have the loop look at the scheduler: at once if called on the loop's thread, else soon."""
        if threading.get_ident() == self._thread:
            self._tick()
        elif not self._is_woken:
            self._is_woken = True
            post(self.loop, self._tick)

    def _tick(self) -> None:
        """On the loop: look at the scheduler. A fault of the engine itself ends the run."""
        self._is_woken = False
        try:
            self.context.copy().run(self._advance)  # another run may have called, with other context variables
        except Exception as error:
            self.break_off(error)

    def _advance(self) -> None:
        """Start ready async nodes, send the lane off, pause at breakpoints, notice the end."""
        with self.lock:
            if self.is_over:
                return
            scheduler = self.scheduler
            off_lane = scheduler.take_off_lane()
            held = scheduler.take_held()
            drain = scheduler.has_ready() and not self.is_draining
            self.is_draining = self.is_draining or drain
            done = scheduler.pending == 0
            cycle = scheduler.find_cycle() if scheduler.is_deadlocked and not off_lane and not drain else None
        for node_run in off_lane:
            where = node_run.step.where
            if where in (LANE, POOL):
                self._begin_off_lane(node_run)
            else:
                self._start_task(node_run, self.callers[where])
        if drain:
            self._send(self._lane, self._drain, self._priority)
            self.lane_waits.begin()
        for node_run in held:
            self.pauses.begin(node_run)
        if cycle:
            self.fail(*blame_cycle(cycle), stuck=cycle)
        elif done:
            self.loop.call_soon(self.end, Status.DONE)

    def _resolve(self, node_run: NodeRun) -> Outputs | None:
        return self.results.finish_expansion(node_run)

    def _send(self, lane: Lane, job: Callable[[Worker], None], priority: Callable[[], int]) -> None:
        context = self.context.copy()
        lane.submit(lambda worker: context.run(job, worker), self.state.source, priority)

    def _is_its_turn(self, node_run: NodeRun) -> bool:
        """Whether a node is to be called: no equal one is in flight, has been computed, or has failed in this run."""
        if self.claims.failed and (error := self.claims.failure_of_equal(node_run)) is not None:
            self.fail(node_run, error)
            return False
        return self.claims.claim(node_run, self.results.take_shared)

    def _priority(self) -> int:
        return self.state.priority

    def _priority_of(self, node_run: NodeRun) -> int:
        return self.state.priority + node_run.step.spec.priority

    # Sync nodes off the run's lane: beside it, and in pools --------------------------------------------------------

    def _begin_off_lane(self, node_run: NodeRun) -> None:
        needs = self.places.needed_by(node_run.step)
        if not needs:
            priority = partial(self._priority_of, node_run)
            self._send(self.state.lanes.pool, partial(self._sync_turn, node_run), priority)
        elif self._is_its_turn(node_run):
            self.pool_calls.begin(node_run, needs, partial(self.lane_caller.call, one_call=True))

    # Sync nodes, on a lane -----------------------------------------------------------------------------------------

    def _drain(self, worker: Worker) -> None:
        """Call ready nodes one after the other, in one hop to the lane.

        After a while it lets other runs have it, and at once those of higher priority.
        """
        look_at = time.perf_counter() + LOOK_S
        until = look_at + SLICE_S
        while True:
            with self.lock:
                node_run = None if self.is_over or worker.retired else self.scheduler.take()
                if node_run is None:
                    self.is_draining = False
                    needs_loop = self.scheduler.is_over or self.scheduler.wants_loop
                    break
            self._sync_turn(node_run, worker)
            if (now := time.perf_counter()) > look_at:
                jobs = self._lane.jobs
                is_wanted = jobs.is_wanted if now > until else jobs.is_wanted_above(self.state.priority)
                # With nothing ready the loop has to hear of that first.
                if is_wanted and not self.is_over and self.scheduler.has_ready():
                    self._send(self._lane, self._drain, self._priority)
                    return
                look_at = now + LOOK_S
                if now > until:
                    until = now + SLICE_S
        if needs_loop:
            self.wake()

    def _sync_turn(self, node_run: NodeRun, worker: Worker) -> None:
        if not self._is_its_turn(node_run):
            return
        if self.state.stop_as is None:  # else it has only waited, and will not be called
            self._event_log.node_started(node_run, worker.name)
        self.call_on_lane(node_run, self.lane_caller.call, worker)

    def call_on_lane(self, node_run: NodeRun, call: LaneCall, worker: Worker) -> None:
        """Call a node whose turn it is, and take what came of it."""
        self.calling[worker] = node_run
        keeps_claim = False
        try:
            self.lookup.in_place.before_call(node_run)
            try:
                outcome = call(node_run, worker)
            finally:
                if self.calling.pop(worker, None) is None:
                    worker.retired = True  # the run has ended and abandoned this worker
            if isinstance(outcome, LaneTurn):
                keeps_claim = True
                self.results.settle_inputs(node_run)
                post(self.loop, self._put_off, node_run, outcome)
            elif isinstance(outcome, Expand):
                steps, expanded, fingerprinted = self.results.read_expansion(node_run, outcome)
                if fingerprinted:
                    self.lane_caller.fingerprint(fingerprinted, worker)
                self.results.expand(node_run, steps, expanded, outcome)
            else:
                self.results.accept(node_run, outcome)
        except (InterruptProcessingException, KeyboardInterrupt, Interrupted) as error:
            self._interrupted(error)
        except BaseException as error:  # a node may raise or return anything, and none of it may end the lane
            self._failed(node_run, error)
        finally:
            if not keeps_claim:
                self.claims.release(node_run, None)

    def _put_off(self, node_run: NodeRun, put_off: LaneTurn) -> None:
        if self.is_over:
            self.claims.release(node_run, None)
        else:
            self.backoff.begin(node_run, put_off)

    def _send_again(self, node_run: NodeRun, put_off: LaneTurn) -> None:
        if needs := self.places.needed_by(node_run.step):
            self.pool_calls.begin(node_run, needs, partial(self.lane_caller.go_on, put_off))
            return

        def go_on(worker: Worker) -> None:
            if self.is_over:
                self.claims.release(node_run, None)
                return
            self.call_on_lane(node_run, partial(self.lane_caller.go_on, put_off), worker)

        lane = self.state.lanes.pool if node_run.step.where == POOL else self._lane
        self._send(lane, go_on, partial(self._priority_of, node_run))

    # Async nodes, on the loop ----------------------------------------------------------------------------------------

    def on_stall(self, node_run: NodeRun, seconds: float, code: CodeType | None) -> None:
        """Report that a node, whose `code` it is, held the loop for 2 ms or more."""
        self._event_log.loop_held(node_run, seconds)
        if seconds >= STALL_S:
            warn_stalled(node_run, seconds, code)

    def _start_task(self, node_run: NodeRun, caller: Caller) -> None:
        if not self._is_its_turn(node_run):
            return
        if self.state.stop_as is None and not self.places.needed_by(node_run.step):
            self._event_log.node_started(node_run, node_run.step.where)
        task = self.loop.create_task(self._async_turn(node_run, caller), context=self.context.copy())
        self.tasks[task] = node_run
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        node_run = self.tasks.pop(task)
        # At the end of asyncio.run, which cancels all tasks, the run's own task has asked for the stop by this time.
        if task.cancelled() and not self.state.stopping:
            self.fail(node_run, RuntimeError("the node raised CancelledError though nobody cancelled it."))
        if self.ending is not None and not self.tasks:
            self._close(self.ending)

    async def _async_turn(self, node_run: NodeRun, caller: Caller) -> None:
        try:
            self.lookup.in_place.before_call(node_run)
            outcome = await caller.call(node_run)
            if isinstance(outcome, Expand):
                steps, expanded, fingerprinted = self.results.read_expansion(node_run, outcome)
                if fingerprinted:
                    await caller.fingerprint(fingerprinted)
                self.results.expand(node_run, steps, expanded, outcome)
            else:
                self.results.accept(node_run, outcome)
        except (InterruptProcessingException, KeyboardInterrupt, Interrupted) as error:
            self._interrupted(error)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a node may raise or return anything, and none of it may end the loop
            self._failed(node_run, error)
        finally:
            self.claims.release(node_run, None)

    # Ending ----------------------------------------------------------------------------------------------------------

    def fail(self, node_run: NodeRun, error: BaseException, stuck: Sequence[NodeRun] = ()) -> None:
        """Let a node fail, and with it the run or, if that goes on, what needs it; may be called from any thread.

        Nodes that are `stuck` because of it are given up too.
        """
        failure = failure_of(self.scheduler, node_run, error)
        with self.lock:
            # An error in a node's own turn leaves the scheduler as it should be; one that comes later may not.
            self._take_failure(node_run, failure, node_run.state is NodeState.RUNNING or bool(stuck), stuck)
        self.wake()

    def _failed(self, node_run: NodeRun, error: BaseException) -> None:
        """Let a node fail that was called, and with it the equal ones of this run.

        It may have changed its inputs before, and its error hands them out. One whose inputs others have changed since
        it was its turn may have failed for that, and is called again.
        """
        if node_run.sequence in self.scheduler.outdated and self.state.stop_as is None:
            self.results.call_again(node_run)
            return
        self.results.settle_inputs(node_run)
        self.lookup.in_place.failed(node_run)
        self.claims.note_failure(node_run, error)
        self.fail(node_run, error)

    def fail_in_turn(self, node_run: NodeRun, error: BaseException) -> None:
        """Let a node fail whose turn this is; called by the owner of the scheduler."""
        self._take_failure(node_run, failure_of(self.scheduler, node_run, error), is_contained=True)

    def _take_failure(
        self, node_run: NodeRun, failure: NodeError, is_contained: bool, stuck: Sequence[NodeRun] = ()
    ) -> None:
        if self.is_over or self.state.stopping or node_run.state is NodeState.FAILED:
            return
        if self.failures.take(node_run, failure, is_contained, stuck):
            post(self.loop, self.end, Status.FAILED)

    def _interrupted(self, error: BaseException) -> None:
        if isinstance(error, (KeyboardInterrupt, Interrupted)):
            interrupt_watch.interrupt_run(self.state)
        if self.ending is None:
            post(self.loop, self.end, self.state.stop_as or Status.STOPPED)

    def break_off(self, error: BaseException) -> None:
        """On the loop: end the run with an error that is no node's, unless one has ended it before."""
        self.failures.error = self.failures.error or error
        self.end(Status.FAILED)

    def end(self, status: Status) -> None:
        """On the loop: end the run in a status. Its tasks are cancelled; nodes on lanes are abandoned."""
        with self.lock:
            if self.ending is not None:
                return
            status = self.ending = self.failures.final_status(status)
        if status is not Status.DONE:
            self.state.request_stop(status)
            for inner in list(self.state.inner):
                inner.stop(Status.CANCELLED)
        calling = [(worker, node_run) for worker in list(self.calling) if (node_run := self.calling.pop(worker, None))]
        waiting = [*self.backoff.close(), *self.places.close()]
        for node_run in [*(node_run for _, node_run in calling), *self.tasks.values(), *waiting]:
            self.claims.release(node_run, None)
        for worker, node_run in calling:
            abandon(worker, node_run, self.places.give_up)
        if not self.tasks:
            self._close(status)
        elif status is not Status.DONE:
            cancel_until_done(self.tasks.keys, self._abandon_tasks)

    def _abandon_tasks(self) -> None:
        """End without the async nodes that swallow their cancellation."""
        for node_run in self.tasks.values():
            self.places.give_up(node_run)
            warn_abandoned(node_run, "it swallows its cancellation")
        self._close(self.ending or Status.CANCELLED)

    def _close(self, status: Status) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self.pauses.close()
        self.lane_waits.close()
        self._process_settings.close()
        node_threads.let_go(self.state)
        drop_outdated(self.scheduler, self._store, self.state.plan.uid, self.lookup.in_place.glanced_at)
        if status is Status.DONE:
            self.lookup.report_intermediate()
        if status in (Status.DONE, Status.FAILED):
            self.lookup.remarks.repeat()
        self._on_end(status, self.failures.error)
