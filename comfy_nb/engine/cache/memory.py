"""The memory tier: entries by key, within a budget of bytes.

Which entries are evicted first is up to the policy (see `policies`).
"""

from __future__ import annotations

import heapq
import threading
from collections import OrderedDict
from collections.abc import Set

from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.memory_use import Address, Blocks, default_budget, measure
from comfy_nb.engine.cache.policies import ByCost, Policy

EVICTED = "evicted to make room"
DROPPED = "dropped by hand"
CLEARED = "cleared by hand"
TOO_LARGE = "larger than the whole cache"
REASONS_KEPT = 4096


class MemoryCache:
    """Entries by key within `budget` bytes (None: a quarter of what this process may use).

    A memory block that several entries refer to counts once; `entry.size` has all the bytes that its entry refers to.
    Safe to use from several threads.
    """

    def __init__(self, budget: int | None = None, policy: Policy | None = None) -> None:
        self._budget = default_budget() if budget is None else budget
        self._policy: Policy = ByCost() if policy is None else policy
        self._entries: dict[bytes, Entry] = {}
        self._blocks: dict[tuple[Address, int], int] = {}
        self._total = 0
        # Candidates by the rank they had when pushed; None until room is first needed. See _next_candidate.
        self._heap: list[tuple[float, bytes]] | None = None
        self._reasons: OrderedDict[bytes, str] = OrderedDict()
        # Re-entrant: freeing a value may run its own code, which may use the cache.
        self._lock = threading.RLock()

    @property
    def total(self) -> int:
        """The bytes held, each memory block once."""
        return self._total

    def on_accelerators(self) -> dict[str, int]:
        """Return how many of the bytes held are on each device other than main memory."""
        found: dict[str, int] = {}
        with self._lock:
            for (_, device), size in self._blocks:
                if device:
                    found[device] = found.get(device, 0) + size
        return found

    @property
    def budget(self) -> int:
        """The bytes that may be held; when it is lowered, entries that exceed it are evicted at once."""
        return self._budget

    @budget.setter
    def budget(self, budget: int) -> None:
        with self._lock:
            self._budget = budget
            self._make_room()

    @property
    def policy(self) -> Policy:
        """Decides which entries go first; those that a new policy does not allow are evicted at once."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        with self._lock:
            self._policy = policy
            for entry in self._entries.values():
                policy.touch(entry)
            self._heap = None
            self._make_room()

    def keep_only(self, keys: Set[bytes], reason: str) -> None:
        """Drop all entries but these and the pinned ones."""
        with self._lock:
            for key in [key for key, entry in self._entries.items() if key not in keys and not entry.pinned]:
                self.drop(key, reason)

    def get(self, key: bytes) -> Entry | None:
        """Return the entry under `key` and count the use."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.hits += 1
            self._policy.touch(entry)
        return entry

    def peek(self, key: bytes) -> Entry | None:
        """Return the entry under `key` without counting it as a use."""
        return self._entries.get(key)

    def put(self, entry: Entry) -> bool:
        """Hold an entry, replacing what was under its key; False where it exceeds the whole budget."""
        key = entry.key
        own, entry.blocks = measure(entry.outputs, entry.ui)
        entry.size = own + sum([size for _, size in entry.blocks]) if entry.blocks else own
        with self._lock:
            if key in self._entries:
                self._remove(key)
            if entry.size > self._budget:
                self._remember(key, TOO_LARGE)
                return False
            self._entries[key] = entry
            self._total += own
            if entry.blocks:
                self._count_blocks(entry.blocks)
            self._policy.touch(entry)
            if self._heap is not None and not entry.pinned:
                self._push(entry)
            if self._total > self._budget or len(self._entries) > self._policy.most:
                self._make_room()
        return True

    def note_gone(self, key: bytes, reason: str) -> None:
        """Remember why there is no entry under a key."""
        with self._lock:
            self._remember(key, reason)

    def drop(self, key: bytes, reason: str = DROPPED) -> bool:
        """Drop an entry, pinned or not, and remember why; False where there was none."""
        with self._lock:
            entry = self._remove(key)
            if entry is None:
                return False
            self._remember(key, reason)
        return True

    def evict(self, most: int, below: float) -> None:
        """Evict at most so many unpinned entries of a rank below this one, the lowest first."""
        with self._lock:
            for _ in range(most):
                entry = self._next_candidate()
                if entry is None:
                    return
                if entry.rank >= below:
                    self._push(entry)
                    return
                self._evict(entry)

    def clear(self, pinned: bool = False) -> int:
        """Drop all entries, pinned ones only if `pinned`; return how many."""
        with self._lock:
            gone = [entry for entry in self._entries.values() if pinned or not entry.pinned]
            for entry in gone:
                self._remove(entry.key)
                self._remember(entry.key, CLEARED)
            self._heap = None
        return len(gone)

    def pin(self, key: bytes, on: bool = True) -> bool:
        """Keep an entry regardless of the budget, or with `on=False` no longer; False where there is none."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return False
            if entry.pinned and not on:
                self._push(entry)
            entry.pinned = on
            self._make_room()
        return True

    def entries(self) -> list[Entry]:
        """Return the entries held now, oldest first."""
        return list(self._entries.values())

    def why_gone(self, key: bytes) -> str | None:
        """Return why a key that was put is not held now, as far back as is remembered, or None."""
        return None if key in self._entries else self._reasons.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def _remove(self, key: bytes) -> Entry | None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self._total -= entry.size
        for block in entry.blocks:
            users = self._blocks[block] - 1
            if users:
                self._blocks[block] = users
                self._total += block[1]
            else:
                del self._blocks[block]
        return entry

    def _count_blocks(self, blocks: Blocks) -> None:
        for block in blocks:
            users = self._blocks.get(block, 0)
            self._blocks[block] = users + 1
            if not users:
                self._total += block[1]

    def _remember(self, key: bytes, reason: str) -> None:
        self._reasons[key] = reason
        self._reasons.move_to_end(key)
        if len(self._reasons) > REASONS_KEPT:
            self._reasons.popitem(last=False)

    def _make_room(self) -> None:
        while self._total > self._budget or len(self._entries) > self._policy.most:
            entry = self._next_candidate()
            if entry is None:
                return
            self._evict(entry)

    def _evict(self, entry: Entry) -> None:
        self._remove(entry.key)
        self._policy.evicted(entry)
        self._remember(entry.key, EVICTED)

    def _next_candidate(self) -> Entry | None:
        """Take the unpinned entry of lowest rank off the heap.

        The heap is corrected only here: an entry that was used since it was pushed is pushed again with its new rank,
        one that is gone or pinned is skipped.
        """
        if self._heap is None:
            self._heap = self._ranking()
        while self._heap:
            rank, key = heapq.heappop(self._heap)
            entry = self._entries.get(key)
            if entry is None or entry.pinned:
                continue
            if entry.rank <= rank:
                return entry
            heapq.heappush(self._heap, (entry.rank, key))
        return None

    def _push(self, entry: Entry) -> None:
        if self._heap is None:
            return
        heapq.heappush(self._heap, (entry.rank, entry.key))
        if len(self._heap) > 2 * len(self._entries) + 64:
            self._heap = self._ranking()

    def _ranking(self) -> list[tuple[float, bytes]]:
        heap = [(entry.rank, entry.key) for entry in self._entries.values() if not entry.pinned]
        heapq.heapify(heap)
        return heap
