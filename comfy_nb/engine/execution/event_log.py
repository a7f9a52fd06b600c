"""The event log of a run: events are collected on any thread and delivered in batches on the run's loop."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from comfy_nb.engine import events
from comfy_nb.engine.cache.skip import Skip
from comfy_nb.engine.events import Event, Subscriber
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.errors import warn_of_fault
from comfy_nb.wording import format_seconds

FLUSH_S = 0.05
PRINTED_MAX = 4_000
PIECES_MAX = 1_000
HEAD_MAX = 40
SLOW_SUBSCRIBER_S = 0.05
NOTICEABLE_S = 0.02
TRANSIENT = frozenset((events.NodeProgress, events.NodePreview, events.NodeText, events.NodeLog))


class ReportedStep(Protocol):
    """The node of a report."""

    id: str
    class_type: str
    title: str


class ReportedNode(Protocol):
    """A node of a run, as far as events report it."""

    source: str
    seconds: float
    ui: Mapping[str, Any] | None
    skips: tuple[Skip, ...]
    is_blocked: bool
    blocked_output: str

    @property
    def step(self) -> ReportedStep:
        """The node itself."""
        ...

    @property
    def display_id(self) -> str:
        """The id of the node that it is shown under."""
        ...


# The start and end of every node are noted like this, and become events only when somebody subscribes: that is cheaper.
PendingEvent = tuple[Callable[[str, float, ReportedNode, str], Event], float, ReportedNode, str]


class Printed:
    """The text that a node has printed to one stream since the last delivery: its end, and the number of lines."""

    __slots__ = ("lines", "pieces", "stream")

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.lines = 0
        self.pieces: deque[str] = deque(maxlen=PIECES_MAX)

    def text(self) -> str:
        """Return its end, below the number of lines that are left out, if any."""
        text = "".join(self.pieces)[-PRINTED_MAX:]
        if self.lines == text.count("\n"):
            return text
        end = text[HEAD_MAX:]
        end = end.partition("\n")[2] or end
        left_out = self.lines - end.count("\n")
        return f"… {left_out:,} lines left out …\n{end}"


class EventLog:
    """Turns what happens in a run into events, keeps them, and delivers them to subscribers.

    Late subscribers get all events from the start, except transient ones (progress, previews, texts, prints). `total`,
    `cached`, `ui` and `blocked` sum up what has been reported so far; `looked_at` are the nodes at the start. `queued`
    has, by id, what nodes wait for now, beside other nodes.
    """

    def __init__(self, run_id: str, note_slow: Callable[[Subscriber], None]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.total = 0
        self.cached = 0
        self.looked_at = 0
        self.ui: dict[str, Mapping[str, Any]] = {}
        self.blocked: list[tuple[str, str]] = []
        self.queued: dict[str, events.NodeQueued] = {}
        self._waited: dict[str, tuple[float, str]] = {}
        self._run_id = run_id
        self._note_slow = note_slow
        self._waiting: deque[Event | PendingEvent] = deque()
        self._log: list[Event | PendingEvent] = []
        self._subscribers: list[Subscriber] = []
        self._flush_due = False
        self._printed: dict[str, Printed] = {}
        self._print_lock = threading.RLock()  # a garbage collection within it may print (`__del__`, asyncio)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Deliver past events, then all that follow; call the result to unsubscribe."""
        self.flush()
        self._subscribers.append(subscriber)
        if self._log:
            self._deliver(subscriber, self._as_events(self._log))

        def end() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return end

    def emit(self, event: Event) -> None:
        """Deliver an event soon; may be called from any thread."""
        self._waiting.append(event)
        if self._subscribers:
            self._flush_soon()

    def begun_at(self, node_ids: Iterable[str]) -> dict[str, float]:
        """Return when each of these running nodes was called last; reads the events backwards to their calls."""
        left, found = set(node_ids), dict[str, float]()
        for each in itertools.chain(reversed(self._waiting.copy()), reversed(self._log)):
            if not left:
                break
            if type(each) is tuple and each[0] is _started and each[2].step.id in left:
                left.remove(each[2].step.id)
                found[each[2].step.id] = each[1]
        return found

    def waited(self, node_id: str) -> str:
        """Say how long a node has waited, and for what beside other nodes; nothing if it has not."""
        seconds, what = self._waited.get(node_id, (0.0, ""))
        return f"it waited {format_seconds(seconds)} for {what}" if seconds > NOTICEABLE_S else ""

    def _note_waited(self, node_id: str, seconds: float, what: str) -> None:
        before, _ = self._waited.get(node_id, (0.0, ""))
        self._waited[node_id] = before + seconds, what

    # What a run reports ----------------------------------------------------------------------------------------------

    def run_queued(self, when: float) -> None:
        """Report that a run was asked for."""
        self.emit(events.RunQueued(self._run_id, when))
        self.flush()

    def run_refused(self, error: BaseException) -> None:
        """Report that the run cannot start."""
        self.emit(events.RunRefused(self._run_id, time.perf_counter(), error))

    def run_started(self, when: float, total: int, cached: int) -> None:
        """Report that `total` nodes have to be computed; the event precedes those of cached nodes found meanwhile."""
        self.total, self.cached, self.looked_at = total, cached, total + cached
        self._waiting.appendleft(events.RunStarted(self._run_id, when, total, cached))

    def run_finished(self, status: str, seconds: float) -> None:
        """On the loop: report the end, and deliver it."""
        self.flush()
        self.emit(events.RunFinished(self._run_id, time.perf_counter(), status, seconds))
        self.flush()

    def node_started(self, node: ReportedNode, lane: str) -> None:
        """Report that a node is about to be called."""
        now = time.perf_counter()
        if self.queued and (queued := self.queued.pop(node.step.id, None)) is not None and not queued.pools:
            self._note_waited(node.step.id, now - queued.time, queued.waits_for)
        self._waiting.append((_started, now, node, lane))
        if self._subscribers and not self._flush_due:
            self._flush_soon()

    def node_finished(self, node: ReportedNode) -> None:
        """Report that a node is done."""
        if node.ui:
            self.ui[node.step.id] = node.ui
        if self._printed:
            self._end_prints(node.step.id)
        self._waiting.append((_finished, time.perf_counter(), node, ""))
        if self._subscribers and not self._flush_due:
            self._flush_soon()

    def call_finished(self, node_id: str, call: int, calls: int, seconds: float) -> None:
        """Report that one call of a node that is called for each item of a list is done."""
        self.emit(events.CallFinished(self._run_id, time.perf_counter(), node_id, call, calls, seconds))

    def node_waits(self, node: ReportedNode, reason: str, added: int = 0) -> None:
        """Report that a node waits: for `added` more nodes, or for another reason."""
        now = time.perf_counter()
        if node.ui:
            self.ui[node.step.id] = node.ui
        self.emit(events.NodeWaiting(self._run_id, now, node.step.id, reason))
        if added:
            self.total += added
            self.emit(events.NodesAdded(self._run_id, now, added))

    def node_queued(self, node: ReportedNode, pools: Iterable[str], ahead: int, since: float | None = None) -> None:
        """Report that a node waits for places in pools, behind `ahead` others, or for the thread of plain nodes."""
        step, now = node.step, time.perf_counter()
        made = (step.id, node.display_id, step.class_type, step.title, tuple(pools), ahead)
        queued = events.NodeQueued(self._run_id, now, *made)
        if (before := self.queued.get(step.id)) is not None:
            since = before.time
        self.queued[step.id] = queued if since is None else queued._replace(time=since)
        self.emit(queued)

    def places_taken(self, node: ReportedNode, pools: Iterable[str], seconds: float) -> None:
        """Report that a node has its places, after so many seconds."""
        node_id, names = node.step.id, tuple(pools)
        self.queued.pop(node_id, None)
        self._note_waited(node_id, seconds, " and ".join(names))
        self.emit(events.PlacesTaken(self._run_id, time.perf_counter(), node_id, names, seconds))

    def places_given_back(self, node: ReportedNode, pools: Iterable[str]) -> None:
        """Report that a node has its places no more."""
        self.emit(events.PlacesGivenBack(self._run_id, time.perf_counter(), node.step.id, tuple(pools)))

    def node_blocked(self, node_id: str, display_id: str, class_type: str, message: str) -> None:
        """Report that a call was skipped because of a blocker with a message."""
        self.blocked.append((node_id, message))
        now = time.perf_counter()
        self.emit(events.NodeBlocked(self._run_id, now, node_id, display_id, message, class_type))

    def node_failed(self, node: ReportedNode, error: Exception) -> None:
        """Report that a node raised."""
        self._end_prints(node.step.id)
        self.emit(events.NodeFailed(self._run_id, time.perf_counter(), node.step.id, node.display_id, error))

    def node_given_up(self, node: ReportedNode, failed_id: str, reason: str) -> None:
        """Report that a node is not run, because it needs one that failed."""
        now = time.perf_counter()
        self.emit(events.NodeGivenUp(self._run_id, now, node.step.id, node.display_id, failed_id, reason))

    def node_overdue(self, node: ReportedNode, timeout: float) -> None:
        """Report that an async node goes on after its timeout."""
        self.emit(events.NodeOverdue(self._run_id, time.perf_counter(), node.step.id, timeout))

    def loop_held(self, node: ReportedNode, seconds: float) -> None:
        """Report that an async node held the event loop without an await."""
        self.emit(events.LoopHeld(self._run_id, time.perf_counter(), node.step.id, seconds))

    def node_printed(self, node_id: str, stream: str, text: str) -> None:
        """Report what a node printed; prints between two deliveries become one event, which keeps their end."""
        with self._print_lock:
            printed = self._printed.get(node_id)
            if printed is not None and printed.stream != stream:
                self._report_printed(node_id)
                printed = None
            if printed is None:
                printed = self._printed[node_id] = Printed(stream)
            printed.lines += text.count("\n")
            printed.pieces.append(text[-PRINTED_MAX:])
        if self._subscribers and not self._flush_due:
            self._flush_soon()

    def _report_printed(self, node_id: str) -> None:
        printed = self._printed.pop(node_id)
        self._waiting.append(events.NodeLog(self._run_id, time.perf_counter(), node_id, printed.stream, printed.text()))

    def _end_prints(self, node_id: str) -> None:
        """Report what a node printed before its end is reported."""
        with self._print_lock:
            if node_id in self._printed:
                self._report_printed(node_id)

    # Delivery --------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """On the loop: deliver the collected events."""
        self._flush_due = False
        if self._printed:
            with self._print_lock:
                for node_id in list(self._printed):
                    self._report_printed(node_id)
        batch: list[Event | PendingEvent] = []
        waiting = self._waiting
        while waiting:
            batch.append(waiting.popleft())
        if not batch:
            return
        self._log += [each for each in batch if type(each) not in TRANSIENT]
        if self._subscribers:
            delivered = self._as_events(batch)
            for subscriber in list(self._subscribers):
                if subscriber in self._subscribers:  # another one may have ended its subscription just now
                    self._deliver(subscriber, delivered)

    def _flush_soon(self) -> None:
        if not self._flush_due and self.loop is not None:
            self._flush_due = True
            post(self.loop, self.loop.call_later, FLUSH_S, self.flush)

    def _as_events(self, batch: Sequence[Any]) -> list[Event]:
        run_id = self._run_id
        return [each[0](run_id, *each[1:]) if type(each) is tuple else each for each in batch]

    def _deliver(self, subscriber: Subscriber, batch: Sequence[Event]) -> None:
        started = time.perf_counter()
        token = current_call.set(None)  # a delivery may happen in the context of a node, but is not part of it
        try:
            subscriber(batch)
        except (Exception, asyncio.CancelledError) as error:  # a subscriber's fault must not hurt the run
            self._subscribers = [each for each in self._subscribers if each is not subscriber]
            warn_of_fault("A subscriber of the run failed and was removed", error)
        finally:
            current_call.reset(token)
        if time.perf_counter() - started > SLOW_SUBSCRIBER_S:
            self._note_slow(subscriber)


def _started(run_id: str, when: float, node: ReportedNode, lane: str) -> events.NodeStarted:
    step = node.step
    return events.NodeStarted(run_id, when, step.id, node.display_id, step.class_type, step.title, lane)


def _finished(run_id: str, when: float, node: ReportedNode, _: str) -> events.NodeFinished:
    blocked = node.skips[0].reason if node.is_blocked else ""
    made = (node.step.id, node.source, node.seconds, node.ui, blocked, node.blocked_output)
    return events.NodeFinished(run_id, when, *made)
