"""What a function or class reads while it is defined, and its text with the decorators that it is to have."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from comfy_nb.engine.execution.resources import resource
from comfy_nb.graph import namespace
from comfy_nb.node_files.source import Definition, Function, Unwritable
from comfy_nb.spec.names import names_in


def names_at_once(code: types.CodeType) -> set[str]:
    """Return the globals that code reads while it is executed, not when functions in it are called."""
    return {name for each in _at_once(code) for name in names_in(each).variables}


def _at_once(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            is_class = not each.co_flags & inspect.CO_OPTIMIZED
            if is_class or (each.co_name.startswith("<") and each.co_name != "<lambda>"):  # a comprehension
                yield from _at_once(each)


def with_decorators(definition: Definition, decorator: str, scope: Mapping[str, Any]) -> str:
    """Return the text of a definition, with `decorator` in the place of the one that made it a node or a resource."""
    node = definition.node
    assert not isinstance(node, ast.Lambda)
    lines = definition.lines()
    indent = lines[: len(lines) - len(lines.lstrip())]
    kept = ["" if _makes_nodes(each, scope) else definition.segment(each) for each in node.decorator_list]
    if decorator and "" in kept:
        kept[kept.index("")] = decorator
    elif decorator:
        kept.insert(0, decorator)
    return "\n".join([*(f"{indent}@{each}" for each in kept if each), lines])


def _makes_nodes(decorator: ast.expr, scope: Mapping[str, Any]) -> bool:
    """Whether a decorator is `nb.node`, `nb.register` or `nb.resource`, as the scope names them."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    path: list[str] = []
    while isinstance(called, ast.Attribute):
        path.append(called.attr)
        called = called.value
    held = scope.get(called.id) if isinstance(called, ast.Name) else None
    for name in reversed(path):
        held = getattr(held, name, None)
    return any(held is each for each in (namespace.node, namespace.register, resource))


def check_defaults(definition: Definition, function: types.FunctionType, scope: Mapping[str, Any]) -> None:
    """Refuse a default that was the value of a global, if this has another one by now."""
    assert isinstance(definition.node, Function)
    arguments = definition.node.args
    named = [*arguments.posonlyargs, *arguments.args]
    given = zip(named[len(named) - len(arguments.defaults) :], arguments.defaults, strict=True)
    for argument, default in (*given, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)):
        if isinstance(default, ast.Name) and default.id in scope:
            is_value = inspect.signature(function).parameters[argument.arg].default
            if is_value is not scope[default.id] and is_value != scope[default.id]:
                raise Unwritable(f"has a default for {argument.arg!r} that {default.id} is no longer; define it again")


def check_names_around(definition: Definition, names: set[str], kept: Iterable[str]) -> None:
    """Refuse names of the function around that are read while this one is defined: nothing keeps them."""
    if lost := sorted((names & definition.names_around()).difference(kept)):
        raise Unwritable(f"is made by a function whose {', '.join(lost)} its defaults, hints or decorators read")
