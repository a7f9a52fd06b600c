"""What a run tells the world: small records, delivered in batches on the run's loop.

Times are `time.perf_counter()` seconds. `node_id` is the node's id in the run (a child of an expansion has its own);
`display_id` is the node of the submitted graph it is shown under.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class RunQueued(NamedTuple):
    """A run was asked for; it is validated next."""

    run_id: str
    time: float


class RunRefused(NamedTuple):
    """A run cannot start: `error` says why (a `ValidationError`, or what else its preparation raised)."""

    run_id: str
    time: float
    error: BaseException


class RunStarted(NamedTuple):
    """A run began: `total` nodes have to be computed as far as is known; `cached` more came from the cache."""

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
    """A node is called for the first time in this run, or again after it waited for lazy inputs or for another try.

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
    """A node has done `value` of `total` steps; `call` is the list call, of `calls`."""

    run_id: str
    time: float
    node_id: str
    value: float
    total: float
    call: int
    calls: int


class NodePreview(NamedTuple):
    """A picture of a node's work so far: an encoded file in `data`, of type `format` ("jpeg" or "png")."""

    run_id: str
    time: float
    node_id: str
    format: str
    data: bytes
    width: int
    height: int


class NodeText(NamedTuple):
    """A line, or with `append` a piece, of text that a node shows while it works."""

    run_id: str
    time: float
    node_id: str
    text: str
    append: bool


class NodeLog(NamedTuple):
    """What a node printed or logged while it worked; `stream` is "stdout" or "stderr"."""

    run_id: str
    time: float
    node_id: str
    stream: str
    text: str


class CallFinished(NamedTuple):
    """Of a node that is called for each of `calls` list items, call number `call` (from 0) is done after `seconds`."""

    run_id: str
    time: float
    node_id: str
    call: int
    calls: int
    seconds: float


class NodeWaiting(NamedTuple):
    """A node asked for lazy inputs, is about to be retried, or expanded, and waits; `reason` says which in words."""

    run_id: str
    time: float
    node_id: str
    reason: str


class NodeFinished(NamedTuple):
    """A node is done. `seconds` is the time inside the node's own function; `ui` what it reported for display.

    `source` is "ran", "shared" (an equal node of this or another run computed it), "memory"/"disk" (cached), or
    "replaced" (by another value, at a breakpoint).
    """

    run_id: str
    time: float
    node_id: str
    source: str
    seconds: float
    ui: Mapping[str, Sequence[Any]] | None


class NodeBlocked(NamedTuple):
    """A call of a node was skipped because an `ExecutionBlocker` with a `message` reached it."""

    run_id: str
    time: float
    node_id: str
    display_id: str
    message: str


class NodeFailed(NamedTuple):
    """A node raised; the run ends. `error` is the `NodeError`."""

    run_id: str
    time: float
    node_id: str
    display_id: str
    error: Exception


class LoopHeld(NamedTuple):
    """An async node had the event loop for `seconds`, 2 ms or more, without an await: nothing else could move."""

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
    | NodeFinished
    | NodeBlocked
    | NodeFailed
    | LoopHeld
    | RunFinished
)

Subscriber = Callable[[Sequence[Event]], None]
