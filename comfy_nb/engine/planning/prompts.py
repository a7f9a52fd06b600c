"""The prompt that a plan stands for: what nodes and files get to see of a graph."""

from __future__ import annotations

from typing import Any

from comfy_nb.engine.planning.plan import Plan
from comfy_nb.engine.planning.step import Step
from comfy_nb.graph.link import is_link, link_of, wrap_constant


def prompt_of(plan: Plan) -> dict[str, Any]:
    """Return the prompt of a plan: converted values, and links with muted and bypassed nodes resolved."""
    return {step.id: entry_of(step) for step in plan.steps.values()}


def entry_of(step: Step) -> dict[str, Any]:
    """Return the entry of one node in a prompt, with the constants that its class does not declare."""
    # Nodes see lists as they get them, but for one that could be taken for a link.
    inputs = {name: wrap_constant(value) if is_link(value) else value for name, value in step.template.items()}
    for link in step.links:
        inputs[link.name] = [link.origin, link.slot]
    if step.submitted is not None:
        submitted = step.submitted.items()
        inputs = {
            name: inputs.get(name, value) for name, value in submitted if name in inputs or link_of(value) is None
        }
    extras = {name: value for name, value in (step.extras or {}).items() if name != "fresh"}
    entry = {**extras, "class_type": step.class_type, "inputs": inputs}
    if step.fingerprint is not None:
        entry["is_changed"] = step.fingerprint
    return entry
