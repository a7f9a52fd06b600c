"""The messages to the front end of a graph view: the scene as a trait, then the states that change; no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from comfy_nb.ui.graph.colours import colour_of
from comfy_nb.ui.graph.html import headline
from comfy_nb.ui.graph.scene import FIELD, HEAD, PAD, PREVIEW, ROW, WIDTH, Scene, SceneNode
from comfy_nb.ui.graph.states import States
from comfy_nb.wording import clip, encodable

NAME_MAX = 400
FAULT_MAX = 2_000
FAULTS_MAX = 20
HEX = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")


def scene_message(scene: Scene, *, can_edit: bool) -> dict[str, Any]:
    """Return a laid-out scene for JSON; links name their nodes by position. `sizes` are those of `scene.py`."""
    at = {node_id: place for place, node_id in enumerate(scene.nodes)}
    kinds = {slot.type for node in scene.nodes.values() for slot in (*node.inputs, *node.outputs)}
    kinds |= {link.type for link in scene.links}
    return {
        "head": headline(scene),
        "sizes": {"head": HEAD, "row": ROW, "field": FIELD, "pad": PAD, "preview": PREVIEW, "width": WIDTH},
        "nodes": [_node(node) for node in scene.nodes.values()],
        "links": [
            [at[link.source], link.slot, at[link.target], link.place, encodable(link.type), link.via]
            for link in scene.links
        ],
        "groups": [
            {"title": _name(group.title), "box": group.box, "colour": _hex(group.colour)} for group in scene.groups
        ],
        "colours": {encodable(kind): colour_of(kind) for kind in sorted(kinds)},
        "faults": [encodable(clip(fault, FAULT_MAX)) for fault in scene.faults[:FAULTS_MAX]],
        "canEdit": can_edit,
    }


def _node(node: SceneNode) -> dict[str, Any]:
    return {
        "id": encodable(node.id),
        "title": _name(node.title),
        "class": _name(node.class_type),
        "inputs": [[_name(slot.name), encodable(slot.type)] for slot in node.inputs],
        "outputs": [[_name(slot.name), encodable(slot.type)] for slot in node.outputs],
        "fields": [
            {
                "name": encodable(field.name),
                "kind": field.kind,
                "value": _encodable(field.value),
                "options": {name: _encodable(value) for name, value in field.options.items()},
            }
            for field in node.fields
        ],
        "fault": encodable(node.fault),
        "mode": node.mode,
        "box": node.box,
        "colour": _hex(node.colour),
        "picture": node.has_picture,
    }


def _name(text: str) -> str:
    return encodable(clip(text, NAME_MAX))


def _hex(colour: str) -> str:
    """Return a colour that a file has as "#3f789e"; nothing for any other text."""
    return colour if HEX.fullmatch(colour) else ""


def _encodable(value: Any) -> Any:
    """Return a field's value or choices as UTF-8 can encode them; choices that it cannot are left out."""
    if isinstance(value, list):
        return [each for each in value if not isinstance(each, str) or each == encodable(each)]
    return encodable(value) if isinstance(value, str) else value


def states_message(states: States, ids: Iterable[str]) -> tuple[dict[str, Any], list[bytes]]:
    """Return the states of these nodes, and their pictures as buffers in the order of `pictures`."""
    changed, pictures, buffers = {}, [], []
    for node_id in ids:
        state = states.of(node_id)
        changed[encodable(node_id)] = [state.state, state.share, encodable(state.note[:400])]
        if state.picture:
            pictures.append([encodable(node_id), state.picture_format])
            buffers.append(state.picture)
    return {"type": "states", "states": changed, "pictures": pictures}, buffers
