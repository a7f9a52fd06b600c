"""A snapshot of a run, or of several, for display: a headline and at most twelve rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, Literal

from comfy_nb.ui.render.labels import NamedNode, distinguish
from comfy_nb.ui.render.text import strip_terminal_codes
from comfy_nb.wording import count, encodable, format_seconds

RowState = Literal["waiting", "running", "done", "cached", "failed", "blocked", "stopped"]

ROWS_MAX = 12
LOG_LINES_MAX = 40
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
GRAVEST = ("running", "failed", "cancelled", "stopped", "done")


@dataclass(slots=True)
class Row:
    """One node: its name, its state, and when it started (in `time.perf_counter()` seconds).

    `seconds` is the time spent in the node's own function, None until it ends. `preview` is its newest picture as an
    encoded file; `text` is what the node reports, `log` the end of what it printed, `note` why it waits or failed. A
    node of an expansion is shown `under` another; `lane` is "loop" or the thread that runs it. `constants` are the
    numbers and texts it was given, and `label` tells it from other nodes of its name.

    `index` is the list call in progress, of `calls`, and `called` how many are done. The pace is `rate` steps a
    second, last measured when `rate_measured_value` was reached at `rate_measured_at`. `run` and `order`, its place
    among the rows of that run, never change, and no two rows share both.
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
    called: int = 0
    rate: float | None = None
    rate_measured_at: float = 0.0
    rate_measured_value: float = 0.0
    preview: bytes = b""
    preview_format: str = ""
    text: str = ""
    log: str = ""
    note: str = ""
    error: Exception | None = None
    under: str = ""
    lane: str = ""
    ui: Mapping[str, Sequence[Any]] | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    order: int = 0
    run: int = 0

    @property
    def name(self) -> str:
        """The title, the class if the title is another, and the label."""
        name = self.title if self.title == self.class_type else f"{self.title} ({self.class_type})"
        return f"{name} {self.label}" if self.label else name

    @property
    def list_calls(self) -> str:
        """List calls as text: "2 of 8", or nothing."""
        return f"{min(max(self.index + 1, self.called), self.calls)} of {self.calls}" if self.calls > 1 else ""

    @property
    def is_live(self) -> bool:
        """Whether the node has not ended yet."""
        return self.state in ("running", "waiting")

    @property
    def fraction(self) -> float | None:
        """How much is done, from 0 to 1; None if unknown."""
        if self.state in ("done", "cached"):
            return 1.0
        within = min(max(self.value / self.total, 0.0), 1.0) if self.total > 0 else 0.0
        if self.calls > 1:
            return min((max(self.index, self.called) + within) / self.calls, 1.0)
        return within if self.total > 0 else None

    @property
    def own_steps(self) -> str:
        """Steps of the list call in progress as text: "3/20", or nothing."""
        return f"{_number(self.value)}/{_number(self.total)}" if self.total > 0 else ""

    @property
    def steps(self) -> str:
        """Steps and list calls as text: "3/20", "3/20, 2 of 8", or nothing."""
        return ", ".join(filter(None, (self.own_steps, self.list_calls)))

    @property
    def pace(self) -> str:
        """Steps per second as text, or seconds per step if slower than one; nothing if unknown."""
        if not self.rate or not self.is_live:
            return ""
        return f"{self.rate:.3g} it/s" if self.rate >= 1 else f"{1 / self.rate:.3g} s/it"

    @property
    def eta(self) -> float | None:
        """Seconds left at the current pace; None if unknown."""
        if not self.is_live or not self.rate or self.calls > 1 or self.total <= 0:
            return None
        return max(self.total - self.value, 0.0) / self.rate

    @property
    def has_duration(self) -> bool:
        """Whether it was called: a cached node was not, and one that was blocked may not have been."""
        return self.state != "cached" and (self.state != "blocked" or bool(self.seconds))

    def elapsed(self, now: float) -> float:
        """Seconds that the node took, or has taken until `now`."""
        return self.seconds if self.seconds is not None else max(now - self.started, 0.0)

    def describe_duration(self, now: float) -> str:
        """Describe the time it took, or has taken until `now`; nothing for a node from the cache."""
        return format_seconds(self.elapsed(now)) if self.has_duration else ""

    def as_lines(self, now: float) -> list[str]:
        """Return the row as a line of text, and below it the last lines that the node printed."""
        indent = "    " if self.under else "  "
        return [indent + format_row(self, now), *(f"{indent}  | {line}" for line in _printed(self))]


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """A run, or several, at one moment: the `rows` to show, in the order in which they began, and the counts of all.

    `more_*` count the rows that are hidden, `failed` the errors, `blocked_nodes` the nodes that a failed one or a
    blocker kept from running. `eta` is the seconds left, if known. `loop_blocked` names what blocks the event loop, and
    for how many seconds.
    """

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
    failed: int = 0
    blocked_nodes: int = 0
    eta: float | None = None
    loop_blocked: tuple[str, float] | None = None
    stopping: bool = False
    runs: int = 1

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
        """Whether the run is done, nothing had to be computed, and nothing is blocked."""
        is_clear = not self.blocked_nodes and not any(row.note for row in self.rows)
        return self.state == "done" and not self.ran and is_clear

    def elapsed(self, now: float) -> float:
        """Seconds that the run took, or has taken until `now`."""
        return self.seconds if self.seconds is not None else max(now - self.started, 0.0)

    def headline(self, now: float) -> str:
        """Describe the run in one line."""
        elapsed = format_seconds(self.elapsed(now))
        runs = f" in {count(self.runs, 'run')}" if self.runs > 1 else ""
        if self.is_all_cached:
            return f"{count(self.cached, 'node')} from cache{runs}, {elapsed}"
        state = "stopping" if self.stopping and not self.is_over else self.state
        kept = f", {self.cached:,} from cache" if self.cached else ""
        left = f", {format_seconds(self.eta)} left" if self.eta is not None else ""
        wrong = "".join(f", {words}" for words in self.describe_wrong())
        progress = f"{self.done:,} of {count(self.total, 'node')}" if self.total or self.is_over else "about to begin"
        return f"{state}: {progress}{runs}{kept}{wrong}, {elapsed}{left}"

    def describe_wrong(self) -> list[str]:
        """Count the nodes that failed, where that says more than the state, and those that are blocked, as texts."""
        says_more = not self.is_over or self.failed > 1 or self.blocked_nodes
        failed = [f"{self.failed:,} failed"] if self.failed and says_more else []
        return failed + ([f"{self.blocked_nodes:,} blocked"] if self.blocked_nodes else [])

    def describe_hidden(self) -> str:
        """Count the rows that are not shown, as text; nothing if all are."""
        parts = [(self.more_running, "running"), (self.more_finished, "finished")]
        return ", ".join(f"{number:,} more {word}" for number, word in parts if number)

    def describe_block(self) -> str:
        """Describe what blocks the event loop; nothing if it turns."""
        if self.loop_blocked is None:
            return ""
        blocker, seconds = self.loop_blocked
        return f"event loop blocked for {format_seconds(seconds)} by {blocker}: nothing else can run"

    def as_text(self, now: float) -> str:
        """Return the whole snapshot as plain text."""
        lines = [f"{self.glyph} {self.headline(now)}"]
        if self.is_all_cached:
            return lines[0]
        for row in self.rows:
            lines += row.as_lines(now)
        hidden = self.describe_hidden()
        return encodable("\n".join([*lines, f"  {hidden}"] if hidden else lines))


