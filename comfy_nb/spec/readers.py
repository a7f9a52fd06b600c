"""Readers: for each class, a function that says what its values hold besides their attributes.

A reader returns simpler values, in an order that counts. Two values of one class that a node can tell apart must have
different parts. It raises Unreadable for a value of which not all can be known.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence, Set
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from comfy_nb.spec.attributes import (
    Slots,
    attributes_of,
    caches_of,
    has_hidden_state,
    held_in_slots,
    set_by_init,
    slots_of,
    values_of,
)
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.locality import is_local, module_of

Mark = tuple[str, str]
"""The kind and the name under which a change of something that code reads is reported: ("global", "GAIN")."""
Named = tuple[Mark, Any]


class Code(NamedTuple):
    """All parts of a function or class: its own, and the values that it names.

    `unreadable` says in words what else it may read that nobody can know.
    """

    parts: Sequence[Any]
    named: list[Named]
    unreadable: str | None = None


Parts = Sequence[Any] | Digest | Code
"""Simpler values; or the digest of the whole value, its class and attributes included."""
Reader = Callable[[Any], Parts]
SomeReader = TypeVar("SomeReader", bound=Reader)

_by_class: dict[type, tuple[Reader, bool]] = {}
UNCHANGEABLE: set[type] = {tuple, frozenset}
"""Classes whose values cannot change if what they hold cannot, so that nobody asks which of two equal ones it is."""
_by_name: dict[tuple[str, str], tuple[Reader, bool]] = {}
CACHES: dict[str, frozenset[str]] = {}
"""By package, attributes and slots in which all its objects keep what follows from the rest; "" is for all classes."""


_WITHOUT_ATTRIBUTES = frozenset({list, tuple, dict, set, frozenset})


class Whole(tuple[Any, ...]):
    """Parts that are all that counts of a value beside slots that derived classes add: its attributes do not."""

    __slots__ = ()


class Unreadable(Exception):
    """What a value holds cannot be known; the text says what it is, with an article."""


ANY_GLOBAL = {
    "IPython": {"get_ipython"},
    "IPython.core.getipython": {"get_ipython"},
    "_pickle": {"load", "loads"},
    "builtins": {"__import__", "eval", "exec", "globals"},
    "cProfile": {"run", "runctx"},
    "code": {"InteractiveConsole", "InteractiveInterpreter", "interact"},
    "gc": {"get_objects", "get_referrers"},
    "importlib": {"import_module"},
    "inspect": {"getmodule"},
    "pkgutil": {"resolve_name"},
    "profile": {"run", "runctx"},
    "pydantic._internal._validators": {"import_string"},
    "pydantic.types": {"ImportString"},
    "pydoc": {"locate", "resolve"},
    "runpy": {"run_module", "run_path"},
    "timeit": {"Timer", "repeat", "timeit"},
}
"""Functions and classes by which code reads any global, by a name or text that it is given, or without; by module."""


GLOBALS_OF_CODE = frozenset(
    {"__builtins__", "__globals__", "f_builtins", "f_globals", "f_locals", "user_global_ns", "user_ns"}
)
"""Attributes of functions and frames by which any global can be read."""


def refuse_any_global(installed: str) -> None:
    """Raise Unreadable for what looks up any global by its name, told by the name under which a package holds it."""
    name = installed.partition(" ")[0]
    module, _, attribute = name.rpartition(".")
    if attribute in ANY_GLOBAL.get(module, ()):
        raise Unreadable(f"{name}, which reads whatever it is asked for")


class Known(NamedTuple):
    """What is known of a class: how its instances are read, and the slots that they have besides.

    `left_out` are attributes that hold what was computed once from the rest. A package takes care that this is so; of
    `computed` nobody knows: those of the person's own classes may have been set, or the rest be changed since, and
    those that a package's `__init__` sets may be what the object was made of. `installed`: an installed package may
    hold them under a name, by which they are known then.
    """

    read: Reader
    slots: Slots
    left_out: Set[str] = frozenset()
    computed: Set[str] = frozenset()
    installed: bool = False

    def parts(self, value: Any) -> Parts:
        """Return all that a value holds, with its attributes, but for what was computed."""
        parts = self.read(value)
        if type(value) in _WITHOUT_ATTRIBUTES or type(parts) in (Digest, Code):
            return parts
        if type(parts) is Whole:
            return [*parts, *held_in_slots(value, self.slots)] if self.slots else parts
        return [*parts, *attributes_of(value, self.slots, self.left_out)]

    def computed_of(self, value: Any) -> list[tuple[str, Any]]:
        """Return what a value keeps of what it computed, or was made of, by name."""
        return values_of(value, self.computed)


_known: WeakKeyDictionary[type, Known] = WeakKeyDictionary()


def reads(*classes: type, with_derived: bool = False, unchangeable: bool = False) -> Callable[[SomeReader], SomeReader]:
    """Register a reader for the instances of classes, and of those that are derived from them in Python.

    `with_derived`: also of those that were derived from them in C, of which the reader tells all. `unchangeable`:
    values of just these classes cannot change if what they hold cannot.
    """

    def register(reader: SomeReader) -> SomeReader:
        UNCHANGEABLE.update(classes if unchangeable else ())
        _by_class.update(dict.fromkeys(classes, (reader, with_derived)))
        _known.clear()
        return reader

    return register


def reads_named(package: str, *names: str, with_derived: bool = False) -> Callable[[SomeReader], SomeReader]:
    """Register a reader, as `reads` does, for classes of a package that is not imported for this."""

    def register(reader: SomeReader) -> SomeReader:
        _by_name.update({(package, name): (reader, with_derived) for name in names})
        _known.clear()
        return reader

    return register


def known_of(kind: type) -> Known:
    """Return how the instances of a class are read."""
    found = _known.get(kind)
    if found is None:
        found = _known[kind] = _find(kind)
    return found


def _find(kind: type) -> Known:
    if issubclass(kind, type):
        return Known(_by_class[type][0], (), installed=True)
    for base in kind.__mro__:
        found = _by_class.get(base) or _by_name.get((_package(base), base.__name__))
        if found is not None:
            reader, with_derived = found
            # A structured result of the operating system is a tuple that tells by itself what else it holds.
            is_complete = with_derived or hasattr(kind, "n_sequence_fields") or not has_hidden_state(kind, base)
            caches = caches_of(kind)
            memos = {name for package in ("", *map(_package, kind.__mro__)) for name in CACHES.get(package, ())}
            left_out = caches.keys() | memos
            slots = tuple([slot for slot in slots_of(kind, base) if slot[1].__name__ not in left_out])
            given = set_by_init(kind) if caches else ()
            computed = {name for name, each in caches.items() if name in given or is_local(each.__module__)} - memos
            return Known(reader if is_complete else _refuse, slots, left_out, computed, _may_be_installed(kind))
    return Known(_refuse, (), installed=_may_be_installed(kind))


def _may_be_installed(kind: type) -> bool:
    """Whether instances can be called, as what a package holds under its own name can, and are not the person's."""
    call = next((vars(each)["__call__"] for each in kind.__mro__ if "__call__" in vars(each)), None)
    return call is not None and (isinstance(call, types.WrapperDescriptorType) or not is_local(kind.__module__))


def _package(kind: type) -> str:
    return module_of(kind).partition(".")[0]


def _refuse(_: Any) -> Parts:
    raise Unreadable


@reads(object)
def _(_value: Any) -> Parts:
    return ()
