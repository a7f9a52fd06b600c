"""Which context variables a class reads, told from its code and that of the functions and classes that it uses."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from comfy_nb.spec.attributes import attributes_of, held_by
from comfy_nb.spec.contents.callables import PARTS_OF_CALLABLES
from comfy_nb.spec.digest import is_of, is_plain
from comfy_nb.spec.locality import is_local, module_of
from comfy_nb.spec.names import module_name, names_in


def context_variables_of(cls: type) -> tuple[ContextVar[Any], ...]:
    """Return the context variables that the code of a class names, itself or through other code of the project."""
    found: list[ContextVar[Any]] = []
    seen: dict[int, Any] = {}
    stack: list[Any] = [cls]
    while stack:
        thing = stack.pop()
        if id(thing) not in seen:
            seen[id(thing)] = thing
            if type(thing) is ContextVar:
                found.append(thing)
            else:
                stack += [each for each in _named_by(thing) if not is_plain(each)]
    return tuple(found)


_CALLABLES = frozenset(PARTS_OF_CALLABLES)
_CONTAINERS = frozenset({list, tuple, set, frozenset, dict})


def _named_by(thing: Any) -> Iterator[Any]:
    """Return what a piece of the project's code names, or is made of; nothing for any other value."""
    kind = type(thing)  # an object may say that it is of another class
    if issubclass(kind, type):
        for each in thing.__mro__:
            yield from vars(each).values() if is_local(module_of(each)) else ()
    elif kind is types.FunctionType:
        if is_local(module_of(thing)):
            yield from _read_by(thing.__code__, thing.__globals__)
            yield from (*vars(thing).values(), *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values())
            for cell in thing.__closure__ or ():
                yield from held_by(cell)
    elif is_of(thing, _CALLABLES):
        yield from PARTS_OF_CALLABLES[kind](thing)
    elif is_of(thing, _CONTAINERS):
        yield from thing.values() if kind is dict else thing
    elif is_local(module_of(kind)):
        yield kind
        with suppress(AttributeError, TypeError):  # it does not show its attributes
            yield from attributes_of(thing, ())


def _read_by(code: types.CodeType, scope: Mapping[str, Any]) -> Iterator[Any]:
    names = names_in(code)
    modules = [sys.modules.get(module_name(each, scope)) for each in names.imports]
    for value in (*[scope[name] for name in names.variables if name in scope], *modules):
        if not issubclass(type(value), types.ModuleType):
            yield value
        elif is_local(value.__name__):
            yield from [vars(value)[name] for name in code.co_names if name in vars(value)]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _read_by(constant, scope)
