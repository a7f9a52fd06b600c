"""What the cache holds of a graph's nodes, at a glance: nothing is computed, read from disk or counted as used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_nb.engine.entry import Entry
from comfy_nb.engine.plan import plan_of
from comfy_nb.engine.session import Session
from comfy_nb.errors import ComfyNBError, NotKept
from comfy_nb.graph.model import Graph
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.ui.glimpse import picture_of
from comfy_nb.ui.thumbnails import Thumbnail

PICTURES_MAX = 60
PICTURE_PX = 192

Glance = Mapping[str, Thumbnail | None]


def glance(graph: Graph, session: Session) -> Glance:
    """Return the nodes whose values are in memory, by id, each with a small picture if it gave one."""
    try:
        steps = plan_of(graph).steps
    except ComfyNBError:  # a graph that cannot run has nothing to show
        return {}
    found: dict[str, Thumbnail | None] = {}
    drawn = 0
    for node_id, step in steps.items():
        entry = session.cache.peek(step.key) if step.key is not None else None
        if entry is not None:
            found[node_id] = _picture(step.spec, entry) if drawn < PICTURES_MAX else None
            drawn += found[node_id] is not None
    return found


def cached_value(graph: Graph, session: Session, node_id: str, slot: int) -> Any:
    """Return what is on an output of a node, as the cache has it; raises NotKept where it has nothing."""
    step = plan_of(graph).steps.get(node_id)
    entry = session.cache.peek(step.key) if step is not None and step.key is not None else None
    if entry is None or slot >= len(entry.outputs):
        raise NotKept("Nothing is there yet: press Run, or run the graph, and click again.")
    items = entry.outputs[slot]
    return items[0] if len(items) == 1 else items


def _picture(spec: NodeSpec, entry: Entry) -> Thumbnail | None:
    for slot, items in enumerate(entry.outputs):
        kind = spec.return_types[slot] if slot < len(spec.return_types) else None
        picture = picture_of(items[0], kind if isinstance(kind, str) else None, PICTURE_PX) if items else None
        if picture is not None:
            return picture
    return None
