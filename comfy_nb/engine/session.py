"""A session: what runs share (cache, lanes, claims), and the doors by which graphs are run."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import threading
import warnings
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from comfy_nb.engine import bridge
from comfy_nb.engine.cache import MemoryCache
from comfy_nb.engine.entry import Entry
from comfy_nb.engine.interrupt import interrupt_watch
from comfy_nb.engine.keys import Step
from comfy_nb.engine.lanes import Lane, Worker, on_lane
from comfy_nb.engine.plan import Plan, Verdict, judge, plan_of
from comfy_nb.engine.prepare import ask_fingerprints, ask_validation
from comfy_nb.engine.run import Run
from comfy_nb.engine.schedule import State, Ticket
from comfy_nb.engine.sharing import Claims
from comfy_nb.engine.sizes import default_budget
from comfy_nb.engine.stepping import Stepped
from comfy_nb.engine.why import differences
from comfy_nb.errors import ComfyNBWarning, Problem, Stopped, name_node

if TYPE_CHECKING:
    from comfy_nb.engine.disk import DiskCache
    from comfy_nb.graph.handle import Handle
    from comfy_nb.graph.model import Graph

MOST_USES = 100_000
USES_A_NODE = 8
# Below this a result is computed again sooner than it is read.
WORTH_DISK_S = 0.005
RECENT_TICKETS = 10_000
NEAREST_OF = 64


class Session:
    """Runs graphs, and holds what they share. There is a default one; make others for tests or separate budgets."""

    def __init__(self, *, budget: int | None = None, disk: DiskCache | None = None) -> None:
        self.cache = MemoryCache(default_budget() if budget is None else budget)
        self.disk = disk
        self.claims = Claims()
        self.lane = Lane("comfy-nb-lane")
        self.pool = Lane("comfy-nb-pool", workers=os.cpu_count() or 1)
        self.asker = Lane("comfy-nb-ask")
        self.runs: weakref.WeakSet[Run] = weakref.WeakSet()
        self.show_value: Callable[[Any, str | None], Any] = lambda value, kind: value
        self.is_shown = False
        self._listeners: list[Callable[[Run], None]] = []
        self._uses: OrderedDict[bytes, list[tuple[str, ...]]] = OrderedDict()
        self._recent: deque[tuple[int, Mapping[str, Ticket]]] = deque()
        self._recent_size = 0
        self._slow: set[int] = set()
        self._lock = threading.Lock()

    # Doors -----------------------------------------------------------------------------------------------------------

    async def run(self, graph: Graph, outputs: Sequence[str] | None = None, **options: Any) -> Run:
        """Run a graph and return its run. Raises ValidationError, NodeError; an interrupt ends it in state "stopped"."""
        return await self._await(self._begin(graph, options), outputs)

    def start(self, graph: Graph, outputs: Sequence[str] | None = None, **options: Any) -> Job:
        """Start a graph in the background of the running loop."""
        return Job(self._begin(graph, options), outputs, lambda run: run)

    def run_sync(self, graph: Graph, outputs: Sequence[str] | None = None, **options: Any) -> Run:
        """Run a graph from code that cannot await. Raises Stopped when a person interrupts it."""
        run = self._begin(graph, {**options, "own_lane": on_lane()})
        return bridge.wait_for(lambda: self._await(run, outputs), run.stop)

    async def value(self, handle: Handle) -> Any:
        """Compute a handle's value; raises Stopped when a person stops it."""
        graph = handle.graph
        node_id = graph.id_of(handle)
        return _value(await self.run(graph, [node_id]), node_id, handle.slot)

    def start_value(self, handle: Handle) -> Job:
        """Start computing a handle's value in the background of the running loop."""
        graph = handle.graph
        node_id = graph.id_of(handle)
        return Job(self._begin(graph, {}), [node_id], lambda run: _value(run, node_id, handle.slot))

    def value_sync(self, handle: Handle) -> Any:
        """Compute a handle's value from code that cannot await."""
        graph = handle.graph
        node_id = graph.id_of(handle)
        return _value(self.run_sync(graph, [node_id]), node_id, handle.slot)

    async def show(self, handle: Handle) -> Any:
        """Compute a handle's value and return it as something that a notebook shows well."""
        types = handle.call.spec.return_types
        index = handle.slot or 0
        kind = types[index] if index < len(types) and isinstance(types[index], str) else None
        return self.show_value(await self.value(handle), kind)

    def state(self, handle: Handle) -> str:
        """Say whether a handle's value is there: "cached", "not run", or "has problems"."""
        try:
            plan = plan_of(handle.graph)
        except Exception as error:  # a repr must not fail because a class cannot be read
            return f"cannot be planned: {type(error).__name__}"
        step = plan.steps.get(handle.graph.id_of(handle))
        if step is None or plan.faulty:
            return "has problems"
        return "cached" if step.key is not None and self.cache.peek(step.key) is not None else "not run"

    def keys(self, handle: Handle) -> list[bytes]:
        """Return the cache keys of a handle's node; none where its key is not known before it runs."""
        step = plan_of(handle.graph).steps.get(handle.graph.id_of(handle))
        return [step.key] if step is not None and step.key is not None else []

    def validate(self, graph: Graph, outputs: Sequence[str] | None) -> list[Problem]:
        """Find all that is wrong with a graph, asking the nodes' own validation too."""
        plan = plan_of(graph)
        wanted = plan.default_outputs() if outputs is None else outputs
        run = Run(self, graph, plan, {})
        found = bridge.finish(ask_validation(plan, plan.above(wanted), _ask_now, run.hidden))
        return judge(plan, wanted, found).problems

    def stop_all(self) -> int:
        """Stop every run of this session; return how many there were."""
        live = [run for run in self.runs if run.state == "running"]
        for run in live:
            run.stop()
        return len(live)

    # A run's life ----------------------------------------------------------------------------------------------------

    def _begin(self, graph: Graph, options: Mapping[str, Any]) -> Run:
        """Take the graph as it is now."""
        plan = plan_of(graph)
        plan.users += 1
        run = Run(self, graph, plan, options)
        run.own_lane = bool(options.get("own_lane"))
        self.runs.add(run)
        graph.advance_seeds()
        return run

    async def _await(self, run: Run, outputs: Sequence[str] | None) -> Run:
        """Let a run go to its end. A kernel's interrupt becomes a stopped run; other cancellations pass on."""
        with interrupt_watch:
            try:
                await self._execute(run, outputs)
            except asyncio.CancelledError:
                is_interrupt = interrupt_watch.seen
                run.stop("stopped" if is_interrupt else "cancelled")
                await _clean_up(run)
                task = asyncio.current_task()
                if not is_interrupt or task is None:
                    raise
                task.uncancel()
        return _result(run)

    async def _execute(self, run: Run, outputs: Sequence[str] | None) -> None:
        loop = asyncio.get_running_loop()
        run.finished = loop.create_future()
        run.preparing = loop.create_task(self._prepare(run, outputs))
        if run.stopping:
            run.preparing.cancel()
        try:
            wanted = await run.preparing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not run.stopping or (task is not None and task.cancelling()):
                raise
            run.abandon()
            return
        except BaseException:
            run.abandon()
            raise
        for listener in list(self._listeners):
            _tell(listener, run)
        run.go(wanted)
        await asyncio.shield(run.finished)

    async def _prepare(self, run: Run, outputs: Sequence[str] | None) -> list[str]:
        """Validate, take fingerprints, and return the wanted nodes that can run."""
        plan = run.plan
        wanted = plan.default_outputs() if outputs is None else list(outputs)
        run.verdict = judge(plan, wanted, await self._validation(run, plan, wanted))
        if not run.verdict.good:
            raise run.verdict.error()
        if plan.fingerprinting:
            needed = plan.above(run.verdict.good)
            steps = [step for step in plan.fingerprinting if step.id in needed]
            changed = await ask_fingerprints(steps, self.ask, run.hidden)
            if changed:
                plan.rekey(changed)
        if plan.always:
            plan.rekey(plan.always)
        run.take_revision()
        return run.verdict.good

    async def _validation(self, run: Run, plan: Plan, wanted: Sequence[str]) -> dict[str, list[Problem]]:
        if not plan.validating or plan.unknown:
            return {}
        return await ask_validation(plan, plan.above(wanted), self.ask, run.hidden)

    async def ask(self, function: Callable[..., Any], inputs: dict[str, Any]) -> Any:
        """Call a function of a node class beside the loop, or await it if it is async."""
        if inspect.iscoroutinefunction(function):
            return await Stepped(function(**inputs), grad=False, stalled=lambda seconds: None)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()
        asked: list[Worker] = []
        self.asker.submit(partial(_answer, loop, future, context, function, inputs, asked))
        try:
            answer = await future
        except asyncio.CancelledError:
            for worker in asked:
                self.asker.retire(worker)
            raise
        return await answer if inspect.iscoroutine(answer) else answer

    def on_run(self, listener: Callable[[Run], None]) -> Callable[[], None]:
        """Call `listener(run)` for each run as it starts, on its loop; call the result to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def lane_for(self, run: Run) -> Lane:
        """Return the lane for a run: the session's, or one of its own where a node waits for the run on that lane."""
        return Lane("comfy-nb-nested") if run.own_lane else self.lane

    def lane_done(self, lane: Lane) -> None:
        """A run needs its lane no more."""
        if lane is not self.lane:
            lane.close()
        if self.disk is not None:
            self.disk.warn()

    # What runs share -------------------------------------------------------------------------------------------------

    def recall(self, key: bytes, step: Step) -> Entry | None:
        """Return what is cached under a key; what was written to since, or whose files are gone, is dropped."""
        entry = self.cache.get(key)
        if entry is None:
            entry = self._from_disk(key, step)
        elif entry.seal is not None and (what := entry.seal.broken()) is not None:
            self.forget(entry, "changed in place")
            warnings.warn(
                f"What {name_node(entry.node_id, entry.class_type, entry.title)} gave was changed in place after it was "
                f"computed: {what}. It is not used any more, but computed again. Work on a copy (x.clone()).",
                ComfyNBWarning,
                stacklevel=2,
            )
            entry = self._from_disk(key, step)
        if entry is None:
            return None
        still_there = step.spec.still_there
        if still_there is not None and entry.ui is not None and not still_there(entry.ui):
            self.forget(entry, "its file is gone")
            return None
        return entry

    def _from_disk(self, key: bytes, step: Step) -> Entry | None:
        if self.disk is None or step.spec.is_output:
            return None
        entry = self.disk.get(key)
        if entry is not None:
            entry.node_id, entry.title = step.id, step.title
            self.cache.put(entry)
        return entry

    def is_on_disk(self, key: bytes, step: Step) -> bool:
        """Whether a key is in the disk tier."""
        return self.disk is not None and not step.spec.is_output and key in self.disk

    def remember(self, entry: Entry) -> None:
        """Keep a result, in memory and where that is switched on and possible on disk."""
        self.cache.put(entry)
        if self.disk is not None and entry.durable and entry.seconds >= WORTH_DISK_S:
            self.disk.put(entry)

    def forget(self, entry: Entry, why: str) -> None:
        """Drop a result."""
        self.cache.drop(entry.key, why)

    def uses_of(self, base: bytes) -> list[tuple[str, ...]]:
        """Return which lazy inputs a node with this base key has used so far."""
        return self._uses.get(base, [])

    def note_use(self, base: bytes, names: tuple[str, ...]) -> None:
        """Remember which lazy inputs a node used."""
        with self._lock:
            known = self._uses.setdefault(base, [])
            if names not in known:
                known.insert(0, names)
                del known[USES_A_NODE:]
            if len(self._uses) > MOST_USES:
                self._uses.popitem(last=False)

    def note_run(self, number: int, tickets: Mapping[str, Ticket]) -> None:
        """Remember what the nodes of a run were, for `why` of a like one in another graph."""
        with self._lock:
            self._recent.append((number, tickets))
            self._recent_size += len(tickets)
            while self._recent_size > RECENT_TICKETS and len(self._recent) > 1:
                self._recent_size -= len(self._recent.popleft()[1])

    def nearest(self, ticket: Ticket, number: int) -> Ticket | None:
        """Return the node of an earlier run that is most like this one: the node before its cell was edited."""
        with self._lock:
            recent = list(self._recent)
        earlier = [
            each
            for run_number, tickets in reversed(recent)
            if run_number < number
            for each in tickets.values()
            if each.step.class_type == ticket.step.class_type and each.state is State.DONE
        ]
        return min(earlier[:NEAREST_OF], key=lambda each: len(differences(each, ticket)), default=None)

    def note_slow(self, subscriber: Callable[..., Any]) -> None:
        """Say once that a subscriber keeps the loop."""
        if id(subscriber) not in self._slow:
            self._slow.add(id(subscriber))
            warnings.warn(f"The subscriber {subscriber!r} keeps the event loop busy.", ComfyNBWarning, stacklevel=2)


