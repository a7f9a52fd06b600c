"""Edits that a person makes in a graph view; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from comfy_nb.errors import GraphError
from comfy_nb.graph.model import Graph
from comfy_nb.graph.node import random_seed
from comfy_nb.parameters.parameter import Parameter, parameter_of


def set_from_text(graph: Graph, node_id: str, name: str, text: str) -> bool:
    """Set an input to the text of its field, and return whether that changed it.

    Raises GraphError, UnknownName for what cannot be set; the graph is unchanged then.
    """
    parameter = _constant(graph, node_id, name)
    return _set(graph, parameter, parameter.checked(_read(text, parameter.input_spec.socket)))


def reseed(graph: Graph, node_id: str, name: str) -> bool:
    """Give an input another random seed, and return whether that changed it; raises as `set_from_text` does."""
    parameter = _constant(graph, node_id, name)
    return _set(graph, parameter, random_seed(*graph[node_id].bounds(name)))


def _constant(graph: Graph, node_id: str, name: str) -> Parameter:
    node = graph[node_id]
    if name in node.links():
        raise GraphError(f"{name} of {node!r} has been linked meanwhile; show the graph again.")
    return parameter_of(node, name)


def _set(graph: Graph, parameter: Parameter, value: Any) -> bool:
    if type(value) is type(parameter.value) and value == parameter.value:
        return False
    graph[parameter.node_id].inputs[parameter.name] = value
    return True


def _read(text: str, socket: str) -> Any:
    """Return the value of a text, or the text itself if it is none of this type: the check then refuses it."""
    try:
        return READERS.get(socket, str)(text)
    except (LookupError, ValueError):
        return text


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)  # a field could not show it, so nobody could change it again
    return number


READERS: Mapping[str, Callable[[str], Any]] = {
    "INT": int,
    "FLOAT": _finite,
    "BOOLEAN": {"true": True, "false": False}.__getitem__,
}
