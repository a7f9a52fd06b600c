"""The nodes of earlier runs, which `why` compares with those of a run."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from itertools import islice

from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.planning.planned import planned
from comfy_nb.engine.why import differences
from comfy_nb.graph.model import Graph

NODE_RUNS_MAX = 10_000
CANDIDATES_MAX = 64


class History:
    """The last run of each node, by graph, and the node runs of recent runs of any graph."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, Mapping[str, NodeRun]]] = deque()
        self._size = 0
        self._lock = threading.Lock()

    def of(self, graph: Graph) -> dict[str, NodeRun]:
        """Return the last run of each node of a graph, by id; it may be changed in place."""
        return planned(graph).histories.setdefault(self, {})

    def record(self, number: int, node_runs: Mapping[str, NodeRun]) -> None:
        """Remember the nodes of run `number`, for `why` of a similar one in another graph."""
        with self._lock:
            self._recent.append((number, node_runs))
            self._size += len(node_runs)
            while self._size > NODE_RUNS_MAX and len(self._recent) > 1:
                self._size -= len(self._recent.popleft()[1])

    def recent(self) -> list[Mapping[str, NodeRun]]:
        """Return the nodes of recent runs, those of the newest run last."""
        with self._lock:
            return [node_runs for _, node_runs in self._recent]

    def by_key(self) -> dict[bytes, NodeRun]:
        """Return the newest node of recent runs under each key."""
        with self._lock:
            recent = list(self._recent)
        return {
            each.key.full: each
            for _, node_runs in recent
            for each in list(node_runs.values())
            if each.key.full is not None
        }

    def nearest(self, node_run: NodeRun, number: int) -> NodeRun | None:
        """Return the most similar node of the runs before `number`: probably the node before its cell was edited.

        Of several that are as similar it is the one with the same id, else a newer one.
        """
        with self._lock:
            recent = list(self._recent)
        earlier = (
            each
            for run_number, node_runs in reversed(recent)
            if run_number < number
            for each in list(node_runs.values())
            if each.step.class_type == node_run.step.class_type and each.state is NodeState.DONE
        )
        candidates = islice(earlier, CANDIDATES_MAX)

        def distance(each: NodeRun) -> tuple[int, bool]:
            return len(differences(each, node_run)), each.step.id != node_run.step.id

        return min(candidates, key=distance, default=None)
