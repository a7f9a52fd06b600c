"""Outputs without the layout that their node declares: told as the node ends, with the expression that converts them.

Only a person's own nodes are checked: packs return what they like, and ComfyUI lets them.
"""

from __future__ import annotations

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.remarks import Remarks
from comfy_nb.errors import LayoutError
from comfy_nb.spec.output_layouts import output_fault


class DeclaredOutputs:
    """Checks what the nodes of one run return; where it `is_strict`, a node fails that returned another layout."""

    def __init__(self, remarks: Remarks, is_strict: bool) -> None:
        self._remarks = remarks
        self._is_strict = is_strict

    def check(self, node_run: NodeRun, outputs: Outputs) -> None:
        """Warn of outputs of another layout, or raise LayoutError; of a list the first item stands for all."""
        spec = node_run.step.spec
        for slot in node_run.step.checked_slots:
            values = outputs[slot] if slot < len(outputs) else []
            fault = output_fault(values[0], spec.return_types[slot]) if values else ""
            if not fault:
                continue
            message = f"output {spec.output_name(slot)}: {fault}"
            if self._is_strict:
                raise LayoutError(message)
            self._remarks.add(node_run, message, is_fault=True)
