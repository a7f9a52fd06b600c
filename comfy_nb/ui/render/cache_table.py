"""The table that `nb.cache` is at the end of a cell, as text and as HTML."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape

from comfy_nb.engine.cache.cache_view import CacheView
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.memory import MemoryCache
from comfy_nb.engine.history import History
from comfy_nb.ui.render.html_table import html_table
from comfy_nb.ui.render.labels import NamedNode, distinguish, texts_and_numbers
from comfy_nb.wording import count, format_seconds, format_size, table_lines

ROWS_SHOWN = 20
_HEAD = ("node", "size", "took", "made at", "hits", "where", "")
_RIGHT = {1, 2, 3, 4}


class CacheTable(CacheView):
    """A view of the cache that shows its largest entries, and where each is held.

    `history` has the runs that made them, whose constants tell namesakes apart.
    """

    def __init__(
        self,
        tiers: Callable[[], tuple[MemoryCache, DiskCache | None]],
        history: Callable[[], History] = History,
    ) -> None:
        super().__init__(tiers)
        self._history = history

    def __repr__(self) -> str:
        rows = self._rows()
        table = table_lines([_HEAD, *rows], _RIGHT) if rows else []
        return "\n".join([*self._summary(), *table, *self._rest()])

    def _repr_html_(self) -> str:
        lines = "".join(f"<div>{escape(line)}</div>" for line in self._summary())
        rest = "".join(f"<div>{escape(line)}</div>" for line in self._rest())
        table = html_table(_HEAD, self._rows(), _RIGHT)
        return f"<div style='color:inherit;font-size:90%'>{lines}{table}{rest}</div>"

    def _summary(self) -> list[str]:
        memory, disk = self._tiers()
        held = f"{count(len(memory), 'value')} in memory, {format_size(memory.total)} of {format_size(memory.budget)}"
        apart = [f"{format_size(size)} of it on {device}" for device, size in memory.on_accelerators().items()]
        lines = [", ".join([held, *apart])]
        if disk is not None:
            lines.append(f"{format_size(disk.total)} of {format_size(disk.budget)} on disk in {disk.folder}")
        return lines

    def _shown(self) -> list[Entry]:
        return sorted(self._memory.entries(), key=lambda entry: -entry.size)[:ROWS_SHOWN]

    def _rows(self) -> list[tuple[str, ...]]:
        disk = self._tiers()[1]
        shown = self._shown()
        return [
            (
                name,
                format_size(entry.size),
                format_seconds(entry.seconds),
                time.strftime("%H:%M:%S", time.localtime(entry.made_at)),
                str(entry.hits),
                _where(entry, disk),
                "pinned" if entry.pinned else "",
            )
            for entry, name in zip(shown, self._names(shown), strict=True)
        ]

    def _names(self, entries: list[Entry]) -> list[str]:
        made = self._history().by_key()
        named = [
            NamedNode(
                entry.node_id,
                entry.title or entry.class_type,
                texts_and_numbers(made[entry.key].step.template) if entry.key in made else {},
            )
            for entry in entries
        ]
        labels = [f" {label}" if "=" in label else "" for label in distinguish(named)]
        return [f"{each.name}{label} (node {each.node_id})" for each, label in zip(named, labels, strict=True)]

    def _rest(self) -> list[str]:
        more = len(self._memory) - ROWS_SHOWN
        return [f"... and {more} smaller"] if more > 0 else []


def _where(entry: Entry, disk: DiskCache | None) -> str:
    if disk is None:
        return "memory"
    reason = disk.why_missing(entry)
    return "both" if reason is None else f"memory ({reason})"
