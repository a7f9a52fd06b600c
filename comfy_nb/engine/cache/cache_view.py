"""`nb.cache`: the tiers of the cache, to be looked at and changed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.memory import MemoryCache
from comfy_nb.wording import parse_size


@runtime_checkable
class HasKeys(Protocol):
    """Something whose cached values can be named: a handle, a node, a run."""

    def cache_keys(self) -> list[bytes]:
        """Return the keys of its values."""


What = Entry | bytes | str | HasKeys


class CacheView:
    """The cached results, to iterate over and to change (`ui/render/cache_table.py` shows them).

    `drop`, `pin` and `unpin` take an entry, a key, the name of a node class, or anything with `cache_keys()`
    (a handle, node or run), and return how many entries that were.
    """

    def __init__(self, tiers: Callable[[], tuple[MemoryCache, DiskCache | None]]) -> None:
        self._tiers = tiers

    @property
    def total(self) -> int:
        """The bytes held in memory."""
        return self._memory.total

    @property
    def budget(self) -> int:
        """The bytes that may be held in memory; set it to a number or a text such as "2 GB"."""
        return self._memory.budget

    @budget.setter
    def budget(self, budget: int | float | str) -> None:
        self._memory.budget = parse_size(budget)

    def drop(self, what: What) -> int:
        """Remove values from memory and from disk; they are computed again when needed."""
        memory, disk = self._tiers()
        keys = self._keys(what)
        dropped = {key for key in keys if memory.drop(key)}
        if disk is not None:
            dropped |= {key for key in keys if disk.drop(key)}
            if isinstance(what, str):
                return len(dropped) + disk.drop_class(what)
        return len(dropped)

    def pin(self, what: What) -> int:
        """Keep values in memory regardless of the budget."""
        return sum(self._memory.pin(key) for key in self._keys(what))

    def unpin(self, what: What) -> int:
        """Let values be evicted again."""
        return sum(self._memory.pin(key, False) for key in self._keys(what))

    def clear(self, disk: bool = False) -> int:
        """Remove all values from memory that are not pinned, and with `disk` all values on disk too."""
        memory, stored = self._tiers()
        gone = memory.clear()
        return gone + stored.clear() if disk and stored is not None else gone

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._memory.entries())

    def __len__(self) -> int:
        return len(self._memory)

    def __bool__(self) -> bool:
        return True

    def __contains__(self, what: What) -> bool:
        return any(key in self._memory for key in self._keys(what))

    @property
    def _memory(self) -> MemoryCache:
        return self._tiers()[0]

    def _keys(self, what: What) -> list[bytes]:
        if isinstance(what, Entry):
            return [what.key]
        if isinstance(what, bytes):
            return [what]
        if isinstance(what, str):
            return [entry.key for entry in self._memory.entries() if entry.class_type == what]
        if isinstance(what, HasKeys):
            return list(what.cache_keys())
        raise TypeError(
            f"nb.cache does not know which values a {type(what).__name__} stands for. "
            'Pass an entry of nb.cache, a handle, or the name of a node class such as "ImageBlur".'
        )
