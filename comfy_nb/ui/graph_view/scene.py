"""What there is to draw of a graph, whichever form it came in; no I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from comfy_nb.graph.model import Graph
from comfy_nb.graph.node import short
from comfy_nb.graph.prompt import is_link, is_workflow
from comfy_nb.spec.node_spec import InputSpec, Interface, NodeSpec
from comfy_nb.spec.registry import Registry

HEAD, ROW, FIELD, PAD, PREVIEW = 30, 20, 24, 8, 104
WIDTH = 230
NAMES_MAX = 4
UPLOADS = ("image_upload", "animated_image_upload", "video_upload", "audio_upload")
NOTES = ("Note", "MarkdownNote")
UNKNOWN = "its class is not known here"
FAR = 1e9  # beyond it a position in a file is nonsense
TEXT_MAX = 4_000
LARGEST_INT = 1 << 64
CHOICES_MAX = 2_000
WIDGETS = {"INT": "int", "FLOAT": "float", "STRING": "text", "BOOLEAN": "bool", "COMBO": "choice"}
FITTING: Mapping[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "text": (str,), "bool": (bool,)}
MODES = {2: "mute", 4: "bypass"}
PICTURES = ("IMAGE", "MASK")


@dataclass(frozen=True, slots=True)
class Slot:
    """An input or output socket and its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Field:
    """A value on a node. `kind` is "int", "float", "text", "choice", "bool", or one that is only shown.

    Those are "note", a text that fills its node and has no name, and "other".
    """

    name: str
    kind: str
    value: Any
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SceneNode:
    """A node to draw. `fault` says in words why its class says nothing; `box` is x, y, width, height, or None."""

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

    @property
    def has_picture(self) -> bool:
        """Whether there is room kept for a picture."""
        return any(slot.type in PICTURES for slot in (*self.outputs[:1], *(self.inputs if not self.outputs else ())))

    @property
    def height(self) -> float:
        """What it takes to show all of the node, in pixels."""
        rows = max(len(self.inputs), len(self.outputs)) * ROW + len(self.fields) * FIELD
        return HEAD + rows + PAD + (PREVIEW if self.has_picture else 0)


@dataclass(frozen=True, slots=True)
class SceneLink:
    """A link from output `slot` of `source` to input `place` of `target`, both by position.

    It passes columns of nodes `via` points: there it goes level, as far as a node is wide.
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
    """All there is to draw; every link has both its nodes. `faults` names what is missing, in words."""

    nodes: Mapping[str, SceneNode]
    links: tuple[SceneLink, ...]
    groups: tuple[SceneGroup, ...] = ()

    @property
    def faults(self) -> list[str]:
        """What is missing: the classes that are not known in one line, any other fault in a line of its own."""
        unknown: dict[str, list[str]] = {}
        others: dict[str, list[str]] = {}
        for node in self.nodes.values():
            if node.fault == UNKNOWN:
                unknown.setdefault(node.class_type or "(none)", []).append(f"#{node.id}")
            elif node.fault:
                others.setdefault(node.fault, []).append(f"{node.title} (#{node.id})")
        lines = [f"{_listed(named)}: {fault}" for fault, named in others.items()]
        if unknown:
            named = ", ".join(f"{name} ({_listed(ids)})" for name, ids in unknown.items())
            lines.insert(0, f"Classes not known here: {named}")
        return lines

    @property
    def is_placed(self) -> bool:
        """Whether every node has a place."""
        return all(node.box is not None for node in self.nodes.values())


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {more:,} more" if more > 0 else "")


def scene_of(source: Graph | Mapping[str, Any], registry: Registry | None = None) -> Scene:
    """Return what there is to draw of a graph, a prompt, or a workflow in the editor's format."""
    if isinstance(source, Graph):
        entries = {node.id: (node.class_type, node.title, node.inputs, node.mode) for node in source}
        return _of_prompt(entries, source.registry, source.workflow)
    if is_workflow(source):
        return _of_workflow(source, registry)
    return _of_prompt({str(key): _entry(value) for key, value in source.items()}, registry, None)


def _entry(value: Any) -> tuple[str, str, Mapping[str, Any], str]:
    node = value if isinstance(value, Mapping) else {}
    class_type = str(node.get("class_type", ""))
    meta, inputs = node.get("_meta"), node.get("inputs")
    title = str(meta.get("title") or "") if isinstance(meta, Mapping) else ""
    return class_type, title or class_type, inputs if isinstance(inputs, Mapping) else {}, "active"


# A prompt ------------------------------------------------------------------------------------------------------------


