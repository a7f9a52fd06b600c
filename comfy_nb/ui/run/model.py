"""The model behind every display of a run: its events, folded into the rows and counts to show; no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.events import (
    CallFinished,
    Event,
    LoopHeld,
    NodeBlocked,
    NodeFailed,
    NodeFinished,
    NodeGivenUp,
    NodeLog,
    NodeOverdue,
    NodePreview,
    NodeProgress,
    NodeQueued,
    NodesAdded,
    NodeStarted,
    NodeText,
    NodeWaiting,
    PlacesGivenBack,
    PlacesTaken,
    RunFinished,
    RunStarted,
)
from comfy_nb.engine.execution.coroutines import STALL_S
from comfy_nb.ui.run.snapshot import ROWS_MAX, Row, RunSnapshot, importance, nested
from comfy_nb.wording import format_seconds

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

NameOf = Callable[[str], tuple[str, str]]

TEXT_MAX = 2_000
LOG_MAX = 4_000
PACE_S = 0.5
PACE_WEIGHT = 0.5
COMPUTED = ("ran", "replaced")


class RunModel:
    """Takes a run's events and makes snapshots of what to show; it keeps no more than may have to be shown.

    `name_of` returns a node's title and class by its id, for nodes that end without having started (cached ones). Of
    the finished nodes it keeps those that went wrong, have something to show, or took longest.
    """

    def __init__(self, name_of: NameOf | None = None, started: float = 0.0) -> None:
        self._name_of = name_of or (lambda node_id: (f"node {node_id}", ""))
        self._live: dict[str, Row] = {}
        self._in_places: Counter[str] = Counter()
        self._ended: list[Row] = []
        self._least_importance: tuple[bool, bool, float] = (False, False, 0.0)
        self._ended_count = self._seen = 0
        self._state = "running"
        self._started = started
        self._seconds: float | None = None
        self._total = self._cached = self._ran = 0
        self._errors: list[Exception] = []
        self._blocked = 0
        self._just_ended: list[Row] = []
        self.has_begun = False

    def apply(self, events: Sequence[Event]) -> list[Row]:
        """Fold events in, and return the rows of nodes that ended in them (of cached ones only the first few)."""
        steps: dict[str, NodeProgress] = {}
        for event in events:
            if type(event) is NodeProgress:  # there are thousands, and only a node's newest one is shown
                steps[event.node_id] = event
                continue
            if steps:
                self._apply_progress(steps)
            handler = self._HANDLERS.get(type(event))
            if handler is not None:
                handler(self, event)
        self._apply_progress(steps)
        ended, self._just_ended = self._just_ended, []
        return ended

    def snapshot(self) -> RunSnapshot:
        """Return what to show now; later events do not change it."""
        running = sorted(self._live.values(), key=lambda row: row.state != "running")
        shown = [replace(row) for row in running[:ROWS_MAX]]
        room = ROWS_MAX - len(shown)
        kept = sorted(self._ended, key=importance, reverse=True)[:room]
        shown += [replace(row) for row in kept]
        shown.sort(key=lambda row: row.order)
        return RunSnapshot(
            state=self._state,
            started=self._started,
            seconds=self._seconds,
            total=max(self._total, self._cached + self._ran),
            done=self._cached + self._ran,
            cached=self._cached,
            ran=self._ran,
            rows=nested(shown),
            more_running=max(len(running) - ROWS_MAX, 0),
            more_finished=self._ended_count - len(kept),
            failed=len(self._errors),
            blocked_nodes=self._blocked,
            eta=self._eta(),
        )

    def _eta(self) -> float | None:
        """Return the seconds left; known once every unfinished node is running at a known pace."""
        left = [row.eta for row in self._live.values() if row.state == "running"]
        known = [seconds for seconds in left if seconds is not None]
        is_known = bool(left) and len(known) == len(left) and all(row.lane for row in self._live.values())
        return max(known) if is_known and self._cached + self._ran + len(self._live) >= self._total else None

    def _run_started(self, event: RunStarted) -> None:
        self._started = event.time
        self.has_begun = True
        self._total += event.total + event.cached

    def _nodes_added(self, event: NodesAdded) -> None:
        self._total += event.added

    def _node_started(self, event: NodeStarted) -> None:
        row = self._live.get(event.node_id)
        if row is None:
            row = self._live[event.node_id] = self._new(event.node_id, event.title, event.class_type, event.time)
            row.lane = event.lane
            row.under = event.display_id if event.display_id != event.node_id else ""
        elif row.state == "waiting":
            row.state, row.note = "running", ""
            if not row.lane:
                row.lane, row.started = event.lane, event.time

    def _apply_progress(self, steps: dict[str, NodeProgress]) -> None:
        for event in steps.values():
            row, value = self._live.get(event.node_id), finite(event.value)
            if row is not None and value is not None:
                _step(row, event, value)
        steps.clear()

    def _call_finished(self, event: CallFinished) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.called, row.calls = row.called + 1, event.calls

    def _node_preview(self, event: NodePreview) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.preview, row.preview_format = event.data, event.format

    def _node_text(self, event: NodeText) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.text = (row.text + event.text if event.append else event.text)[-TEXT_MAX:]

    def _node_log(self, event: NodeLog) -> None:
        row = self._live.get(event.node_id)
        if row is None:  # a last line without a newline may arrive after its node has ended
            row = next((each for each in self._ended if each.node_id == event.node_id), None)
        if row is not None:
            row.log = (row.log + event.text)[-LOG_MAX:]

    def _node_queued(self, event: NodeQueued) -> None:
        row = self._live.get(event.node_id)
        if row is None:
            row = self._live[event.node_id] = self._new(event.node_id, event.title, event.class_type, event.time)
            row.under = event.display_id if event.display_id != event.node_id else ""
        if not self._in_places[event.node_id]:  # else another call of it is at work
            row.state, row.note = "waiting", event.reason

    def _places_taken(self, event: PlacesTaken) -> None:
        self._in_places[event.node_id] += 1

    def _places_given_back(self, event: PlacesGivenBack) -> None:
        self._in_places[event.node_id] -= 1

    def _node_waiting(self, event: NodeWaiting) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.state, row.note = "waiting", event.reason

    def _node_finished(self, event: NodeFinished) -> None:
        row = self._live.pop(event.node_id, None)
        if event.source in COMPUTED:
            self._ran += 1
        else:
            self._cached += 1
            says_more = event.ui or event.blocked or event.blocked_output
            if row is None and not says_more and len(self._ended) == ROWS_MAX:
                self._ended_count += 1  # thousands of these arrive at once
                return
        row = row or self._unannounced(event.node_id, event.time)
        if event.blocked:
            self._block(row, event.blocked)
        if row.state != "blocked":
            row.state = "done" if event.source in COMPUTED else "cached"
            row.note = event.blocked_output or row.note
        row.ui = event.ui
        self._end(row, event.seconds)

    def _node_blocked(self, event: NodeBlocked) -> None:
        row = self._live.get(event.node_id)
        if row is None:
            row = self._live[event.node_id] = self._unannounced(event.node_id, event.time)
            row.class_type = row.class_type or event.class_type
            row.under = event.display_id if event.display_id != event.node_id else ""
        self._block(row, event.message)

    def _block(self, row: Row, reason: str) -> None:
        self._blocked += row.state != "blocked"
        row.state, row.note = "blocked", reason

    def _node_failed(self, event: NodeFailed) -> None:
        row = self._live.pop(event.node_id, None) or self._unannounced(event.node_id, event.time)
        row.state, row.note, row.error = "failed", str(event.error), event.error
        if not any(error is event.error for error in self._errors):  # a node fails with one of its expansion
            self._errors.append(event.error)
        self._end(row, event.time - row.started)

    def _node_given_up(self, event: NodeGivenUp) -> None:
        row = self._live.pop(event.node_id, None) or self._unannounced(event.node_id, event.time)
        row.under = event.display_id if event.display_id != event.node_id else ""
        self._block(row, event.reason)
        self._end(row, 0.0)

    def _node_overdue(self, event: NodeOverdue) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.note = f"timed out after {format_seconds(event.timeout)}, still running"

    def _loop_held(self, event: LoopHeld) -> None:
        row = self._live.get(event.node_id)
        if row is not None and event.seconds >= STALL_S:
            row.note = f"kept the event loop busy for {format_seconds(event.seconds)}"

    def _run_finished(self, event: RunFinished) -> None:
        self._state, self._seconds = event.state, event.seconds
        for row in self._live.values():
            seconds = event.time - row.started if row.is_live else 0.0  # a blocked one was not looked at otherwise
            if row.is_live:
                row.state = "stopped"
            self._end(row, seconds)
        self._live = {}

    def _unannounced(self, node_id: str, time: float) -> Row:
        title, class_type = self._name_of(node_id)
        return self._new(node_id, title, class_type, time)

    def _new(self, node_id: str, title: str, class_type: str, time: float) -> Row:
        self._seen += 1
        return Row(node_id, title, class_type, "running", time, rate_measured_at=time, order=self._seen)

    def _end(self, row: Row, seconds: float) -> None:
        row.seconds = max(seconds, 0.0)
        self._just_ended.append(row)
        self._ended_count += 1
        if len(self._ended) == ROWS_MAX:
            if importance(row) <= self._least_importance:
                return
            self._ended.remove(min(self._ended, key=importance))
        self._ended.append(row)
        self._least_importance = importance(min(self._ended, key=importance))

    _HANDLERS: Mapping[type, Callable[[RunModel, Any], None]] = {
        RunStarted: _run_started,
        NodesAdded: _nodes_added,
        NodeStarted: _node_started,
        NodePreview: _node_preview,
        NodeText: _node_text,
        NodeLog: _node_log,
        CallFinished: _call_finished,
        NodeWaiting: _node_waiting,
        NodeQueued: _node_queued,
        PlacesTaken: _places_taken,
        PlacesGivenBack: _places_given_back,
        NodeFinished: _node_finished,
        NodeBlocked: _node_blocked,
        NodeFailed: _node_failed,
        NodeGivenUp: _node_given_up,
        NodeOverdue: _node_overdue,
        LoopHeld: _loop_held,
        RunFinished: _run_finished,
    }


def _step(row: Row, event: NodeProgress, value: float) -> None:
    total = finite(event.total) or 0.0  # a tqdm may have an infinite one
    row.value, row.total, row.index, row.calls = value, total, event.call, event.calls
    seconds = event.time - row.rate_measured_at
    if seconds >= PACE_S:
        now = max(value - row.rate_measured_value, 0.0) / seconds
        row.rate = now if row.rate is None else PACE_WEIGHT * now + (1 - PACE_WEIGHT) * row.rate
        row.rate_measured_at, row.rate_measured_value = event.time, value


def finite(number: Any) -> float | None:
    """Return a reported number, of whatever type, as a float; None if it is not a finite number."""
    try:
        found = float(number)
    except Exception:  # a node may report an object whose class raises anything
        return None
    return found if isfinite(found) else None


def names_in(run: Run) -> NameOf:
    """Return a function that looks up a node's title and class in a run, nodes of expansions included."""

    def name_of(node_id: str) -> tuple[str, str]:
        node = run.step(node_id)
        return (node.title, node.class_type) if node is not None else (f"node {node_id}", "")

    return name_of
