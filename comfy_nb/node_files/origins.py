"""Whose a value is: what was written where a node was, and what can be imported instead."""

from __future__ import annotations

import builtins
import inspect
import sys
import types
from collections.abc import Mapping
from typing import Any

from comfy_nb.graph.handle import NodeFactory
from comfy_nb.node_files.source import Unwritable
from comfy_nb.spec.node_spec import NodeSpec

Scope = Mapping[str, Any]


def function_below(thing: Any) -> types.FunctionType | None:
    """Return the function that was written, below its decorators; None where there is none."""
    found, wrapped = None, thing
    while wrapped is not None and wrapped is not found:  # by what is there: an object may have any attribute if asked
        found, wrapped = wrapped, inspect.getattr_static(wrapped, "__wrapped__", None)
    return found if type(found) is types.FunctionType else None


def is_own(value: Any, scope: Scope) -> bool:
    """Whether a value is a class or function that was written in a scope."""
    if isinstance(value, type):
        return value.__module__ == scope.get("__name__")
    function = function_below(value)
    return function is not None and function.__globals__ is scope


def scope_of(spec: NodeSpec) -> Scope:
    """Return the globals of what a node was made of; raises Unwritable where these are not known."""
    if not isinstance(spec.origin, type):
        function = function_below(spec.origin)
        if function is None:
            raise Unwritable("is not made of a function or class that was written as such")
        return function.__globals__
    for value in vars(spec.origin).values():
        function = function_below(getattr(value, "__func__", value))
        if function is not None and function.__module__ == spec.origin.__module__:
            return function.__globals__
    return vars(sys.modules[spec.origin.__module__])


def place_of(thing: Any, name: str = "") -> tuple[types.ModuleType, str] | None:
    """Return a module that has this very object, and the name it has there, which may be `name`."""
    kind = type(thing)
    modules = [getattr(thing, "__module__", None) or "", getattr(kind, "__module__", None) or ""]
    names = [each for each in (getattr(thing, "__qualname__", ""), getattr(thing, "__name__", ""), name) if each]
    modules = [each for each in modules if type(each) is str and each != "__main__"]
    for place in dict.fromkeys([*(each.partition(".")[0] for each in modules), *modules]):
        module = sys.modules.get(place)
        for each in names:
            if module is not None and _held(module, each) is thing:
                return module, each
    return None


def _held(module: Any, name: str) -> Any:
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def import_by_name(name: str, value: Any) -> list[str]:
    """Return the statement that imports a value, if it is one that a module has."""
    if isinstance(value, types.ModuleType):
        return [f"import {value.__name__}" if value.__name__ == name else f"import {value.__name__} as {name}"]
    found = place_of(value, name)
    if found is None or "." in found[1] or found[0] is builtins:
        return []
    module, there = found
    return [f"from {module.__name__} import {there}{'' if there == name else f' as {name}'}"]


def name_of_node(spec: NodeSpec, scope: Scope) -> str:
    """Return the name by which a scope has a function node, else one that is free for it."""
    function = function_below(spec.origin)
    written = function.__name__ if function is not None else ""
    names = [name for name, held in scope.items() if type(held) is NodeFactory and held.spec is spec]
    if names:
        return written if written in names else names[-1]
    if spec.class_type.isidentifier() and scope.get(spec.class_type) is not spec.origin:
        return spec.class_type
    return f"{written}_node" if written.isidentifier() else "node"
