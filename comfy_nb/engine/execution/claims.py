"""Equal nodes of a run, and of runs beside it: one computes, the others get its result, or share its failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.store import Store
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.planning.inside import KnownInside


class Claims:
    """One run's claims on the keys of the nodes that it computes; `failed` has the errors of those that failed."""

    def __init__(self, state: RunState, store: Store, inside: KnownInside) -> None:
        self._state = state
        self._store = store
        self._inside = inside
        self._peek = store.cache.peek
        self._in_flight = store.in_flight
        self._shares_nothing = store.holds_nothing
        self._held: dict[int, bytes] = {}
        self.failed: dict[bytes, BaseException] = {}

    def claim(self, node_run: NodeRun, when_done: Callable[[NodeRun, Any], None]) -> bool:
        """Claim a node's key before computing it; False where an equal node is in flight or has just been computed.

        Then `when_done` is called with that node's entry.
        """
        key = self._shared_key(node_run)
        if key is None:
            return True
        if not self._in_flight.claim(key, when_done, node_run):
            return False
        self._held[node_run.sequence] = key
        found = self._inside.complete(node_run.key) if self._inside.revision else node_run.key
        if found.full is None or self._peek(found.full) is None:
            return True
        if (entry := self._store.recall(found.full, node_run.step)) is not None:
            node_run.key = found
            self.release(node_run, entry)
            when_done(node_run, entry)
            return False
        return True

    def _shared_key(self, node_run: NodeRun) -> bytes | None:
        """Return the key under which equal nodes share what a node comes to; None where each is computed."""
        if self._shares_nothing or self._state.is_tainted:
            return None
        return node_run.key.own if node_run.step.deduplicated and node_run.key.reusable else None

    def note_failure(self, node_run: NodeRun, error: BaseException) -> None:
        """Note that a node failed, for the equal ones of this run."""
        key = self._shared_key(node_run)
        if key is not None:
            self.failed.setdefault(key, error)

    def failure_of_equal(self, node_run: NodeRun) -> BaseException | None:
        """Return why an equal node of this run failed, if one has."""
        key = self._shared_key(node_run)
        return self.failed.get(key) if key is not None else None

    def release(self, node_run: NodeRun, entry: Entry | None) -> None:
        """Release a node's claim if it has one: with its entry, or with None so that an equal node computes it."""
        key = self._held.pop(node_run.sequence, None)
        if key is not None:
            self._in_flight.release(key, entry)
