"""The table that `nb.pools` is at the end of a cell, as text and as HTML: who has places, and who waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from comfy_nb.engine.pool import Pool, make_pool
from comfy_nb.engine.pools.pools import Pools, PoolState
from comfy_nb.spec.uses import Uses
from comfy_nb.ui.render.html_table import html_table
from comfy_nb.wording import table_lines

NAMES_SHOWN = 4
_HEAD = ("pool", "in use", "a minute", "held by", "waiting")
_RIGHT = {1, 2}
_NONE = "There are no pools. Make one: nb.pool('gpu', 1)"


class PoolTable:
    """The pools of the session, by name: `nb.pools["gpu"]`."""

    def __init__(self, pools: Callable[[], Pools]) -> None:
        self._pools = pools

    def assign(self, classes: str, uses: Uses) -> None:
        """Let nodes of all classes whose names match use pools: `nb.pools.assign("KSampler*", "gpu")`.

        Runs heed it that begin later. Raises UnknownName for a pool that was not made, GraphError for more places than
        it has, SpecError for what names none.
        """
        self._pools().assign(classes, uses)

    def __getitem__(self, name: str) -> Pool:
        return make_pool(self._pools(), name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._pools())

    def __repr__(self) -> str:
        rows = [_row(state) for state in self._pools().states()]
        return "\n".join(table_lines([_HEAD, *rows], _RIGHT)) if rows else _NONE

    def _repr_html_(self) -> str:
        rows = [_row(state) for state in self._pools().states()]
        return f"<div style='color:inherit;font-size:90%'>{html_table(_HEAD, rows, _RIGHT) or _NONE}</div>"


def _row(state: PoolState) -> tuple[str, ...]:
    size = f"{state.in_use} of {state.size}" if state.size is not None else str(state.in_use)
    minute = str(state.per_minute) if state.per_minute is not None else ""
    name = f"{state.name} (shared)" if state.shared else state.name
    return name, size, minute, _names(state.holding), _names(state.waiting)


def _names(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
