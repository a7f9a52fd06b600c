"""A run's events as spans of time: when each node waited, ran and held the event loop; and the critical path.

Times are seconds since the run began.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from comfy_nb.engine.events import (
    CallFinished,
    Event,
    LoopHeld,
    NodeBlocked,
    NodeFailed,
    NodeFinished,
    NodeGivenUp,
    NodeQueued,
    NodeStarted,
    NodeWaiting,
    PlacesTaken,
    RunFinished,
)
from comfy_nb.engine.execution.coroutines import STALL_S

LOOP = "loop"
NOTICEABLE_S = 0.001

BarState = Literal["waiting", "running", "done", "failed", "blocked", "stopped"]
ParentsOf = Callable[[str], Iterable[str]]


class Span(NamedTuple):
    """A stretch of time from `start` to `end`; `note` is the reason, if there is one."""

    start: float
    end: float
    note: str = ""

    @property
    def seconds(self) -> float:
        """The length of the span."""
        return max(self.end - self.start, 0.0)


@dataclass
class Bar:
    """A node at work. `ready` is when all its inputs were there; `waits` are pauses between `start` and `end`.

    `calls` are its calls over a list, `held` the spans in which it held the event loop. `constants` are the numbers and
    texts that it was given, and `label` tells it from other nodes of its name. It had places in `pools`, and
    `waited_for` says what it waited for beside other nodes.
    """

    node_id: str
    title: str
    class_type: str
    lane: str
    under: str
    start: float
    end: float
    ready: float
    state: BarState = "running"
    waits: list[Span] = field(default_factory=list)
    calls: list[Span] = field(default_factory=list)
    held: list[Span] = field(default_factory=list)
    constants: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    pools: tuple[str, ...] = ()
    waited_for: str = ""

    @property
    def name(self) -> str:
        """The title and the label."""
        return f"{self.title} {self.label}" if self.label else self.title

    @property
    def waited(self) -> float:
        """Seconds from when it could have started to when it did."""
        return max(self.start - self.ready, 0.0)

    @property
    def stalls(self) -> list[Span]:
        """The spans in which it held the event loop too long."""
        return [span for span in self.held if span.seconds >= STALL_S]


class Tick(NamedTuple):
    """A node whose value was found in the cache `source` at `time`."""

    time: float
    node_id: str
    source: str


class BlockedNode(NamedTuple):
    """A node that did not run, or not for each item of a list, which was known at `time`; `reason` says why.

    Or one that did, and what it gave is blocked, as `reason` says.
    """

    time: float
    node_id: str
    reason: str


@dataclass(frozen=True)
class Spans:
    """A run over time. `critical` are the ids of the nodes on the critical path, in order; `blocked` did not run.

    `queued` are the nodes that wait for a pool or the thread of plain nodes, or did so when the run ended.
    `blocked_outputs` are the nodes that ran, or came from the cache, and gave nothing but blockers. The run `began` at
    that time (`time.perf_counter()`, s).
    """

    seconds: float
    state: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    critical: tuple[str, ...]
    blocked: tuple[BlockedNode, ...] = ()
    blocked_outputs: tuple[BlockedNode, ...] = ()
    began: float = 0.0
    queued: tuple[Bar, ...] = ()

    @property
    def critical_seconds(self) -> float:
        """Seconds that the nodes of the critical path took together."""
        on_path = set(self.critical)
        return min(sum(bar.end - bar.start for bar in self.bars if bar.node_id in on_path), self.seconds)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why nodes did not run, with the number of nodes, most of them first."""
        return Counter(each.reason for each in self.blocked).most_common()

    @property
    def output_reasons(self) -> list[tuple[str, int]]:
        """What is said of nodes that gave nothing but blockers, with the number of nodes, most of them first."""
        return Counter(each.reason for each in self.blocked_outputs).most_common()

    @property
    def lanes(self) -> list[str]:
        """The loop, if anything ran on it, and then the threads by name."""
        named = {bar.lane for bar in self.bars}
        return ([LOOP] if LOOP in named else []) + sorted(named - {LOOP})


