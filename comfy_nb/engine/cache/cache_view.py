"""`nb.cache`: the tiers of the cache, to be looked at and changed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import Any, Protocol, runtime_checkable

from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.memory import MemoryCache
from comfy_nb.wording import count, format_seconds, format_size, parse_size

ROWS_SHOWN = 20
_HEAD = ("node", "size", "took", "hits", "where", "")
_RIGHT = {1, 2, 3}


@runtime_checkable
class HasKeys(Protocol):
    """Something whose cached values can be named: a handle, a node, a run."""

    def cache_keys(self) -> list[bytes]:
        """Return the keys of its values."""


What = Entry | bytes | str | HasKeys


class CacheView:
    """The cached results: iterate over the entries, or leave it at the end of a cell to see them as a table.

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

    def __repr__(self) -> str:
        rows = [_HEAD, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        lines = [
            "  ".join(
                cell.rjust(width) if column in _RIGHT else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        table = lines if len(rows) > 1 else []
        return "\n".join([*self._summary(), *table, *self._rest()])

    def _repr_html_(self) -> str:
        head = "".join(_cell("th", column, name) for column, name in enumerate(_HEAD))
        body = "".join(
            "<tr>" + "".join(_cell("td", column, cell) for column, cell in enumerate(row)) + "</tr>"
            for row in self._rows()
        )
        lines = "".join(f"<div>{escape(line)}</div>" for line in self._summary())
        rest = "".join(f"<div>{escape(line)}</div>" for line in self._rest())
        table = f"<table style='border-collapse:collapse'><tr>{head}</tr>{body}</table>" if body else ""
        return f"<div style='color:inherit;font-size:90%'>{lines}{table}{rest}</div>"

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

    def _summary(self) -> list[str]:
        memory, disk = self._tiers()
        lines = [
            f"{count(len(memory), 'value')} in memory, {format_size(memory.total)} of {format_size(memory.budget)}"
        ]
        if disk is not None:
            lines.append(f"{format_size(disk.total)} of {format_size(disk.budget)} on disk in {disk.folder}")
        return lines

    def _shown(self) -> list[Entry]:
        return sorted(self._memory.entries(), key=lambda entry: -entry.size)[:ROWS_SHOWN]

    def _rows(self) -> list[tuple[str, ...]]:
        disk = self._tiers()[1]
        return [
            (
                f"{entry.title or entry.class_type} (node {entry.node_id})",
                format_size(entry.size),
                format_seconds(entry.seconds),
                str(entry.hits),
                _where(entry, disk),
                "pinned" if entry.pinned else "",
            )
            for entry in self._shown()
        ]

    def _rest(self) -> list[str]:
        more = len(self._memory) - ROWS_SHOWN
        return [f"... and {more} smaller"] if more > 0 else []


def _where(entry: Entry, disk: DiskCache | None) -> str:
    if disk is None:
        return "memory"
    reason = disk.why_missing(entry)
    return "both" if reason is None else f"memory ({reason})"


def _cell(tag: str, column: int, text: Any) -> str:
    side = "right" if column in _RIGHT else "left"
    return f"<{tag} style='text-align:{side};padding:0.1em 0.8em;background:none'>{escape(str(text))}</{tag}>"
