"""How many nodes several runs have between them: one that they share counts once, as a person counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from comfy_nb.engine.execution.node_run import NodeState

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

NODES_MAX = 2_000  # of all runs together: above that, counting them would hold up what it counts

ComputedKey = tuple[bytes, bool]


class SharedNodes:
    """Knows the nodes of the runs of a cell by their cache keys."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def repeated(self, runs: Sequence[Run]) -> int:
        """Return how many nodes these runs had from the cache that other ones of them, or earlier ones, have too."""
        return len(self._added(runs)[1])

    def add(self, runs: Sequence[Run]) -> int:
        """Return the same of runs that are over, and remember their nodes."""
        added, repeated = self._added(runs)
        self._known |= added
        return len(repeated)

    def _added(self, runs: Sequence[Run]) -> tuple[set[bytes], list[bytes]]:
        if len(self._known) + sum(len(run.needed) for run in runs) > NODES_MAX:
            return set(), []
        found = [each for run in runs for each in _keys(run)]
        added = {key for key, is_computed in found if is_computed}
        repeated = []
        for key, is_computed in found:
            if key in added or key in self._known:
                repeated += [key] * (not is_computed)
            else:
                added.add(key)
        return added, repeated


def _keys(run: Run) -> Iterator[ComputedKey]:
    """Yield the key of each node that has its value, and whether this run computed it."""
    for node_id in run.needed:
        node_run = run.node_run(node_id)
        key = (node_run or run.plan.steps[node_id]).key.full
        if key is not None and (node_run is None or node_run.state is NodeState.DONE):
            yield key, node_run is not None and node_run.source in ("ran", "replaced")
