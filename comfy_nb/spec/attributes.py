"""What Python itself keeps of an object, such as its attributes and slots, and of a class, out of sight too."""

from __future__ import annotations

import abc
import dis
import functools
import gc
import types
from _abc import _get_dump  # type: ignore[import-not-found]
from collections.abc import Set
from contextlib import suppress
from typing import Any

POINTER = 8
HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: the class was made at run time, by a class statement or by a module in C."""
UNSET = "(unset)"

Slots = tuple[tuple[str, types.MemberDescriptorType], ...]


def attributes_of(value: Any, slots: Slots, left_out: Set[str] = frozenset()) -> list[Any]:
    """Return the names and values of an object's attributes, in the order in which they were set, and of its slots.

    Nothing is computed: properties are not asked.
    """
    own = [part for pair in _own_dict(value).items() if pair[0] not in left_out for part in pair]
    return own + held_in_slots(value, slots)


def held_in_slots(value: Any, slots: Slots) -> list[Any]:
    """Return the names of slots and what an object holds there."""
    found: list[Any] = []
    for name, slot in slots:
        try:
            found += (name, slot.__get__(value))
        except AttributeError:
            found += (name, UNSET)
    return found


def as_told_by(base: type, name: str, value: Any) -> Any:
    """Return what a base class tells of an object under a name, whatever the class derived from it would."""
    return vars(base)[name].__get__(value)


def values_of(value: Any, names: Set[str]) -> list[tuple[str, Any]]:
    """Return those of an object's attributes and slots that have one of these names and are set."""
    found = [(name, item) for name, item in _own_dict(value).items() if name in names]
    for name in sorted(names):
        slot = of_class(type(value), name)
        if isinstance(slot, types.MemberDescriptorType):
            with suppress(AttributeError):
                found.append((name, slot.__get__(value)))
    return found


def _own_dict(value: Any) -> dict[str, Any]:
    shown_by = of_class(type(value), "__dict__")
    if shown_by is None:
        return {}
    if type(shown_by) not in _OF_THE_INTERPRETER:  # a property, or whatever else a class has under this name
        raise TypeError("it does not show its attributes")
    own = object.__getattribute__(value, "__dict__")
    if own is value:  # a dict whose items are its attributes, by `self.__dict__ = self`
        return {"__dict__": own}
    if type(own) is not dict:
        raise TypeError("it does not show its attributes")
    return own


_OF_THE_INTERPRETER = (types.GetSetDescriptorType, types.MemberDescriptorType)


def held_by(cell: types.CellType) -> tuple[Any, ...]:
    """Return what a closure's cell holds; nothing where it is empty."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def referents_of(value: Any) -> list[Any]:
    """Return the objects that an object made in C refers to, whether it shows them or not, other than its class."""
    return [each for each in gc.get_referents(value) if each is not type(value)]


def slots_of(kind: type, base: type) -> Slots:
    """Return the slots that a class adds to one of its base classes."""
    return tuple(
        (f"{each.__qualname__}.{name}", entry)
        for each in reversed(_added_to(kind, base))
        for name, entry in vars(each).items()
        if isinstance(entry, types.MemberDescriptorType)
    )


def has_hidden_state(kind: type, base: type) -> bool:
    """Whether a class adds more to one of its base classes than attributes and slots: memory that only C code reads."""
    if not all(each.__flags__ & HEAP_TYPE for each in _added_to(kind, base)):
        return True
    size = kind.__basicsize__ - base.__basicsize__ - POINTER * len(slots_of(kind, base))
    pointers = (kind.__dictoffset__ != base.__dictoffset__) + (kind.__weakrefoffset__ != base.__weakrefoffset__)
    return kind.__itemsize__ != base.__itemsize__ or not 0 <= size <= POINTER * pointers


def _added_to(kind: type, base: type) -> list[type]:
    """Return the classes of which an instance has a part besides what its base class has."""
    return [each for each in kind.__mro__ if each not in base.__mro__]


def caches_of(kind: type) -> dict[str, type]:
    """Return the names under which instances keep what was computed once, each with the class that computes it."""
    found: dict[str, type] = {}
    for each in reversed(kind.__mro__):
        entries = vars(each)
        fields = entries.get("__attrs_attrs__")
        named = {getattr(field, "name", None) for field in fields or ()}
        for name, entry in entries.items():
            # The slots that attrs adds to the fields are for cached properties.
            is_slot = fields is not None and isinstance(entry, types.MemberDescriptorType) and name not in named
            if is_slot or _is_cache(entry):
                found[name] = each
            else:
                found.pop(name, None)
    return found


def _is_cache(entry: Any) -> bool:
    """Whether what a class has under a name computes a value once, and keeps it in the instance under that name."""
    kind = type(entry)
    is_method = callable(entry) or issubclass(kind, _MADE_METHODS)
    return hasattr(kind, "__get__") and not hasattr(kind, "__set__") and not is_method


_MADE_METHODS = (staticmethod, classmethod, functools.partialmethod, functools.singledispatchmethod)


def set_by_init(kind: type) -> set[str]:
    """Return the names of the attributes that the code of a class sets as an object is made."""
    inits = [vars(each).get("__init__") for each in kind.__mro__]
    codes = [init.__code__ for init in inits if type(init) is types.FunctionType]
    return {step.argval for code in codes for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}


def of_class(kind: type, name: str) -> Any:
    """Return what a class itself has under a name. Descriptors are not asked, nor a metaclass, which may answer all."""
    for each in kind.__mro__:
        if name in each.__dict__:
            return each.__dict__[name]
    return None


def container_of(value: Any) -> Any:
    """Return the built-in class of containers that a value is of, by its own class or one above that; None if of none.

    Called by this class, its methods show what the value holds, whatever a derived class has in their place.
    """
    return next((each for each in _CONTAINERS if issubclass(type(value), each)), None)


_CONTAINERS = (dict, list, tuple, set, frozenset)


def items_of(value: Any) -> list[Any]:
    """Return what a list or tuple holds, whatever a class derived from these would give."""
    return list((list if issubclass(type(value), list) else tuple).__iter__(value))


def derived_from(kind: type) -> list[type]:
    """Return all classes that are derived from a class, those derived from these included."""
    found: dict[type, None] = {}
    stack: list[type] = [kind]
    while stack:
        derived: list[type] = type.__subclasses__(stack.pop())
        for each in derived:
            if each not in found:
                found[each] = None
                stack.append(each)
    return list(found)


def registered_with(kind: abc.ABCMeta) -> list[type]:
    """Return the classes that were registered with an abstract base class, in the order of their names."""
    registered = [each() for each in _get_dump(kind)[0]]
    alive = [each for each in registered if each is not None]
    return sorted(alive, key=lambda each: (each.__module__, each.__qualname__))
