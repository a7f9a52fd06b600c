"""Inputs that were changed in place: looked at before and after each node's call.

What a node does that reaches nothing but torch shows at a glance (see `cache.glance`). Other code may write to a tensor
in ways that only its content tells, and may keep it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.cache.glance import is_bare, lie_alone
from comfy_nb.engine.cache.marks import Renewed
from comfy_nb.engine.cache.seal import Seal, seal, seal_at_a_glance
from comfy_nb.engine.cache.store import Store
from comfy_nb.engine.execution.node_run import NodeRun, NodeState, Taken
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.planning.keys import head_of
from comfy_nb.engine.planning.step import LANE
from comfy_nb.errors import warn_each_time
from comfy_nb.spec.digest import is_plain

_NOTHING = Taken([], [])


class InPlace:
    """What the nodes of one run do to their inputs.

    `doubtful` has the sequences of the nodes that may have been called with what was changed meanwhile, `glanced_at`
    the nodes of whose constants only the versions were compared after their calls.
    """

    scheduler: Scheduler

    def __init__(self, state: RunState, store: Store) -> None:
        self.glanced_at: list[NodeRun] = []
        self._state = state
        self._store = store
        self.doubtful: set[int] = set()
        self._has_glanced = False
        modes = state.modes.torch
        self._is_seen = bool(modes.function_modes or modes.dispatch_modes)  # these are handed all tensors

    # Before the call ---------------------------------------------------------------------------------------------

    def before_call(self, node_run: NodeRun) -> None:
        """Make sure that what a node does to its inputs can be told afterwards."""
        if node_run.step.writes_by_torch and not self._is_seen:
            node_run.taken = self._take(node_run)
        if node_run.taken is None and self._has_glanced:
            self._complete_inputs(node_run)

    def failed(self, node_run: NodeRun) -> None:
        """Take it that the person gets hold of a node's inputs: its error has them."""
        node_run.taken = None
        self._complete_inputs(node_run)

    def handed_on(self, node_run: NodeRun) -> None:
        """Take it that others than the nodes below get hold of a result: another run, the node around it."""
        if node_run.entry is not None:
            node_run.entry.complete()

    def _complete_inputs(self, node_run: NodeRun) -> None:
        """Read the content of those of a node's inputs that were sealed at a glance."""
        for above in self._above(node_run):
            if above.entry is not None:
                above.entry.complete()

    def _take(self, node_run: NodeRun) -> Taken | None:
        """Return the tensors that a node takes; None where it takes anything besides but plain values."""
        step, node_runs = node_run.step, self.scheduler.node_runs
        constants = [] if step.head.fixed else [value for value in step.template.values() if not is_plain(value)]
        tensors = list(constants)
        for _, origin, slot, _, _ in step.links:
            outputs = node_runs[origin].outputs or ()
            for value in outputs[slot] if slot < len(outputs) else ():
                if not is_plain(value):
                    tensors.append(value)
        if not tensors:
            return _NOTHING
        if not all(map(is_bare, tensors)):
            return None
        return Taken(tensors, [(value, value._version) for value in constants])

    def _above(self, node_run: NodeRun) -> Iterator[NodeRun]:
        node_runs = self.scheduler.node_runs
        for link in node_run.step.links:
            above = node_runs.get(link.origin)
            if above is not None and not link.raw:
                yield above

    # After the call ----------------------------------------------------------------------------------------------

    def after_call(self, node_run: NodeRun) -> Sequence[NodeRun]:
        """Return the nodes whose outputs this node has just changed in place, after a warning; the cache drops them.

        Where somebody else may have changed an input while the node ran, its own result is not cached either: that is
        so for nodes that others run beside. One that has its lane to itself is taken to have made the change.
        """
        changed: list[NodeRun] = []
        node_runs = self.scheduler.node_runs
        for link in node_run.step.links:
            above = node_runs.get(link.origin)
            entry = above.entry if above is not None else None
            if above is None or entry is None or entry.seal is None or link.raw:
                continue
            if entry.is_spoiled:
                self.doubtful.add(node_run.sequence)
                continue
            is_glanced_at = node_run.taken is not None and not self._is_written_beside(node_run)
            what = entry.seal.touched() if is_glanced_at else entry.seal.broken()
            if what is not None and not isinstance(what, Renewed):
                changed += self._spoil(entry, node_run)
                warn_each_time(
                    f"{node_run.step.named} changed its input {link.name!r} in place: {what}. The result of "
                    f"{above.step.named} will be computed again where it is needed. Work on a copy (x.clone()).",
                    node_run.step.spec.function_code,
                )
        if changed:
            changed += self._others_changed(node_run)
        if changed and (node_run.step.where != LANE or self.users_of(changed, node_run)):
            self.doubtful.add(node_run.sequence)
        return changed

    def _others_changed(self, by: NodeRun) -> list[NodeRun]:
        """Return the nodes whose outputs lie in memory that a node wrote to by way of another result; warn of them."""
        changed: list[NodeRun] = []
        for each in list(self.scheduler.node_runs.values()):
            entry = each.entry
            if each is by or entry is None or entry.is_spoiled or entry.seal is None:
                continue
            what = entry.seal.broken()
            if what is not None and not isinstance(what, Renewed):
                changed += self._spoil(entry, by)
                warn_each_time(
                    f"{by.step.named} changed the result of {each.step.named} in place, by way of its own input: "
                    f"{what}. It will be computed again where it is needed. Work on a copy (x.clone()).",
                    by.step.spec.function_code,
                )
        return changed

    def _is_written_beside(self, node_run: NodeRun) -> bool:
        """Whether a node that may write in other ways than by torch runs just now with the same inputs."""
        if self.scheduler.running <= 1:
            return False
        above = list(self._above(node_run))
        return any(each.taken is None for each in self.users_of(above, node_run))

    def _spoil(self, entry: Entry, by: NodeRun) -> list[NodeRun]:
        entry.is_spoiled = True
        self._store.forget(entry, f"changed in place by {by.step.named}")
        return [each for each in list(self.scheduler.node_runs.values()) if each.entry is entry]

    def users_of(self, changed: Sequence[NodeRun], besides: NodeRun) -> list[NodeRun]:
        """Return the other nodes that run just now with what these nodes gave."""
        ids = {each.step.id for each in changed}
        running = [each for each in list(self.scheduler.node_runs.values()) if each.state is NodeState.RUNNING]
        return [each for each in running if each is not besides and ids & each.sources()]

    def compare_constants(self, node_run: NodeRun) -> None:
        """Cache nothing more where a constant is not any more what the key of its node says."""
        step = node_run.step
        if not step.head.reusable or self._state.is_tainted:
            return
        taken = node_run.taken
        if taken is not None and all(value._version == version for value, version in taken.constants):
            self.glanced_at.append(node_run)
        elif not head_of(step, self._state.plan.uid).continues(step.head):
            self._state.taint()
            warn_each_time(
                f"A constant of {step.named} was changed while the run went on. What the run computes from here on is "
                "not cached. Work on a copy.",
                step.spec.function_code,
            )

    def seal(self, node_run: NodeRun, outputs: Outputs, durable: bool) -> Seal | None:
        """Seal outputs that are not plain: at a glance as long as nobody but the engine has a hold on them."""
        taken = node_run.taken
        if taken is None:
            return seal(outputs, node_run.step.spec.watches)
        if not lie_alone(outputs, taken.tensors):
            self._complete_inputs(node_run)
        elif not self._is_handed_out(node_run, durable):
            self._has_glanced = True
            return seal_at_a_glance(outputs)
        return seal(outputs, node_run.step.spec.watches)

    def _is_handed_out(self, node_run: NodeRun, durable: bool) -> bool:
        """Whether a result is given to a person, or to another thread that writes it to a file."""
        is_for_a_person = node_run.step.id in self.scheduler.retained or bool(self.scheduler.breakpoints)
        return is_for_a_person or self._store.goes_below(durable, node_run.seconds)

    def drop_if_changed(self, node_run: NodeRun) -> bool:
        """Drop a node's result from the cache if it was changed in place at a breakpoint; False where it was not."""
        entry = node_run.entry
        if entry is None or entry.seal is None or entry.seal.broken() is None:
            return False
        self._store.forget(entry, "changed in place at a breakpoint")
        return True
