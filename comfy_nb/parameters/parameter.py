"""The constants of a graph that a person may vary, found by name, and the value that is looked at meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.graph.model import Graph
from comfy_nb.graph.node import Node, is_handle
from comfy_nb.graph.prompt import is_link, short_input
from comfy_nb.graph.topology import default_outputs
from comfy_nb.parameters.edits import EXPECTED, split_name
from comfy_nb.spec.node_spec import InputSpec, NodeSpec, read_input
from comfy_nb.wording import name_node, short, suggest

PLAIN = {**EXPECTED, "STRING": "a text"}


@dataclass(frozen=True)
class Setting:
    """A constant input of a node, as it is declared and as it stands."""

    node_id: str
    name: str
    entry: InputSpec
    value: Any
    node_name: str

    @property
    def key(self) -> str:
        """Its name in a graph: "3.radius"."""
        return f"{self.node_id}.{self.name}"

    @property
    def where(self) -> str:
        """Its name in a message."""
        return f"{self.node_name}, input {self.name!r}"

    def checked(self, value: Any) -> Any:
        """Return a value as the declared type has it; raises GraphError where it does not fit."""
        value = self.entry.name_of(value)
        if is_link(value) or is_handle(value) or isinstance(value, Node):
            raise GraphError(f"{self.where}: a constant is expected, not the link {short_input(value)}.")
        choices = self.entry.choices
        if choices is not None:
            if not isinstance(value, str | int | float) or value not in choices:
                raise GraphError(f"{self.where}: {short(value)} is no choice. {suggest(str(value), map(str, choices))}")
            return value
        kind = self.entry.socket
        if kind in PLAIN and not _is_of(value, kind):
            raise GraphError(f"{self.where}: {PLAIN[kind]} is expected ({kind}), not {short(value)}.")
        if kind in ("INT", "FLOAT"):
            value = int(value) if kind == "INT" else float(value)
            self._check_bounds(value)
        return value

    def _check_bounds(self, value: float) -> None:
        low, high = self.entry.options.get("min"), self.entry.options.get("max")
        if math.isnan(value) or (low is not None and value < low) or (high is not None and value > high):
            bounds = f"{'any number' if low is None else low} and {'any number' if high is None else high}"
            raise GraphError(f"{self.where}: {value!r} is out of its range; it must lie between {bounds}.")


def _is_of(value: Any, kind: str) -> bool:
    if kind in ("BOOLEAN", "STRING"):
        return isinstance(value, bool if kind == "BOOLEAN" else str)
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return kind == "FLOAT" or isinstance(value, Integral) or float(value).is_integer()


def find_setting(graph: Graph, key: str, near: str | None = None) -> Setting:
    """Find a constant by "radius" or "3.radius"; a bare name is looked for on the node `near` first.

    Raises UnknownName where there is none, GraphError where it is a link or several nodes have one.
    """
    if not isinstance(key, str):
        raise GraphError(f'An input is named by text such as "radius" or "3.radius", not by {key!r:.60}.')
    node_id, dot, name = split_name(graph, key)
    if dot and (node_id in graph.nodes or near is None or not _declares(graph[near], key)):
        return setting_of(graph[node_id], name)
    if near is not None and _declares(graph[near], key):
        return setting_of(graph[near], key)
    holders = [node for node in graph if _declares(node, key)]
    free = [node for node in holders if not is_link(node.inputs.get(key))] or holders
    if not free:
        known = {name: None for node in graph for name in names_of(node)}
        raise UnknownName.of("input", key, known, "in the graph")
    if len(free) > 1:
        which = ", ".join(f'"{node.id}.{key}" of {node.title}' for node in free[:8])
        raise GraphError(f"Several nodes have an input {key!r}. Say which in a dict: {which}.")
    return setting_of(free[0], key)


def setting_of(node: Node, name: str) -> Setting:
    """Return a node's constant; raises UnknownName for a name it does not have, GraphError for a link."""
    named = name_node(node.id, node.class_type, node.title)
    if not _declares(node, name):
        raise UnknownName.of("input", name, names_of(node), f"on {named}")
    value = node.inputs.get(name)
    if is_link(value):
        raise GraphError(f"{named}: input {name!r} is linked to node {value[0]}; only a constant can be varied.")
    spec = node.graph.registry.find(node.class_type)
    entry = (spec.interface().lookup(name) if spec is not None else None) or read_input(name, "*", required=False)
    if name not in node.inputs:
        value = entry.default
    elif isinstance(value, Mapping) and "__value__" in value:
        value = value["__value__"]
    return Setting(node.id, name, entry, value, named)


def settings_of(node: Node) -> Iterator[Setting]:
    """Return all constants of a node, in the order they are declared."""
    return (setting_of(node, name) for name in names_of(node) if not is_link(node.inputs.get(name)))


def names_of(node: Node) -> list[str]:
    """Return the names of a node's inputs: those declared, and those that it was given."""
    spec = node.graph.registry.find(node.class_type)
    declared = spec.interface().declared if spec is not None else {}
    return list(dict.fromkeys([*declared, *node.inputs]))


def _declares(node: Node, name: str) -> bool:
    if name in node.inputs:
        return True
    spec = node.graph.registry.find(node.class_type)
    return spec is not None and spec.interface().lookup(name) is not None


@dataclass(frozen=True)
class Target:
    """The output that is computed and shown: of a node, which slot, of which socket type."""

    node_id: str
    slot: int
    kind: str | None
    title: str


def copy_and_target(source: Any, output: Any = None) -> tuple[Graph, Target]:
    """Return a copy of a graph, or of a handle's graph, whose seeds stand still, and what to show of it.

    Of a node that gives nothing (SaveImage) what it takes is shown; nothing is saved. Of several outputs the first.
    Raises GraphError where it is not clear what to show.
    """
    if is_handle(source):
        graph = source.call.unedited.copy()
        target = target_of(graph, source if output is None else output)
    elif isinstance(source, Graph):
        graph = source.copy()
        target = _only_target(graph) if output is None else target_of(graph, output)
    else:
        raise GraphError(f"A handle or a graph is expected, not {source!r:.80}.")
    graph.controlled.clear()
    return graph, target


def target_of(graph: Graph, output: Any) -> Target:
    """Return what is shown of a node, given as a handle, node or id; raises GraphError where it gives nothing."""
    node = graph.nodes.get(output.id) if isinstance(output, Node) else graph[output]
    if node is None:
        raise UnknownName.of("node", output.id, graph.nodes, "in the graph")
    slot = (output.slot if is_handle(output) else None) or 0
    spec = _spec_of(node)
    if not spec.output_names:
        link = next((value for value in node.inputs.values() if is_link(value)), None)
        if link is None:
            raise GraphError(f"{name_node(node.id, node.class_type, node.title)} gives nothing that can be shown.")
        node, slot = graph[link[0]], int(link[1])
        spec = _spec_of(node)
    kind = spec.output_type(slot)
    return Target(node.id, slot, kind if isinstance(kind, str) else None, node.title)


def _spec_of(node: Node) -> NodeSpec:
    spec = node.graph.registry.find(node.class_type)
    return spec if spec is not None else node.graph.registry[node.class_type]


def _only_target(graph: Graph) -> Target:
    ends = default_outputs(graph)
    if not ends:
        raise GraphError("The graph is empty, so there is nothing to show.")
    targets = {target_of(graph, node_id): node_id for node_id in ends}
    if len(targets) > 1:
        which = ", ".join(f'output="{node_id}" ({target.title})' for target, node_id in targets.items())
        raise GraphError(f"The graph has {len(targets)} outputs; choose one: {which}.")
    return next(iter(targets))
