"""Edits of a graph that a person makes in its view; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from comfy_nb.engine.planning.plan import plan_of
from comfy_nb.errors import UnknownName
from comfy_nb.graph.model import Graph
from comfy_nb.graph.prompt import is_link

READERS: Mapping[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": lambda text: text == "true"}
EXPECTED = {"int": "a whole number", "float": "a number"}


def read(kind: str, text: str, where: str) -> Any:
    """Return the value of a kind of field that was typed; raises ValueError where it is none."""
    try:
        return READERS.get(kind, str)(text)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{where} takes {EXPECTED[kind]}, not {text!r:.60}.") from None


def edit(graph: Graph, node_id: str, name: str, value: Any) -> None:
    """Give a node's input another value; one that its declaration refuses raises ValueError and changes nothing."""
    node = graph[node_id]
    if name not in node.inputs:
        raise UnknownName.of("input", name, node.inputs, f"on {node!r}")
    before = node.inputs[name]
    if is_link(before):
        raise ValueError(f"{name} of {node!r} is linked by now; show the graph again.")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name} of {node!r} takes a number, not {value}.")
    node.inputs[name] = value
    try:
        problems = plan_of(graph).faulty.get(node_id)
    except Exception:  # a pack's own code may be asked here
        node.inputs[name] = before
        raise
    refused = [str(problem) for problem in problems or () if problem.extra.get("input_name") == name]
    if refused:
        node.inputs[name] = before
        raise ValueError("\n".join(refused))
