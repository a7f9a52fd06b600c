"""Where links end: through bypassed nodes, as the editor lets them pass, and nowhere at muted ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from comfy_nb.graph.node import Node
from comfy_nb.graph.prompt import is_link
from comfy_nb.spec.types import matches

if TYPE_CHECKING:
    from comfy_nb.graph.model import Graph


def resolve(graph: Graph, link: Sequence[Any], wanted: Any = "*") -> list[Any] | None:
    """Follow a link to the output it ends at, for a receiver of type `wanted`; None where it ends at a muted node."""
    origin, slot = str(link[0]), link[1]
    for _ in range(len(graph.nodes) + 1):
        node = graph.nodes.get(origin)
        if node is None or node.mode == "active":
            return [origin, slot]
        passed = None if node.mode == "mute" else _through(node, slot, wanted)
        if passed is None:
            return None
        origin, slot = str(passed[0]), passed[1]
    return None


def _through(node: Node, slot: int, wanted: Any) -> Sequence[Any] | None:
    """The link that a bypassed node passes on to an output, as the editor chooses it; None where there is none."""
    links: dict[str, Sequence[Any]] = {name: value for name, value in node.inputs.items() if is_link(value)}
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
