"""A session: what runs share (cache, lanes, breakpoints, history), and the ways to run a graph."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from comfy_nb.engine import blocking
from comfy_nb.engine.cache.memory import MemoryCache
from comfy_nb.engine.cache.store import Store
from comfy_nb.engine.estimate import Estimate, NodeTimes, estimate_plan
from comfy_nb.engine.execution.breakpoints import Breakpoints
from comfy_nb.engine.execution.callers import MakeCaller
from comfy_nb.engine.execution.coroutines import our_time, run_without_waiting
from comfy_nb.engine.execution.failure import release_frames
from comfy_nb.engine.execution.held_back import HeldBack
from comfy_nb.engine.execution.hook_caller import call_now
from comfy_nb.engine.execution.interrupt import Awaited, interrupt_watch
from comfy_nb.engine.execution.lanes import Lanes
from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.execution.state import Status
from comfy_nb.engine.history import History
from comfy_nb.engine.job import INTERRUPTED, Job, result_of
from comfy_nb.engine.last_runs import LastRuns
from comfy_nb.engine.planning.class_hooks import call_validators
from comfy_nb.engine.planning.inside import KnownInside
from comfy_nb.engine.planning.modes import modes_here
from comfy_nb.engine.planning.planned import current_plan, plan_of
from comfy_nb.engine.planning.step import Step
from comfy_nb.engine.planning.validity import assess
from comfy_nb.engine.pools.held import holding_only
from comfy_nb.engine.pools.pools import Pools
from comfy_nb.engine.pools.turns import Aging
from comfy_nb.engine.presenter import Presenter, make_presenter, safely
from comfy_nb.engine.provenance import ProvenanceIndex
from comfy_nb.engine.run import Run
from comfy_nb.errors import ComfyNBWarning, GraphError, Problem, UnknownName, ValidationError
from comfy_nb.graph.model import Graph
from comfy_nb.wording import clip

if TYPE_CHECKING:
    from comfy_nb.engine.cache.disk import DiskCache

PROBLEM_MAX = 200
RUN_OPTIONS = ("run_id", "extra_data", "quiet", "on_error", "timeout", "priority")


class Session:
    """Runs graphs, and holds what they share. There is a default one; make others for tests or separate budgets.

    `last` is the run that was begun last, other than by nodes. Where it `is_strict`, a person's own node fails that
    returned another layout than it declares; else that is a warning.
    """

    def __init__(
        self, *, budget: int | None = None, disk: DiskCache | None = None, presenter: Presenter | None = None
    ) -> None:
        self.presenter = presenter if presenter is not None else make_presenter()
        self.store = Store(budget, disk)
        self.inside = KnownInside()
        self.aging = Aging()
        self.lanes = Lanes(self.aging)
        self.pools = Pools(self.aging)
        self.runs: weakref.WeakSet[Run] = weakref.WeakSet()
        self._lasts = LastRuns()
        self.history = History()
        self.provenance = ProvenanceIndex()
        self.callers: Mapping[str, MakeCaller] = {}
        self.is_strict = False
        self.breakpoints = Breakpoints(self.presenter.show_pause)
        self._listeners: list[Callable[[Run], None]] = []
        self._failed: list[weakref.ref[Run]] = []
        self._slow: set[int] = set()
        self._lock = threading.Lock()
        process_end.stop_runs(self)
        weakref.finalize(self, self.lanes.close).atexit = False

    @property
    def cache(self) -> MemoryCache:
        """The memory tier."""
        return self.store.cache

    @property
    def disk(self) -> DiskCache | None:
        """The disk tier, or None where it is not switched on."""
        return self.store.disk

    @disk.setter
    def disk(self, disk: DiskCache | None) -> None:
        self.store.disk = disk

    @property
    def last(self) -> Run | None:
        """The last run that was awaited here, in a notebook in this cell, or else anywhere; None where there was none.

        It does not keep values that the cache has let go. Runs of the background count if they are awaited, those of
        nodes do not.
        """
        return self._lasts.at(safely("The display of runs failed", self.presenter.place))

    # Running ---------------------------------------------------------------------------------------------------------

    async def run(self, graph: Graph, outputs: Sequence[str] | None = None, **options: Any) -> Run:
        """Run a graph and return its run, also a stopped one. Raises ValidationError, NodeError, Interrupted."""
        run = self._begin(graph, options)
        with interrupt_watch.awaiting(INTERRUPTED, run.stop, run) as awaited:
            return await self._await(run, outputs, awaited)

    def start(
        self,
        graph: Graph,
        outputs: Sequence[str] | None = None,
        *,
        take: Callable[[Run], Any] | None = None,
        **options: Any,
    ) -> Job:
        """Start a graph in the background of the running loop; `take(run)` makes the job's result, else it is the run.

        Raises GraphError where no loop runs.
        """
        _need_loop()
        run = self._begin(graph, options)
        borrowed = run.move_to_background()
        safely("The display of runs failed", self.presenter.expect_run, run)
        with holding_only(borrowed):
            return Job(run, self._execute(run, outputs), take or (lambda run: run), self.presenter.show_refusal)

    def run_sync(self, graph: Graph, outputs: Sequence[str] | None = None, **options: Any) -> Run:
        """Run a graph from code that cannot await. A person's interrupt raises Interrupted in a kernel's cell.

        In a script, Ctrl-C raises KeyboardInterrupt, whose attribute `run` is the run.
        """
        with HeldBack(INTERRUPTED) as held:
            run = held.run = self._begin(graph, options)
            with interrupt_watch.awaiting(INTERRUPTED, run.stop, run) as awaited:
                return blocking.wait_for(lambda: self._await(run, outputs, awaited), awaited, held)

    def state_of(self, graph: Graph, node_id: str) -> str:
        """Return "cached", "not run" or that there are problems; nothing where that is not known. Plans nothing."""
        plan = current_plan(graph)
        if plan is None:
            return ""
        step = plan.steps.get(node_id)
        if plan.faulty:
            first, *_ = next(iter(plan.faulty.values()))
            return f"has problems: {clip(str(first), PROBLEM_MAX)}"
        if step is None:
            return "has problems"
        if (key := step.key.full) is None:  # as long as its fingerprint is not taken
            return ""
        return "cached" if self.cache.peek(key) is not None else "not run"

    def keys_of(self, graph: Graph, node_id: str) -> list[bytes]:
        """Return the cache keys of a node; none where its key is not known before it runs."""
        step = plan_of(graph, self.inside).steps.get(node_id)
        return [step.key.full] if step is not None and step.key.full is not None else []

    def validate(self, graph: Graph, outputs: Sequence[str] | None) -> list[Problem]:
        """Find all that is wrong with a graph, calling the nodes' own validation too."""
        plan = plan_of(graph, self.inside)
        wanted = plan.default_outputs() if outputs is None else outputs
        found = run_without_waiting(
            call_validators(plan, wanted, call_now),
            "An async VALIDATE_INPUTS waits: use `await graph.run()`, which calls it too.",
        )
        try:
            return assess(graph, plan, wanted, found).problems
        except ValidationError as error:
            return list(error.problems)

    def estimate(self, graph: Graph, outputs: Sequence[str] | None) -> Estimate:
        """Estimate how long a run would take, from the times of earlier runs of this session; calls no node."""
        plan = plan_of(graph, self.inside)
        wanted = plan.default_outputs() if outputs is None else outputs

        def is_cached(step: Step) -> bool:
            return step.key.full is not None and self.store.holds(step.key.full, step)

        return estimate_plan(plan, wanted, is_cached, NodeTimes(self.history.recent()))

    def stop_all(self) -> int:
        """Stop every run of this session; return how many there were."""
        live = sorted(self.live_runs(), key=lambda run: run.number)
        for run in live:  # one that a node waits for after the one around it, in which its end would be a failure
            run.stop()
        return len(live)

    def live_runs(self) -> list[Run]:
        """Return the runs that go on; from any thread."""
        with self._lock:
            return [run for run in self.runs if run.state is Status.RUNNING]

    # A run's life ----------------------------------------------------------------------------------------------------

    @our_time()
    def _begin(self, graph: Graph, options: Mapping[str, Any]) -> Run:
        """Take the graph as it is now; raises UnknownName for an option that runs do not have."""
        for name in options:
            if name not in RUN_OPTIONS:
                raise UnknownName.of("option", name, ("outputs", *RUN_OPTIONS), "of a run")
        modes = modes_here()
        plan = plan_of(graph, self.inside, modes)
        run = Run(self, graph, plan, modes, options)
        self._release_failures(run.place)
        interrupt_watch.note_run()
        plan.users += 1
        with self._lock:
            self.runs.add(run)
        graph.advance_seeds()
        if process_end.has_begun:
            run.stop()
        return run

    def _release_failures(self, place: Any) -> None:
        """Let failed runs of earlier cells go of what their nodes held; until then a debugger finds it."""
        failed = [(reference, reference()) for reference in self._failed]
        self._failed = [reference for reference, run in failed if run is not None and run.place == place]
        for _, run in failed:
            if run is not None and run.place != place:
                release_frames(run.error)

    async def _await(self, run: Run, outputs: Sequence[str] | None, awaited: Awaited) -> Run:
        outer = run.task.state.outer
        if outer is not None:
            outer.inner.add(run.task)
            if outer.stopping:  # it has stopped the others already
                run.task.stop(Status.CANCELLED)
        else:
            self._lasts.begin(run)
        try:
            await self._execute(run, outputs)
        except asyncio.CancelledError:
            run.task.stop(Status.STOPPED if awaited.notice_cancellation() else Status.CANCELLED)
            await run.task.clean_up()
            raise
        finally:
            self._lasts.end(run)
        return result_of(run)

    async def _execute(self, run: Run, outputs: Sequence[str] | None) -> None:
        with our_time():
            for listener in list(self._listeners):
                safely("A listener for runs failed", listener, run)
        await run.task.execute(outputs)
        if run.error is not None:
            self._failed.append(weakref.ref(run))

    def note_awaited(self, run: Run) -> None:
        """Note that somebody awaits a run of the background, or has awaited it: it counts for `last`."""
        self.move_to_front(run)
        self._lasts.begin(run)
        if run.state is not Status.RUNNING:
            self._lasts.end(run)

    def move_to_front(self, run: Run) -> None:
        """Let a run of the background go before others of it, and have the places of the code that awaits it."""
        if run.move_to_front():
            self.pools.reconsider()
            self.lanes.reconsider()

    def on_run(self, listener: Callable[[Run], None]) -> Callable[[], None]:
        """Call `listener(run)` for each run, on its loop, before it is validated; call the result to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def note_slow(self, subscriber: Callable[..., Any]) -> None:
        """Warn once about a slow subscriber that is not our own: nobody can do anything about that one."""
        module, name = (getattr(subscriber, part, "") or "" for part in ("__module__", "__qualname__"))
        if id(subscriber) not in self._slow and not module.startswith("comfy_nb."):
            self._slow.add(id(subscriber))
            named = name or clip(repr(subscriber), PROBLEM_MAX)
            warnings.warn(f"The subscriber {named} keeps the event loop busy.", ComfyNBWarning, stacklevel=2)


def _need_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise GraphError(
            "Nothing can run in the background here: no event loop is running, as one is in a notebook. "
            "Use run_sync(), or call start() in an async function."
        ) from None


_default: Session | None = None
_chosen: contextvars.ContextVar[Session | None] = contextvars.ContextVar("comfy_nb_session", default=None)
_default_lock = threading.Lock()
_left_behind: list[Session] = []


def _start_anew() -> None:
    """In a forked process: the threads of the session are not there, and its locks may be held for ever."""
    global _default, _default_lock
    _default_lock = threading.Lock()
    if _default is not None:
        _left_behind.append(_default)
        _default = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def default_session() -> Session:
    """Return the session of this context, else the process's own; the first call makes it."""
    global _default
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    with _default_lock:
        if _default is None:
            _default = Session()
        return _default


@contextmanager
def use_session(session: Session) -> Generator[Session, None, None]:
    """Use another session in a `with` block."""
    token = _chosen.set(session)
    try:
        yield session
    finally:
        _chosen.reset(token)
