"""The documentation of a node class: its signature, and what its inputs and outputs are."""

from __future__ import annotations

import inspect
import keyword
from typing import Any

from comfy_nb.spec.matching import socket_name
from comfy_nb.spec.node_spec import InputSpec, NodeSpec
from comfy_nb.wording import short


def signature_of(spec: NodeSpec) -> inspect.Signature:
    """Return the inputs of a node class as a Python signature."""
    parameters: list[inspect.Parameter] = []
    for name, entry in spec.interface().declared.items():
        if not name.isidentifier() or keyword.iskeyword(name):
            continue
        filled = "default" in entry.options or (entry.required and entry.has_default) or not entry.required
        default = entry.default if filled else inspect.Parameter.empty
        kind = inspect.Parameter.KEYWORD_ONLY if parameters and _breaks_order(parameters, default) else None
        parameters.append(
            inspect.Parameter(
                name,
                kind or inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=default,
                annotation=entry.socket,
            )
        )
    ordered = sorted(parameters, key=lambda parameter: parameter.kind)
    return inspect.Signature(ordered)


def signature_text(spec: NodeSpec) -> str:
    """Return the inputs of a node class as a Python signature in text, with long defaults cut."""
    signature = signature_of(spec)
    parameters = [
        each if each.default is inspect.Parameter.empty else each.replace(default=_AsText(short(each.default)))
        for each in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters))


class _AsText(str):
    __repr__ = str.__str__


def _breaks_order(before: list[inspect.Parameter], default: Any) -> bool:
    if any(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in before):
        return True
    return default is inspect.Parameter.empty and before[-1].default is not inspect.Parameter.empty


def describe(spec: NodeSpec) -> str:
    """Return the documentation of a node class: what it does, its inputs and its outputs."""
    what = spec.description or (spec.display_name if spec.display_name != spec.class_type else "")
    lines = [what, ""] if what else []
    declared = spec.interface().declared
    if declared:
        lines.append("Inputs:")
        lines += [f"    {_describe_input(entry)}" for entry in declared.values()]
    outputs = zip(spec.output_names, spec.return_types, strict=False)
    shown = ", ".join(name if name == socket_name(kind) else f"{name} ({socket_name(kind)})" for name, kind in outputs)
    lines.append(f"Outputs: {shown}" if shown else "Outputs: none")
    return "\n".join(lines)


def _describe_input(entry: InputSpec) -> str:
    options = entry.options
    parts = [entry.socket if entry.choices is None else "one of " + ", ".join(repr(each) for each in entry.choices[:8])]
    if "min" in options or "max" in options:
        parts.append(f"{options.get('min', '')} to {options.get('max', '')}")
    if "default" in options:
        parts.append(f"default {short(options['default'])}")
    if not entry.required:
        parts.append("optional")
    if options.get("lazy"):
        parts.append("lazy")
    tip = f". {options['tooltip']}" if options.get("tooltip") else ""
    return f"{entry.name}: {', '.join(parts)}{tip}"