class Recorder:
    """Collects a run's events; `spans(now)` is the run so far."""

    def __init__(self, parents_of: ParentsOf) -> None:
        self._parents_of = parents_of
        self._zero: float | None = None
        self._bars: dict[str, Bar] = {}
        self._ticks: list[Tick] = []
        self._blocked: dict[str, BlockedNode] = {}
        self._blocked_outputs: list[BlockedNode] = []
        self._ended: dict[str, float] = {}
        self._pauses: dict[str, tuple[float, str]] = {}
        self._queued: dict[str, NodeQueued] = {}
        self._pools: dict[str, tuple[str, ...]] = {}
        self._finish: tuple[float, str] | None = None

    def apply(self, events: Sequence[Event]) -> None:
        """Fold events in; time counts from the first one."""
        for event in events:
            fold = self._HANDLERS.get(type(event))
            if self._zero is None:
                self._zero = event.time
            if fold is not None:
                fold(self, event, event.time - self._zero)

    def spans(self, now: float) -> Spans:
        """Return the run as it is at `now` (`time.perf_counter()` seconds); bars that still run end there."""
        so_far = max(now - self._zero, 0.0) if self._zero is not None else 0.0
        seconds, state = self._finish or (so_far, "running")
        for bar in self._bars.values():
            if bar.state == "running":
                bar.end = max(seconds, bar.start)
        bars = tuple(self._bars.values())
        path = critical_path(bars, self._parents_of)
        blocked, outputs = tuple(self._blocked.values()), tuple(self._blocked_outputs)
        queued = tuple(self._bar_of_queued(event, seconds) for event in self._queued.values())
        return Spans(seconds, state, bars, tuple(self._ticks), path, blocked, outputs, self._zero or 0.0, queued)

    def _node_started(self, event: NodeStarted, at: float) -> None:
        bar = self._bars.get(event.node_id)
        if bar is not None:
            self._resume(bar, at)
            return
        self._bars[event.node_id] = bar = self._new_bar(event, event.lane, at)
        bar.pools = self._pools.pop(event.node_id, ())
        if (queued := self._queued.pop(event.node_id, None)) is not None:
            bar.waited_for = queued.waits_for

    def _new_bar(self, event: NodeStarted | NodeQueued, lane: str, at: float) -> Bar:
        under = event.display_id if event.display_id != event.node_id else ""
        known = [self._ended[parent] for parent in self._parents_of(event.node_id) if parent in self._ended]
        ready = max(known, default=self._bars[under].start if under in self._bars else 0.0)
        return Bar(event.node_id, event.title, event.class_type, lane, under, at, at, min(ready, at))

    def _bar_of_queued(self, event: NodeQueued, now: float) -> Bar:
        bar = self._new_bar(event, "", now)
        bar.state, bar.waited_for = "waiting", event.waits_behind
        return bar

    def _node_queued(self, event: NodeQueued, at: float) -> None:
        if event.node_id in self._bars:
            self._pauses.setdefault(event.node_id, (at, f"waits for {event.waits_for}"))
        else:
            self._queued[event.node_id] = event

    def _places_taken(self, event: PlacesTaken, at: float) -> None:
        self._pools[event.node_id] = event.pools

    def _node_waiting(self, event: NodeWaiting, at: float) -> None:
        self._pauses.setdefault(event.node_id, (at, event.reason))

    def _resume(self, bar: Bar, at: float) -> None:
        since, reason = self._pauses.pop(bar.node_id, (at, ""))
        if at > since:
            bar.waits.append(Span(since, at, reason))

    def _call_finished(self, event: CallFinished, at: float) -> None:
        bar = self._bars.get(event.node_id)
        if bar is not None:
            bar.calls.append(Span(max(at - event.seconds, bar.start), at, f"{event.call + 1} of {event.calls}"))

    def _loop_held(self, event: LoopHeld, at: float) -> None:
        bar = self._bars.get(event.node_id)
        if bar is not None:
            bar.held.append(Span(max(at - event.seconds, 0.0), at))

    def _node_finished(self, event: NodeFinished, at: float) -> None:
        self._ended[event.node_id] = at
        if event.blocked:
            self._blocked.setdefault(event.node_id, BlockedNode(max(at, 0.0), event.node_id, event.blocked))
        if event.blocked_output:
            self._blocked_outputs.append(BlockedNode(max(at, 0.0), event.node_id, event.blocked_output))
        if event.node_id in self._bars:
            self._end(event.node_id, at, "blocked" if event.node_id in self._blocked else "done")
        elif event.node_id not in self._blocked:
            self._ticks.append(Tick(max(at, 0.0), event.node_id, event.source))

    def _node_failed(self, event: NodeFailed, at: float) -> None:
        self._end(event.node_id, at, "failed")

    def _node_given_up(self, event: NodeGivenUp, at: float) -> None:
        self._blocked[event.node_id] = BlockedNode(at, event.node_id, event.reason)
        self._end(event.node_id, at, "blocked")

    def _node_blocked(self, event: NodeBlocked, at: float) -> None:
        self._blocked.setdefault(event.node_id, BlockedNode(max(at, 0.0), event.node_id, event.message))

    def _end(self, node_id: str, at: float, state: BarState) -> None:
        bar = self._bars.get(node_id)
        if bar is not None:
            self._resume(bar, at)
            bar.end, bar.state = at, state

    def _run_finished(self, event: RunFinished, at: float) -> None:
        self._finish = at, event.state
        for bar in self._bars.values():
            if bar.state == "running":
                self._end(bar.node_id, at, "stopped")

    _HANDLERS: Mapping[type, Callable[[Recorder, Any, float], None]] = {
        NodeStarted: _node_started,
        NodeWaiting: _node_waiting,
        NodeQueued: _node_queued,
        PlacesTaken: _places_taken,
        CallFinished: _call_finished,
        LoopHeld: _loop_held,
        NodeFinished: _node_finished,
        NodeBlocked: _node_blocked,
        NodeFailed: _node_failed,
        NodeGivenUp: _node_given_up,
        RunFinished: _run_finished,
    }