def after(before: RunSnapshot, runs: RunSnapshot) -> RunSnapshot:
    """Return runs with those that were over `before` them: time in which none went on does not count.

    How much is left is not known, for more of them may come.
    """
    spent = before.elapsed(before.started)
    over_at = before.started + spent
    started = max(runs.started, over_at) - spent
    seconds = None if runs.seconds is None else max(runs.started + runs.seconds, over_at) - started
    state = runs.state if runs.seconds is None else gravest([before.state, runs.state])
    return replace(merge([before, runs]), started=started, seconds=seconds, state=state, eta=None)


def without_repeated(runs: RunSnapshot, repeated: int) -> RunSnapshot:
    """Return runs without `repeated` nodes that came from the cache and that other ones of the runs have too."""
    if not repeated:
        return runs
    total, done, cached = (number - repeated for number in (runs.total, runs.done, runs.cached))
    return replace(runs, total=total, done=done, cached=cached, more_finished=max(runs.more_finished - repeated, 0))


def gravest(states: Sequence[str]) -> str:
    """Return the state of several runs."""
    return min(states, key=GRAVEST.index)


def merge(runs: Sequence[RunSnapshot]) -> RunSnapshot:
    """Return several runs as one: counts add up, the most important rows stay, and the gravest state is shown."""
    if len(runs) == 1:
        return runs[0]
    is_live = any(not run.is_over for run in runs)
    # several runs share most of their cached nodes, so those are only counted
    rows = [row for run in runs for row in run.rows if row.state != "cached" or row.ui or row.note]
    shown = _most_important(rows)
    kept = {id(row) for row in shown}
    hidden = [row for run in runs for row in run.rows if id(row) not in kept]
    started = min(run.started for run in runs)
    return RunSnapshot(
        state=gravest([run.state for run in runs]),
        started=started,
        seconds=None if is_live else max(run.started + (run.seconds or 0.0) for run in runs) - started,
        total=sum(run.total for run in runs),
        done=sum(run.done for run in runs),
        cached=sum(run.cached for run in runs),
        ran=sum(run.ran for run in runs),
        rows=tuple(shown),
        more_running=sum(run.more_running for run in runs) + sum(row.is_live for row in hidden),
        more_finished=sum(run.more_finished for run in runs) + sum(not row.is_live for row in hidden),
        failed=sum(run.failed for run in runs),
        blocked_nodes=sum(run.blocked_nodes for run in runs),
        eta=_longest([run.eta for run in runs if not run.is_over]),
        loop_blocked=max((run.loop_blocked for run in runs if run.loop_blocked), key=itemgetter(1), default=None),
        stopping=any(run.stopping for run in runs),
        runs=sum(run.runs for run in runs),
    )


