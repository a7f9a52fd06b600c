"""The state of each node of a graph, from the events of its runs; no I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from comfy_nb.engine.events import (
    Event,
    NodeBlocked,
    NodeFailed,
    NodeFinished,
    NodeGivenUp,
    NodePreview,
    NodeProgress,
    NodeQueued,
    NodeStarted,
    NodeWaiting,
    RunFinished,
    RunStarted,
)
from comfy_nb.ui.render.thumbnails import Thumbnail
from comfy_nb.ui.run.model import finite
from comfy_nb.wording import format_seconds

CACHED = ("memory", "disk")
CURRENT = ("done", "cached", "skipped")  # an edited node is none of these until it has run again
OVER = ("failed", "blocked")
NOTHING_SAID: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node's `state`, the `share` of its steps that is done (0..1, or None), a `note`, and its last picture.

    States are "idle", "stale", "waiting", "running", "done", "cached", "failed", "blocked", "skipped" and "stopped".
    """

    state: str = "idle"
    share: float | None = None
    note: str = ""
    picture: bytes = b""
    picture_format: str = ""


class States:
    """The states of all nodes, over one run after another; `changed` gathers the ids of those that look different."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.changed: set[str] = set()
        self._shown_under: dict[str, str] = {}
        self._stale_since: dict[str, float] = {}

    def of(self, node_id: str) -> NodeState:
        """Return the state of a node."""
        return self.nodes.get(node_id, NodeState())

    def mark_stale(self, ids: Iterable[str]) -> None:
        """Note that an edit affects these nodes: what they show, or a run now computes, belongs to older values."""
        for node_id in ids:
            self._stale_since[node_id] = time.perf_counter()
            self._set(node_id, state="stale", share=None, note="")

    def keep_only(self, ids: Collection[str]) -> None:
        """Forget all other nodes, which are gone from the graph."""
        self.nodes = {node_id: state for node_id, state in self.nodes.items() if node_id in ids}
        self.changed &= set(ids)

    def add_cached(
        self,
        found: Mapping[str, Thumbnail | None],
        blocked: Mapping[str, str] = NOTHING_SAID,
        blocked_outputs: Mapping[str, str] = NOTHING_SAID,
    ) -> None:
        """Take over what the cache holds: an idle node becomes cached, and a node with a current value its picture.

        For the `blocked` nodes it holds why they were not called, and of others that their `blocked_outputs` are that.
        """
        for node_id, picture in found.items():
            if self.of(node_id).state == "idle":
                is_blocked = node_id in blocked
                note = blocked.get(node_id) or blocked_outputs.get(node_id, "")
                self._set(node_id, state="blocked" if is_blocked else "cached", note=note)
            if picture is not None and self.of(node_id).state in CURRENT:
                self._set(node_id, picture=picture.data, picture_format=picture.format)

    def take(
        self, events: Sequence[Event], needed: Callable[[], Iterable[str]] = tuple, *, goes_on: bool = False
    ) -> None:
        """Apply a batch of events; `needed` returns the nodes that a run which starts now may need.

        With `goes_on`, the run goes on after failures.
        """
        for event in events:
            if isinstance(event, RunStarted):
                self._shown_under = {}
                self._stale_since = {node_id: at for node_id, at in self._stale_since.items() if at > event.time}
                for node_id in needed():
                    self._set(node_id, state="waiting", share=None, note="")
            elif isinstance(event, NodeStarted):
                self._shown_under[event.node_id] = event.display_id
                is_itself = event.display_id == event.node_id
                if is_itself or self.of(event.display_id).state not in OVER:  # the rest of a failed expansion goes on
                    self._set(event.display_id, state="running", share=None, note="")
            elif isinstance(event, RunFinished):
                self._end(is_whole=event.state == "done" or (goes_on and event.state == "failed"))
            else:
                self._take_node_event(event)

    def _take_node_event(self, event: Event) -> None:
        node_id: str = getattr(event, "node_id", "")
        shown: str = getattr(event, "display_id", "") or self._shown_under.get(node_id, node_id)
        if isinstance(event, NodeProgress):
            value, total = finite(event.value), finite(event.total) or 0.0
            if value is not None:
                done = (event.call + min(value / total, 1.0)) / event.calls if total > 0 else 0.0
                self._set(shown, share=max(0.0, min(done, 1.0)))
        elif isinstance(event, NodePreview):
            self._set(shown, picture=event.data, picture_format=event.format)
        elif isinstance(event, NodeFailed):
            self._set(shown, state="failed", share=None, note=str(event.error))
        elif isinstance(event, NodeBlocked):
            self._set(shown, state="blocked", share=None, note=event.message)
        elif isinstance(event, NodeGivenUp) and shown == node_id:
            self._set(shown, state="blocked", share=None, note=event.reason)
        elif isinstance(event, NodeWaiting | NodeQueued) and shown == node_id:
            self._set(shown, state="waiting", note=event.reason)
        elif isinstance(event, NodeFinished) and shown == node_id and self.of(shown).state != "blocked":
            is_cached = event.source in CACHED
            if event.blocked:
                self._set(shown, state="blocked", share=None, note=event.blocked)
                return
            took = "" if is_cached else format_seconds(event.seconds)
            note = ", ".join(filter(None, (took, event.blocked_output)))
            self._set(shown, state="cached" if is_cached else "done", share=None, note=note)

    def _end(self, *, is_whole: bool) -> None:
        for node_id, node in list(self.nodes.items()):
            if node.state == "running":
                self._set(node_id, state="stopped", share=None)
            elif node.state == "waiting":
                self._set(node_id, state="skipped" if is_whole else "stopped", share=None, note="")

    def _set(self, node_id: str, **values: object) -> None:
        if node_id in self._stale_since and values.get("state") in CURRENT:
            values |= {"state": "stale", "note": ""}
        before = self.of(node_id)
        self.nodes[node_id] = after = replace(before, **values)  # type: ignore[arg-type]
        if after != before:
            self.changed.add(node_id)
