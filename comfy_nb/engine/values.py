"""The values of a run's nodes, as it hands them out: those it holds, and those that the cache has for its keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.cache.store import Store
from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.planning.step import Step
from comfy_nb.engine.provenance import Provenance, ProvenanceIndex
from comfy_nb.engine.run_task import RunTask
from comfy_nb.engine.why import why_unfinished
from comfy_nb.errors import NotKept
from comfy_nb.graph.names_of_nodes import unknown_node


class Values:
    """The values of one run. `why(node_id)` says why a node ran, or nothing where the run is gone."""

    def __init__(self, task: RunTask, store: Store, index: ProvenanceIndex, why: Callable[[str], str]) -> None:
        self._task = task
        self._state = task.state
        self._store = store
        self._index = index
        self._why = why
        self._held: dict[str, Outputs | None] = {}

    def hold(self, node_id: str, outputs: Outputs | None) -> None:
        """Hold what a wanted node gave, for as long as the run is held."""
        self._held[node_id] = outputs

    def outputs(self, node_id: str) -> Outputs:
        """Return a node's output slots, each a list; raises UnknownName, or NotKept from the run's error."""
        node_run, plan = self._state.node_run(node_id), self._state.plan
        there = self._there(node_id, node_run)
        if there is not None:
            return there
        step = node_run.step if node_run is not None else plan.steps.get(node_id)
        if step is None:
            raise unknown_node(node_id, plan.steps, "in the run's graph")
        key = self._key(step, node_run)
        entry = self._store.recall(key, step) if key is not None else None
        if entry is not None:
            return entry.outputs
        if node_run is not None and node_run.state is not NodeState.DONE:
            raise NotKept(f"{step.named} {why_unfinished(node_run, self._state)}.") from self._task.error
        raise NotKept(
            f"The result of {step.named} is not held any more. Run again with outputs=[{node_id!r}] to have it."
        )

    def has(self, node_id: str) -> bool:
        """Whether a node of the graph has a value that the run can give."""
        step = self._state.plan.steps.get(node_id)
        if step is None:
            return False
        node_run = self._state.node_run(node_id)
        if self._there(node_id, node_run) is not None:
            return True
        key = self._key(step, node_run)
        return key is not None and self._store.holds(key, step)

    def value(self, node_id: str, slot: int | None) -> Any:
        """Return the value of one slot of a node, of its only output, or a tuple of all outputs."""
        outputs, step = self.outputs(node_id), self._step(node_id)
        if slot is None:
            if not step.spec.return_types and not outputs:
                return self._state.event_log.ui.get(node_id)
            if len(outputs) != 1:
                return tuple(self._handed_out(step, index, items) for index, items in enumerate(outputs))
            slot = 0
        if not -len(outputs) <= slot < len(outputs):
            raise NotKept(f"{step.named} returned {len(outputs)} values, so there is no output {slot}.")
        return self._handed_out(step, slot % len(outputs), outputs[slot])

    def provenance(self, node_id: str, slot: int) -> Provenance:
        """Return where the value of a node's output slot came from, as far as the run knows."""
        node_run, step = self._state.node_run(node_id), self._step(node_id)
        seconds, source = (node_run.seconds, node_run.source) if node_run is not None else (0.0, "memory")
        socket = step.spec.socket_of(slot)
        return Provenance(node_id, slot, socket, step.named, seconds, source, partial(self._why, node_id))

    def _handed_out(self, step: Step, slot: int, items: list[Any]) -> Any:
        value = _plain(step.spec.output_is_list, slot, items)
        self._index.record(value, partial(self.provenance, step.id, slot))
        return value

    def _step(self, node_id: str) -> Step:
        node_run = self._state.node_run(node_id)
        return node_run.step if node_run is not None else self._state.plan.steps[node_id]

    def _there(self, node_id: str, node_run: NodeRun | None) -> Outputs | None:
        """Return the outputs that the run itself has of a node: held, or in use while it goes on."""
        held = self._held.get(node_id)
        if held is not None or node_run is None:
            return held
        if node_run.entry is not None:
            node_run.entry.complete()
        return node_run.outputs

    def _key(self, step: Step, node_run: NodeRun | None) -> bytes | None:
        """Return the key of a node in this run; a plan that was given other keys since has those of a later run."""
        if node_run is not None:
            return node_run.key.full
        return step.key.full if self._state.plan.revision == self._state.revision else None


def _plain(whole: Sequence[bool], slot: int, items: list[Any]) -> Any:
    is_list = slot < len(whole) and whole[slot]
    return items[0] if len(items) == 1 and not is_list else list(items)
