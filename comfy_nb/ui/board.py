"""What there is to show of a run: its events folded into a headline and at most twelve rows; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from comfy_nb.engine.events import (
    Event,
    LoopStalled,
    NodeBlocked,
    NodeFailed,
    NodeFinished,
    NodePreview,
    NodeProgress,
    NodesAdded,
    NodeStarted,
    NodeText,
    NodeWaiting,
    RunFinished,
    RunStarted,
)
from comfy_nb.engine.sizes import say_seconds

RowState = Literal["waiting", "running", "done", "cached", "failed", "blocked", "stopped"]
Label = Callable[[str], tuple[str, str]]

ROWS_MAX = 12
TEXT_MAX = 2_000
GLYPHS: Mapping[str, str] = {
    "waiting": "…",
    "running": "▶",
    "done": "✓",
    "cached": "≡",
    "failed": "✗",
    "blocked": "⊘",
    "stopped": "■",
    "cancelled": "■",
}


@dataclass(slots=True)
class Row:
    """One node: what it is called, what it is doing, and since when (`time.perf_counter()` seconds).

    `seconds` is the time inside the node's own function, None until it ends. `preview` is its newest picture
    as an encoded file; `text` is what the node says, `note` what is said about it: why it waits or failed.
    """

    node_id: str
    title: str
    class_type: str
    state: RowState
    started: float
    seconds: float | None = None
    value: float = 0.0
    total: float = 0.0
    index: int = 0
    calls: int = 1
    preview: bytes = b""
    preview_format: str = ""
    text: str = ""
    note: str = ""
    ui: Mapping[str, Sequence[Any]] | None = None
    order: int = 0

    @property
    def name(self) -> str:
        """The title, and the class where the title does not say it."""
        return self.title if self.title == self.class_type else f"{self.title} ({self.class_type})"

    @property
    def is_live(self) -> bool:
        """Whether the node has yet to end."""
        return self.state in ("running", "waiting")

    @property
    def fraction(self) -> float | None:
        """How much is done, 0 to 1; None where that is not known."""
        if self.state in ("done", "cached"):
            return 1.0
        within = min(max(self.value / self.total, 0.0), 1.0) if self.total > 0 else 0.0
        if self.calls > 1:
            return (self.index + within) / self.calls
        return within if self.total > 0 else None

    @property
    def steps(self) -> str:
        """Steps and list calls in words: "3/20", "3/20, 2 of 8", or nothing."""
        parts = [f"{self.value:g}/{self.total:g}"] if self.total > 0 else []
        if self.calls > 1:
            parts.append(f"{self.index + 1} of {self.calls}")
        return ", ".join(parts)

    def elapsed(self, now: float) -> float:
        """Seconds that the node took, or has taken until `now`."""
        return self.seconds if self.seconds is not None else max(now - self.started, 0.0)

    def took(self, now: float) -> str:
        """The same in words; nothing for a node from the cache."""
        return "" if self.state == "cached" else say_seconds(self.elapsed(now))


@dataclass(frozen=True, slots=True)
class View:
    """A run at one moment. `rows` are those to show, running ones first; `more_*` count those folded away."""

    state: str
    started: float
    seconds: float | None
    total: int
    done: int
    cached: int
    ran: int
    rows: tuple[Row, ...]
    more_running: int = 0
    more_finished: int = 0

    @property
    def glyph(self) -> str:
        """One character for the run's state."""
        return GLYPHS.get(self.state, "▶")

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return self.seconds is not None

    @property
    def is_all_cached(self) -> bool:
        """Whether the run is done and nothing had to be computed."""
        return self.state == "done" and not self.ran

    def elapsed(self, now: float) -> float:
        """Seconds that the run took, or has taken until `now`."""
        return self.seconds if self.seconds is not None else max(now - self.started, 0.0)

    def headline(self, now: float) -> str:
        """The run in one line."""
        elapsed = say_seconds(self.elapsed(now))
        if self.is_all_cached:
            return f"{count(self.cached, 'node')} from cache, {elapsed}"
        kept = f", {self.cached} from cache" if self.cached else ""
        return f"{self.state}: {self.done} of {count(self.total, 'node')}{kept}, {elapsed}"

    def folded(self) -> str:
        """How many rows are not shown, or nothing."""
        parts = [(self.more_running, "running"), (self.more_finished, "finished")]
        return ", ".join(f"{number:,} more {word}" for number, word in parts if number)

    def as_text(self, now: float) -> str:
        """The whole view as plain text."""
        lines = [f"{self.glyph} {self.headline(now)}"]
        if self.is_all_cached:
            return lines[0]
        lines += [f"  {line_of(row, now)}" for row in self.rows]
        return "\n".join([*lines, f"  {self.folded()}"] if self.folded() else lines)


