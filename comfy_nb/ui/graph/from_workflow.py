"""A workflow in the format of ComfyUI's editor as a scene: drawn as it lies there, not converted.

The format: slots by position, values in the order of the widgets, `widgets_values_named` where newer editors wrote it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from comfy_nb.spec.node_spec import Interface
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.graph.declared import TEXT_MAX, declared_by, fields_of, is_widget
from comfy_nb.ui.graph.scene import HEAD, Field, Scene, SceneGroup, SceneNode, Slot, joined

FAR = 1e9  # beyond it a position in a file is nonsense
LARGEST_ID = 1 << 64
MODES = {2: "mute", 4: "bypass"}
NOTES = ("Note", "MarkdownNote")
UPLOADS = {"image_upload": 1, "animated_image_upload": 1, "video_upload": 1, "audio_upload": 2}  # what is saved besides


def of_workflow(workflow: Mapping[str, Any], registry: Registry | None) -> Scene:
    """Return what there is to draw of a workflow; without a `registry` no class counts as unknown."""
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
    scene = joined(nodes, wanted)
    return replace(scene, groups=groups_of(workflow) if scene.is_placed else ())


def _by_id(listed: list[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The nodes by their ids; one without an id, or with another's, gets one that no link can name."""
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
    """The inputs that are slots, by their numbers in the file. Newer editors list each widget too, linked or not."""
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
    """The links as source, slot, target, place; what is no link is left out."""
    for raw in listed if isinstance(listed, list) else ():
        if isinstance(raw, Mapping):
            ends = [raw.get(key) for key in ("origin_id", "origin_slot", "target_id", "target_slot")]
        else:
            ends = list(raw[1:5]) if isinstance(raw, list) else []
        if len(ends) == 4 and isinstance(ends[1], int) and isinstance(ends[3], int):
            yield text_of(ends[0]), ends[1], text_of(ends[2]), ends[3]


def _values(raw: Mapping[str, Any], interface: Interface | None, linked: Collection[str]) -> Iterable[tuple[str, Any]]:
    """The values of widgets by name; what a link gives instead is left out where the file says which that is."""
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
    """The names that the saved values stand for, in order; empty for those that only the editor knows."""
    ordered = sorted(interface.declared.values(), key=lambda spec: not spec.required)
    for spec in ordered:
        if is_widget(spec):
            yield spec.name
            if spec.is_controlled_after_generate:
                yield ""
    options = {option for spec in ordered for option in UPLOADS if spec.options.get(option)}
    yield from [""] * sum(UPLOADS[option] for option in options)


def text_of(value: Any) -> str:
    """Return as text what a file has as text or as a number; nothing for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_ID
    return value if isinstance(value, str) else str(value) if is_number else ""


def box_of(raw: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """Where the editor has a node, its title included; None where it does not say."""
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
    """Return the frames of a workflow."""
    found = []
    for raw in _dicts(workflow.get("groups")):
        bounding = raw.get("bounding")
        start, size = (_pair(bounding[at : at + 2]) if isinstance(bounding, list) else None for at in (0, 2))
        if start and size:
            corner = (start[0] + min(size[0], 0.0), start[1] + min(size[1], 0.0))
            box = (*corner, abs(size[0]), abs(size[1]))
            found.append(SceneGroup(text_of(raw.get("title")), box, text_of(raw.get("color"))))
    return tuple(found)