def side_by_side(runs: Sequence[Spans]) -> Spans:
    """Return several runs as one, which began with the first of them; its critical path is that of the last to end."""
    if not runs:
        return Spans(0.0, "done", (), (), ())
    if len(runs) == 1:
        return runs[0]
    began = min(run.began for run in runs)
    placed = [_moved(run, run.began - began, f"{number}:") for number, run in enumerate(runs)]
    last = max(placed, key=lambda run: run.seconds)
    return Spans(
        last.seconds,
        next((run.state for run in placed if run.state != "done"), "done"),
        tuple(bar for run in placed for bar in run.bars),
        tuple(tick for run in placed for tick in run.ticks),
        last.critical,
        tuple(each for run in placed for each in run.blocked),
        tuple(each for run in placed for each in run.blocked_outputs),
        began,
        tuple(bar for run in placed for bar in run.queued),
    )


def _moved(run: Spans, by: float, prefix: str) -> Spans:
    """Return a run as if it had begun `by` seconds later, its nodes renamed."""

    def named(node_id: str) -> str:
        return prefix + node_id if node_id else ""

    def later(spans: Sequence[Span]) -> list[Span]:
        return [span._replace(start=span.start + by, end=span.end + by) for span in spans]

    def moved(bar: Bar) -> Bar:
        return replace(
            bar,
            node_id=named(bar.node_id),
            under=named(bar.under),
            start=bar.start + by,
            end=bar.end + by,
            ready=bar.ready + by,
            waits=later(bar.waits),
            calls=later(bar.calls),
            held=later(bar.held),
        )

    return Spans(
        run.seconds + by,
        run.state,
        tuple(map(moved, run.bars)),
        tuple(tick._replace(time=tick.time + by) for tick in run.ticks),
        tuple(map(named, run.critical)),
        tuple(each._replace(time=each.time + by) for each in run.blocked),
        tuple(each._replace(time=each.time + by) for each in run.blocked_outputs),
        queued=tuple(map(moved, run.queued)),
    )


def critical_path(bars: Sequence[Bar], parents_of: ParentsOf) -> tuple[str, ...]:
    """Return the nodes that determine the run's length, in order.

    It is followed backwards from the node that ended last: to the last node of an expansion; else to the node that
    had the lane, or the place in a pool, that this one waited for; else to the parent that ended last.
    """
    walk = _PathBack(bars, parents_of)
    here = max(bars, key=lambda bar: bar.end, default=None)
    while here is not None:
        walk.path[here.node_id] = here
        here = walk.before(here)
    return tuple(reversed(walk.path))


class _PathBack:
    """The walk back from the last node; `path` holds the bars it has passed."""

    def __init__(self, bars: Sequence[Bar], parents_of: ParentsOf) -> None:
        self.path: dict[str, Bar] = {}
        self._by_id = {bar.node_id: bar for bar in bars}
        self._parents_of = parents_of
        self._inside: dict[str, list[Bar]] = {}
        self._holders: dict[tuple[str, str], list[Bar]] = {}
        for bar in sorted(bars, key=lambda bar: bar.end):
            self._inside.setdefault(bar.under, []).append(bar)
            for what in self._places(bar):
                self._holders.setdefault(what, []).append(bar)

    def before(self, bar: Bar) -> Bar | None:
        """Return the bar that this one had to wait for."""
        child = self._last(self._inside.get(bar.node_id, ()))
        return child or self._holder(bar) or self._parent(bar.node_id) or self._parent(bar.under)

    def _holder(self, bar: Bar) -> Bar | None:
        """Return the last of those that had what it waited for, and ended before it began."""
        if bar.waited <= NOTICEABLE_S:
            return None
        found = []
        for what in self._places(bar):
            holders = self._holders[what]
            place = bisect_right(holders, bar.start + NOTICEABLE_S, key=lambda each: each.end) - 1
            if place >= 0 and holders[place].end > bar.ready:
                found.append(holders[place])
        return self._last(found)

    def _places(self, bar: Bar) -> list[tuple[str, str]]:
        """Return what others may have to wait for while this one runs: pools, or else its thread."""
        lane = [("lane", bar.lane)] if bar.lane != LOOP and not bar.pools else []
        return [*lane, *(("pool", pool) for pool in bar.pools)]

    def _parent(self, node_id: str) -> Bar | None:
        parents = (self._by_id.get(parent) for parent in self._parents_of(node_id))
        return self._last([parent for parent in parents if parent is not None])

    def _last(self, bars: Sequence[Bar]) -> Bar | None:
        left = [bar for bar in bars if bar.node_id not in self.path]
        return max(left, key=lambda bar: bar.end, default=None)
