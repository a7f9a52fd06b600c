"""The store: the cache's tiers, the keys that are being computed, and which lazy inputs nodes have used."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.in_flight import InFlight
from comfy_nb.engine.cache.marks import Renewed
from comfy_nb.engine.cache.memory import MemoryCache
from comfy_nb.engine.cache.policies import ByCost, ByRun, Nothing
from comfy_nb.engine.cache.tier import Tier
from comfy_nb.errors import UnknownName, warn_each_time
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.wording import name_node

if TYPE_CHECKING:
    from comfy_nb.engine.cache.disk import DiskCache

MOST_USES = 100_000
USES_A_NODE = 8
MOST_REMARKS = 10_000
POLICIES = ("memory", "classic", "none")
# Below this, computing a result again is faster than reading it.
WORTH_DISK_S = 0.005


class Remark(NamedTuple):
    """What a node is warned of for its result; `named` is the node's name, or empty for the one that has the result.

    Where a session is strict, one that tells of a fault is an error.
    """

    named: str
    text: str
    is_fault: bool = False

    def on(self, named: str) -> Remark:
        """Return the remark on a node of this name, if it has none."""
        return self if self.named else self._replace(named=named)


class CachedNode(Protocol):
    """The node whose result is looked up, as far as the cache needs to know it."""

    id: str
    title: str
    spec: NodeSpec


class Store:
    """The results that a session holds: in memory (`cache`), and below it in the `lower` tiers, in this order.

    `remarks` has what nodes were warned of, by the keys of their results.

    Memory is not one of a list: it is asked first for every node, and it alone has a policy, pins and reasons. What a
    lower tier has is put into memory when it is used.
    """

    def __init__(self, budget: int | None = None, disk: DiskCache | None = None) -> None:
        self.cache = MemoryCache(budget)
        self.lower: list[Tier] = []
        self._disk: DiskCache | None = None
        self.disk = disk
        self.in_flight = InFlight()
        self.holds_nothing = False
        self._only_last_prompt = False
        self._held_at_begin: dict[int, int] = {}
        self._uses: OrderedDict[bytes, list[tuple[str, ...]]] = OrderedDict()
        self.remarks: dict[bytes, tuple[Remark, ...]] = {}
        self._lock = threading.Lock()

    @property
    def disk(self) -> DiskCache | None:
        """The disk tier, or None; where it is set, it is the first below memory."""
        return self._disk

    @disk.setter
    def disk(self, disk: DiskCache | None) -> None:
        others = [tier for tier in self.lower if tier is not self._disk]
        self.lower = others if disk is None else [disk, *others]
        self._disk = disk

    def recall(self, key: bytes, node: CachedNode) -> Entry | None:
        """Return what is cached under a key, in any tier."""
        return self.vet(self.cache.get(key), key, node)

    def vet(self, entry: Entry | None, key: bytes, node: CachedNode) -> Entry | None:
        """Return memory's entry for a key if it is still valid, else a lower tier's.

        An entry that was changed in place, whose classes were defined again, or whose files are gone, is dropped.
        """
        if entry is None and not self.lower:
            return None
        if entry is None:
            entry = self._from_lower(key, node)
        elif entry.seal is not None and (what := entry.seal.broken()) is not None:
            self._drop_changed(entry, what, node)
            entry = self._from_lower(key, node)
        if entry is None:
            return None
        still_there = node.spec.still_there
        if still_there is not None and entry.ui is not None and not still_there(entry.ui):
            self.forget(entry, "its file is gone")
            return None
        return entry

    def _drop_changed(self, entry: Entry, what: str, node: CachedNode) -> None:
        entry.is_spoiled = True
        if isinstance(what, Renewed):
            self.forget(entry, what)
            return
        self.forget(entry, "changed in place")
        warn_each_time(
            f"The result of {name_node(entry.node_id, entry.class_type, entry.title)} was changed in place after "
            f"it was computed: {what}. It is computed again. Work on a copy (x.clone()).",
            node.spec.function_code,
        )

    def _from_lower(self, key: bytes, node: CachedNode) -> Entry | None:
        if node.spec.is_output:
            return None
        for tier in self.lower:
            entry = tier.get(key)
            if entry is not None:
                entry.node_id, entry.title = node.id, node.title
                self.cache.put(entry)
                return entry
        return None

    def holds(self, key: bytes, node: CachedNode) -> bool:
        """Whether a key is in memory or in a lower tier; counts as no use of it."""
        return key in self.cache or (not node.spec.is_output and any(key in tier for tier in self.lower))

    def remember(self, entry: Entry) -> None:
        """Keep a result in memory, and in the lower tiers if it is durable and took long enough to compute."""
        self.cache.put(entry)
        if self.goes_below(entry.durable, entry.seconds):
            for tier in self.lower:
                tier.put(entry)

    def goes_below(self, durable: bool, seconds: float) -> bool:
        """Whether a result whose computation took so long is put into the lower tiers."""
        return bool(self.lower) and durable and seconds >= WORTH_DISK_S

    def forget(self, entry: Entry, reason: str) -> None:
        """Drop a result from memory, with the reason that `why` reports.

        Lower tiers keep it: they hold a copy of what was computed, which nothing can change in place.
        """
        self.cache.drop(entry.key, reason)

    def discard(self, key: bytes, reason: str) -> None:
        """Drop a result from every tier, with the reason that `why` reports: its key does not say how it came about."""
        self.cache.drop(key, reason)
        for tier in self.lower:
            tier.drop(key)

    def refuse(self, entry: Entry, reason: str) -> None:
        """Note why a result cannot be kept, for `why`."""
        self.cache.drop(entry.key, reason)
        self.cache.note_gone(entry.key, reason)

    def set_policy(self, policy: str | int) -> None:
        """Set which results are held; raises UnknownName for another word than these.

        "memory": what takes longest to compute, within the budget. "classic": the nodes of the last prompt. "none", or
        0: nothing. A number: that many results, the most recently used ones; those of the last prompt stay in any case.
        """
        if isinstance(policy, str) and policy not in POLICIES:
            raise UnknownName.of("cache policy", policy, [*POLICIES, "a number"])
        self._only_last_prompt = policy == "classic"
        self.holds_nothing = policy in ("none", 0)
        if self.holds_nothing:
            self.cache.policy = Nothing()
        else:
            latest = max(self._held_at_begin, default=0)
            self.cache.policy = ByRun(policy, latest) if isinstance(policy, int) else ByCost()

    def run_began(self, number: int) -> None:
        """Note that a run began, by its number: what it uses is not evicted by a policy that goes by runs."""
        self._held_at_begin[number] = len(self.cache)
        if isinstance(self.cache.policy, ByRun):
            self.cache.policy.run = number

    def run_ended(self, number: int, keys: Iterable[bytes | None]) -> None:
        """Drop what the policy does not hold after a run, whose prompt has these keys.

        That is all else if the policy is "classic"; if it is a number, what only older runs used, so that of what the
        run found in the cache no more than that many results are left.
        """
        if self.disk is not None:
            self.disk.warn()
        oldest = min(self._held_at_begin, default=number)
        held = self._held_at_begin.pop(number, 0)
        policy = self.cache.policy
        if self._only_last_prompt:
            self.cache.keep_only({key for key in keys if key is not None}, "the last prompt does not hold it")
        elif isinstance(policy, ByRun):
            for key in keys:
                entry = self.cache.peek(key) if key is not None else None
                if entry is not None:
                    policy.touch(entry)
            self.cache.evict(held - policy.kept, below=oldest)

    def note_remarks(self, key: bytes, remarks: tuple[Remark, ...]) -> None:
        """Remember what the node of a result was warned of, or that there is nothing."""
        with self._lock:
            self.remarks.pop(key, None)
            if remarks:
                self.remarks[key] = remarks
                if len(self.remarks) > MOST_REMARKS:
                    del self.remarks[next(iter(self.remarks))]

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
