"""Where links end: through bypassed nodes, as the editor lets them pass, and nowhere at muted ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_nb.graph.link import Link
from comfy_nb.graph.node import Node
from comfy_nb.spec.matching import matches


def resolve(nodes: Mapping[str, Node], link: Link, wanted: Any = "*") -> Link | None:
    """Follow a link to the output it ends at, for a receiver of type `wanted`; None where it ends at a muted node."""
    for _ in range(len(nodes) + 1):
        node = nodes.get(link.origin)
        if node is None or node.mode == "active":
            return link
        passed = None if node.mode == "mute" else _through(node, link.slot, wanted)
        if passed is None:
            return None
        link = passed
    return None


def _through(node: Node, slot: int, wanted: Any) -> Link | None:
    """Return the link that a bypassed node passes on to an output, as the editor chooses it; None if there is none."""
    links = node.links()
    spec = node.graph.registry.find(node.class_type)
    declared = spec.interface().declared if spec is not None else {}
    kinds = {name: declared[name].type if name in declared else "*" for name in (*declared, *links)}
    try:
        own = spec.output_type(slot) if spec is not None else "*"
    except IndexError:
        return None
    return links.get(_passed_input(kinds, slot, own, wanted) or "")


def _passed_input(kinds: Mapping[str, Any], slot: int, own: Any, wanted: Any) -> str | None:
    """The input that a bypassed node passes on to output `slot`, of type `own`, for a receiver of type `wanted`."""
    names = list(kinds)
    same_place = names[slot] if 0 <= slot < len(names) else None
    if wanted in ("*", ""):
        return same_place or next(iter(names), None)
    fits = [name for name, kind in kinds.items() if matches(kind, own) and matches(kind, wanted)]
    if same_place in fits:
        return same_place
    exact = [name for name, kind in kinds.items() if kind == wanted]
    return next(iter(exact + fits), None)