class Job:
    """A run in the background of the loop: await it for its result, `cancel()` it, or look at `job.run`."""

    def __init__(self, run: Run, outputs: Sequence[str] | None, take: Callable[[Run], Any]) -> None:
        self.run = run
        self._take = take
        self._task = asyncio.get_running_loop().create_task(self._go(outputs))
        # A job that nobody awaits fails visibly in its run's display; its exception is not "never retrieved".
        self._task.add_done_callback(lambda task: None if task.cancelled() else task.exception())

    async def _go(self, outputs: Sequence[str] | None) -> Any:
        try:
            await self.run.session._execute(self.run, outputs)
        except asyncio.CancelledError:
            self.run.stop("cancelled")
            await _clean_up(self.run)
            raise
        return self._take(_result(self.run))

    def cancel(self) -> None:
        """Stop the run; what had finished stays cached. Awaiting the job then gives the run in state "cancelled"."""
        self.run.stop("cancelled")

    def done(self) -> bool:
        """Whether the job has ended."""
        return self._task.done()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        with interrupt_watch:
            try:
                return await asyncio.shield(self._task)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not interrupt_watch.seen or task is None:
                    raise
                self.run.stop()
                task.uncancel()
                return await asyncio.shield(self._task)

    def __repr__(self) -> str:
        return f"<Job {self.run!r}>"


