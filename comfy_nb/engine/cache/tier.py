"""The tiers of the cache: what the store needs of a place that holds results."""

from __future__ import annotations

from typing import Protocol

from comfy_nb.engine.cache.entry import Entry


class Tier(Protocol):
    """A place that holds entries by key: memory, disk, or one of your own.

    The store calls it on the event loop and on lanes, often under the lock of a run, and does not await it; so no
    method may wait for a run, or for anything for long. A remote tier fits if `put` queues the entry for a thread of
    its own, as the disk tier does, and `get` and `in` answer from what was fetched before, or within a short timeout.
    To await tiers instead, begin at `Lookup.find`: the scheduler would have to let a node wait for its lookup.
    """

    def get(self, key: bytes) -> Entry | None:
        """Return the entry under a key, checked and ready to be used, or None."""
        ...

    def put(self, entry: Entry) -> bool:
        """Hold an entry, now or soon; False where it cannot be held."""
        ...

    def drop(self, key: bytes) -> bool:
        """Remove the entry under a key; False where there was none."""
        ...

    def clear(self) -> int:
        """Remove all entries that may be removed; return how many."""
        ...

    def __contains__(self, key: bytes) -> bool: ...
