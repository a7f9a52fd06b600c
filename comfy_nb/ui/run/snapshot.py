"""A run, or several, at one moment as there is to show: a headline and at most twelve rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from comfy_nb.ui.render.labels import NamedNode, distinguish
from comfy_nb.wording import count, encodable, format_seconds

RowState = Literal["waiting", "running", "done", "cached", "failed", "blocked", "stopped"]

ROWS_MAX = 12
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
    """One node: what it is called, what it is doing, and since when (`time.perf_counter()` seconds).

    `seconds` is the time inside the node's own function, None until it ends. `preview` is its newest picture as an
    encoded file; `text` is what the node says, `log` the end of what it printed, `note` what is said about it: why it
    waits or failed. A node of an expansion is shown `under` another; `lane` is "loop" or the thread that runs it.
    `constants` are the numbers and texts it was given, and `label` is what tells it from others of its name.

    `index` is the list call at work, of `calls`, and `called` how many are done. The pace is `rate` steps a second,
    last measured when `paced_value` was reached at `paced_at`. `run` and `order`, its place among the rows of that
    run, never change, and no two rows share both.
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
    paced_at: float = 0.0
    paced_value: float = 0.0
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
        """The title, the class where the title does not say it, and what tells it from its namesakes."""
        name = self.title if self.title == self.class_type else f"{self.title} ({self.class_type})"
        return f"{name} {self.label}" if self.label else name

    @property
    def list_calls(self) -> str:
        """List calls in words: "2 of 8", or nothing."""
        return f"{min(max(self.index + 1, self.called), self.calls)} of {self.calls}" if self.calls > 1 else ""

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
            return min((max(self.index, self.called) + within) / self.calls, 1.0)
        return within if self.total > 0 else None

    @property
    def steps(self) -> str:
        """Steps and list calls in words: "3/20", "3/20, 2 of 8", or nothing."""
        parts = [f"{self.value:g}/{self.total:g}"] if self.total > 0 else []
        return ", ".join([*parts, self.list_calls] if self.list_calls else parts)

    @property
    def pace(self) -> str:
        """Steps a second in words, or seconds a step where that reads better; nothing where it is not known."""
        if not self.rate or not self.is_live:
            return ""
        return f"{self.rate:.3g} it/s" if self.rate >= 1 else f"{1 / self.rate:.3g} s/it"

    @property
    def eta(self) -> float | None:
        """Seconds that the node still takes at the pace it has; None where that is not known."""
        if not self.is_live or not self.rate or self.calls > 1 or self.total <= 0:
            return None
        return max(self.total - self.value, 0.0) / self.rate

    def elapsed(self, now: float) -> float:
        """Seconds that the node took, or has taken until `now`."""
        return self.seconds if self.seconds is not None else max(now - self.started, 0.0)

    def took(self, now: float) -> str:
        """The same in words; nothing for a node from the cache."""
        return "" if self.state == "cached" else format_seconds(self.elapsed(now))


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of a run. `rows` are those to show, running ones first; `more_*` count those folded away.

    `eta` is the seconds left where they are known. `blocked` says who keeps the event loop, and for how many seconds.
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
    eta: float | None = None
    blocked: tuple[str, float] | None = None
    stopping: bool = False

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
        elapsed = format_seconds(self.elapsed(now))
        if self.is_all_cached:
            return f"{count(self.cached, 'node')} from cache, {elapsed}"
        state = "stopping" if self.stopping and not self.is_over else self.state
        kept = f", {self.cached} from cache" if self.cached else ""
        left = f", {format_seconds(self.eta)} left" if self.eta is not None else ""
        return f"{state}: {self.done} of {count(self.total, 'node')}{kept}, {elapsed}{left}"

    def folded(self) -> str:
        """How many rows are not shown, or nothing."""
        parts = [(self.more_running, "running"), (self.more_finished, "finished")]
        return ", ".join(f"{number:,} more {word}" for number, word in parts if number)

    def block(self) -> str:
        """Who keeps the event loop, in a sentence, or nothing."""
        if self.blocked is None:
            return ""
        who, seconds = self.blocked
        return f"event loop blocked for {format_seconds(seconds)} by {who}: nothing else can move"

    def as_text(self, now: float) -> str:
        """The whole view as plain text."""
        lines = [f"{self.glyph} {self.headline(now)}"]
        if self.is_all_cached:
            return lines[0]
        lines += [f"  {'  ' if row.under else ''}{line_of(row, now)}" for row in self.rows]
        return encodable("\n".join([*lines, f"  {self.folded()}"] if self.folded() else lines))


