"""A handle or graph with other constants as a line of Python to copy; what has a name in the notebook goes by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from comfy_nb.graph.handle import Call, Handle, NodeFactory
from comfy_nb.graph.model import Graph
from comfy_nb.parameters.parameter import split_key
from comfy_nb.spec.digest import is_plain

DEEPEST = 20
UNKNOWN = "..."

Changes = Mapping[str, Mapping[str, Any]]


def as_code(source: Graph | Handle, graph: Graph, constants: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    """Return the line that makes a handle with these constants, or that sets them in a graph.

    `graph` is a copy of the source, by whose ids the constants are named: "3.radius". `names` are those of the
    notebook. A value that neither has a name nor can be written is `...`, and so is what lies very deep.
    """
    changes: dict[str, dict[str, Any]] = {}
    for key, value in constants.items():
        node_id, _, name = split_key(graph, key)
        changes.setdefault(node_id, {})[name] = value
    if isinstance(source, Handle):
        return _Writer(graph, changes, names).handle(source)
    named = _name_of(source, names) or "graph"
    lines = []
    for node_id, new in changes.items():
        written = {name: _constant(value, names) for name, value in new.items()}
        lines.append(f"{named}[{node_id!r}].inputs.update({_arguments(written)})")
    return "; ".join(lines)


class _Writer:
    """Writes handles as the calls that make them."""

    def __init__(self, graph: Graph, changes: Changes, names: Mapping[str, Any]) -> None:
        self._graph = graph
        self._changes = changes
        self._names = names

    def handle(self, handle: Handle, depth: int = 0) -> str:
        """Return the expression of a handle: a name, if it has one and nothing above it changes."""
        call = handle.call
        is_clear = handle.slot is None or (depth > 0 and len(call.spec.output_names) == 1)
        slot = "" if is_clear else _item(call.spec.output_name(handle.slot or 0))
        is_same = not any(self._changes_of(each) for each in call.closure())
        if is_same and (name := _name_of(handle, self._names)) is not None:
            return name
        if is_same and (name := _name_of(Handle(call), self._names)) is not None:
            return f"{name}{slot}"
        if depth == DEEPEST:
            return UNKNOWN
        return f"{self._call(call, depth)}{slot}"

    def _call(self, call: Call, depth: int) -> str:
        changes = self._changes_of(call)
        inputs = {**call.inputs, **changes}
        declared = call.spec.interface().declared
        written = {
            name: self.handle(value, depth + 1) if type(value) is Handle else _constant(value, self._names)
            for name, value in inputs.items()
            if name in changes or name not in declared or not _is_default(declared[name].options, value)
        }
        fresh = ".fresh()" if call.fresh else ""
        return f"{_factory(call, self._names)}({_arguments(written)}){fresh}"

    def _changes_of(self, call: Call) -> Mapping[str, Any]:
        node_id = self._graph.find(Handle(call))
        return self._changes.get(node_id, {}) if node_id is not None else {}


def _name_of(value: Any, names: Mapping[str, Any]) -> str | None:
    """Return the newest public name of a value; handles that are equal are one."""
    is_handle = type(value) is Handle
    return _newest(names, lambda named: named is value or (is_handle and type(named) is Handle and named == value))


def _factory(call: Call, names: Mapping[str, Any]) -> str:
    known = _newest(names, lambda named: type(named) is NodeFactory and named.spec is call.spec)
    return known or "nb.nodes" + _item(call.spec.class_type)


def _newest(names: Mapping[str, Any], is_it: Callable[[Any], bool]) -> str | None:
    newest_first: list[str] = [name for name in reversed(list(names)) if not name.startswith("_")]
    return next((name for name in newest_first if is_it(names[name])), None)


def _item(name: str) -> str:
    return f".{name}" if name.isidentifier() else f"[{name!r}]"


def _arguments(written: Mapping[str, str]) -> str:
    if all(name.isidentifier() for name in written):
        return ", ".join(f"{name}={value}" for name, value in written.items())
    return "**{" + ", ".join(f"{name!r}: {value}" for name, value in written.items()) + "}"


def _constant(value: Any, names: Mapping[str, Any]) -> str:
    if type(value) is float and not math.isfinite(value):
        return f'float("{value}")'
    if is_plain(value):
        return repr(value)
    if type(value) in (list, tuple) and all(is_plain(item) for item in value):
        return repr(value)
    return _name_of(value, names) or UNKNOWN


def _is_default(options: Mapping[str, Any], value: Any) -> bool:
    if "default" not in options or not is_plain(value):
        return False
    default = options["default"]
    return type(default) is type(value) and bool(default == value)
