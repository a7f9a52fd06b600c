"""The events of a run: collected on any thread, delivered in batches on the run's loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from comfy_nb.engine.events import (
    Event,
    NodeFinished,
    NodeLog,
    NodePreview,
    NodeProgress,
    NodeStarted,
    NodeText,
    Subscriber,
)
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.scheduler import NodeRun
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.errors import warn_of_fault

FLUSH_S = 0.05
PRINTED_MAX = 4_000
PIECES_MAX = 1_000
HEAD_MAX = 40
SLOW_SUBSCRIBER_S = 0.05
PASSING = frozenset((NodeProgress, NodePreview, NodeText, NodeLog))

# What comes once a node is noted as it is and made an event when somebody wants to see it.
Noted = tuple[Callable[[str, float, NodeRun, str], Event], float, NodeRun, str]


class Printed:
    """What a node has printed to one stream since the last delivery: the end of it, and how many lines it was."""

    __slots__ = ("lines", "pieces", "stream")

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.lines = 0
        self.pieces: deque[str] = deque(maxlen=PIECES_MAX)

    def text(self) -> str:
        """Return the end of it, headed by how many lines are left out, if there are such."""
        text = "".join(self.pieces)[-PRINTED_MAX:]
        if self.lines == text.count("\n"):
            return text
        end = text[HEAD_MAX:]
        end = end.partition("\n")[2] or end
        left_out = self.lines - end.count("\n")
        return f"… {left_out:,} lines left out …\n{end}"


class EventLog:
    """What has happened in a run, and who is told. Late subscribers are told from the start, but for passing events."""

    def __init__(self, run_id: str, note_slow: Callable[[Subscriber], None]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._run_id = run_id
        self._note_slow = note_slow
        self._waiting: deque[Event | Noted] = deque()
        self._log: list[Event | Noted] = []
        self._subscribers: list[Subscriber] = []
        self._flush_due = False
        self._printed: dict[str, Printed] = {}
        self._print_lock = threading.RLock()  # a garbage collection within it may print (`__del__`, asyncio)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Deliver what has happened so far, then all that follows; call the result to end it."""
        self.flush()
        self._subscribers.append(subscriber)
        if self._log:
            self._deliver(subscriber, self._as_events(self._log))

        def end() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return end

    def begin(self, event: Event) -> None:
        """Put the event that opens a run before those that came while it was planned."""
        self._waiting.appendleft(event)

    def emit(self, event: Event) -> None:
        """Tell the subscribers soon; from any thread."""
        self._waiting.append(event)
        if self._subscribers:
            self._flush_soon()

    def log(self, node_id: str, stream: str, text: str) -> None:
        """Tell what a node printed; of what comes between two deliveries the end is kept, as one event."""
        with self._print_lock:
            printed = self._printed.get(node_id)
            if printed is not None and printed.stream != stream:
                self._tell_printed(node_id)
                printed = None
            if printed is None:
                printed = self._printed[node_id] = Printed(stream)
            printed.lines += text.count("\n")
            printed.pieces.append(text[-PRINTED_MAX:])
        if self._subscribers and not self._flush_due:
            self._flush_soon()

    def _tell_printed(self, node_id: str) -> None:
        printed = self._printed.pop(node_id)
        log = NodeLog(self._run_id, time.perf_counter(), node_id, printed.stream, printed.text())
        self._waiting.append(log)

    def node_ends(self, node_id: str) -> None:
        """Put what a node printed before the news of its end."""
        with self._print_lock:
            if node_id in self._printed:
                self._tell_printed(node_id)

    def node_started(self, node_run: NodeRun, lane: str) -> None:
        """Note that a node is about to be called."""
        self._waiting.append((_started, time.perf_counter(), node_run, lane))
        if self._subscribers:
            self._flush_soon()

    def node_finished(self, node_run: NodeRun) -> None:
        """Note that a node is done."""
        if self._printed:
            self.node_ends(node_run.step.id)
        self._waiting.append((_finished, time.perf_counter(), node_run, ""))
        if self._subscribers:
            self._flush_soon()

    def flush(self) -> None:
        """On the loop: deliver what has been collected."""
        self._flush_due = False
        if self._printed:
            with self._print_lock:
                for node_id in list(self._printed):
                    self._tell_printed(node_id)
        batch: list[Event | Noted] = []
        waiting = self._waiting
        while waiting:
            batch.append(waiting.popleft())
        if not batch:
            return
        self._log += [each for each in batch if type(each) not in PASSING]
        if self._subscribers:
            events = self._as_events(batch)
            for subscriber in list(self._subscribers):
                self._deliver(subscriber, events)

    def _flush_soon(self) -> None:
        if not self._flush_due and self.loop is not None:
            self._flush_due = True
            post(self.loop, self.loop.call_later, FLUSH_S, self.flush)

    def _as_events(self, batch: Sequence[Event | Noted]) -> list[Event]:
        run_id = self._run_id
        return [_made(run_id, *each) if type(each) is tuple else cast("Event", each) for each in batch]

    def _deliver(self, subscriber: Subscriber, batch: Sequence[Event]) -> None:
        started = time.perf_counter()
        outside = current_call.set(None)  # a delivery may come in the context of a node, and is no part of it
        try:
            subscriber(batch)
        except (Exception, asyncio.CancelledError) as error:  # its fault may not hurt the run; it is not called again
            self._subscribers = [each for each in self._subscribers if each is not subscriber]
            warn_of_fault("A subscriber of the run failed and was removed", error)
        finally:
            current_call.reset(outside)
        if time.perf_counter() - started > SLOW_SUBSCRIBER_S:
            self._note_slow(subscriber)


def _made(
    run_id: str, make: Callable[[str, float, NodeRun, str], Event], when: float, node_run: NodeRun, lane: str
) -> Event:
    return make(run_id, when, node_run, lane)


def shown_under(node_run: NodeRun) -> str:
    """The id of the node that this one is shown under: itself, or what it was expanded from."""
    while node_run.parent is not None:
        override = node_run.step.extras.get("override_display_id") if node_run.step.extras else None
        if override is not None:
            return str(override)
        node_run = node_run.parent
    return node_run.step.id


def _started(run_id: str, when: float, node_run: NodeRun, lane: str) -> NodeStarted:
    step = node_run.step
    return NodeStarted(run_id, when, step.id, shown_under(node_run), step.class_type, step.title, lane)


def _finished(run_id: str, when: float, node_run: NodeRun, _: str) -> NodeFinished:
    return NodeFinished(run_id, when, node_run.step.id, node_run.source, node_run.seconds, node_run.ui)
