"""Outputs that are not what their node declares: told as the node ends, with the expression that converts them.

Only a person's own nodes are checked: packs return what they like, and ComfyUI lets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.remarks import Remarks
from comfy_nb.engine.node_api.context import is_blocker
from comfy_nb.errors import LayoutError
from comfy_nb.graph.node import is_handle
from comfy_nb.spec.output_faults import output_fault


class DeclaredOutputs:
    """Checks what the nodes of one run return; where it `is_strict`, a node fails that returned something else."""

    def __init__(self, remarks: Remarks, is_strict: bool) -> None:
        self._remarks = remarks
        self._is_strict = is_strict

    def check(self, node_run: NodeRun, outputs: Outputs) -> None:
        """Warn of outputs of another type or layout, or raise LayoutError."""
        for slot, kind in node_run.step.checked_slots:
            values = outputs[slot] if slot < len(outputs) else ()
            if kind is None or len(values) != 1 or type(values[0]) is not kind:
                self._look_at(node_run, slot, values, kind)

    def _look_at(self, node_run: NodeRun, slot: int, values: Sequence[Any], kind: type | None) -> None:
        """Look at each item of a list if it is of a plain type; of another one the first stands for all."""
        if kind is None:
            values = values[:1]
        elif all(type(value) is kind for value in values):
            return
        spec = node_run.step.spec
        for number, value in enumerate(values):
            is_a_value = not is_blocker(value) and not is_handle(value)
            fault = output_fault(value, spec.return_types[slot]) if is_a_value else ""
            if fault:
                item = f", item {number}" if len(values) > 1 else ""
                self._tell(node_run, f"output {spec.output_name(slot)}{item}: {fault}")
                return

    def _tell(self, node_run: NodeRun, message: str) -> None:
        if self._is_strict:
            raise LayoutError(message)
        self._remarks.add(node_run, message, is_fault=True)
