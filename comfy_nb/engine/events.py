"""The events of a run: small records, delivered to subscribers in batches on the run's loop.

Times are `time.perf_counter()` seconds. `node_id` is the node's id in the run (a child of an expansion has its own);
`display_id` is the node of the submitted graph it is shown under.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from comfy_nb.engine.json_values import as_json


class RunQueued(NamedTuple):
    """A run was asked for; it is validated next."""

    run_id: str
    time: float


class RunRefused(NamedTuple):
    """A run cannot start: `error` is a `ValidationError`, or whatever else its preparation raised."""

    run_id: str
    time: float
    error: BaseException


class RunStarted(NamedTuple):
    """A run began: `total` nodes have to be computed, as far as is known; `cached` more came from the cache."""

    run_id: str
    time: float
    total: int
    cached: int


class NodesAdded(NamedTuple):
    """`added` more nodes became needed (an expansion, or a lazy input that was asked for)."""

    run_id: str
    time: float
    added: int


class NodeStarted(NamedTuple):
    """A node is called: for the first time in this run, or again after it waited for lazy inputs or for a retry.

    `lane` is "loop" for an async node, and the name of the worker's thread for a sync one.
    """

    run_id: str
    time: float
    node_id: str
    display_id: str
    class_type: str
    title: str
    lane: str


class NodeProgress(NamedTuple):
    """A node has done `value` of `total` steps of its call number `call` (from 0), of `calls` over a list."""

    run_id: str
    time: float
    node_id: str
    value: float
    total: float
    call: int
    calls: int


class NodePreview(NamedTuple):
    """A picture of a node's work so far: `data` is an image file of type `format` ("jpeg" or "png")."""

    run_id: str
    time: float
    node_id: str
    format: str
    data: bytes
    width: int
    height: int


class NodeText(NamedTuple):
    """A line of text that a node shows while it works, or with `append` a further piece of it."""

    run_id: str
    time: float
    node_id: str
    text: str
    append: bool


class NodeLog(NamedTuple):
    """Text that a node printed or logged while it worked; `stream` is "stdout" or "stderr"."""

    run_id: str
    time: float
    node_id: str
    stream: str
    text: str


class CallFinished(NamedTuple):
    """Call number `call` (from 0) of a node that is called for each of `calls` list items is done, after `seconds`."""

    run_id: str
    time: float
    node_id: str
    call: int
    calls: int
    seconds: float


class NodeWaiting(NamedTuple):
    """A node waits: for lazy inputs, a retry, its expansion or a breakpoint; `reason` says which in words."""

    run_id: str
    time: float
    node_id: str
    reason: str


class NodeQueued(NamedTuple):
    """A node waits for places in `pools`, all of them at once; `ahead` others are before it.

    Without pools it waits for the thread of plain nodes. It is reported again when that changes, for the first in line.
    `PlacesTaken`, and for the thread `NodeStarted`, say that the wait is over.
    """

    run_id: str
    time: float
    node_id: str
    display_id: str
    class_type: str
    title: str
    pools: tuple[str, ...]
    ahead: int

    @property
    def waits_for(self) -> str:
        """What it waits for, in words."""
        return " and ".join(self.pools) if self.pools else "the thread of plain nodes"

    @property
    def waits_behind(self) -> str:
        """What it waits for, and behind how many, in words."""
        return f"{self.waits_for}, {f'{self.ahead:,} ahead' if self.ahead else 'next in line'}"

    @property
    def reason(self) -> str:
        """That it waits, for what, and behind how many, in words."""
        advice = "" if self.pools else " (with thread_safe=True it would not)"
        return f"waits for {self.waits_behind}{advice}"


class PlacesTaken(NamedTuple):
    """A node has its places in `pools` for one call, after so many `seconds` of waiting."""

    run_id: str
    time: float
    node_id: str
    pools: tuple[str, ...]
    seconds: float


class PlacesGivenBack(NamedTuple):
    """A node has given back its places in `pools`: its call is over, or the run goes on without it."""

    run_id: str
    time: float
    node_id: str
    pools: tuple[str, ...]


class NodeFinished(NamedTuple):
    """A node is done. `seconds` is the time inside the node's own function, `ui` what it reported for display.

    `source` is "ran", "shared" (an equal node of this or another run computed it), "memory" or "disk" (cached), or
    "replaced" (by another value, at a breakpoint). `blocked` says why none of its calls was made, if a blocker kept it
    from that; `blocked_output` says that calls were made, and all that came out is blocked.
    """

    run_id: str
    time: float
    node_id: str
    source: str
    seconds: float
    ui: Mapping[str, Sequence[Any]] | None
    blocked: str = ""
    blocked_output: str = ""


class NodeBlocked(NamedTuple):
    """A call of a node was skipped because an `ExecutionBlocker` with a `message` reached it.

    It is reported again where that result is taken from the cache, or where one below it is; for a node of an expansion
    too, of which nothing else is reported then.
    """

    run_id: str
    time: float
    node_id: str
    display_id: str
    message: str
    class_type: str = ""


class NodeFailed(NamedTuple):
    """A node raised. `error` is the `NodeError`. The run ends, or goes on with what does not depend on the node.

    A node fails with one that is part of its expansion: both report the same error.
    """

    run_id: str
    time: float
    node_id: str
    display_id: str
    error: Exception


class NodeGivenUp(NamedTuple):
    """A node is not run, because it needs node `failed_id`, which failed; `reason` says so in words."""

    run_id: str
    time: float
    node_id: str
    display_id: str
    failed_id: str
    reason: str


class NodeOverdue(NamedTuple):
    """An async node goes on after its `timeout` in seconds: it swallows its cancellation, and fails once it returns."""

    run_id: str
    time: float
    node_id: str
    timeout: float


class LoopHeld(NamedTuple):
    """An async node kept the event loop busy for `seconds`, 2 ms or more, without an await: nothing else could run."""

    run_id: str
    time: float
    node_id: str
    seconds: float


class RunFinished(NamedTuple):
    """A run ended in `state`: "done", "failed", "stopped" or "cancelled"."""

    run_id: str
    time: float
    state: str
    seconds: float


Event = (
    RunQueued
    | RunRefused
    | RunStarted
    | NodesAdded
    | NodeStarted
    | NodeProgress
    | NodePreview
    | NodeText
    | NodeLog
    | CallFinished
    | NodeWaiting
    | NodeQueued
    | PlacesTaken
    | PlacesGivenBack
    | NodeFinished
    | NodeBlocked
    | NodeFailed
    | NodeGivenUp
    | NodeOverdue
    | LoopHeld
    | RunFinished
)

Subscriber = Callable[[Sequence[Event]], None]


def as_record(event: Event) -> dict[str, Any]:
    """Return an event as a dict that JSON can hold: its class under "type", then its fields (see `json_values`)."""
    return {"type": type(event).__name__, **{name: as_json(value) for name, value in event._asdict().items()}}