def _value(run: Run, node_id: str, slot: int | None) -> Any:
    if run.state != "done":
        raise Stopped(
            f"The run was {run.state} before node {node_id} was there; what had finished stays cached.",
            run=run,
        )
    return run.value(node_id, slot)


def _result(run: Run) -> Run:
    """Return a run that has ended, or raise what went wrong in it."""
    if run.error is not None:
        raise run.error
    verdict: Verdict | None = run.verdict
    if verdict is not None and verdict.problems and run.state == "done":
        raise verdict.error(run)
    return run


async def _clean_up(run: Run) -> None:
    """Wait until nothing of a stopped run is left on the loop, however often the waiting itself is cancelled."""
    if run.drive is None:
        run.abandon()
    while run.finished is not None and run.drive is not None and not run.finished.done():
        try:
            await asyncio.shield(run.finished)
        except asyncio.CancelledError:
            continue


def _tell(listener: Callable[[Run], None], run: Run) -> None:
    try:
        listener(run)
    except Exception as error:  # a display's fault may not hurt the run
        warnings.warn(f"A listener for runs failed: {error!r}", ComfyNBWarning, stacklevel=2)


def _answer(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[Any],
    context: contextvars.Context,
    function: Callable[..., Any],
    inputs: dict[str, Any],
    asked: list[Worker],
    worker: Worker,
) -> None:
    asked.append(worker)
    if future.cancelled():
        return
    answer, error = None, None
    try:
        answer = context.run(worker.call, inputs, function, inputs)
    except BaseException as raised:  # a class's function may raise anything; the one who asked is told
        error = _as_exception(raised)
    if not future.cancelled():
        loop.call_soon_threadsafe(_set, future, answer, error)


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(f"it raised {type(error).__name__}: {error}")


def _set(future: asyncio.Future[Any], answer: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)


async def _ask_now(function: Callable[..., Any], inputs: dict[str, Any]) -> Any:
    answer = function(**inputs)
    return await answer if inspect.isawaitable(answer) else answer


_default: Session | None = None
_chosen: contextvars.ContextVar[Session | None] = contextvars.ContextVar("comfy_nb_session", default=None)
_default_lock = threading.Lock()


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
