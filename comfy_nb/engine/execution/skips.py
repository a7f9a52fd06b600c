"""Calls that were skipped because blockers reached them: reported when that happens, and when the result is cached.

A blocker's message is part of what came out. The node that it reaches reports it, and passes on a blocker without a
message that remembers by which inputs it came, so that the cached result of a node further below can report it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.cache.skip import Skip
from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.node_api.context import ExecutionBlocker, is_blocker
from comfy_nb.engine.planning.step import Step


class Skips:
    """The skipped calls of one run."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._told: set[str] = set()  # nodes whose messages were reported from the cache
        self._skipping: set[str] = set()  # nodes that have skipped calls in this run

    def add(self, node_run: NodeRun, blockers: Sequence[tuple[str, ExecutionBlocker]]) -> ExecutionBlocker:
        """Note that blockers on these inputs kept a call from being made; returns what takes its result's place."""
        step = node_run.step
        self._skipping.add(step.id)
        inputs = tuple([(name, blocker.skip) for name, blocker in blockers])
        message = blockers[0][1].message
        skip = Skip(node_run.place, inputs, message)
        node_run.skips = (*node_run.skips, skip)
        if message is not None:
            if step.id not in self._told:
                self._state.event_log.node_blocked(step.id, node_run.display_id, step.class_type, message)
            _note_in_parents(node_run, skip)
        passed_on = ExecutionBlocker(None)
        passed_on.skip = skip
        return passed_on

    def repeat(self, node_run: NodeRun, entry: Entry) -> None:
        """Report what a cached or shared result has to say: the messages of the node itself, and of nodes above it."""
        if not entry.is_blocked:
            node_run.blocked_output = blocked_output(entry.outputs)
        if not entry.skips:
            return
        node_run.skips, node_run.is_blocked = entry.skips, entry.is_blocked
        found: dict[str, tuple[Step, list[Skip]]] = {}
        if node_run.step.id not in self._told | self._skipping:
            for step, skip in self._messages(node_run.step, entry.skips):
                found.setdefault(step.id, (step, []))[1].append(skip)
        for step, skips in found.values():
            self._told.add(step.id)
            shown_under = node_run.display_id if step is node_run.step else step.id
            for skip in skips:
                assert skip.message is not None
                class_type = skip.place[-1][1]
                self._state.event_log.node_blocked(_id_below(step, skip), shown_under, class_type, skip.message)
                _note_in_parents(node_run, skip)

    def _messages(self, step: Step, skips: Sequence[Skip]) -> Iterator[tuple[Step, Skip]]:
        """Yield the skips with messages that led to these, each with the node of this run that it, or its place, is."""
        stack = [(step, skip, not _is_own(step, skip)) for skip in reversed(skips)]
        seen: set[tuple[str, int]] = set()
        while stack:
            step, skip, is_inside = stack.pop()
            if (step.id, id(skip)) in seen:
                continue
            seen.add((step.id, id(skip)))
            if skip.message is not None:
                yield step, skip
            for name, above in reversed(skip.inputs):
                if above is None:
                    continue
                source = self._outside(above) if is_inside else self._source(step, name)
                if source is None:  # it happened within the expansion of the same node
                    stack.append((step, above, True))
                elif not self._is_known(source.id):
                    stack.append((source, above, not _is_own(source, above)))

    def _source(self, step: Step, name: str) -> Step | None:
        link = next((link for link in step.links if link.name == name), None)
        return self._state.step(link.origin) if link is not None else None

    def _outside(self, skip: Skip) -> Step | None:
        """Return the node of the graph where a call was skipped; None where that was in an expansion."""
        step = self._state.step(skip.place[0][0])
        return step if step is not None and len(skip.place) == 1 and _is_own(step, skip) else None

    def _is_known(self, node_id: str) -> bool:
        """Whether a node's messages, and those above it, have been reported in this run, or will be when it runs."""
        if node_id in self._told or node_id in self._skipping:
            return True
        node_run = self._state.node_run(node_id)
        return node_run is not None and node_run.state < NodeState.DONE


def blocked_output(outputs: Outputs) -> str:
    """Say that all of what a node gave is blocked, with the first message; nothing where something of it is not."""
    reason = blocked_because(outputs)
    if reason is None:
        return ""
    return f"what it gave is blocked: {reason}" if reason else "what it gave is blocked"


def blocked_because(outputs: Outputs) -> str | None:
    """Return why all of what a node gave is blocked, "" where nothing says so; None where something of it is not."""
    if not (outputs and outputs[0] and is_blocker(outputs[0][0])):
        return None
    blockers = [item for items in outputs for item in items]
    if not all(is_blocker(item) for item in blockers):
        return None
    return next(filter(None, map(_reason_of, blockers)), "")


def _reason_of(blocker: ExecutionBlocker) -> str:
    """Return the message of a blocker, or why a call was skipped that passed it on; nothing where it has neither."""
    if blocker.message is not None or blocker.skip is None:
        return blocker.message or ""
    return blocker.skip.reason


def _is_own(step: Step, skip: Skip) -> bool:
    """Whether it was a node's own call that was skipped, and not one within its expansion."""
    if (step.id, step.class_type) in skip.place:
        return skip.place[-1][0] == step.id
    return skip.place[-1][1] == step.class_type  # of another graph, where it has another id


def _id_below(step: Step, skip: Skip) -> str:
    """Return the id of the node where a call was skipped: a node of this run, or one within its expansion.

    The result may come from another graph, in which the node has another id, and so those that it expands into.
    """
    skipped_id = skip.place[-1][0]
    if (step.id, step.class_type) in skip.place:
        return skipped_id
    outer = next((node_id for node_id, class_type in skip.place if class_type == step.class_type), skipped_id)
    if skipped_id == outer:
        return step.id
    return step.id + skipped_id.removeprefix(outer) if skipped_id.startswith(f"{outer}.") else skipped_id


def _note_in_parents(node_run: NodeRun, skip: Skip) -> None:
    """Note a message of a node of an expansion with the nodes that it stands for, whose results will be cached."""
    for parent in node_run.parents():
        parent.skips = (*parent.skips, skip)
