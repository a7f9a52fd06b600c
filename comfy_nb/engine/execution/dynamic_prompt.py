"""The prompt of a run as nodes see it: as it was submitted, or with the nodes that expansions added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.planning.plan import Plan
from comfy_nb.engine.planning.prompts import entry_of
from comfy_nb.engine.planning.step import Step


class DynamicPrompt:
    """The live prompt (hidden input DYNPROMPT): nodes of the graph and its expansions. Method names are ComfyUI's."""

    def __init__(self, plan: Plan, prompt: Mapping[str, Any], scheduler: Scheduler | None) -> None:
        self._plan = plan
        self._prompt = prompt
        self._scheduler = scheduler

    def get_node(self, node_id: str) -> dict[str, Any]:
        """Return a node's entry; raises KeyError where there is none."""
        step = self._step(node_id)
        if step is None:
            raise KeyError(f"There is no node {node_id!r} in the prompt.")
        return entry_of(step)

    def has_node(self, node_id: str) -> bool:
        """Whether there is such a node."""
        return self._step(node_id) is not None

    def get_original_prompt(self) -> Mapping[str, Any]:
        """Return the prompt as it was submitted."""
        return self._prompt

    def get_parent_node_id(self, node_id: str) -> str | None:
        """Return the node that expanded into this one, or None."""
        node_run = self._node_run(node_id)
        return node_run.parent.step.id if node_run is not None and node_run.parent is not None else None

    def get_real_node_id(self, node_id: str) -> str:
        """Return the node of the submitted prompt that this one was expanded from, or itself."""
        while (parent := self.get_parent_node_id(node_id)) is not None:
            node_id = parent
        return node_id

    def get_display_node_id(self, node_id: str) -> str:
        """Return the node that this one is shown under."""
        node_run = self._node_run(node_id)
        return node_run.display_id if node_run is not None else node_id

    def all_node_ids(self) -> set[str]:
        """Return the ids of all nodes."""
        return {*self._plan.steps, *(self._scheduler.added if self._scheduler is not None else ())}

    def _step(self, node_id: str) -> Step | None:
        return self._scheduler.step(node_id) if self._scheduler is not None else self._plan.steps.get(node_id)

    def _node_run(self, node_id: str) -> NodeRun | None:
        return self._scheduler.node_runs.get(node_id) if self._scheduler is not None else None
