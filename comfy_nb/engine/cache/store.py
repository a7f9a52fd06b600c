"""The store: the cache's tiers, the keys that are being computed, and the lazy inputs that nodes have used."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.in_flight import InFlight
from comfy_nb.engine.cache.memory import MemoryCache
from comfy_nb.engine.cache.policies import LRU, ByCost
from comfy_nb.errors import ComfyNBWarning, UnknownName
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.wording import name_node

if TYPE_CHECKING:
    from comfy_nb.engine.cache.disk import DiskCache

MOST_USES = 100_000
USES_A_NODE = 8
POLICIES = ("memory", "classic", "none")
# Below this a result is computed again sooner than it is read.
WORTH_DISK_S = 0.005


class CachedNode(Protocol):
    """The node whose result is looked up, as far as the cache has to know it."""

    id: str
    title: str
    spec: NodeSpec


class Store:
    """The results that a session holds: in memory, and where a disk tier is set also there."""

    def __init__(self, budget: int | None = None, disk: DiskCache | None = None) -> None:
        self.cache = MemoryCache(budget)
        self.disk = disk
        self.in_flight = InFlight()
        self._only_last_prompt = False
        self._uses: OrderedDict[bytes, list[tuple[str, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, key: bytes, node: CachedNode) -> Entry | None:
        """Return what is cached under a key, in memory or on disk."""
        return self.vet(self.cache.get(key), key, node)

    def vet(self, entry: Entry | None, key: bytes, node: CachedNode) -> Entry | None:
        """Return what memory gave for a key, else what disk has; what was written to, or whose files are gone, is
        dropped."""
        if entry is None:
            entry = self._from_disk(key, node)
        elif entry.seal is not None and (what := entry.seal.broken()) is not None:
            self.forget(entry, "changed in place")
            warnings.warn(
                f"What {name_node(entry.node_id, entry.class_type, entry.title)} gave was changed in place after it "
                f"was computed: {what}. It is not used any more, but computed again. Work on a copy (x.clone()).",
                ComfyNBWarning,
                stacklevel=2,
            )
            entry = self._from_disk(key, node)
        if entry is None:
            return None
        still_there = node.spec.still_there
        if still_there is not None and entry.ui is not None and not still_there(entry.ui):
            self.forget(entry, "its file is gone")
            return None
        return entry

    def _from_disk(self, key: bytes, node: CachedNode) -> Entry | None:
        if self.disk is None or node.spec.is_output:
            return None
        entry = self.disk.get(key)
        if entry is not None:
            entry.node_id, entry.title = node.id, node.title
            self.cache.put(entry)
        return entry

    def is_on_disk(self, key: bytes, node: CachedNode) -> bool:
        """Whether a key is in the disk tier."""
        return self.disk is not None and not node.spec.is_output and key in self.disk

    def remember(self, entry: Entry) -> None:
        """Keep a result, in memory and where that is switched on and possible on disk."""
        self.cache.put(entry)
        if self.disk is not None and entry.durable and entry.seconds >= WORTH_DISK_S:
            self.disk.put(entry)

    def forget(self, entry: Entry, why: str) -> None:
        """Drop a result."""
        self.cache.drop(entry.key, why)

    def set_policy(self, policy: str | int) -> None:
        """Say what is held: "memory" (what is dear to compute, within the budget), "classic" (what the last prompt
        holds), "none", or a number: that many results, the last used ones. Raises UnknownName for another word."""
        if isinstance(policy, str) and policy not in POLICIES:
            raise UnknownName.of("cache policy", policy, [*POLICIES, "a number"])
        self._only_last_prompt = policy == "classic"
        most = 0 if policy == "none" else policy
        self.cache.policy = LRU(most) if isinstance(most, int) else ByCost()

    def run_ended(self, keys: Iterable[bytes | None]) -> None:
        """Drop what a run's prompt does not hold, where the policy says so; `keys` are those that it holds."""
        if self._only_last_prompt:
            self.cache.keep_only({key for key in keys if key is not None}, "the last prompt does not hold it")

    def uses_of(self, base: bytes) -> list[tuple[str, ...]]:
        """Return which lazy inputs a node with this base key has used so far."""
        return self._uses.get(base, [])

    def note_use(self, base: bytes, names: tuple[str, ...]) -> None:
        """Remember which lazy inputs a node used."""
        with self._lock:
            known = self._uses.setdefault(base, [])
            if names not in known:
                known.insert(0, names)
                del known[USES_A_NODE:]
            if len(self._uses) > MOST_USES:
                self._uses.popitem(last=False)
