"""A run's events folded into the state of each node of the graph; no I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from comfy_nb.engine.events import (
    Event,
    NodeBlocked,
    NodeFailed,
    NodeFinished,
    NodePreview,
    NodeProgress,
    NodeStarted,
    NodeWaiting,
    RunFinished,
    RunStarted,
)
from comfy_nb.ui.render.thumbnails import Thumbnail
from comfy_nb.ui.run.model import finite
from comfy_nb.wording import format_seconds

CACHED = ("memory", "disk")
CURRENT = ("done", "cached", "skipped")  # what a node is no more that was edited meanwhile


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node's `state`, the done `share` of its steps (0..1, or None), a `note` in words, and its last picture.

    States are "idle", "stale", "waiting", "running", "done", "cached", "failed", "blocked", "skipped" and "stopped".
    """

    state: str = "idle"
    share: float | None = None
    note: str = ""
    picture: bytes = b""
    picture_format: str = ""


class States:
    """Takes the events of one run after another. `wanted` tells which nodes the run that begins may need."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.changed: set[str] = set()
        self._under: dict[str, str] = {}
        self._spoiled: dict[str, float] = {}

    def of(self, node_id: str) -> NodeState:
        """Return the state of a node."""
        return self.nodes.get(node_id, NodeState())

    def spoil(self, ids: Iterable[str]) -> None:
        """An edit made these nodes stale: what they show, or a run that goes on computes, is of other values."""
        for node_id in ids:
            self._spoiled[node_id] = time.perf_counter()
            self._set(node_id, state="stale", share=None, note="")

    def keep(self, ids: Collection[str]) -> None:
        """Forget all other nodes: they are gone."""
        self.nodes = {node_id: state for node_id, state in self.nodes.items() if node_id in ids}
        self.changed &= set(ids)

    def glance(self, found: Mapping[str, Thumbnail | None]) -> None:
        """Take what the cache holds: pictures, and that a node of which nothing else is known is cached."""
        for node_id, picture in found.items():
            if self.of(node_id).state == "idle":
                self._set(node_id, state="cached")
            if picture is not None and self.of(node_id).state in ("cached", "done", "skipped"):
                self._set(node_id, picture=picture.data, picture_format=picture.format)

    def take(self, events: Sequence[Event], wanted: Callable[[], Iterable[str]] = tuple) -> None:
        """Fold a batch of events in; `changed` gathers the ids of the nodes that look different now."""
        for event in events:
            if isinstance(event, RunStarted):
                self._under = {}
                self._spoiled = {node_id: at for node_id, at in self._spoiled.items() if at > event.time}
                for node_id in wanted():
                    self._set(node_id, state="waiting", share=None, note="")
            elif isinstance(event, NodeStarted):
                self._under[event.node_id] = event.display_id
                self._set(event.display_id, state="running", share=None, note="")
            elif isinstance(event, RunFinished):
                self._end(event.state)
            else:
                self._fold(event)

    def _fold(self, event: Event) -> None:
        node_id = getattr(event, "node_id", None)
        if node_id is None:
            return
        shown = getattr(event, "display_id", "") or self._under.get(node_id, node_id)
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
        elif isinstance(event, NodeWaiting) and shown == event.node_id:
            self._set(shown, state="waiting", note=event.reason)
        elif isinstance(event, NodeFinished) and shown == event.node_id and self.of(shown).state != "blocked":
            is_cached = event.source in CACHED
            took = "" if is_cached else format_seconds(event.seconds)
            self._set(shown, state="cached" if is_cached else "done", share=None, note=took)

    def _end(self, state: str) -> None:
        for node_id, node in list(self.nodes.items()):
            if node.state == "running":
                self._set(node_id, state="stopped", share=None)
            elif node.state == "waiting":
                self._set(node_id, state="skipped" if state == "done" else "stopped", share=None, note="")

    def _set(self, node_id: str, **values: object) -> None:
        if node_id in self._spoiled and values.get("state") in CURRENT:
            values |= {"state": "stale", "note": ""}
        before = self.of(node_id)
        self.nodes[node_id] = after = replace(before, **values)  # type: ignore[arg-type]
        if after != before:
            self.changed.add(node_id)
