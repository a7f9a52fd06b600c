"""Digests of code: everything that a function's result depends on beyond its arguments.

That is the function's bytecode, defaults and closure, and, through everything it names, the helpers, classes and
constants of the notebook and of the project's own modules. Code from installed packages is identified by its name.
"""

from __future__ import annotations

import dis
import functools
import inspect
import itertools
import os
import reprlib
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from xxhash import xxh3_128_digest

from comfy_nb.spec.fingerprint import PLAIN, digest_of, encode_plain

_INSTALLED = tuple(
    {
        os.path.realpath(path)
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if (path := sysconfig.get_path(name)) is not None
    }
)
_OWN_PACKAGE = str(Path(__file__).resolve().parents[1])


def code_digest(thing: Callable[..., Any] | type, *also: Any) -> bytes:
    """Digest a function or class with everything it reads, as 16 bytes that differ after any edit that can matter.

    A name that does not exist yet counts as missing, so defining it later changes the digest. `also` is whatever else
    the result depends on, such as how the function's signature is read.
    """
    walk = _Walk()
    walk.visit(thing)
    for each in also:
        walk.visit_named("signature", "", each)
    digest = xxh3_128_digest(b"".join(walk.parts))
    if digest not in _ledgers:
        _ledgers[digest] = walk.ledger()
        if len(_ledgers) > LEDGERS_KEPT:
            del _ledgers[next(iter(_ledgers))]
    return digest


LEDGERS_KEPT = 4096
Mark = tuple[str, str]
Ledger = dict[Mark, tuple[bytes, str]]
_ledgers: dict[bytes, Ledger] = {}
OWN_CODE: Mark = ("code", "")


def code_changes(old: bytes, new: bytes) -> list[str]:
    """Describe how the code behind two digests differs; just "code changed" if that is not known."""
    before, now = _ledgers.get(old), _ledgers.get(new)
    if before is None or now is None:
        return ["code changed"]
    changed = [mark for mark in now if mark in before and before[mark][0] != now[mark][0]]
    if not changed:
        changed = [mark for mark in now if mark not in before] + [mark for mark in before if mark not in now]
    return [_describe_change(mark, before, now) for mark in changed] or ["code changed"]


def _describe_change(mark: Mark, before: Ledger, now: Ledger) -> str:
    kind, name = mark
    named = f"{kind} `{name}`" if name else kind
    if mark not in before or mark not in now:
        return f"{named} is {'gone' if mark in before else 'new'}"
    old, new = before[mark][1], now[mark][1]
    return f"{named} changed {old} -> {new}" if old and new and old != new else f"{named} changed"


@functools.cache
def source_digest(cls: type) -> bytes:
    """Digest the file that a class was read from; its code alone if there is no file."""
    try:
        source = Path(inspect.getfile(cls)).read_bytes()
    except (OSError, TypeError):
        return code_digest(cls)
    return xxh3_128_digest(source + cls.__qualname__.encode())


def is_local(module_name: str | None) -> bool:
    """Return whether a module is the notebook or one of the project's own files, not an installed package."""
    if module_name is None or module_name == "__main__":
        return True
    module = sys.modules.get(module_name)
    if module is None:
        return True
    path = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return module_name not in sys.builtin_module_names if path is None else _is_local_file(path)


@functools.lru_cache(maxsize=4096)
def _is_local_file(path: str) -> bool:
    if path.startswith("<frozen "):
        return False
    real = os.path.realpath(path)
    if real.startswith(_OWN_PACKAGE + os.sep) or "site-packages" in real or "dist-packages" in real:
        return False
    return not real.startswith(tuple(root + os.sep for root in _INSTALLED))


SEEN = b"again"


