"""A node class as a picture of its slots: inputs on the left, outputs on the right."""

from __future__ import annotations

from html import escape
from itertools import zip_longest
from typing import Any

from comfy_nb.spec.matching import socket_name
from comfy_nb.spec.node_spec import InputSpec, NodeSpec
from comfy_nb.wording import short

GIVEN, NEEDED = "○", "●"
CHOICES_SHOWN = 3
GAP = "   "


def class_text(spec: NodeSpec) -> str:
    """Return the slots in a box of text; ● is an input that must be given, ○ one that has a default."""
    inputs = [(_mark(entry), entry.name, _about(entry)) for entry in spec.interface().declared.values()]
    names = max((len(name) for _, name, _ in inputs), default=0)
    left = [f"{mark} {name.ljust(names)}  {about}" for mark, name, about in inputs]
    right = [f"{shown} ●" for shown in _outputs(spec)]
    wide_left = max(map(len, left), default=0)
    wide_right = max(map(len, right), default=0)
    wide = max(wide_left + len(GAP) + wide_right, len(spec.class_type) + 4)
    rows = [a.ljust(wide - wide_right) + b.rjust(wide_right) for a, b in zip_longest(left or [""], right, fillvalue="")]
    head = f"┌─ {spec.class_type} ".ljust(wide + 3, "─") + "┐"
    return "\n".join([head, *(f"│ {row} │" for row in rows), "└" + "─" * (wide + 2) + "┘"])


def class_html(spec: NodeSpec) -> str:
    """Return the slots as HTML for a notebook, in its own colours, with the tooltips of the inputs."""
    inputs = [
        f"<td {_CELL} title='{escape(str(entry.options.get('tooltip') or ''), quote=True)}'>{_mark(entry)} "
        f"<b>{escape(entry.name)}</b></td><td {_CELL}>{escape(_about(entry))}</td>"
        for entry in spec.interface().declared.values()
    ]
    outputs = [f"<td {_CELL.replace('left', 'right')}>{escape(shown)} ●</td>" for shown in _outputs(spec)]
    rows = zip_longest(inputs or ["<td></td><td></td>"], outputs, fillvalue="")
    body = "".join(f"<tr style='background:none'>{a or '<td></td><td></td>'}{b}</tr>" for a, b in rows)
    about = f"<div>{escape(spec.description)}</div>" if spec.description else ""
    category = f" <span style='opacity:.65'>{escape(spec.category)}</span>" if spec.category else ""
    return (
        f"<div style='{_BOX}'><div><b>{escape(spec.class_type)}</b>{category}</div>{about}"
        f"<table style='border-collapse:collapse;margin:.4em 0 0;color:inherit;font-size:inherit'>{body}</table></div>"
    )


_BOX = (
    "display:inline-block;max-width:100%;overflow-x:auto;box-sizing:border-box;padding:.5em .8em;color:inherit;"
    "border:1px solid rgba(128,128,128,.5);border-radius:6px;font-size:90%"
)
_CELL = "style='text-align:left;white-space:nowrap;padding:.1em .6em;background:none'"


def _mark(entry: InputSpec) -> str:
    return GIVEN if "default" in entry.options or not entry.required or entry.choices is not None else NEEDED


def _about(entry: InputSpec) -> str:
    options, choices = entry.options, entry.choices
    if choices is None:
        shown = entry.socket
    else:
        more = ", …" if len(choices) > CHOICES_SHOWN else ""
        shown = "one of " + ", ".join(short(each, 20) for each in choices[:CHOICES_SHOWN]) + more
    if "default" in options:
        shown += f" = {short(options['default'], 24)}"
    if "min" in options or "max" in options:
        shown += f", {_bound(options.get('min'))} to {_bound(options.get('max'))}"
    return shown


def _bound(value: Any) -> str:
    return "…" if value is None else short(value, 12)


def _outputs(spec: NodeSpec) -> list[str]:
    pairs = zip(spec.output_names, spec.return_types, strict=False)
    return [name if name == socket_name(kind) else f"{name} {socket_name(kind)}" for name, kind in pairs]
