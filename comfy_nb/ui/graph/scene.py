"""The scene of a graph, which is all that is drawn of it; no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from comfy_nb.spec.sockets import SOCKETS
from comfy_nb.wording import clip

HEAD, ROW, FIELD, PAD, PREVIEW = 30, 20, 24, 8, 104
WIDTH = 230
NAMES_MAX = 4
CLASSES_MAX = 60
SLOTS_MAX = 100
UNKNOWN = "its class is not known here"


@dataclass(frozen=True, slots=True)
class Slot:
    """An input or output socket and its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Field:
    """A value on a node. `kind` is "int", "float", "text", "choice", "bool", or a kind that cannot be edited.

    These are "note", a text that fills its node and has no name, and "other".
    """

    name: str
    kind: str
    value: Any
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SceneNode:
    """A node to draw. `fault` is the reason if its class is unknown; `box` is x, y, width, height, or None.

    One that `is_still` is drawn without its picture.
    """

    id: str
    title: str
    class_type: str
    inputs: tuple[Slot, ...] = ()
    outputs: tuple[Slot, ...] = ()
    fields: tuple[Field, ...] = ()
    fault: str = ""
    mode: str = "active"
    colour: str = ""
    box: tuple[float, float, float, float] | None = None
    is_still: bool = False

    @property
    def has_picture(self) -> bool:
        """Whether the node has room for a picture."""
        shown = self.outputs[:1] or self.inputs
        return not self.is_still and any(_is_picture(slot.type) for slot in shown)

    @property
    def height(self) -> float:
        """The height that shows all of the node, in pixels."""
        rows = max(len(self.inputs), len(self.outputs)) * ROW + len(self.fields) * FIELD
        return HEAD + rows + PAD + (PREVIEW if self.has_picture else 0)


@dataclass(frozen=True, slots=True)
class SceneLink:
    """A link from output `slot` of `source` to input `place` of `target`, both by position.

    It passes columns of nodes `via` points, from which it runs level for the width of a node.
    """

    source: str
    slot: int
    target: str
    place: int
    type: str
    via: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class SceneGroup:
    """A titled frame: x, y, width, height."""

    title: str
    box: tuple[float, float, float, float]
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is drawn of a graph; both nodes of every link are there."""

    nodes: Mapping[str, SceneNode]
    links: tuple[SceneLink, ...]
    groups: tuple[SceneGroup, ...] = ()

    @property
    def faults(self) -> list[str]:
        """The faults of the nodes: a line for all unknown classes, and one for each other fault."""
        unknown: dict[str, list[str]] = {}
        others: dict[str, list[str]] = {}
        for node in self.nodes.values():
            if node.fault == UNKNOWN:
                unknown.setdefault(node.class_type or "(none)", []).append(f"#{node.id}")
            elif node.fault:
                others.setdefault(node.fault, []).append(f"{node.title} (#{node.id})")
        lines = [f"{_listed(named)}: {fault}" for fault, named in others.items()]
        if unknown:
            named = _listed([f"{name} ({_listed(ids)})" for name, ids in unknown.items()], CLASSES_MAX)
            lines.insert(0, f"Classes not known here: {named}")
        return lines

    def still(self) -> Scene:
        """Return the scene for a still picture: its nodes have no room for pictures."""
        return replace(self, nodes={node_id: replace(node, is_still=True) for node_id, node in self.nodes.items()})

    @property
    def is_placed(self) -> bool:
        """Whether every node has a place."""
        return all(node.box is not None for node in self.nodes.values())


def _is_picture(kind: str) -> bool:
    return kind in SOCKETS and SOCKETS[kind].is_picture


def _listed(names: list[str], most: int = NAMES_MAX) -> str:
    more = len(names) - most
    return ", ".join(clip(name, 100) for name in names[:most]) + (f" and {more:,} more" if more > 0 else "")


def connect(nodes: dict[str, SceneNode], wanted: Sequence[tuple[str, int, str, int]]) -> Scene:
    """Make the links (source, slot, target, place), and the nodes and outputs that they need but nobody declared."""
    undeclared: dict[str, set[int]] = {}
    for source, slot, _, _ in wanted:
        node = nodes.get(source)
        if node is None or not 0 <= slot < len(node.outputs):
            undeclared.setdefault(source, set()).add(slot)
    places: dict[tuple[str, int], int] = {}
    for source, slots in undeclared.items():
        node = nodes.get(source) or SceneNode(source, "missing node", "", fault="a link names it, but it is not there")
        kept = sorted(slots)[:SLOTS_MAX]
        places |= {(source, slot): len(node.outputs) + at for at, slot in enumerate(kept)}
        nodes[source] = replace(node, outputs=(*node.outputs, *(Slot(str(slot), "*") for slot in kept)))
    links = []
    for source, slot, target, place in wanted:
        outputs = nodes[source].outputs
        at = places.get((source, slot), min(slot, len(outputs) - 1))
        kind = outputs[at].type
        kind = nodes[target].inputs[place].type if kind == "*" else kind
        links.append(SceneLink(source, at, target, place, kind))
    return Scene(nodes, tuple(links))
