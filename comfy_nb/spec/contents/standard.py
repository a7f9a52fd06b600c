"""What values of Python's own classes hold: numbers, texts, containers, dates, paths, patterns.

The methods of the base class are called by name, since a derived class may have others under the same name.
"""

from __future__ import annotations

import array
import builtins
import collections
import contextvars
import datetime
import decimal
import enum
import io
import operator
import pathlib
import pickle
import random
import re
import struct
import types
import typing
import weakref
import xml.etree.ElementTree
import zoneinfo
from collections.abc import Callable
from typing import Any

from xxhash import xxh3_128_digest

from comfy_nb.spec.attributes import as_told_by, referents_of
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.readers import GLOBALS_OF_CODE, Parts, Unreadable, Whole, reads

# What a value of a derived class is to its base class, whatever the derived one says under these names.
_AS_BASE: dict[type, Callable[[Any], Any]] = {
    int: int.__index__,
    float: float.__float__,
    complex: complex.__complex__,
    str: str.__str__,
    bytes: bytes.__bytes__,
}


@reads(*_AS_BASE)
def _(value: Any) -> Parts:
    base = next(each for each in type(value).__mro__ if each in _AS_BASE)
    return (_AS_BASE[base](value),)


@reads(bytearray)
def _(value: bytearray) -> Parts:
    return (_digest_of_buffer(value),)


@reads(memoryview)
def _(value: memoryview) -> Parts:
    content = _digest_of_buffer(value) if value.c_contiguous else value.tobytes()
    return (value.format, value.shape, value.readonly, content, value.obj)


def _digest_of_buffer(value: Any) -> Digest:
    with memoryview(value) as buffer:
        return Digest(xxh3_128_digest(buffer))


@reads(enum.Enum)
def _(value: enum.Enum) -> Parts:
    return (value._name_, value._value_)


@reads(list)
def _(value: list[Any]) -> Parts:
    return (*list.__iter__(value), list.__len__(value))


@reads(tuple)
def _(value: tuple[Any, ...]) -> Parts:
    # A structured result of the operating system holds more than its items.
    hidden = value.__reduce__()[1][1:] if hasattr(type(value), "n_sequence_fields") else ()
    return (*tuple.__iter__(value), tuple.__len__(value), *hidden)


@reads(dict)
def _(value: dict[Any, Any]) -> Parts:
    return (*dict.keys(value), dict.__len__(value), *dict.values(value))


@reads(collections.OrderedDict)
def _(value: collections.OrderedDict[Any, Any]) -> Parts:
    # Its order is its own: `move_to_end` leaves the dict below as it is.
    items = [part for pair in collections.OrderedDict.items(value) for part in pair]
    return (*items, dict.__len__(value))


@reads(collections.defaultdict)
def _(value: collections.defaultdict[Any, Any]) -> Parts:
    return (
        as_told_by(collections.defaultdict, "default_factory", value),
        *dict.keys(value),
        dict.__len__(value),
        *dict.values(value),
    )


# Sets of equal members can differ in the order in which they are gone through, and a node can see that.
@reads(set)
def _(value: set[Any]) -> Parts:
    return (*set.__iter__(value), set.__len__(value))


@reads(frozenset)
def _(value: frozenset[Any]) -> Parts:
    return (*frozenset.__iter__(value), frozenset.__len__(value))


@reads(collections.deque)
def _(value: collections.deque[Any]) -> Parts:
    return (*collections.deque.__iter__(value), as_told_by(collections.deque, "maxlen", value))


@reads(types.MappingProxyType)
def _(value: types.MappingProxyType[Any, Any]) -> Parts:
    return referents_of(value)  # the mapping behind it, which it does not show


@reads(type({}.keys()), type({}.values()), type({}.items()))
@reads(type(collections.OrderedDict().keys()), type(collections.OrderedDict().values()))
@reads(type(collections.OrderedDict().items()))
def _(value: Any) -> Parts:
    return (value.mapping,)


@reads(array.array)
def _(value: array.array[Any]) -> Parts:
    return (as_told_by(array.array, "typecode", value), _digest_of_buffer(value))


@reads(range, slice, unchangeable=True)
def _(value: Any) -> Parts:
    return (value.start, value.stop, value.step)


_FIELDS_OF_TIMEDELTA = [vars(datetime.timedelta)[name] for name in ("days", "seconds", "microseconds")]
_PARTS_OF_TIME = ("hour", "minute", "second", "microsecond", "fold", "tzinfo")
_FIELDS_OF_TIME = [vars(datetime.time)[name] for name in _PARTS_OF_TIME]
_FIELDS_OF_DATETIME = [getattr(datetime.datetime, name) for name in ("year", "month", "day", *_PARTS_OF_TIME)]


@reads(datetime.date, unchangeable=True)
def _(value: datetime.date) -> Parts:
    return (datetime.date.isoformat(value),)


@reads(datetime.timedelta, unchangeable=True)
def _(value: datetime.timedelta) -> Parts:
    return tuple([each.__get__(value) for each in _FIELDS_OF_TIMEDELTA])


@reads(datetime.timezone, unchangeable=True)
def _(value: datetime.timezone) -> Parts:
    return value.__getinitargs__()  # type: ignore[attr-defined, no-any-return]


@reads(datetime.datetime, unchangeable=True)
def _(value: datetime.datetime) -> Parts:
    return tuple([each.__get__(value) for each in _FIELDS_OF_DATETIME])


@reads(datetime.time, unchangeable=True)
def _(value: datetime.time) -> Parts:
    return tuple([each.__get__(value) for each in _FIELDS_OF_TIME])


