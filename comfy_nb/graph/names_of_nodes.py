"""Nodes by what a person calls them: an id, or a title or class that only one of them has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from comfy_nb.errors import UnknownName
from comfy_nb.wording import listed, near


class NamedNode(Protocol):
    """A node of a graph or a plan, as far as its names go."""

    @property
    def class_type(self) -> str:
        """The name of its class."""
        ...

    @property
    def title(self) -> str:
        """Its title, which may be empty or that of the class."""
        ...


def ids_named(name: str, nodes: Mapping[str, NamedNode]) -> list[str]:
    """Return the ids of the nodes of this title or class."""
    return [node_id for node_id, node in nodes.items() if name in (node.title, node.class_type)]


def id_of_only(name: str, nodes: Mapping[str, NamedNode], where: str) -> str:
    """Return the id of the only node of this title or class; raises UnknownName where none or several have it."""
    found = ids_named(name, nodes)
    if len(found) == 1:
        return found[0]
    if found:
        shown = listed([_label(node_id, nodes[node_id]) for node_id in found])
        raise UnknownName(f"{len(found)} nodes {where} are called {name!r}: {shown}. Name one of them by its id.")
    raise unknown_node(name, nodes, where)


def unknown_node(name: str, nodes: Mapping[str, NamedNode], where: str) -> UnknownName:
    """Return the error for a name that no node has."""
    names = [each for node_id, node in nodes.items() for each in (node_id, node.title, node.class_type)]
    shown = listed([_label(node_id, node) for node_id, node in nodes.items()])
    advice = near(name, filter(None, names)) or (f"There are: {shown}." if nodes else "There are none.")
    return UnknownName(f"There is no node {name!r} {where}. {advice}")


def _label(node_id: str, node: NamedNode) -> str:
    return f"{node_id} ({node.title or node.class_type})"