def _most_important(rows: Sequence[Row]) -> list[Row]:
    """Return at most twelve rows, in their order: running ones first, then failed ones, then those with output."""
    best = sorted(rows, key=lambda row: (row.is_live, importance(row)), reverse=True)[:ROWS_MAX]
    kept = {id(row) for row in best}
    return [row for row in rows if id(row) in kept]


def _longest(etas: Sequence[float | None]) -> float | None:
    known = [eta for eta in etas if eta is not None]
    return max(known) if known and len(known) == len(etas) else None


def importance(row: Row) -> tuple[bool, bool, float]:
    """Return a key that sorts finished rows by how much they deserve to be shown."""
    went_wrong = row.state in ("failed", "stopped")
    has_words = bool(row.preview or row.text or row.log or row.ui or row.note)
    return went_wrong, has_words, row.seconds or 0.0


def labelled(snapshot: RunSnapshot) -> RunSnapshot:
    """Return the snapshot with labels on rows that share a name."""
    rows = snapshot.rows
    labels = distinguish([NamedNode(row.node_id, f"{row.title} {row.class_type}", row.constants) for row in rows])
    return replace(snapshot, rows=tuple(replace(row, label=label) for row, label in zip(rows, labels, strict=True)))


def nested(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return rows with the children of an expansion right below their parent, if that is shown too."""
    shown = {row.node_id for row in rows}
    children: dict[str, list[Row]] = {}
    for row in rows:
        if row.under in shown:
            children.setdefault(row.under, []).append(row)
    ordered: list[Row] = []

    def put(row: Row) -> None:
        ordered.append(row)
        for child in children.pop(row.node_id, ()):  # a node may be shown under another child
            put(child)

    for row in rows:
        if row.under not in shown:
            put(row)
    return tuple(ordered)


def format_row(row: Row, now: float) -> str:
    """Return a row as a line of text."""
    text = " ".join(row.text.split())[-100:]
    parts = (
        f"{GLYPHS[row.state]} {row.name}",
        row.state,
        row.steps,
        row.pace,
        row.describe_duration(now),
        row.note,
        text,
    )
    return "  ".join(part for part in parts if part)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _printed(row: Row) -> list[str]:
    """Return the last lines that a node printed, as plain text."""
    lines = strip_terminal_codes(row.log).rstrip().splitlines()
    left_out = len(lines) - LOG_LINES_MAX
    return lines if left_out <= 0 else [f"… {count(left_out, 'earlier line')}", *lines[-LOG_LINES_MAX:]]


def has_details(snapshot: RunSnapshot) -> bool:
    """Whether there is more to show of a finished run than its headline."""
    has_output = any(row.preview or row.text or row.log or row.note or row.ui for row in snapshot.rows)
    return snapshot.state != "done" or (has_output and not snapshot.is_all_cached)
