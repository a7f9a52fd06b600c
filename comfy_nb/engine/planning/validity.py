"""Which outputs of a plan can run, and the problems of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfy_nb.engine.planning.plan import Plan
from comfy_nb.errors import GraphError, Problem, ValidationError
from comfy_nb.graph.model import Graph
from comfy_nb.graph.problem_lines import problem_lines

# Faults that count in nodes that are not checked, too: without what they link to they mean nothing.
CANNOT_RUN = ("dependency_cycle", "linked_node_missing")


class Validity:
    """The wanted outputs that can run, and the problems of the others."""

    def __init__(
        self, runnable_outputs: Sequence[str], problems: Sequence[Problem], node_errors: Mapping[str, Any]
    ) -> None:
        self.runnable_outputs = list(runnable_outputs)
        self.problems = list(problems)
        self.node_errors = dict(node_errors)

    def error(self, run: Any = None) -> ValidationError:
        """Return the error that lists all problems."""
        return ValidationError(self.problems, node_errors=self.node_errors, run=run)


def assess(graph: Graph, plan: Plan, wanted: Sequence[str], found: Mapping[str, Sequence[Problem]]) -> Validity:
    """Sort the wanted outputs into those that can run and those that cannot; `found` adds problems by node id.

    Raises ValidationError if a class is unknown or nothing is wanted, GraphError for a muted or bypassed node.
    """
    _check_wanted(graph, plan, wanted)
    faults: dict[str, list[Problem]] = {node_id: list(each) for node_id, each in plan.faulty.items()}
    for node_id, more in found.items():
        faults.setdefault(node_id, []).extend(more)
    if not faults:
        return Validity(wanted, [], {})
    broken = [node_id for node_id, each in faults.items() if any(problem.type in CANNOT_RUN for problem in each)]
    runnable: list[str] = []
    blocks: dict[str, list[str]] = {}
    for output in wanted:
        checked = plan.checked_for([output])
        bad = [node_id for node_id in faults if node_id in checked]
        if broken:
            needed = plan.above([output])
            bad += [node_id for node_id in broken if node_id in needed and node_id not in checked]
        if not bad:
            runnable.append(output)
        for node_id in bad:
            blocks.setdefault(node_id, []).append(output)
    problems = [problem for node_id in plan.steps if node_id in blocks for problem in faults[node_id]]
    return Validity(runnable, problems, _node_errors(plan, faults, blocks))


def _check_wanted(graph: Graph, plan: Plan, wanted: Sequence[str]) -> None:
    if plan.unknown:
        faulty = [problem for problems in plan.faulty.values() for problem in problems]
        problems = [*plan.unknown, *faulty]
        raise ValidationError(problems, type=plan.unknown[0].type, lines=problem_lines(problems))
    if not wanted:
        advice = "Add a node, or name outputs."
        problem = Problem("prompt_no_outputs", "Prompt has no outputs", "", "", "graph", advice=advice)
        raise ValidationError([problem], type="prompt_no_outputs")
    for node_id in wanted:
        if node_id not in plan.steps:
            node = graph[node_id]
            raise GraphError(f"{node!r} was requested but is muted or bypassed; call .activate() first.")


def _node_errors(
    plan: Plan, faults: Mapping[str, Sequence[Problem]], blocks: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return the faults of nodes in ComfyUI's form, each with the outputs that it blocks."""
    return {
        node_id: {
            "errors": [problem.as_comfy() for problem in faults[node_id]],
            "dependent_outputs": outputs,
            "class_type": plan.steps[node_id].class_type,
        }
        for node_id, outputs in blocks.items()
    }
