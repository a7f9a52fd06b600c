"""The table of node classes that `%comfy nodes` shows, as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from comfy_nb.spec.matching import socket_name
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.wording import clip, table_lines

INPUTS_MAX = 60
_HEAD = ("name", "category", "inputs", "outputs")
_CELL = "style='text-align:left;vertical-align:top;padding:.15em .8em;background:none'"


class NodeTable:
    """Node classes, a row each."""

    def __init__(self, specs: Iterable[NodeSpec]) -> None:
        self.rows = [_row(spec) for spec in specs]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        rows = [(name, category, clip(inputs, INPUTS_MAX), outputs) for name, category, inputs, outputs in self.rows]
        return "\n".join(table_lines([_HEAD, *rows]))

    def _repr_html_(self) -> str:
        head = "".join(f"<th {_CELL}>{name}</th>" for name in _HEAD)
        body = "".join(
            "<tr>" + "".join(f"<td {_CELL}>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        return (
            "<div style='overflow:auto;max-height:30em;color:inherit;font-size:90%'>"
            "<table style='border-collapse:collapse;margin:0;color:inherit;font-size:inherit'>"
            f"<tr>{head}</tr>{body}</table></div>"
        )


def _row(spec: NodeSpec) -> tuple[str, str, str, str]:
    inputs = ", ".join(spec.interface().declared)
    return spec.class_type, spec.category, inputs, ", ".join(socket_name(kind) for kind in spec.return_types)