@reads(datetime.tzinfo)
def _(_value: datetime.tzinfo) -> Parts:
    return ()


@reads(zoneinfo.ZoneInfo, unchangeable=True)
def _(value: zoneinfo.ZoneInfo) -> Parts:
    try:
        value.__reduce__()
    except pickle.PicklingError as error:  # it may have a key nevertheless
        raise Unreadable("a time zone read from a file") from error
    return (value.key,)


@reads(decimal.Decimal, unchangeable=True)
def _(value: decimal.Decimal) -> Parts:
    return (decimal.Decimal.__str__(value),)


@reads(decimal.Context)
def _(value: decimal.Context) -> Parts:
    return (decimal.Context.__repr__(value),)


@reads(pathlib.PurePath, pathlib.Path, pathlib.PosixPath, pathlib.WindowsPath, unchangeable=True)
def _(value: pathlib.PurePath) -> Parts:
    return (pathlib.PurePath.__str__(value),)


@reads(re.Pattern, unchangeable=True)
def _(value: re.Pattern[Any]) -> Parts:
    return (value.pattern, value.flags)


@reads(re.Match)
def _(value: re.Match[Any]) -> Parts:
    return (value.re, value.string, value.regs, value.pos, value.endpos)


@reads(operator.itemgetter, operator.methodcaller)
def _(value: Any) -> Parts:
    return value.__reduce__()  # type: ignore[no-any-return]


@reads(operator.attrgetter)
def _(value: operator.attrgetter[Any]) -> Parts:
    parts: Any = value.__reduce__()
    for path in parts[1]:
        for name in GLOBALS_OF_CODE.intersection(path.split(".")):
            raise Unreadable(f"an attrgetter of `{name}`, which reads whatever it is asked for")
    return parts  # type: ignore[no-any-return]


@reads(types.SimpleNamespace)
def _(_value: types.SimpleNamespace) -> Parts:
    return ()


@reads(types.GenericAlias, unchangeable=True)
def _(value: types.GenericAlias) -> Parts:
    return (value.__origin__, value.__args__, value.__unpacked__)


@reads(types.UnionType, unchangeable=True)
def _(value: types.UnionType) -> Parts:
    return (value.__args__,)


@reads(typing.ForwardRef)
def _(value: typing.ForwardRef) -> Parts:
    """Return what it names; what that was found to be, it keeps."""
    return Whole((value.__forward_arg__, value.__forward_module__, value.__forward_is_class__))


@reads(type(NotImplemented), unchangeable=True)
def _(_value: Any) -> Parts:
    return ()


@reads(random.Random)
def _(value: random.Random) -> Parts:
    if value is random._inst:
        return Whole(("the generator behind random's functions",))
    if isinstance(value, random.SystemRandom):
        raise Unreadable("a source of numbers that nobody can foresee")
    return (random.Random.getstate(value),)


@reads(io.BytesIO)
def _(value: io.BytesIO) -> Parts:
    with io.BytesIO.getbuffer(value) as content:
        return (_digest_of_buffer(content), io.BytesIO.tell(value))


@reads(io.StringIO)
def _(value: io.StringIO) -> Parts:
    state: Any = io.StringIO.__getstate__(value)
    text, newline, position, _attributes = state
    return (text, newline, position, as_told_by(io.StringIO, "newlines", value))


@reads(struct.Struct, unchangeable=True)
def _(value: struct.Struct) -> Parts:
    return (as_told_by(struct.Struct, "format", value),)


@reads(contextvars.ContextVar)
def _(value: contextvars.ContextVar[Any]) -> Parts:
    try:
        return (value.name, value.get())
    except LookupError:
        return (value.name,)


@reads(xml.etree.ElementTree.Element)
def _(value: xml.etree.ElementTree.Element) -> Parts:
    kind = xml.etree.ElementTree.Element
    children = [kind.__getitem__(value, place) for place in range(kind.__len__(value))]
    return (*[as_told_by(kind, name, value) for name in ("tag", "attrib", "text", "tail")], *children)


def _fields(error: BaseException) -> list[Any]:
    """What C code keeps in an error of a built-in class, such as the file's name in an OSError."""
    kept = [vars(base) for base in type(error).__mro__ if base in _BUILT_IN_ERRORS]
    slots = [slot for names in kept for slot in names.values() if isinstance(slot, types.MemberDescriptorType)]
    return [slot.__get__(error) for slot in slots] + [getattr(error, "characters_written", None)]


_BUILT_IN_ERRORS = {
    each for each in vars(builtins).values() if isinstance(each, type) and issubclass(each, BaseException)
}


@reads(*_BUILT_IN_ERRORS)
def _(value: BaseException) -> Parts:
    args, traceback, *linked = [as_told_by(BaseException, name, value) for name in _FACTS_OF_ERRORS]
    if traceback is not None:
        raise Unreadable("an error that was raised, with its traceback")
    return (args, *linked, *_fields(value))


_FACTS_OF_ERRORS = ("args", "__traceback__", "__cause__", "__context__", "__suppress_context__")


@reads(weakref.finalize)
def _(value: weakref.finalize[Any, Any]) -> Parts:
    """Return whether it is still to be called, as of a temporary folder that was not cleaned up, and with what."""
    return (value.alive, value.atexit, value.peek())


@reads(weakref.ref)
def _(value: weakref.ref[Any]) -> Parts:
    return (weakref.ref.__call__(value), as_told_by(weakref.ref, "__callback__", value))
