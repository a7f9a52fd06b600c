"""A run: what a person holds of it while it goes on and when it has ended."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from comfy_nb.engine import events
from comfy_nb.engine.drive import Drive
from comfy_nb.engine.events import Event, Subscriber
from comfy_nb.engine.prompts import DynamicPrompt, prompt_of
from comfy_nb.engine.schedule import State
from comfy_nb.engine.why import Record, reason, record_of
from comfy_nb.errors import ComfyNBWarning, NotKept, UnknownName, name_node

if TYPE_CHECKING:
    from comfy_nb.engine.keys import Step
    from comfy_nb.engine.plan import Plan, Verdict
    from comfy_nb.engine.schedule import Ticket
    from comfy_nb.engine.session import Session
    from comfy_nb.graph.model import Graph

FLUSH_S = 0.03
SLOW_SUBSCRIBER_S = 0.05
_numbers = itertools.count(1)
PASSING = (events.NodeProgress, events.NodePreview, events.NodeText)


class Run:
    """One run of a graph.

    `state` is "running", "done", "failed", "stopped" or "cancelled". `run["3"]` is a node's value, `run.why("3")` says
    why it ran or did not, `run.summary()` tells all in a few lines, `run.ui` holds what output nodes reported.
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
        self.verdict: Verdict | None = None
        self.wanted: list[str] = []
        self.total = 0
        self.cached = 0
        self.counts = {"ran": 0, "shared": 0, "memory": 0, "disk": 0}
        self.ui: dict[str, Mapping[str, Any]] = {}
        self.blocked: list[tuple[str, str]] = []
        self.started_at = time.perf_counter()
        self.seconds = 0.0
        self.drive: Drive | None = None
        self.preparing: asyncio.Task[list[str]] | None = None
        self.finished: asyncio.Future[None] | None = None
        self.own_lane = False
        self.lost: dict[str, str] = {}
        self.history: dict[str, Record] = graph.memo.setdefault("history", {})
        self._revision = plan.revision
        self._keys: dict[str, bytes | None] = {}
        self._records: dict[str, tuple[Record | None, Record]] = {}
        self._prompt: dict[str, Any] | None = None
        self._waiting_events: deque[Event] = deque()
        self._log: list[Event] = []
        self._subscribers: list[Subscriber] = []
        self._flush_due = False

    # Going ---------------------------------------------------------------------------------------------------------

    def go(self, wanted: Sequence[str]) -> None:
        """On the loop: start; `finished` is resolved when the run has ended."""
        self.wanted = list(wanted)
        self.drive = Drive(self)
        self.drive.start(self.wanted)
        if self.stopping:
            self.drive.end(self.stop_state)

    def stop(self, state: str = "stopped") -> None:
        """Stop the run, from any thread; async nodes end at their await, sync ones at their next progress report."""
        if self.state != "running" or self.stopping:
            return
        self.stop_state = state
        self.stopping = True
        self.stop_event.set()
        drive, preparing = self.drive, self.preparing
        if drive is not None:
            drive.loop.call_soon_threadsafe(drive.end, state)
        elif preparing is not None:
            preparing.get_loop().call_soon_threadsafe(preparing.cancel)

    def take_revision(self) -> None:
        """The plan's keys are as this run uses them from here on."""
        self._revision = self.plan.revision

    def abandon(self) -> None:
        """The run ended before anything was scheduled."""
        if self.state != "running":
            return
        self.state = self.stop_state if self.stopping else "failed"
        self.plan.users -= 1
        if self.finished is not None and not self.finished.done():
            self.finished.set_result(None)

    def ended(self, state: str, error: BaseException | None) -> None:
        """The drive has ended: remember, tell, and let go of the plan."""
        self.state = state
        self.error = error
        self.seconds = time.perf_counter() - self.started_at
        self.plan.users -= 1
        self._remember()
        self.emit(events.RunFinished(self.id, time.perf_counter(), state, self.seconds))
        self._flush()
        if self.finished is not None and not self.finished.done():
            self.finished.set_result(None)

    def _remember(self) -> None:
        """Keep what the nodes' keys were made of, for `why` of this run and the next."""
        drive = self.drive
        if drive is None:
            return
        history = self.history
        tickets = drive.schedule.tickets
        steps = self.plan.steps
        same_plan = self.plan.revision == self._revision
        for node_id, ticket in tickets.items():
            above = tuple(
                tickets[link.origin].key
                if link.origin in tickets
                else steps[link.origin].key
                if same_plan and link.origin in steps
                else None
                for link in ticket.step.links
            )
            record = record_of(ticket, above, self.number)
            old = history.get(node_id)
            self._records[node_id] = (old, record)
            if ticket.outputs is not None or ticket.state is State.DONE or old is None:
                history[node_id] = record
                if old is None:
                    self.session.note_record(record)
        known = drive.schedule
        for node_id, class_type in list(self.graph.objects):
            if known.step(node_id) is None:
                del self.graph.objects[node_id, class_type]

    # What nodes ask of it ------------------------------------------------------------------------------------------

    @property
    def prompt(self) -> dict[str, Any]:
        """The prompt as it ran: converted values, bypassed and muted nodes left out."""
        if self._prompt is None:
            self._prompt = prompt_of(self.plan)
        return self._prompt

    def hidden(self, step: Step, kind: Any) -> Any:
        """Return the value of a hidden input."""
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
        if kind == "API_KEY_COMFY_ORG":
            return self.extra_data.get("api_key_comfy_org")
        return step.template.get(str(kind))

    # Events ----------------------------------------------------------------------------------------------------------

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have events delivered in batches on the run's loop, what has happened so far first; call the result to end it."""
        self._flush()
        self._subscribers.append(subscriber)
        if self._log:
            self._deliver(subscriber, list(self._log))
        return lambda: self._subscribers.remove(subscriber) if subscriber in self._subscribers else None

    def emit(self, event: Event) -> None:
        """Tell the subscribers soon; from any thread."""
        self._waiting_events.append(event)
        if self._subscribers and not self._flush_due and self.drive is not None:
            self._flush_due = True
            self.drive.loop.call_soon_threadsafe(self.drive.loop.call_later, FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        batch: list[Event] = []
        waiting = self._waiting_events
        while waiting:
            batch.append(waiting.popleft())
        if not batch:
            return
        self._log += [event for event in batch if not isinstance(event, PASSING)]
        for subscriber in list(self._subscribers):
            self._deliver(subscriber, batch)

    def _deliver(self, subscriber: Subscriber, batch: Sequence[Event]) -> None:
        started = time.perf_counter()
        try:
            subscriber(batch)
        except Exception as error:  # a subscriber's fault may not hurt the run; it is told, and not called again
            self._subscribers = [each for each in self._subscribers if each is not subscriber]
            warnings.warn(f"A subscriber of the run failed and was removed: {error!r}", ComfyNBWarning, stacklevel=2)
        if time.perf_counter() - started > SLOW_SUBSCRIBER_S:
            self.session.note_slow(subscriber)

    def started(self, total: int, cached: int) -> None:
        """The plan is known: `total` nodes have to be computed."""
        self.total, self.cached = total, cached
        self.emit(events.RunStarted(self.id, time.perf_counter(), total, cached))

    def node_started(self, ticket: Ticket) -> None:
        """A node is about to be called."""
        step = ticket.step
        shown = self.display_id(ticket)
        self.emit(events.NodeStarted(self.id, time.perf_counter(), step.id, shown, step.class_type, step.title))

    def node_cached(self, ticket: Ticket) -> None:
        """A node that was needed is in the cache."""
        self.counts[ticket.source] += 1
        self._keep_ui(ticket)
        self.emit(events.NodeFinished(self.id, time.perf_counter(), ticket.step.id, ticket.source, 0.0, ticket.ui))

    def node_finished(self, ticket: Ticket) -> None:
        """A node is done."""
        self.counts[ticket.source] += 1
        self._keep_ui(ticket)
        self.emit(
            events.NodeFinished(self.id, time.perf_counter(), ticket.step.id, ticket.source, ticket.seconds, ticket.ui)
        )

    def _keep_ui(self, ticket: Ticket) -> None:
        if ticket.ui:
            self.ui[ticket.step.id] = ticket.ui

    def node_waits(self, ticket: Ticket, why: str, added: int) -> None:
        """A node asked for lazy inputs or expanded."""
        now = time.perf_counter()
        self._keep_ui(ticket)
        self.emit(events.NodeWaiting(self.id, now, ticket.step.id, why))
        if added:
            self.total += added
            self.emit(events.NodesAdded(self.id, now, added))

    def node_retries(self, ticket: Ticket, error: Exception, attempt: int) -> float:
        """A call failed and will be made again; return the seconds to wait before."""
        wait_s = ticket.step.spec.backoff * 2.0**attempt
        said = (
            f"retry {attempt + 1} of {ticket.step.spec.retries} in {wait_s:g} s after {type(error).__name__}: {error}"
        )
        self.emit(events.NodeWaiting(self.id, time.perf_counter(), ticket.step.id, said))
        return wait_s

    def node_blocked(self, ticket: Ticket, message: str) -> None:
        """A call was skipped because of a blocker with a message."""
        self.blocked.append((ticket.step.id, message))
        shown = self.display_id(ticket)
        self.emit(events.NodeBlocked(self.id, time.perf_counter(), ticket.step.id, shown, message))

    def node_failed(self, ticket: Ticket, error: Exception) -> None:
        """A node raised."""
        self.emit(events.NodeFailed(self.id, time.perf_counter(), ticket.step.id, self.display_id(ticket), error))

    def node_stalled(self, ticket: Ticket, seconds: float) -> None:
        """An async node kept the loop busy."""
        step = ticket.step
        self.emit(events.LoopStalled(self.id, time.perf_counter(), step.id, seconds))
        warnings.warn(
            f"{name_node(step.id, step.class_type, step.title)} kept the event loop busy for {seconds:.1f} s without an "
            "await; nothing else could move meanwhile. Make it a plain function, or await asyncio.to_thread(...).",
            ComfyNBWarning,
            stacklevel=2,
        )

    def display_id(self, ticket: Ticket) -> str:
        """The id of the node that this one is shown under: itself, or what it was expanded from."""
        while ticket.parent is not None:
            override = ticket.step.extras.get("override_display_id") if ticket.step.extras else None
            if override is not None:
                return str(override)
            ticket = ticket.parent
        return ticket.step.id

    # What a person asks of it ----------------------------------------------------------------------------------------

    def ticket(self, node_id: str) -> Ticket | None:
        """Return the ticket of a node that this run looked at."""
        return self.drive.schedule.tickets.get(node_id) if self.drive is not None else None

    def outputs(self, node_id: str) -> tuple[list[Any], ...]:
        """Return a node's output slots, each a list; raises NotKept, UnknownName, or the run's error."""
        ticket = self.ticket(node_id)
        if ticket is not None and ticket.outputs is not None:
            return ticket.outputs
        step = ticket.step if ticket is not None else self.plan.steps.get(node_id)
        if step is None:
            raise UnknownName.of("node", node_id, self.plan.steps, "in the run's graph")
        key = ticket.key if ticket is not None else step.key if self.plan.revision == self._revision else None
        entry = self.session.recall(key, step) if key is not None else None
        if entry is not None:
            return entry.outputs
        named = name_node(step.id, step.class_type, step.title)
        if ticket is not None and ticket.state is not State.DONE:
            raise NotKept(f"{named} did not finish in this run (it {self.state}).") from self.error
        raise NotKept(f"The result of {named} is not held any more. Run again with outputs=[{node_id!r}] to have it.")

    def value(self, node_id: str, slot: int | None = None) -> Any:
        """Return a node's value: of one slot, of its only output, or a tuple of all outputs.

        A slot that is a list, or of which several came, gives a list.
        """
        outputs = self.outputs(node_id)
        ticket = self.ticket(node_id)
        step = ticket.step if ticket is not None else self.plan.steps[node_id]
        spec = step.spec
        if slot is None:
            if not spec.return_types and not outputs:
                return self.ui.get(node_id)
            if len(outputs) != 1:
                return tuple(_plain(spec.output_is_list, index, items) for index, items in enumerate(outputs))
            slot = 0
        if not -len(outputs) <= slot < len(outputs):
            named = name_node(step.id, step.class_type, step.title)
            raise NotKept(f"{named} returned {len(outputs)} values, so there is no output {slot}.")
        return _plain(spec.output_is_list, slot, outputs[slot])

    def __getitem__(self, node_id: str | int) -> Any:
        return self.value(str(node_id))

    def why(self, node_id: str | int) -> str:
        """Say why a node ran in this run, or why it did not."""
        node_id = str(node_id)
        ticket = self.ticket(node_id)
        if ticket is None:
            if node_id not in self.plan.steps:
                raise UnknownName.of("node", node_id, self.plan.steps, "in the run's graph")
            return "not needed: what needs it was there already, or nothing wanted needs it"
        if ticket.state is not State.DONE:
            return f"did not finish: the run {self.state}" if self.state != "running" else "has not finished yet"
        old, new = self._records.get(node_id, (None, None))
        if new is None:
            return "the run goes on"
        if old is None:
            old = self.session.nearest_record(new)
        return reason(ticket, old, new, self.lost.get(node_id))

    def summary(self) -> str:
        """Tell what ran, in what time, and why, in a few lines."""
        counts = self.counts
        cached = counts["memory"] + counts["disk"]
        parts = [f"{counts['ran']} ran"] + [
            f"{n} {what}" for n, what in ((cached, "from cache"), (counts["shared"], "shared")) if n
        ]
        lines = [f"Run {self.state} in {_seconds(self.seconds)}: {', '.join(parts)}."]
        tickets = self.drive.schedule.tickets.values() if self.drive is not None else ()
        for ticket in itertools.islice((each for each in tickets if each.source == "ran"), 20):
            step = ticket.step
            named = name_node(step.id, step.class_type, step.title)
            lines.append(f"  {named}: {_seconds(ticket.seconds)}, {self.why(step.id)}")
        if counts["ran"] > 20:
            lines.append(f"  ... and {counts['ran'] - 20} more")
        lines += [f"  node {node_id} was blocked: {message}" for node_id, message in self.blocked[:10]]
        if self.error is not None:
            lines.append(f"  {type(self.error).__name__}: {self.error}")
        return "\n".join(lines)

    def cache_keys(self) -> list[bytes]:
        """The keys of the nodes this run looked at, for `nb.cache`."""
        tickets = self.drive.schedule.tickets.values() if self.drive is not None else ()
        return [ticket.key for ticket in tickets if ticket.key is not None]

    def __repr__(self) -> str:
        return f"<Run {self.state}: {self.counts['ran']} of {len(self.plan.steps)} nodes ran, {_seconds(self.seconds)}>"


def _plain(whole: Sequence[bool], slot: int, items: list[Any]) -> Any:
    is_list = slot < len(whole) and whole[slot]
    return items[0] if len(items) == 1 and not is_list else list(items)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