class Board:
    """Takes a run's events and says what to show; keeps no more than it may have to show.

    `label` gives the title and class of a node by its id, for nodes that end without having started (cached
    ones). Of the finished nodes those stay in sight that went wrong, have something to show, or took longest.
    """

    def __init__(self, label: Label | None = None) -> None:
        self._label = label or (lambda node_id: (f"node {node_id}", ""))
        self._live: dict[str, Row] = {}
        self._ended: list[Row] = []
        self._least: tuple[bool, bool, float] = (False, False, 0.0)
        self._ended_count = self._seen = 0
        self._state = "running"
        self._started = 0.0
        self._seconds: float | None = None
        self._total = self._cached = self._ran = 0
        self._just_ended: list[Row] = []

    def take(self, events: Sequence[Event]) -> list[Row]:
        """Fold events in; returns the rows of nodes that ended in them (of cached ones the first few)."""
        self._just_ended = []
        for event in events:
            self._FOLD[type(event)](self, event)
        return self._just_ended

    def view(self) -> View:
        """Return what is to be shown now, independent of what comes later."""
        running = sorted(self._live.values(), key=lambda row: row.state != "running")
        shown = [replace(row) for row in running[:ROWS_MAX]]
        room = ROWS_MAX - len(shown)
        kept = sorted(self._ended, key=_worth, reverse=True)[:room]
        shown += [replace(row) for row in sorted(kept, key=lambda row: row.order)]
        return View(
            state=self._state,
            started=self._started,
            seconds=self._seconds,
            total=max(self._total, self._cached + self._ran),
            done=self._cached + self._ran,
            cached=self._cached,
            ran=self._ran,
            rows=tuple(shown),
            more_running=max(len(running) - ROWS_MAX, 0),
            more_finished=self._ended_count - len(kept),
        )

    def _run_started(self, event: RunStarted) -> None:
        self._started = event.time
        self._total += event.total + event.cached

    def _nodes_added(self, event: NodesAdded) -> None:
        self._total += event.added

    def _node_started(self, event: NodeStarted) -> None:
        row = self._live.get(event.node_id)
        if row is None:
            self._live[event.node_id] = self._new(event.node_id, event.title, event.class_type, event.time)
        elif row.state == "waiting":
            row.state, row.note = "running", ""

    def _node_progress(self, event: NodeProgress) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.value, row.total, row.index, row.calls = event.value, event.total, event.call, event.calls

    def _node_preview(self, event: NodePreview) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.preview, row.preview_format = event.data, event.format

    def _node_text(self, event: NodeText) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.text = (row.text + event.text if event.append else event.text)[-TEXT_MAX:]

    def _node_waiting(self, event: NodeWaiting) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.state, row.note = "waiting", event.reason

    def _node_finished(self, event: NodeFinished) -> None:
        row = self._live.pop(event.node_id, None)
        if event.source == "ran":
            self._ran += 1
        else:
            self._cached += 1
            if row is None and not event.ui and len(self._ended) == ROWS_MAX:
                self._ended_count += 1  # thousands of these come at once
                return
        row = row or self._unannounced(event.node_id, event.time)
        if row.state != "blocked":
            row.state = "done" if event.source == "ran" else "cached"
        row.ui = event.ui
        self._end(row, event.seconds)

    def _node_blocked(self, event: NodeBlocked) -> None:
        row = self._live.get(event.node_id)
        if row is None:
            row = self._live[event.node_id] = self._unannounced(event.node_id, event.time)
        row.state, row.note = "blocked", event.message

    def _node_failed(self, event: NodeFailed) -> None:
        row = self._live.pop(event.node_id, None) or self._unannounced(event.node_id, event.time)
        row.state, row.note = "failed", str(event.error)
        self._end(row, event.time - row.started)

    def _loop_stalled(self, event: LoopStalled) -> None:
        row = self._live.get(event.node_id)
        if row is not None:
            row.note = f"kept the event loop busy for {say_seconds(event.seconds)}"

    def _run_finished(self, event: RunFinished) -> None:
        self._state, self._seconds = event.state, event.seconds
        for row in self._live.values():
            if row.is_live:
                row.state = "stopped"
            self._end(row, event.time - row.started)
        self._live = {}

    def _unannounced(self, node_id: str, time: float) -> Row:
        title, class_type = self._label(node_id)
        return self._new(node_id, title, class_type, time)

    def _new(self, node_id: str, title: str, class_type: str, time: float) -> Row:
        self._seen += 1
        return Row(node_id, title, class_type, "running", time, order=self._seen)

    def _end(self, row: Row, seconds: float) -> None:
        row.seconds = max(seconds, 0.0)
        self._just_ended.append(row)
        self._ended_count += 1
        if len(self._ended) == ROWS_MAX:
            if _worth(row) <= self._least:
                return
            self._ended.remove(min(self._ended, key=_worth))
        self._ended.append(row)
        self._least = _worth(min(self._ended, key=_worth))

    _FOLD: Mapping[type, Callable[[Board, Any], None]] = {
        RunStarted: _run_started,
        NodesAdded: _nodes_added,
        NodeStarted: _node_started,
        NodeProgress: _node_progress,
        NodePreview: _node_preview,
        NodeText: _node_text,
        NodeWaiting: _node_waiting,
        NodeFinished: _node_finished,
        NodeBlocked: _node_blocked,
        NodeFailed: _node_failed,
        LoopStalled: _loop_stalled,
        RunFinished: _run_finished,
    }


def _worth(row: Row) -> tuple[bool, bool, float]:
    went_wrong = row.state in ("failed", "blocked", "stopped")
    return went_wrong, bool(row.preview or row.text or row.ui), row.seconds or 0.0


def labels_of(run: Any) -> Callable[[str], tuple[str, str]]:
    """Return what gives the title and class of a node of a run by its id."""

    def label(node_id: str) -> tuple[str, str]:
        node = run.graph.nodes.get(node_id)
        return (node.title, node.class_type) if node is not None else (f"node {node_id}", "")

    return label


def line_of(row: Row, now: float) -> str:
    """Return a row as a line of text."""
    said = " ".join(row.text.split())[-100:]
    parts = (f"{GLYPHS[row.state]} {row.name}", row.state, row.steps, row.took(now), row.note, said)
    return "  ".join(part for part in parts if part)


def count(number: int, thing: str) -> str:
    """Return a number with its noun: "1 node", "4 nodes"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
