"""Labels that tell same-named nodes apart: the constants in which they differ, or else their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from comfy_nb.wording import short

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

DIFFERENCES_MAX = 2
VALUE_MAX = 24


class NamedNode(NamedTuple):
    """A node's id and name, and its constants."""

    node_id: str
    name: str
    constants: Mapping[str, Any]


def distinguish(nodes: Sequence[NamedNode]) -> list[str]:
    """Return a label for each node, in their order: "seed=7", "#12", or nothing if no other node has its name."""
    namesakes: dict[str, list[NamedNode]] = {}
    for node in nodes:
        namesakes.setdefault(node.name, []).append(node)
    told_apart = {name: _differing(same) for name, same in namesakes.items() if len({*map(_identity, same)}) > 1}
    return [_label(node, told_apart[node.name]) if node.name in told_apart else "" for node in nodes]


def constants_of(run: Run, node_id: str) -> dict[str, Any]:
    """Return the numbers and texts among the constants of a node of a run."""
    step = run.step(node_id)
    return texts_and_numbers(step.template) if step is not None else {}


def texts_and_numbers(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers and texts among the inputs of a node."""
    return {name: value for name, value in inputs.items() if issubclass(type(value), str | int | float)}


def _identity(node: NamedNode) -> tuple[str, str]:
    return node.node_id, repr(node.constants)


def _differing(namesakes: Sequence[NamedNode]) -> list[str]:
    first = namesakes[0].constants
    shared = [name for name in first if all(name in each.constants for each in namesakes)]
    differing = [name for name in shared if any(each.constants[name] != first[name] for each in namesakes)]
    return differing[:DIFFERENCES_MAX]


def _label(node: NamedNode, names: Sequence[str]) -> str:
    parts = [f"{name}={_format(node.constants[name])}" for name in names if name in node.constants]
    return ", ".join(parts) or f"#{node.node_id}"


def _format(value: Any) -> str:
    return f"{value:.6g}" if issubclass(type(value), float) else short(value, VALUE_MAX)
