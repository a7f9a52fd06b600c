"""Node classes found by name, word or pattern."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import groupby

import click

from comfy_nb.errors import UnknownName
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.documentation import describe
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.unknown_classes import comfy_classes, unknown_class


def find_nodes(registry: Registry, pattern: str = "") -> list[NodeSpec]:
    """Return the classes whose name matches `Image*`, or whose name, category or description contains the pattern.

    They are sorted by category and name. Raises UnknownName where there are none.
    """
    found = [spec for spec in registry.values() if _matches(spec, pattern.casefold())]
    if not found:
        if pattern in comfy_classes():
            raise unknown_class(pattern, registry)
        raise UnknownName.of("node class", pattern, registry)
    return sorted(found, key=lambda spec: (_category(spec), spec.class_type))


def _matches(spec: NodeSpec, pattern: str) -> bool:
    if any(character in pattern for character in "*?"):
        return fnmatchcase(spec.class_type.casefold(), pattern)
    return pattern in f"{spec.class_type} {spec.display_name} {spec.category} {spec.description}".casefold()


def _category(spec: NodeSpec) -> str:
    return spec.category or "other"


def node_lines(registry: Registry, pattern: str) -> Iterator[str]:
    """Describe the class of that name, or else list those that the pattern finds by category."""
    spec = registry.find(pattern)
    if spec is not None:
        yield f"{spec.class_type} ({spec.category})" if spec.category else spec.class_type
        yield describe(spec)
        return
    for category, specs in groupby(find_nodes(registry, pattern), _category):
        yield category
        yield from (f"  {each.class_type}" for each in specs)


def complete_class(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the names of node classes that begin with what was typed."""
    return sorted(name for name in default_registry() if name.lower().startswith(typed.lower()))