class _Walk:
    """One pass over functions, classes and everything they name; each is read once."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.seen: dict[int, int] = {}
        self.order = itertools.count()
        self._spans: list[tuple[int, int, str, str, Any]] = []

    def visit_named(self, kind: str, name: str, value: Any) -> None:
        """Add a value under the name by which a change of it is reported."""
        start = len(self.parts)
        self._name(kind, name)
        self.visit(value)
        self._spans.append((start, len(self.parts), kind, name, value))

    def ledger(self) -> Ledger:
        """Return the digest of what each name itself added, and a short form of the value if it is plain."""
        owner = [-1] * len(self.parts)
        for index in reversed(range(len(self._spans))):
            start, end, *_ = self._spans[index]
            owner[start:end] = [index] * (end - start)
        own: dict[int, list[bytes]] = {}
        for index, part in zip(owner, self.parts, strict=True):
            own.setdefault(index, []).append(part)
        ledger: Ledger = {OWN_CODE: (xxh3_128_digest(b"".join(own.get(-1, ()))), "")}
        for index, (_, _, kind, name, value) in enumerate(self._spans):
            if not own[index][1:2] or not own[index][1].startswith(SEEN):
                shown = reprlib.repr(value) if name and type(value) in PLAIN else ""
                ledger[kind, name] = (xxh3_128_digest(b"".join(own[index])), shown)
        return ledger

    def visit(self, thing: Any) -> None:
        """Add a value to the digest, following code that belongs to the notebook or the project."""
        if type(thing) in PLAIN:
            self.parts.append(encode_plain(thing))
            return
        key = id(thing)
        if key in self.seen:
            self.parts.append(SEEN + b"%d" % self.seen[key])
            return
        self.seen[key] = next(self.order)
        self._read(thing)
        if not isinstance(thing, (types.FunctionType, type)):
            # Equal constants may be one object or two, so only what could recurse forever is remembered for good.
            del self.seen[key]

    def _read(self, thing: Any) -> None:
        if isinstance(thing, types.FunctionType):
            self._read_function(thing)
        elif isinstance(thing, type):
            self._read_class(thing)
        elif isinstance(thing, types.ModuleType):
            self._name("module", thing.__name__)
        elif type(thing) in (list, tuple):
            self._read_items(thing)
        elif type(thing) in (dict, types.MappingProxyType):
            self._read_items([part for pair in thing.items() for part in pair])
        elif (parts := _parts_of(thing)) is not None:
            self._name("made of", type(thing).__name__)
            self._read_items(parts)
        else:
            self._read_value(thing)

    def _name(self, kind: str, name: str) -> None:
        self.parts.append(f"{kind} {name}".encode())

    def _read_items(self, items: Sequence[Any]) -> None:
        self.parts.append(b"items%d" % len(items))
        for item in items:
            self.visit(item)

    def _read_value(self, value: Any) -> None:
        code = getattr(type(value), "__comfy_nb_code__", None)
        if code is not None:
            self.parts.append(code(value))
        elif isinstance(value, ContextVar):
            self._read_context_variable(value)
        elif type(value).__module__ == "dataclasses":
            # Its records and sentinels add nothing to the methods that it makes.
            self._name("dataclasses", type(value).__name__)
        elif (name := _installed_name(value)) is not None:
            self._name("installed", name)
        else:
            found = digest_of(value)
            self.parts.append(found.value)
            if not found.durable:
                self.visit(type(value))

    def _read_context_variable(self, variable: ContextVar[Any]) -> None:
        """Add the value that a context variable has now, in the code that asks for the digest."""
        self._name("context variable", variable.name)
        try:
            self.visit(variable.get())
        except LookupError:
            self._name("context variable", "without a value")

    def _read_function(self, function: types.FunctionType) -> None:
        if not _is_local_file(function.__code__.co_filename):
            self._name("function", f"{function.__module__}.{function.__qualname__}")
            if hasattr(function, "__wrapped__"):
                self.visit(function.__wrapped__)
            return
        self._read_code(function.__code__, function.__globals__)
        for name, value in _defaults(function):
            self.visit_named(f"default of {function.__name__}'s", name, value)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.visit_named("closure variable", name, cell.cell_contents)
            except ValueError:
                self._name("empty closure variable", name)

    def _read_code(self, code: types.CodeType, scope: dict[str, Any]) -> None:
        self.parts += (code.co_code, code.co_exceptiontable)
        self.parts.append(repr((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)).encode())
        self.parts.append(b"%d/%d/%d" % (code.co_argcount, code.co_kwonlyargcount, code.co_flags))
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._read_code(constant, scope)
            else:
                self.visit(constant)
        for name in _names_read(code):
            if name in scope:
                self._read_global(name, scope[name], code.co_names)
            elif name in sys.modules and is_local(name):
                self._read_global(name, sys.modules[name], code.co_names)

    def _read_global(self, path: str, value: Any, names: tuple[str, ...]) -> None:
        if not isinstance(value, types.ModuleType) or not is_local(value.__name__):
            self.visit_named(_kind_of(value), path, value)
            return
        self._name("module", value.__name__)
        for name in names:
            if name in value.__dict__:
                others = tuple(other for other in names if other != name)
                self._read_global(f"{path}.{name}", value.__dict__[name], others)

    def _read_class(self, cls: type) -> None:
        self._name("class", f"{cls.__module__}.{cls.__qualname__}")
        if not is_local(cls.__module__):
            return
        for base in cls.__mro__[1:]:
            self.visit(base)
        for name, value in _own_attributes(cls):
            self.visit_named("attribute", f"{cls.__name__}.{name}", value)


@functools.lru_cache(maxsize=4096)
def _names_read(code: types.CodeType) -> tuple[str, ...]:
    """Return the globals and modules that a piece of code reads, without the attributes that it reads from them."""
    asked = (step.argval for step in dis.get_instructions(code) if step.opname in _READS)
    return tuple(dict.fromkeys(asked))


_READS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "IMPORT_NAME"}


def _parts_of(thing: Any) -> Sequence[Any] | None:
    """Return the parts of a method, property, partial or wrapper; None for any other object."""
    if isinstance(thing, types.MethodType):
        return (thing.__func__, thing.__self__)
    if isinstance(thing, types.BuiltinFunctionType):
        return (thing.__module__, thing.__qualname__, thing.__self__)
    if isinstance(thing, (staticmethod, classmethod)):
        return (thing.__func__,)
    if isinstance(thing, property):
        return (thing.fget, thing.fset, thing.fdel)
    if isinstance(thing, functools.cached_property):
        return (thing.func,)
    if isinstance(thing, functools.partial):
        return (thing.func, thing.args, thing.keywords)
    wrapped = inspect.getattr_static(thing, "__wrapped__", None)
    return None if wrapped is None else (wrapped,)


def _installed_name(value: Any) -> str | None:
    """Return the name under which an installed module holds this very object, if it has one."""
    try:
        module = getattr(value, "__module__", None)
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    except Exception:  # a foreign object may fail on any attribute; then it has no such name
        return None
    if not isinstance(module, str) or not isinstance(name, str) or is_local(module):
        return None
    return f"{module}.{name}" if getattr(sys.modules[module], name, None) is value else None


def _defaults(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    given = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    yield from zip(names[len(names) - len(given) :], given, strict=True)
    yield from sorted((function.__kwdefaults__ or {}).items())


def _kind_of(value: Any) -> str:
    if isinstance(value, types.FunctionType):
        return "function"
    return "class" if isinstance(value, type) else "global"


_NOT_CODE = {
    "__annotate_func__",
    "__annotations__",
    "__annotations_cache__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__orig_bases__",
    "__parameters__",
    "__qualname__",
    "__static_attributes__",
    "__weakref__",
}


def _own_attributes(cls: type) -> Iterator[tuple[str, Any]]:
    for name in sorted(vars(cls)):
        value = vars(cls)[name]
        is_slot = inspect.isdatadescriptor(value) and not isinstance(value, property)
        if name in _NOT_CODE or name.startswith("_abc_") or (is_slot and not is_local(type(value).__module__)):
            continue
        yield name, value
