"""A run: what a person holds of it while it goes on and when it has ended."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from comfy_nb.engine import events
from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.events import Subscriber
from comfy_nb.engine.execution.coroutines import STALL_S
from comfy_nb.engine.execution.dynamic_prompt import DynamicPrompt, prompt_of
from comfy_nb.engine.execution.event_log import EventLog, shown_under
from comfy_nb.engine.execution.executor import Executor
from comfy_nb.engine.execution.failure import TookTooLong
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.scheduler import NodeRun, State
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.presenter import views
from comfy_nb.engine.provenance import Provenance
from comfy_nb.engine.why import reason
from comfy_nb.errors import ComfyNBWarning, NotKept, UnknownName
from comfy_nb.wording import describe_error, format_seconds, name_node

if TYPE_CHECKING:
    from comfy_nb.engine.execution.turn import Invocation
    from comfy_nb.engine.planning.plan import Plan
    from comfy_nb.engine.planning.step import Step
    from comfy_nb.engine.planning.validity import Validity
    from comfy_nb.engine.session import Session
    from comfy_nb.graph.model import Graph

_numbers = itertools.count(1)


class Run:
    """One run of a graph.

    `state` is "running", "done", "failed", "stopped" or "cancelled". `run["3"]` is a node's value, `run.why("3")` says
    why it ran or did not, `run.summary()` tells all in a few lines, `run.ui` holds what output nodes reported. `place`
    is where it was begun, as whoever shows it knows such places: in a notebook the cell.
    """

    def __init__(self, session: Session, graph: Graph, plan: Plan, options: Mapping[str, Any]) -> None:
        self.session = session
        self.graph = graph
        self.plan = plan
        self.id = str(options.get("run_id") or uuid.uuid4().hex)
        self.number = next(_numbers)
        self.extra_data: Mapping[str, Any] = options.get("extra_data") or {}
        self.state = "running"
        self.stopping = False
        self.stop_state = "stopped"
        self.stop_event = threading.Event()
        self.error: BaseException | None = None
        self.validity: Validity | None = None
        self.wanted: list[str] = []
        self.total = 0
        self.cached = 0
        self.ui: dict[str, Mapping[str, Any]] = {}
        self.blocked: list[tuple[str, str]] = []
        self.started_at = time.perf_counter()
        self.seconds = 0.0
        self.executor: Executor | None = None
        self.preparing: asyncio.Task[list[str]] | None = None
        self.finished: asyncio.Future[None] | None = None
        self.own_lane = False
        self.in_background = False
        self.place = session.find_place()
        self.is_tainted = False
        around = current_call.get()
        self._outer = around.run if around is not None and isinstance(around.run, Run) else None
        self.is_quiet = bool(options.get("quiet"))
        self.lost: dict[str, str] = {}
        self.history: dict[str, NodeRun] = graph.memo.setdefault("history", {})
        self._revision = plan.revision
        self._keys: dict[str, bytes | None] = {}
        self._before: dict[str, NodeRun] = {}
        self._values: dict[str, Outputs | None] = {}
        self._prompt: dict[str, Any] | None = None
        self.event_log = EventLog(self.id, session.note_slow)
        self.emit = self.event_log.emit
        self.log = self.event_log.log

    # Going ---------------------------------------------------------------------------------------------------------

    def go(self, wanted: Sequence[str]) -> None:
        """On the loop: start; `finished` is resolved when the run has ended."""
        self.wanted = list(wanted)
        self.executor = Executor(self)
        self.event_log.loop = self.executor.loop
        self.executor.start(self.wanted)
        if self.stopping:
            self.executor.end(self.stop_state)

    def stop(self, state: str = "stopped") -> None:
        """Stop the run, from any thread; async nodes end at their await, sync ones at their next progress report."""
        if self.state != "running" or self.stopping:
            return
        self.stop_state = state
        self.stopping = True
        self.stop_event.set()
        executor, preparing = self.executor, self.preparing
        if executor is not None:
            post(executor.loop, executor.end, state)
        elif preparing is not None:
            post(preparing.get_loop(), preparing.cancel)

    def taint(self) -> None:
        """A value was replaced: what comes of it, and of the node that this run is part of, may not be kept."""
        run: Run | None = self
        while run is not None:
            run.is_tainted = True
            run = run._outer

    def take_revision(self) -> None:
        """The plan's keys are as this run uses them from here on."""
        self._revision = self.plan.revision

    def abandon(self) -> None:
        """The run ended before anything was scheduled."""
        if self.state != "running":
            return
        self.state = self.stop_state if self.stopping else "failed"
        self.plan.users -= 1
        self._tell_end()

    def ended(self, state: str, error: BaseException | None) -> None:
        """The executor has ended: keep what is needed, report the end, and release the plan."""
        self.state = state
        self.error = error
        self.plan.users -= 1
        self._remember()
        self._tell_end()

    def _tell_end(self) -> None:
        self.seconds = time.perf_counter() - self.started_at
        self.event_log.flush()
        self.emit(events.RunFinished(self.id, time.perf_counter(), self.state, self.seconds))
        self.event_log.flush()
        if self.finished is not None and not self.finished.done():
            self.finished.set_result(None)

    def _remember(self) -> None:
        """Keep what the nodes' keys were made of, for `why` of this run and the next, and let the rest go."""
        executor = self.executor
        if executor is None:
            return
        history, kept, schedule = self.history, executor.schedule.kept, executor.schedule
        for node_id, node_run in schedule.node_runs.items():
            if node_run.state is State.DONE:
                old = history.get(node_id)
                if old is not None:
                    self._before[node_id] = old
                history[node_id] = node_run
                if node_id in kept:
                    self._values[node_id] = node_run.outputs
            else:
                history.setdefault(node_id, node_run)
            node_run.outputs = node_run.entry = None
            node_run.dependents = []
        self.session.store.note_run(self.number, schedule.node_runs)
        self.session.store.run_ended(self.plan, schedule.node_runs)
        for node_id, class_type in list(self.graph.objects):
            if schedule.step(node_id) is None:
                del self.graph.objects[node_id, class_type]

    # What nodes ask of it ------------------------------------------------------------------------------------------

    @property
    def prompt(self) -> dict[str, Any]:
        """The prompt as it ran: converted values, bypassed and muted nodes left out."""
        if self._prompt is None:
            self._prompt = prompt_of(self.plan)
        return self._prompt

    def hidden(self, step: Step, kind: Any) -> Any:
        """Return the value of a hidden input of a known kind."""
        if kind == "UNIQUE_ID":
            return step.id
        if kind == "PROMPT":
            return self.prompt
        if kind == "DYNPROMPT":
            return DynamicPrompt(self)
        if kind == "EXTRA_PNGINFO":
            given = self.extra_data.get("extra_pnginfo")
            workflow = self.graph.workflow
            return given if given is not None else {"workflow": workflow} if workflow else None
        if kind == "AUTH_TOKEN_COMFY_ORG":
            return self.extra_data.get("auth_token_comfy_org")
        assert kind == "API_KEY_COMFY_ORG", kind
        return self.extra_data.get("api_key_comfy_org")

    # What happens ----------------------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have events delivered in batches on the run's loop, what has happened first; call the result to end it."""
        return self.event_log.subscribe(subscriber)

    def started(self, total: int, cached: int) -> None:
        """The plan is known: `total` nodes have to be computed."""
        self.total, self.cached = total, cached
        self.event_log.begin(events.RunStarted(self.id, self.started_at, total, cached))

    def node_finished(self, node_run: NodeRun) -> None:
        """A node is done."""
        if node_run.ui:
            self.ui[node_run.step.id] = node_run.ui
        self.event_log.node_finished(node_run)

    def call_finished(self, call: Invocation, seconds: float) -> None:
        """A call is done; it is told of where a node is called for each item of a list."""
        around = call.context
        if around.calls > 1 and not call.is_check:
            done = (around.node_id, around.index, around.calls, seconds)
            self.emit(events.CallFinished(self.id, time.perf_counter(), *done))

    def node_waits(self, node_run: NodeRun, why: str, added: int) -> None:
        """A node asked for lazy inputs or expanded."""
        now = time.perf_counter()
        if node_run.ui:
            self.ui[node_run.step.id] = node_run.ui
        self.emit(events.NodeWaiting(self.id, now, node_run.step.id, why))
        if added:
            self.total += added
            self.emit(events.NodesAdded(self.id, now, added))

    def node_retries(self, node_run: NodeRun, error: Exception, attempt: int) -> float:
        """A call failed and will be made again; return the seconds to wait before."""
        wait_s = node_run.step.spec.backoff * 2.0**attempt
        spec = node_run.step.spec
        came = f"{spec.timeout:g} s without an answer" if isinstance(error, TookTooLong) else describe_error(error)
        said = f"retry {attempt + 1} of {spec.retries} in {wait_s:g} s after {came}"
        self.emit(events.NodeWaiting(self.id, time.perf_counter(), node_run.step.id, said))
        return wait_s

    def node_blocked(self, node_run: NodeRun, message: str) -> None:
        """A call was skipped because of a blocker with a message."""
        self.blocked.append((node_run.step.id, message))
        shown = shown_under(node_run)
        self.emit(events.NodeBlocked(self.id, time.perf_counter(), node_run.step.id, shown, message))

    def node_failed(self, node_run: NodeRun, error: Exception) -> None:
        """A node raised."""
        self.event_log.node_ends(node_run.step.id)
        self.emit(events.NodeFailed(self.id, time.perf_counter(), node_run.step.id, shown_under(node_run), error))

    def node_held(self, node_run: NodeRun, seconds: float) -> None:
        """An async node had the loop without an await, for so long that it is worth telling."""
        step = node_run.step
        self.emit(events.LoopHeld(self.id, time.perf_counter(), step.id, seconds))
        if seconds < STALL_S:
            return
        named = name_node(step.id, step.class_type, step.title)
        said = (
            f"{named} kept the event loop busy for {seconds:.1f} s without an await; nothing else could move "
            "meanwhile. Make it a plain function, or await asyncio.to_thread(...)."
        )
        outside = current_call.set(None)  # it is said about the node, and not by it
        try:
            warnings.warn(said, ComfyNBWarning, stacklevel=2)
        finally:
            current_call.reset(outside)

    # What a person asks of it ----------------------------------------------------------------------------------------

    def node_run(self, node_id: str) -> NodeRun | None:
        """Return the record of a node that this run looked at."""
        return self.executor.schedule.node_runs.get(node_id) if self.executor is not None else None

    def step(self, node_id: str) -> Step | None:
        """Return what this run knows of a node, be it of the graph or of an expansion; from any thread."""
        return self.executor.schedule.step(node_id) if self.executor is not None else self.plan.steps.get(node_id)

    def outputs(self, node_id: str) -> tuple[list[Any], ...]:
        """Return a node's output slots, each a list; raises NotKept, UnknownName, or the run's error."""
        kept = self._values.get(node_id)
        node_run = self.node_run(node_id)
        if kept is None and node_run is not None:
            kept = node_run.outputs
        if kept is not None:
            return kept
        step = node_run.step if node_run is not None else self.plan.steps.get(node_id)
        if step is None:
            raise UnknownName.of("node", node_id, self.plan.steps, "in the run's graph")
        key = node_run.key if node_run is not None else step.key if self.plan.revision == self._revision else None
        entry = self.session.store.recall(key, step) if key is not None else None
        if entry is not None:
            return entry.outputs
        named = name_node(step.id, step.class_type, step.title)
        if node_run is not None and node_run.state is not State.DONE:
            raise NotKept(f"{named} did not finish in this run (it {self.state}).") from self.error
        raise NotKept(f"The result of {named} is not held any more. Run again with outputs=[{node_id!r}] to have it.")

    def value(self, node_id: str, slot: int | None = None) -> Any:
        """Return a node's value: of one slot, of its only output, or a tuple of all outputs.

        A slot that is a list, or of which several came, gives a list.
        """
        outputs = self.outputs(node_id)
        node_run = self.node_run(node_id)
        step = node_run.step if node_run is not None else self.plan.steps[node_id]
        spec = step.spec
        if slot is None:
            if not spec.return_types and not outputs:
                return self.ui.get(node_id)
            if len(outputs) != 1:
                return tuple(self._handed(step, index, items) for index, items in enumerate(outputs))
            slot = 0
        if not -len(outputs) <= slot < len(outputs):
            named = name_node(step.id, step.class_type, step.title)
            raise NotKept(f"{named} returned {len(outputs)} values, so there is no output {slot}.")
        return self._handed(step, slot % len(outputs), outputs[slot])

    def _handed(self, step: Step, slot: int, items: list[Any]) -> Any:
        value = _plain(step.spec.output_is_list, slot, items)
        self.session.provenance.record(value, partial(self.provenance, step.id, slot))
        return value

    def provenance(self, node_id: str, slot: int) -> Provenance:
        """Return where the value of a node's output slot came from, as far as this run knows."""
        node_run = self.node_run(node_id)
        step = node_run.step if node_run is not None else self.plan.steps[node_id]
        types = step.spec.return_types
        socket = types[slot] if slot < len(types) and isinstance(types[slot], str) else None
        seconds, source = (node_run.seconds, node_run.source) if node_run is not None else (0.0, "memory")
        named = name_node(step.id, step.class_type, step.title)
        return Provenance(node_id, slot, socket, named, seconds, source, partial(_why_of, weakref.ref(self), node_id))

    def __getitem__(self, node_id: str | int) -> Any:
        return self.value(str(node_id))

    @property
    def counts(self) -> Counter[str]:
        """How many nodes ran, were shared with an equal one, and came from the cache in memory or on disk."""
        return Counter(node_run.source for node_run in self._node_runs() if node_run.state is State.DONE)

    def _node_runs(self) -> Iterable[NodeRun]:
        return self.executor.schedule.node_runs.values() if self.executor is not None else ()

    def why(self, node_id: str | int) -> str:
        """Say why a node ran in this run, or why it did not."""
        node_id = str(node_id)
        node_run = self.node_run(node_id)
        if node_run is None:
            if node_id not in self.plan.steps:
                raise UnknownName.of("node", node_id, self.plan.steps, "in the run's graph")
            return "not needed: what needs it was there already, or nothing wanted needs it"
        if node_run.state is not State.DONE:
            return f"did not finish: the run {self.state}" if self.state != "running" else "has not finished yet"
        if self.state == "running":
            return "the run goes on"
        old = self._before.get(node_id) or self.session.store.nearest(node_run, self.number)
        return reason(node_run, old, self.lost.get(node_id))

    def summary(self) -> str:
        """Tell what ran, in what time, and why, in a few lines."""
        counts = self.counts
        cached = counts["memory"] + counts["disk"]
        parts = [f"{counts['ran']} ran"] + [
            f"{n} {what}"
            for n, what in ((cached, "from cache"), (counts["shared"], "shared"), (counts["replaced"], "replaced"))
            if n
        ]
        lines = [f"Run {self.state} in {format_seconds(self.seconds)}: {', '.join(parts)}."]
        for node_run in itertools.islice((each for each in self._node_runs() if each.source == "ran"), 20):
            step = node_run.step
            named = name_node(step.id, step.class_type, step.title)
            lines.append(f"  {named}: {format_seconds(node_run.seconds)}, {self.why(step.id)}")
        if counts["ran"] > 20:
            lines.append(f"  ... and {counts['ran'] - 20} more")
        lines += [f"  node {node_id} was blocked: {message}" for node_id, message in self.blocked[:10]]
        if self.error is not None:
            lines.append(f"  {type(self.error).__name__}: {self.error}")
        return "\n".join(lines)

    @property
    def panel(self) -> Any:
        """The run's rows as they are shown while it goes on: live where it still does."""
        return views().panel(self)

    def inspect(self, node_id: str | int, slot: int = 0) -> Any:
        """Return a view of what is on an output of a node; raises NotKept, UnknownName."""
        return views().inspect(self, str(node_id), slot)

    def timeline(self) -> Any:
        """Return who did what when, as a picture; live while the run goes on."""
        return views().timeline(self)

    def cache_keys(self) -> list[bytes]:
        """The keys of the nodes this run looked at, for `nb.cache`."""
        return [node_run.key for node_run in self._node_runs() if node_run.key is not None]

    def __repr__(self) -> str:
        ran = f"{self.counts['ran']} of {len(self.plan.steps)} nodes ran"
        return f"<Run {self.state}: {ran}, {format_seconds(self.seconds)}>"


def _why_of(run: weakref.ref[Run], node_id: str) -> str:
    """Return why a node of a run ran, or nothing where the run is gone: a provenance must not keep it alive."""
    alive = run()
    return alive.why(node_id) if alive is not None else ""


def _plain(whole: Sequence[bool], slot: int, items: list[Any]) -> Any:
    is_list = slot < len(whole) and whole[slot]
    return items[0] if len(items) == 1 and not is_list else list(items)