def _of_prompt(entries: Mapping[str, Any], registry: Registry | None, workflow: Mapping[str, Any] | None) -> Scene:
    nodes, wanted = {}, []
    for node_id, (class_type, title, given, mode) in entries.items():
        spec, interface, fault = _declared(class_type, registry)
        links = {name: value for name, value in given.items() if is_link(value)}
        sockets = _sockets(interface)
        inputs = tuple(Slot(name, sockets.get(name) or _type_of(interface, name)) for name in {**sockets, **links})
        fields = tuple(_field(interface, name, value) for name, value in given.items() if name not in links)
        places = {slot.name: place for place, slot in enumerate(inputs)}
        nodes[node_id] = SceneNode(
            node_id, title or "(no class)", class_type, inputs, _outputs(spec), fields, fault, mode
        )
        wanted += [(str(value[0]), int(value[1]), node_id, places[name]) for name, value in links.items()]
    return _placed(_joined(nodes, wanted), workflow)


def _placed(scene: Scene, workflow: Mapping[str, Any] | None) -> Scene:
    """Give the nodes the places that they have in the workflow, where it has one for each."""
    if not workflow or not is_workflow(workflow):
        return scene
    drawn = {str(raw.get("id")): raw for raw in workflow["nodes"] if isinstance(raw, Mapping)}
    if not all(node_id in drawn and _box(drawn[node_id]) for node_id in scene.nodes):
        return scene
    nodes = {
        node_id: replace(node, box=_box(drawn[node_id]), colour=str(drawn[node_id].get("color") or ""))
        for node_id, node in scene.nodes.items()
    }
    return Scene(nodes, scene.links, _groups(workflow))


def _joined(nodes: dict[str, SceneNode], wanted: Sequence[tuple[str, int, str, int]]) -> Scene:
    """Make the links, and what they need at their ends: nodes that are missing, outputs that nobody declared."""
    highest: dict[str, int] = {}
    for source, slot, _, _ in wanted:
        highest[source] = max(highest.get(source, 0), slot)
    for source, slot in highest.items():
        node = nodes.get(source) or SceneNode(source, "missing node", "", fault="a link names it, but it is not there")
        extra = range(len(node.outputs), min(slot, 255) + 1)
        nodes[source] = replace(node, outputs=(*node.outputs, *(Slot(str(each), "*") for each in extra)))
    links = []
    for source, slot, target, place in wanted:
        outputs = nodes[source].outputs
        slot = slot if 0 <= slot < len(outputs) else len(outputs) - 1
        kind = outputs[slot].type
        kind = nodes[target].inputs[place].type if kind == "*" else kind
        links.append(SceneLink(source, slot, target, place, kind))
    return Scene(nodes, tuple(links))


def _declared(class_type: str, registry: Registry | None) -> tuple[NodeSpec | None, Interface | None, str]:
    spec = registry.find(class_type) if registry is not None else None
    if spec is None:
        return None, None, UNKNOWN if registry is not None else ""
    try:
        return spec, spec.interface(), ""
    except Exception as error:  # a pack's own code answers here
        return spec, None, f"its inputs cannot be read: {type(error).__name__}: {error}"


def _outputs(spec: NodeSpec | None) -> tuple[Slot, ...]:
    if spec is None:
        return ()
    types = [kind if isinstance(kind, str) else "COMBO" for kind in tuple(spec.return_types)]
    return tuple(Slot(name, kind) for name, kind in zip(spec.output_names, types, strict=False))


def _sockets(interface: Interface | None) -> dict[str, str]:
    declared = interface.declared.values() if interface is not None else ()
    return {spec.name: spec.socket for spec in declared if not _is_widget(spec)}


def _is_widget(spec: InputSpec) -> bool:
    return spec.socket in WIDGETS and not spec.options.get("forceInput")


def _type_of(interface: Interface | None, name: str) -> str:
    spec = interface.lookup(name) if interface is not None else None
    return spec.socket if spec is not None else "*"


