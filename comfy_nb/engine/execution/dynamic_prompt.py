"""The prompt of a run as nodes see it: what was submitted, and what it has become by expansions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_nb.engine.execution.event_log import shown_under
from comfy_nb.engine.planning.step import Step

if TYPE_CHECKING:
    from comfy_nb.engine.planning.plan import Plan
    from comfy_nb.engine.run import Run


def prompt_of(plan: Plan) -> dict[str, Any]:
    """Return the prompt of a plan: converted values, links where they end."""
    return {step.id: entry_of(step) for step in plan.steps.values()}


def entry_of(step: Step) -> dict[str, Any]:
    """Return one node as a prompt has it."""
    inputs = dict(step.template)
    for link in step.links:
        inputs[link.name] = [link.origin, link.slot]
    extras = {name: value for name, value in (step.extras or {}).items() if name != "fresh"}
    entry = {**extras, "class_type": step.class_type, "inputs": inputs}
    if step.fingerprint is not None:
        entry["is_changed"] = step.fingerprint
    return entry


class DynamicPrompt:
    """The live prompt (hidden input DYNPROMPT): nodes of the graph and of its expansions, by ComfyUI's method names."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def get_node(self, node_id: str) -> dict[str, Any]:
        """Return a node's entry; raises KeyError where there is none."""
        step = self._step(node_id)
        if step is None:
            raise KeyError(f"There is no node {node_id!r} in the prompt.")
        return entry_of(step)

    def has_node(self, node_id: str) -> bool:
        """Whether there is such a node."""
        return self._step(node_id) is not None

    def get_original_prompt(self) -> dict[str, Any]:
        """Return the prompt as it was submitted."""
        return self._run.prompt

    def get_parent_node_id(self, node_id: str) -> str | None:
        """Return the node that expanded into this one, or None."""
        node_run = self._run.node_run(node_id)
        return node_run.parent.step.id if node_run is not None and node_run.parent is not None else None

    def get_real_node_id(self, node_id: str) -> str:
        """Return the node of the submitted prompt that this one comes from."""
        while (parent := self.get_parent_node_id(node_id)) is not None:
            node_id = parent
        return node_id

    def get_display_node_id(self, node_id: str) -> str:
        """Return the node that this one is shown under."""
        node_run = self._run.node_run(node_id)
        return shown_under(node_run) if node_run is not None else node_id

    def all_node_ids(self) -> set[str]:
        """Return the ids of all nodes."""
        executor = self._run.executor
        added = executor.schedule.added if executor is not None else {}
        return {*self._run.plan.steps, *added}

    def _step(self, node_id: str) -> Step | None:
        executor = self._run.executor
        return executor.schedule.step(node_id) if executor is not None else self._run.plan.steps.get(node_id)
