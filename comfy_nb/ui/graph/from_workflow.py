"""A workflow in the format of ComfyUI's editor as a scene: drawn as it is, not converted.

In this format slots are numbered and values listed in widget order; newer editors add `widgets_values_named`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from comfy_nb.spec.node_spec import Interface
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.graph.declared import TEXT_MAX, declared_by, fields_of, is_widget
from comfy_nb.ui.graph.scene import HEAD, Field, Scene, SceneGroup, SceneNode, Slot, connect

FAR = 1e9  # a position beyond it is nonsense
LARGEST_ID = 1 << 64
MODES = {2: "mute", 4: "bypass"}
NOTES = ("Note", "MarkdownNote")
# How many values a file saves for the upload button of such a widget.
UPLOADS = {"image_upload": 1, "animated_image_upload": 1, "video_upload": 1, "audio_upload": 2}


def scene_of_workflow(workflow: Mapping[str, Any], registry: Registry | None) -> Scene:
    """Return the scene of a workflow; without a `registry` no class counts as unknown."""
    raw_nodes = _by_id(_dicts(workflow["nodes"]))
    held = workflow.get("definitions")
    subgraphs = _dicts(held.get("subgraphs")) if isinstance(held, Mapping) else []
    names = {text_of(each.get("id")): text_of(each.get("name")) or "subgraph" for each in subgraphs}
    nodes = {node_id: _drawn(node_id, raw, registry, names) for node_id, raw in raw_nodes.items()}
    places = {node_id: {number: at for at, number in enumerate(_sockets(raw))} for node_id, raw in raw_nodes.items()}
    wanted = []
    for source, slot, target, number in _links(workflow.get("links")):
        place = places.get(target, {}).get(number)
        if place is not None and slot >= 0:
            wanted.append((source, slot, target, place))
    scene = connect(nodes, wanted)
    return replace(scene, groups=groups_of(workflow) if scene.is_placed else ())


def _by_id(listed: list[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the nodes by id; one without an id, or with the id of another, gets one that no link can name."""
    found: dict[str, Mapping[str, Any]] = {}
    for at, raw in enumerate(listed):
        node_id = text_of(raw.get("id")) or f"(none, node {at + 1})"
        found[node_id if node_id not in found else f"{node_id} (again, node {at + 1})"] = raw
    return found


def _drawn(node_id: str, raw: Mapping[str, Any], registry: Registry | None, subgraphs: Mapping[str, str]) -> SceneNode:
    class_type = text_of(raw.get("type"))
    inside = subgraphs.get(class_type)
    sockets = _sockets(raw).values()
    linked = {text_of(each.get("name")) for each in sockets}
    is_frontend_only = inside is not None or class_type in (*NOTES, "Reroute", "PrimitiveNode")
    _, interface, fault = declared_by(class_type, registry)
    return SceneNode(
        id=node_id,
        title=text_of(raw.get("title")) or inside or class_type or "(no class)",
        class_type="subgraph" if inside is not None else class_type,
        inputs=tuple(map(_slot, sockets)),
        outputs=tuple(map(_slot, _dicts(raw.get("outputs")))),
        fields=_note(raw) if class_type in NOTES else fields_of(interface, _values(raw, interface, linked)),
        fault="" if is_frontend_only else fault,
        mode=MODES.get(raw.get("mode", 0), "active") if isinstance(raw.get("mode", 0), int) else "active",
        colour=text_of(raw.get("color")),
        box=box_of(raw),
    )


