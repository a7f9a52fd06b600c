"""What tells nodes of one name apart: the constants in which they differ, or else their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from comfy_nb.wording import short

NAMES_MAX = 2
VALUE_MAX = 24


class Named(NamedTuple):
    """A node with its name, and the constants it was given."""

    node_id: str
    name: str
    given: Mapping[str, Any]


def hints(nodes: Sequence[Named]) -> list[str]:
    """Return a hint for each node, in their order: "seed=7", "#12", or nothing where its name is its own."""
    namesakes: dict[str, list[Named]] = {}
    for node in nodes:
        namesakes.setdefault(node.name, []).append(node)
    differing = {name: _differing(same) for name, same in namesakes.items() if len(same) > 1}
    return [_hint(node, differing[node.name]) if node.name in differing else "" for node in nodes]


def given_of(run: Any, node_id: str) -> dict[str, Any]:
    """Return the numbers and texts that a node of a run was given."""
    step = run.step(node_id)
    inputs = step.template if step is not None else {}
    return {name: value for name, value in inputs.items() if isinstance(value, str | int | float)}


def _differing(namesakes: Sequence[Named]) -> list[str]:
    first = namesakes[0].given
    shared = [name for name in first if all(name in each.given for each in namesakes)]
    return [name for name in shared if any(each.given[name] != first[name] for each in namesakes)][:NAMES_MAX]


def _hint(node: Named, names: Sequence[str]) -> str:
    said = [f"{name}={_said(node.given[name])}" for name in names if name in node.given]
    return ", ".join(said) or f"#{node.node_id}"


def _said(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else short(value, VALUE_MAX)
