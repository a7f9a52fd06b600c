"""The constants of a graph that can be varied, found by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.graph.check import validate_traits
from comfy_nb.graph.constant_check import Misfit, check_exactly
from comfy_nb.graph.link import is_link, link_of, short_input, unwrap_constant
from comfy_nb.graph.model import Graph
from comfy_nb.graph.node import Node, is_handle
from comfy_nb.spec.node_spec import InputSpec, read_input
from comfy_nb.wording import name_node, short


@dataclass(frozen=True)
class Parameter:
    """An input of a node: how it is declared, and its present value.

    Without `has_limits` the node's class checks bounds and choices itself.
    """

    node_id: str
    name: str
    input_spec: InputSpec
    value: Any
    node_name: str
    has_limits: bool = True

    @property
    def key(self) -> str:
        """Its name in the graph: "3.radius"."""
        return f"{self.node_id}.{self.name}"

    @property
    def where(self) -> str:
        """Its name in messages."""
        return f"{self.node_name}, input {self.name!r}"

    def checked(self, value: Any) -> Any:
        """Return a value as the declared type has it; raises GraphError if it does not fit."""
        if is_link(value) or is_handle(value) or issubclass(type(value), Node):
            raise GraphError(f"{self.where}: expected a constant, got the link {short_input(value)}.")
        try:
            return check_exactly(self.input_spec, value, self.has_limits)
        except Misfit as misfit:
            raise GraphError(f"{self.where}: {misfit}") from None


def find_parameter(graph: Graph, key: str, near: str | None = None) -> Parameter:
    """Find a constant by "radius" or "3.radius"; a bare name is looked up on the node `near` first.

    Raises UnknownName if there is none, GraphError if it is linked or if several nodes have one.
    """
    if not isinstance(key, str):
        raise GraphError(f'Name an input by a string such as "radius" or "3.radius", not by {short(key, 60)}.')
    node_id, dot, name = split_key(graph, key)
    if dot and (node_id in graph.nodes or near is None or not _has_input(graph[near], key)):
        return parameter_of(graph[node_id], name)
    if near is not None and _has_input(graph[near], key):
        return parameter_of(graph[near], key)
    holders = [node for node in graph if _has_input(node, key)]
    free = [node for node in holders if key not in node.links()] or holders
    if not free:
        known = {name: None for node in graph for name in input_names(node)}
        raise UnknownName.of("input", key, known, "in the graph")
    if len(free) > 1:
        which = ", ".join(f'"{node.id}.{key}" of {node.title}' for node in free[:8])
        raise GraphError(f"Several nodes have an input {key!r}. Write which one, in a dict: {which}.")
    return parameter_of(free[0], key)


def split_key(graph: Graph, key: str) -> tuple[str, str, str]:
    """Split "3.radius" at the first dot that follows a node's id, or else a title or class; all may contain dots.

    A title or class that only one node has is given as its id.
    """
    places = [place for place, character in enumerate(key) if character == "."]
    for place in places:
        if key[:place] in graph.nodes:
            return key[:place], ".", key[place + 1 :]
    for place in places:
        if found := graph.find(key[:place]):
            return found[0].id if len(found) == 1 else key[:place], ".", key[place + 1 :]
    return key.partition(".")


def parameter_of(node: Node, name: str) -> Parameter:
    """Return a constant of a node; raises UnknownName if it has no such input, GraphError for a link."""
    if not _has_input(node, name):
        named = name_node(node.id, node.class_type, node.title)
        raise UnknownName.of("input", name, input_names(node), f"on {named}")
    found = any_input_of(node, name)
    link = link_of(found.value)
    if link is not None:
        raise GraphError(f"{found.where} is linked to node {link.origin}; only a constant can be varied.")
    return found


def parameters_of(node: Node) -> Iterator[Parameter]:
    """Return all constants of a node, in the order they are declared."""
    links = node.links()
    return (any_input_of(node, name) for name in input_names(node) if name not in links)


def any_input_of(node: Node, name: str) -> Parameter:
    """Return an input of a node, whether or not it is linked or declared; an undeclared one takes any value."""
    spec = node.graph.registry.find(node.class_type)
    input_spec = (spec.interface().lookup(name) if spec is not None else None) or read_input(name, "*", required=False)
    value = node.inputs.get(name, input_spec.default)
    value = unwrap_constant(value)
    has_limits = spec is None or not validate_traits(spec.validate).covers(name)
    return Parameter(node.id, name, input_spec, value, name_node(node.id, node.class_type, node.title), has_limits)


def input_names(node: Node) -> list[str]:
    """Return the names of a node's inputs: the declared ones, then those that were only set."""
    spec = node.graph.registry.find(node.class_type)
    declared = spec.interface().declared if spec is not None else {}
    return list(dict.fromkeys([*declared, *node.inputs]))


def _has_input(node: Node, name: str) -> bool:
    if name in node.inputs:
        return True
    spec = node.graph.registry.find(node.class_type)
    return spec is not None and spec.interface().lookup(name) is not None


def same_constant(one: Any, other: Any) -> bool:
    """Whether two constants are the same: 1, 1.0 and True are not."""
    return one is other or (isinstance(one, str | int | float) and type(one) is type(other) and one == other)
