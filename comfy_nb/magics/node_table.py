"""Node classes as a table: what they are called, where they belong, what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from html import escape

from comfy_nb.errors import UnknownName
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.types import socket_name
from comfy_nb.wording import clip

HEAD = ("name", "category", "inputs", "outputs")
INPUTS_MAX = 60
_CELL = "style='text-align:left;vertical-align:top;padding:.15em .8em;background:none'"


class NodeTable:
    """The node classes that a pattern fits: words that occur in name, category or description, or `Image*`.

    Raises UnknownName where there are none.
    """

    def __init__(self, registry: Registry, pattern: str = "") -> None:
        found = [spec for spec in registry.values() if _fits(spec, pattern.casefold())]
        if not found:
            raise UnknownName.of("node class", pattern, registry)
        self.specs = sorted(found, key=lambda spec: (spec.category, spec.class_type))

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Return name, category, inputs and outputs of each class as text."""
        for spec in self.specs:
            inputs = ", ".join(spec.interface().declared)
            outputs = ", ".join(socket_name(kind) for kind in spec.return_types)
            yield spec.class_type, spec.category, inputs, outputs

    def __len__(self) -> int:
        return len(self.specs)

    def __repr__(self) -> str:
        rows = [
            HEAD,
            *((name, category, clip(inputs, INPUTS_MAX), outputs) for name, category, inputs, outputs in self.rows()),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def _repr_html_(self) -> str:
        head = "".join(f"<th {_CELL}>{name}</th>" for name in HEAD)
        body = "".join(
            "<tr>" + "".join(f"<td {_CELL}>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows()
        )
        return (
            "<div style='overflow:auto;max-height:30em;color:inherit;font-size:90%'>"
            "<table style='border-collapse:collapse;margin:0;color:inherit;font-size:inherit'>"
            f"<tr>{head}</tr>{body}</table></div>"
        )


def _fits(spec: NodeSpec, pattern: str) -> bool:
    if any(character in pattern for character in "*?"):
        return fnmatchcase(spec.class_type.casefold(), pattern)
    return pattern in f"{spec.class_type} {spec.display_name} {spec.category} {spec.description}".casefold()
