"""The declaration of a node's class as it is drawn: slots, and fields for values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from comfy_nb.graph.link import unwrap_constant
from comfy_nb.spec.node_spec import InputSpec, Interface, NodeSpec
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.graph.scene import UNKNOWN, Field, Slot
from comfy_nb.wording import describe_error, short

TEXT_MAX = 4_000
LARGEST_INT = 1 << 1024  # larger numbers are not turned into text
CHOICES_MAX = 2_000
FIELDS_MAX = 200
WIDGETS = {"INT": "int", "FLOAT": "float", "STRING": "text", "BOOLEAN": "bool", "COMBO": "choice"}
FITTING: Mapping[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "text": (str,), "bool": (bool,)}


def declared_by(class_type: str, registry: Registry | None) -> tuple[NodeSpec | None, Interface | None, str]:
    """Return the spec and the interface of a class, and the reason if one of them is missing."""
    spec = registry.find(class_type) if registry is not None else None
    if spec is None:
        return None, None, UNKNOWN if registry is not None else ""
    try:
        return spec, spec.interface(), ""
    except Exception as error:  # a pack's own code runs here
        return spec, None, f"its inputs cannot be read: {describe_error(error)}"


def outputs_of(spec: NodeSpec | None) -> tuple[Slot, ...]:
    """Return the output slots that a class declares."""
    if spec is None:
        return ()
    types = [kind if isinstance(kind, str) else "COMBO" for kind in tuple(spec.return_types)]
    return tuple(Slot(name, kind) for name, kind in zip(spec.output_names, types, strict=False))


def sockets_of(interface: Interface | None) -> dict[str, str]:
    """Return the socket types of the inputs that a class declares as slots, by name."""
    declared = interface.declared.values() if interface is not None else ()
    return {spec.name: spec.socket for spec in declared if not is_widget(spec)}


def is_widget(spec: InputSpec) -> bool:
    """Whether an input is drawn as a value on the node, not as a slot."""
    return spec.socket in WIDGETS and not spec.options.get("forceInput")


def type_of(interface: Interface | None, name: str) -> str:
    """Return the socket type of a declared input, "*" for any other."""
    spec = interface.lookup(name) if interface is not None else None
    return spec.socket if spec is not None else "*"


def fields_of(interface: Interface | None, values: Iterable[tuple[str, Any]]) -> tuple[Field, ...]:
    """Return the fields of named values, up to as many as a node can have room for."""
    return tuple(_field(interface, name, value) for name, value in islice(values, FIELDS_MAX))


def _field(interface: Interface | None, name: str, value: Any) -> Field:
    spec = interface.lookup(name) if interface is not None else None
    value = unwrap_constant(value)
    kind = WIDGETS.get(spec.socket, "other") if spec is not None else "other"
    if kind == "choice":
        choices = list((spec.choices if spec is not None else None) or ())[:CHOICES_MAX]
        if issubclass(type(value), str) and all(isinstance(each, str) for each in choices):
            return Field(name, kind, value, {"choices": choices})
        kind = "other"
    fits = FITTING.get(kind, ())
    is_finite = not issubclass(type(value), float) or math.isfinite(value)
    value = str.__str__(value) if issubclass(type(value), str) else value
    is_text, is_whole = issubclass(type(value), str), issubclass(type(value), int)
    is_long = len(value) > TEXT_MAX if is_text else is_whole and abs(value) > LARGEST_INT
    if not issubclass(type(value), fits) or not is_finite or is_long:
        return Field(name, "other", value[:TEXT_MAX] if is_text else short(value, 200))
    options = {}
    if spec is not None and kind == "text" and spec.options.get("multiline"):
        options["multiline"] = True
    if spec is not None and kind == "int" and spec.is_controlled_after_generate:
        options["seed"] = True
    return Field(name, kind, str(value) if kind == "int" else value, options)
