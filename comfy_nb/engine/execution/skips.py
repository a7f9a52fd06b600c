"""Calls that were skipped because blockers reached them: reported when that happens, and when the result is cached.

A blocker's message is part of what came out. The node that it reaches reports it, and passes on a blocker without a
message that remembers by which inputs it came, so that the cached result of a node further below can report it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.skip import Skip
from comfy_nb.engine.execution.node_run import NOT_SCHEDULED, NodeRun, NodeState
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.node_api.context import ExecutionBlocker
from comfy_nb.engine.planning.step import Step


class Skips:
    """The skipped calls of one run."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._told: set[str] = set()  # nodes whose messages were reported from the cache
        self._skipping: set[str] = set()  # nodes that have skipped calls in this run

    def add(self, node_run: NodeRun, blockers: Sequence[tuple[str, ExecutionBlocker]]) -> ExecutionBlocker:
        """Note that blockers on these inputs kept a call from being made; returns what takes its result's place."""
        self._skipping.add(node_run.step.id)
        inputs = tuple([(name, blocker.skip) for name, blocker in blockers])
        message = blockers[0][1].message
        skip = Skip(node_run.step.class_type, inputs, message)
        node_run.skips = (*node_run.skips, skip)
        if message is not None:
            if node_run.step.id not in self._told:
                self._state.event_log.node_blocked(node_run, message)
            _note_in_parents(node_run, message)
        passed_on = ExecutionBlocker(None)
        passed_on.skip = skip
        return passed_on

    def repeat(self, node_run: NodeRun, entry: Entry) -> None:
        """Report what a cached or shared result has to say: the messages of the node itself, and of nodes above it."""
        node_run.skips, node_run.is_blocked = entry.skips, entry.is_blocked
        found: dict[str, tuple[Step, list[str]]] = {}
        if node_run.step.id not in self._told | self._skipping:
            for step, message in self._messages(node_run.step, entry.skips):
                found.setdefault(step.id, (step, []))[1].append(message)
        for step, messages in found.values():
            self._told.add(step.id)
            shown = node_run if step is node_run.step else NodeRun(step, NOT_SCHEDULED)
            for message in messages:
                self._state.event_log.node_blocked(shown, message)
                _note_in_parents(node_run, message)

    def _messages(self, step: Step, skips: Sequence[Skip]) -> Iterator[tuple[Step, str]]:
        """Yield the messages that led to these skips, each with the node of this run that it reached."""
        stack = [(step, skip) for skip in reversed(skips)]
        seen: set[tuple[str, int]] = set()
        while stack:
            step, skip = stack.pop()
            if (step.id, id(skip)) in seen:
                continue
            seen.add((step.id, id(skip)))
            if skip.message is not None:
                yield step, skip.message
            for name, above in reversed(skip.inputs):
                source = self._source(step, name)
                if above is None or (source is not None and self._is_known(source.id)):
                    continue
                if source is not None and source.class_type == above.class_type:
                    stack.append((source, above))
                elif above.root is not None:  # it happened within the expansion of the source
                    yield source or step, above.root

    def _source(self, step: Step, name: str) -> Step | None:
        link = next((link for link in step.links if link.name == name), None)
        return self._state.step(link.origin) if link is not None else None

    def _is_known(self, node_id: str) -> bool:
        """Whether a node's messages, and those above it, have been reported in this run, or will be when it runs."""
        if node_id in self._told or node_id in self._skipping:
            return True
        node_run = self._state.node_run(node_id)
        return node_run is not None and node_run.state < NodeState.DONE


def _note_in_parents(node_run: NodeRun, message: str) -> None:
    """Note a message of a node of an expansion with the nodes that it stands for, whose results will be cached."""
    for parent in node_run.parents():
        parent.skips = (*parent.skips, Skip(parent.step.class_type, (), message))