def _sockets(raw: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Return the inputs that are slots, by their numbers in the file; newer editors list unlinked widgets too."""
    listed = raw.get("inputs")
    return {
        number: each
        for number, each in enumerate(listed if isinstance(listed, list) else ())
        if isinstance(each, Mapping) and (each.get("widget") is None or each.get("link") is not None)
    }


def _slot(raw: Mapping[str, Any]) -> Slot:
    return Slot(text_of(raw.get("name")), text_of(raw.get("type")) or "*")


def _note(raw: Mapping[str, Any]) -> tuple[Field, ...]:
    values = raw.get("widgets_values")
    text = values[0] if isinstance(values, list) and values else ""
    return (Field("", "note", text[:TEXT_MAX]),) if isinstance(text, str) else ()


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _links(listed: Any) -> Iterator[tuple[str, int, str, int]]:
    """Return the links as source, slot, target, place; anything else in the list is left out."""
    for raw in listed if isinstance(listed, list) else ():
        if isinstance(raw, Mapping):
            ends = [raw.get(key) for key in ("origin_id", "origin_slot", "target_id", "target_slot")]
        else:
            ends = list(raw[1:5]) if isinstance(raw, list) else []
        if len(ends) == 4 and isinstance(ends[1], int) and isinstance(ends[3], int):
            yield text_of(ends[0]), ends[1], text_of(ends[2]), ends[3]


def _values(raw: Mapping[str, Any], interface: Interface | None, linked: Collection[str]) -> Iterable[tuple[str, Any]]:
    """Return the values of widgets by name, without those that a link replaces, as far as the file names these."""
    named, listed = raw.get("widgets_values_named"), raw.get("widgets_values")
    named = named if isinstance(named, Mapping) else listed if isinstance(listed, Mapping) else None
    if named is not None:
        return [(text_of(name), value) for name, value in named.items() if name not in linked]
    values = listed if isinstance(listed, list) else []
    names = list(_widget_names(interface)) if interface is not None else []
    if len(names) != len(values):
        names = [f"value {place}" for place in range(1, len(values) + 1)]
    return [(name, value) for name, value in zip(names, values, strict=True) if name and name not in linked]


def _widget_names(interface: Interface) -> Iterator[str]:
    """Return the names of the saved values, in order; an empty name for a value that only the editor uses."""
    ordered = sorted(interface.declared.values(), key=lambda spec: not spec.required)
    for spec in ordered:
        if is_widget(spec):
            yield spec.name
            if spec.is_controlled_after_generate:
                yield ""
    options = {option for spec in ordered for option in UPLOADS if spec.options.get(option)}
    yield from [""] * sum(UPLOADS[option] for option in options)


def text_of(value: Any) -> str:
    """Return a text or number of a file as text, and anything else as an empty text."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_ID
    return value if isinstance(value, str) else str(value) if is_number else ""


def box_of(raw: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """Return the box of a node, its title included; None if the file does not have it."""
    pos, size = _pair(raw.get("pos")), _pair(raw.get("size"))
    if pos is None or size is None:
        return None
    flags = raw.get("flags")
    is_folded = isinstance(flags, Mapping) and bool(flags.get("collapsed"))
    return pos[0], pos[1] - HEAD, max(size[0], 60.0), HEAD + (0.0 if is_folded else max(size[1], 0.0))


def _pair(value: Any) -> tuple[float, float] | None:
    if isinstance(value, Mapping):
        value = [value.get("0"), value.get("1")]
    if not isinstance(value, list) or len(value) < 2:
        return None
    numbers = [each for each in value[:2] if isinstance(each, int | float) and abs(each) < FAR]
    return (float(numbers[0]), float(numbers[1])) if len(numbers) == 2 else None


def groups_of(workflow: Mapping[str, Any]) -> tuple[SceneGroup, ...]:
    """Return the groups of a workflow, which are drawn as frames."""
    found = []
    for raw in _dicts(workflow.get("groups")):
        bounding = raw.get("bounding")
        start, size = (_pair(bounding[at : at + 2]) if isinstance(bounding, list) else None for at in (0, 2))
        if start and size:
            corner = (start[0] + min(size[0], 0.0), start[1] + min(size[1], 0.0))
            box = (*corner, abs(size[0]), abs(size[1]))
            found.append(SceneGroup(text_of(raw.get("title")), box, text_of(raw.get("color"))))
    return tuple(found)