def _field(interface: Interface | None, name: str, value: Any) -> Field:
    spec = interface.lookup(name) if interface is not None else None
    if isinstance(value, Mapping) and set(value) == {"__value__"}:
        value = value["__value__"]
    kind = WIDGETS.get(spec.socket, "other") if spec is not None else "other"
    if kind == "choice":
        choices = list((spec.choices if spec is not None else None) or ())[:CHOICES_MAX]
        if isinstance(value, str) and all(isinstance(each, str) for each in choices):
            return Field(name, kind, value, {"choices": choices})
        kind = "other"
    fits = FITTING.get(kind, ())
    is_finite = not isinstance(value, float) or math.isfinite(value)
    is_long = len(value) > TEXT_MAX if isinstance(value, str) else isinstance(value, int) and abs(value) > LARGEST_INT
    if not isinstance(value, fits) or not is_finite or is_long:
        return Field(name, "other", value[:TEXT_MAX] if isinstance(value, str) else short(value, 200))
    options = spec.options if spec is not None else {}
    kept = {key: options[key] for key in ("min", "max", "step", "multiline") if _is_plain(options.get(key))}
    if kind == "int" and spec is not None and spec.is_drawn_anew:
        kept["seed"] = True
    return Field(name, kind, str(value) if kind == "int" else value, kept)


def _is_plain(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


# A workflow in the editor's format -----------------------------------------------------------------------------------


def _of_workflow(workflow: Mapping[str, Any], registry: Registry | None) -> Scene:
    raw_nodes = {str(raw.get("id")): raw for raw in workflow["nodes"] if isinstance(raw, Mapping)}
    names = {str(each.get("id")): str(each.get("name") or "subgraph") for each in _definitions(workflow)}
    nodes = {node_id: _drawn(node_id, raw, registry, names) for node_id, raw in raw_nodes.items()}
    wanted = []
    for source, slot, target, place in _links(workflow.get("links")):
        if target in nodes and 0 <= place < len(nodes[target].inputs) and slot >= 0:
            wanted.append((source, slot, target, place))
    scene = _joined(nodes, wanted)
    return replace(scene, groups=_groups(workflow) if scene.is_placed else ())


def _definitions(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    held = workflow.get("definitions")
    listed = held.get("subgraphs") if isinstance(held, Mapping) else None
    return iter([each for each in listed or () if isinstance(each, Mapping)])


def _drawn(node_id: str, raw: Mapping[str, Any], registry: Registry | None, subgraphs: Mapping[str, str]) -> SceneNode:
    class_type = str(raw.get("type") or "")
    inside = subgraphs.get(class_type)
    inputs, outputs = (
        tuple(Slot(str(each.get("name") or ""), str(each.get("type") or "*")) for each in _dicts(raw.get(side)))
        for side in ("inputs", "outputs")
    )
    is_frontend_only = inside is not None or class_type in (*NOTES, "Reroute", "PrimitiveNode")
    _, interface, fault = _declared(class_type, registry)
    return SceneNode(
        id=node_id,
        title=str(raw.get("title") or inside or class_type or "(no class)"),
        class_type="subgraph" if inside is not None else class_type,
        inputs=inputs,
        outputs=outputs,
        fields=_note(raw) if class_type in NOTES else tuple(_values(raw, interface)),
        fault="" if is_frontend_only else fault,
        mode=MODES.get(raw.get("mode", 0), "active") if isinstance(raw.get("mode", 0), int) else "active",
        colour=str(raw.get("color") or ""),
        box=_box(raw),
    )


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
            yield str(ends[0]), ends[1], str(ends[2]), ends[3]


def _values(raw: Mapping[str, Any], interface: Interface | None) -> Iterable[Field]:
    named, listed = raw.get("widgets_values_named"), raw.get("widgets_values")
    named = named if isinstance(named, Mapping) else listed if isinstance(listed, Mapping) else None
    if named is not None:
        return [_field(interface, str(name), value) for name, value in named.items()]
    values = listed if isinstance(listed, list) else []
    names = list(_widget_names(interface)) if interface is not None else []
    if len(names) != len(values):
        names = [f"value {place}" for place in range(1, len(values) + 1)]
    return [_field(interface, name, value) for name, value in zip(names, values, strict=True) if name]


def _widget_names(interface: Interface) -> Iterator[str]:
    """The names that the saved values stand for, in order; empty for those that only the editor knows."""
    ordered = sorted(interface.declared.values(), key=lambda spec: not spec.required)
    for spec in ordered:
        if _is_widget(spec):
            yield spec.name
            if spec.is_drawn_anew:
                yield ""
    if any(spec.options.get(option) for spec in ordered for option in UPLOADS):
        yield ""  # the button beside a file to choose


def _box(raw: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
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


def _groups(workflow: Mapping[str, Any]) -> tuple[SceneGroup, ...]:
    found = []
    for raw in _dicts(workflow.get("groups")):
        bounding = raw.get("bounding")
        start, size = (_pair(bounding[at : at + 2]) if isinstance(bounding, list) else None for at in (0, 2))
        if start and size:
            found.append(SceneGroup(str(raw.get("title") or ""), (*start, *size), str(raw.get("color") or "")))
    return tuple(found)
