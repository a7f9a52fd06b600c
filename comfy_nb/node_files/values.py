"""Values as source: expressions that give an equal value in another process."""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import pathlib
import re
import types
import typing
from collections.abc import Callable
from typing import Any

import torch

from comfy_nb.node_files.source import Unwritable
from comfy_nb.wording import class_name

LONGEST = 100_000
DEEPEST = 90  # Python reads 200 open brackets, and some values need two
Refer = Callable[[Any], str]
_PLAIN = (type(None), bool, int, str, bytes, type(...), range, slice)
_SEQUENCES: dict[type, tuple[str, str]] = {list: ("[", "]"), set: ("{", "}"), tuple: ("(", ")")}
_REFERRED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


def expression(value: Any, refer: Refer) -> str:
    """Return source that gives a value; `refer` gives that of a class, a function or a module.

    Raises Unwritable for what is more than numbers, texts, containers, enums, type hints and records of these.
    """
    text = _expression(value, refer, ())
    if len(text) > LONGEST:
        raise Unwritable(f"is a {class_name(value)} of {len(text):,} characters, too much to be written as source")
    return text


def _expression(value: Any, refer: Refer, above: tuple[int, ...]) -> str:
    kind = type(value)
    if kind in _PLAIN:
        return _plain(value)
    if kind in (float, complex):
        return _number(value)
    if id(value) in above:
        raise Unwritable(f"is a {class_name(value)} that contains itself")
    if len(above) >= DEEPEST:
        raise Unwritable(f"is nested more than {DEEPEST} deep")
    inside = (*above, id(value))

    def write(part: Any) -> str:
        return _expression(part, refer, inside)

    if kind in (*_SEQUENCES, frozenset, dict):
        return _container(value, write)
    if value is type(None):
        return "None"
    if issubclass(kind, _REFERRED):
        return refer(value)
    if isinstance(value, enum.Enum):
        is_named = value.name is not None and kind.__members__.get(value.name) is value
        return f"{refer(kind)}.{value.name}" if is_named else f"{refer(kind)}({write(value.value)})"
    found = _known_object(value, refer, write) or _hint(value, refer, write) or _record(value, refer, write)
    if found is None:
        raise Unwritable(f"is of class {class_name(value)}, which cannot be written as source")
    return found


def _plain(value: Any) -> str:
    try:
        return repr(value)
    except ValueError as error:  # more digits than Python writes
        raise Unwritable(f"is or has a number that is too long ({error})") from None


def _number(value: float | complex) -> str:
    if isinstance(value, complex):
        return f"complex({_number(value.real)}, {_number(value.imag)})"
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def _container(value: Any, write: Callable[[Any], str]) -> str:
    if type(value) is dict:
        return "{" + ", ".join(f"{write(key)}: {write(item)}" for key, item in value.items()) + "}"
    items = [write(item) for item in value]
    if type(value) in (set, frozenset):  # their order differs between processes
        items.sort()
    if type(value) is frozenset or (not items and type(value) is set):
        return f"{type(value).__name__}({'[' + ', '.join(items) + ']' if items else ''})"
    start, end = _SEQUENCES[type(value)]
    return f"{start}{', '.join(items)}{',' if end == ')' and len(items) == 1 else ''}{end}"


def _known_object(value: Any, refer: Refer, write: Callable[[Any], str]) -> str | None:
    """Return the source of an object of the standard library or of torch that has one."""
    if type(value) is functools.partial:
        named = [f"{name}={write(each)}" for name, each in value.keywords.items()]
        return f"{refer(functools.partial)}({', '.join([*map(write, (value.func, *value.args)), *named])})"
    if isinstance(value, pathlib.PurePath):
        kind = pathlib.Path if isinstance(value, pathlib.Path) else type(value)
        return f"{refer(kind)}({str(value)!r})"
    if isinstance(value, re.Pattern):
        return f"{refer(re.compile)}({value.pattern!r}, {value.flags})"
    if isinstance(value, torch.dtype):
        return f"{refer(torch)}.{str(value).removeprefix('torch.')}"
    if isinstance(value, torch.device):
        return f"{refer(torch)}.device({str(value)!r})"
    return None


def _hint(value: Any, refer: Refer, write: Callable[[Any], str]) -> str | None:
    """Return the source of a type hint such as `list[int]` or `Annotated[float, Range(0, 1)]`."""
    if isinstance(value, typing.ForwardRef):
        return repr(value.__forward_arg__)
    if type(value).__name__ == "TypeAliasType":
        return write(value.__value__)
    if isinstance(value, typing._SpecialForm):
        return f"{refer(typing)}.{value._name}"  # type: ignore[attr-defined]
    origin = typing.get_origin(value)
    if origin is None:
        return None
    arguments = typing.get_args(value)
    if hasattr(value, "__metadata__"):
        return f"{refer(typing)}.Annotated[{', '.join(map(write, (value.__origin__, *value.__metadata__)))}]"
    if origin in (typing.Union, types.UnionType):
        return f"{refer(typing)}.Union[{', '.join(map(write, arguments))}]"
    return f"{write(origin)}[{', '.join(map(write, arguments)) or '()'}]"


def _record(value: Any, refer: Refer, write: Callable[[Any], str]) -> str | None:
    """Return the source of a NamedTuple, or of a dataclass that is no more than its fields."""
    kind = type(value)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return f"{refer(kind)}({', '.join(map(write, value))})"
    if not dataclasses.is_dataclass(kind) or hasattr(kind, "__post_init__"):
        return None
    fields = dataclasses.fields(value)
    if not all(field.init for field in fields) or not kind.__dataclass_params__.init:  # type: ignore[attr-defined]
        return None
    return f"{refer(kind)}({', '.join(f'{field.name}={write(getattr(value, field.name))}' for field in fields)})"
