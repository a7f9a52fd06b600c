"""What a node's turn takes from its run: other nodes' outputs, hidden inputs, objects and contexts."""

from __future__ import annotations

from typing import Any

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.cache.store import Store
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.remarks import Remarks
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.execution.skips import Skips
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.node_api.context import CallContext


class TurnServices:
    """The `turn.CallServices` of one run."""

    def __init__(self, state: RunState, scheduler: Scheduler, store: Store, skips: Skips, remarks: Remarks) -> None:
        self.scheduler = scheduler
        self.skipped = skips.add
        self.warn = remarks.add
        self._store = store
        self._state = state

    def outputs_of(self, node_id: str) -> Outputs:
        """Return the outputs of another node; none where it has not run."""
        node_run = self.scheduler.node_runs.get(node_id)
        return (node_run.outputs if node_run is not None else None) or ()

    def hidden(self, node_run: NodeRun, kind: Any) -> Any:
        """Return the value of a hidden input."""
        return self._state.hidden_inputs.value(node_run.step, kind)

    def object_of(self, node_run: NodeRun) -> Any:
        """Return the object that a node's methods are called on: one per node id and class of the graph.

        It is a new one where the code of the class counts as another, for what it keeps is of the old one, and each
        time where the cache holds nothing, as in ComfyUI.
        """
        step = node_run.step
        make = step.spec.make_object
        if make is None:
            return None
        if self._store.holds_nothing:
            return make()
        objects = self._state.graph.scope.objects
        name = (step.id, step.class_type)
        found, made_by = objects.get(name, (None, step.code))
        if type(found) is not make or (
            made_by is not step.code and step.code.reusable and not step.code.continues(made_by)
        ):
            found = make()
            objects[name] = found, step.code
        return found

    def context(self, node_run: NodeRun, index: int, calls: int) -> CallContext:
        """Return the context of one call."""
        return CallContext(self._state, node_run.step.id, index, calls)