def merge(views: Sequence[View]) -> View:
    """Return several runs as one: counts add up, the rows that matter most stay, and the gravest state is shown."""
    if len(views) == 1:
        return replace(views[0], rows=told_apart(views[0].rows))
    live = any(not view.is_over for view in views)
    # several runs share most of what is cached, so that stands in the counts alone
    rows = [row for view in views for row in view.rows if row.state != "cached" or row.ui]
    shown = _most_telling(rows)
    kept = {id(row) for row in shown}
    left = [row for view in views for row in view.rows if id(row) not in kept]
    started = min(view.started for view in views)
    return View(
        state=min((view.state for view in views), key=lambda state: GRAVEST.index(state)),
        started=started,
        seconds=None if live else max(view.started + (view.seconds or 0.0) for view in views) - started,
        total=sum(view.total for view in views),
        done=sum(view.done for view in views),
        cached=sum(view.cached for view in views),
        ran=sum(view.ran for view in views),
        rows=told_apart(shown),
        more_running=sum(view.more_running for view in views) + sum(row.is_live for row in left),
        more_finished=sum(view.more_finished for view in views) + sum(not row.is_live for row in left),
        failed=sum(view.failed for view in views),
        eta=_longest([view.eta for view in views if not view.is_over]),
        blocked=max((view.blocked for view in views if view.blocked), key=lambda block: block[1], default=None),
        stopping=any(view.stopping for view in views),
    )


def _most_telling(rows: Sequence[Row]) -> list[Row]:
    """Return at most twelve rows, in their order: what runs, then what went wrong, then what has something to show."""
    best = sorted(rows, key=lambda row: (row.is_live, worth(row)), reverse=True)[:ROWS_MAX]
    kept = {id(row) for row in best}
    return [row for row in rows if id(row) in kept]


def _longest(left: Sequence[float | None]) -> float | None:
    known = [seconds for seconds in left if seconds is not None]
    return max(known) if known and len(known) == len(left) else None


def worth(row: Row) -> tuple[bool, bool, float]:
    """Say how much a finished row is worth a place in sight; more is more."""
    went_wrong = row.state in ("failed", "blocked", "stopped")
    return went_wrong, bool(row.preview or row.text or row.log or row.ui), row.seconds or 0.0


def told_apart(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Give rows a label where several have one name."""
    found = distinguish([NamedNode(row.node_id, f"{row.title} {row.class_type}", row.constants) for row in rows])
    for row, label in zip(rows, found, strict=True):
        row.label = label
    return tuple(rows)


def nested(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return rows with the children of an expansion right below their parent, where that is in sight too."""
    shown = {row.node_id for row in rows}
    children: dict[str, list[Row]] = {}
    for row in rows:
        if row.under in shown:
            children.setdefault(row.under, []).append(row)
    ordered: list[Row] = []

    def put(row: Row) -> None:
        ordered.append(row)
        for child in children.pop(row.node_id, ()):  # a node may say that it is shown under another child
            put(child)

    for row in rows:
        if row.under not in shown:
            put(row)
    return tuple(ordered)


def line_of(row: Row, now: float) -> str:
    """Return a row as a line of text."""
    said = " ".join(row.text.split())[-100:]
    parts = (f"{GLYPHS[row.state]} {row.name}", row.state, row.steps, row.pace, row.took(now), row.note, said)
    return "  ".join(part for part in parts if part)


def says_more(view: View) -> bool:
    """Whether a run that was over at once has more to show than its headline."""
    says = any(row.preview or row.text or row.log or row.note or row.ui for row in view.rows)
    return view.state != "done" or (says and not view.is_all_cached)
