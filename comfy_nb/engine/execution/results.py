"""What a node's turn came to, taken into the run: outputs, lazy inputs that it asks for, or its expansion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.execution.claims import Claims
from comfy_nb.engine.execution.declared_outputs import DeclaredOutputs
from comfy_nb.engine.execution.expansion import Expanded, read_expansion, set_keys
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.pauses import Pausable, Pauses
from comfy_nb.engine.execution.redo import redo_below, replace
from comfy_nb.engine.execution.state import Status
from comfy_nb.engine.execution.turn import Ask, Done, Expand
from comfy_nb.engine.planning.step import Step


class Taker(Pausable, Protocol):
    """The executor, as far as taking results needs it; `ending` is the status that a run is about to end in."""

    claims: Claims
    pauses: Pauses
    ending: Status | None
    is_draining: bool

    def fail_in_turn(self, node_run: NodeRun, error: BaseException) -> None:
        """Let a node fail whose turn this is; called by the owner of the scheduler."""
        ...


class Results:
    """Takes what the nodes of one run came to; called on lanes and on the loop."""

    def __init__(self, executor: Taker, is_strict: bool) -> None:
        self._executor = executor
        self._declared = DeclaredOutputs(executor.lookup.remarks, is_strict)
        self._state = executor.state
        self._lock = executor.lock
        self._lookup = executor.lookup
        self._claims = executor.claims
        self._in_place = executor.lookup.in_place
        self._scheduler = executor.scheduler
        self._breakpoints = executor.pauses.breakpoints
        self._event_log = executor.state.event_log

    def accept(self, node_run: NodeRun, outcome: Ask | Done) -> None:
        """Take a node's outputs, or its wish for lazy inputs."""
        if self._state.stop_as is not None:
            return  # a node that noticed the stop may have returned half of its work
        if isinstance(outcome, Ask):
            self._ask(node_run, outcome.names)
            return
        executor, scheduler = self._executor, self._scheduler
        if node_run.sequence in scheduler.outdated:
            self.call_again(node_run)
            return
        if node_run.step.checked_slots:
            self._declared.check(node_run, outcome.outputs)
        node_run.ui = outcome.ui
        invalidated = self._in_place.after_call(node_run) if node_run.step.links else ()
        self._lookup.keep(node_run, outcome.outputs)
        self._claims.release(node_run, node_run.entry if node_run.key.full is not None else None)
        self._finished(node_run)
        with self._lock:
            if executor.ending is not None:
                return
            if invalidated:
                self._invalidate(invalidated, node_run)
            if self._state.tainted_within:
                self._redo_below(node_run)
            scheduler.finish(node_run, outcome.outputs)
            is_for_loop = not executor.is_draining and (scheduler.has_ready() or scheduler.is_over)
            needs_loop = is_for_loop or scheduler.wants_loop
        if needs_loop:
            executor.wake()

    def settle_inputs(self, node_run: NodeRun) -> None:
        """Have computed again what a call changed in place that came to no result: it asked, expanded or failed."""
        invalidated = self._in_place.after_call(node_run) if node_run.step.links else ()
        with self._lock:
            if invalidated and self._executor.ending is None:
                self._invalidate(invalidated, node_run)

    def _invalidate(self, changed: Sequence[NodeRun], by: NodeRun) -> None:
        self._scheduler.outdated.update(each.sequence for each in self._in_place.users_of(changed, by))
        for above in changed:
            self._scheduler.invalidate(above)

    def take_shared(self, node_run: NodeRun, entry: Entry | None) -> None:
        """Take the result of an equal node that was in flight; without an entry it gave up, so this one is computed."""
        try:
            with self._lock:
                if self._executor.is_over:
                    return
                if entry is None or entry.key not in (node_run.key.own, node_run.key.full):
                    # It gave up, or something ran inside it, which may be something else for this run.
                    self._scheduler.requeue(node_run)
                else:
                    node_run.ui, node_run.source = entry.ui, "shared"
                    node_run.entry = entry
                    self._in_place.handed_on(node_run)
                    if node_run.key.full is None:
                        node_run.key = node_run.key._replace(full=entry.key)
                    self._lookup.skips.repeat(node_run, entry)
                    self._lookup.remarks.found(node_run, entry.key)
                    self._finished(node_run)
                    self._scheduler.finish(node_run, entry.outputs)
        except Exception as error:  # not the other run's fault
            self._executor.fail(node_run, error)
        self._executor.wake()

    def read_expansion(self, node_run: NodeRun, outcome: Expand) -> tuple[dict[str, Step], Expanded, list[Step]]:
        """Return the steps of an expansion, what it stands for, and those steps whose fingerprints are to be taken."""
        steps, expanded = read_expansion(outcome, node_run.step.id, self._scheduler, self._state.graph.registry)
        asked = [step for step in steps.values() if step.spec.fingerprint is not None and step.fingerprint is None]
        return steps, expanded, asked

    def expand(self, node_run: NodeRun, steps: dict[str, Step], expanded: Expanded, outcome: Expand) -> None:
        """Take the steps that a node expanded into, whose fingerprints are there."""
        if node_run.sequence in self._scheduler.outdated:
            self.call_again(node_run)
            return
        self.settle_inputs(node_run)
        set_keys(steps, self._scheduler, self._state.graph.scope.uid, self._state.modes, self._lookup.inside)
        node_run.ui = outcome.ui
        with self._lock:
            if self._executor.ending is not None:
                return
            if self._breakpoints or self._state.is_tainted:
                self._lookup.keyed_late.update(steps)
            self._redo_below(node_run)
            replace(self._scheduler, node_run, steps, self._lookup.keyed_late)
            added = self._scheduler.expand(node_run, steps.values(), expanded)
        self._event_log.node_waits(node_run, f"expanded into {len(steps)} nodes", added)
        self._executor.wake()

    def finish_expansion(self, node_run: NodeRun) -> Outputs | None:
        """Return the outputs of an expansion; None where they do not fit, so that its node fails."""
        try:
            outputs: Outputs = node_run.expansion.outputs(node_run, self._scheduler)
        except Exception as error:
            self._executor.fail_in_turn(node_run, error)
            return None
        for node_id in node_run.expansion.wanted:
            self._in_place.handed_on(self._scheduler.node_runs[node_id])
        self._lookup.keep(node_run, outputs)
        self._finished(node_run)
        return outputs

    def _ask(self, node_run: NodeRun, names: Sequence[str]) -> None:
        self.settle_inputs(node_run)
        with self._lock:
            if self._executor.ending is not None:
                return
            added = self._scheduler.ask(node_run, names)
        self._event_log.node_waits(node_run, "waits for " + ", ".join(names), added)
        self._executor.wake()

    def call_again(self, node_run: NodeRun) -> None:
        """Call a node again that was called with values which others have changed, and so dropped, since."""
        with self._lock:
            if self._executor.ending is not None:
                return
            self._scheduler.outdated.discard(node_run.sequence)
            self._scheduler.requeue(node_run)
        self._executor.wake()

    def _redo_below(self, node_run: NodeRun) -> None:
        """Where a value was replaced in a run of a node's own, let that reach what was taken from the cache below."""
        if node_run.step.id in self._state.tainted_within:
            redo_below(self._scheduler, node_run, self._lookup.keyed_late)

    def _finished(self, node_run: NodeRun) -> None:
        if node_run.step.id not in self._breakpoints:  # else it is reported when the breakpoint is resumed
            self._event_log.node_finished(node_run)
