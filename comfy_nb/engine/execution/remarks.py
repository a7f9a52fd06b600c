"""What nodes are warned of for what they returned or asked for: said in the run, and again where the result is cached.

The store has it by the keys of the results, so that it is said too where only a node further below is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator

from comfy_nb.engine.cache.store import Remark, Store
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.planning.step import Step
from comfy_nb.errors import warn_each_time


class Remarks:
    """The remarks on the nodes of one run; each is said once in it."""

    def __init__(self, state: RunState, store: Store) -> None:
        self._state = state
        self._store = store
        self._dropped: set[bytes] = set()

    def add(self, node_run: NodeRun, text: str, is_fault: bool = False) -> None:
        """Warn of something that a node does, where it does it: in a notebook that is in its row."""
        remark = Remark("", text, is_fault)
        self._say(remark.on(node_run.step.named), node_run.step)
        _note(node_run, remark)
        _note_in_parents(node_run, remark.on(node_run.step.named))

    def drop_faulty(self) -> set[str]:
        """Drop the results that were taken with a fault, and return which nodes of the graph had such ones."""
        faulty = self._dropped = {
            key for key, told in list(self._store.remarks.items()) if any(remark.is_fault for remark in told)
        }
        for key in faulty:
            self._store.discard(key, "its result was kept with a warning, which is an error under strict=True")
        return {step.id for step in self._state.plan.order if step.key.full in faulty} if faulty else set()

    def keep(self, node_run: NodeRun, key: bytes) -> None:
        """Note the remarks on a node with its result, which is cached under a key."""
        if node_run.remarks or self._store.remarks:
            self._store.note_remarks(key, node_run.remarks)

    def found(self, node_run: NodeRun, key: bytes) -> None:
        """Take over the remarks on a node of an expansion whose result was cached, for the nodes that it stands for."""
        if self._store.remarks and node_run.parent is not None:
            for remark in self._store.remarks.get(key, ()):
                _note_in_parents(node_run, remark.on(node_run.step.named))

    def repeat(self) -> None:
        """At the end of a run, say what has not been said because results came from the cache."""
        if not self._store.remarks:
            return
        for step, key in self._needed():
            for remark in self._store.remarks.get(key, ()):
                self._say(remark.on(step.named), step)

    def _needed(self) -> Iterator[tuple[Step, bytes]]:
        """Yield the nodes of the graph that the run needs or would have, and those of expansions, with their keys."""
        plan, scheduler = self._state.plan, self._state.scheduler
        assert scheduler is not None
        needed = plan.above(self._state.wanted)
        for step in [*(step for step in plan.order if step.id in needed), *scheduler.added.values()]:
            key = (scheduler.node_runs.get(step.id) or step).key.full
            if key is not None and key not in self._dropped:
                yield step, key

    def _say(self, remark: Remark, step: Step) -> None:
        message = f"{remark.named}: {remark.text}"
        if message not in self._state.warned:
            self._state.warned.add(message)
            warn_each_time(message, step.spec.function_code)


def _note(node_run: NodeRun, remark: Remark) -> None:
    if remark not in node_run.remarks:
        node_run.remarks = (*node_run.remarks, remark)


def _note_in_parents(node_run: NodeRun, remark: Remark) -> None:
    for parent in node_run.parents():
        _note(parent, remark)
