"""Digests of code: everything that a function's result depends on beyond its arguments.

That is the function's bytecode, defaults and closure, and, through everything it names, the helpers, classes and
constants of the notebook and of the project's own modules. Code from installed packages is identified by its name.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import reprlib
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from xxhash import xxh3_128_digest

from comfy_nb.spec.contents.callables import PARTS_OF_CALLABLES
from comfy_nb.spec.digest import PLAIN, Digest, encode_plain, is_plain
from comfy_nb.spec.fingerprint import declared_constant, digest_of, last_unreadable
from comfy_nb.spec.locality import installed_name, is_local, is_local_file, version_of
from comfy_nb.spec.names import module_name, names_in
from comfy_nb.spec.readers import Parts, Whole, reads


def code_digest(thing: Callable[..., Any] | type, *also: Any) -> Digest:
    """Digest a function or class with everything it reads; it differs after any edit that can matter.

    A name that does not exist yet counts as missing, so defining it later changes the digest. `also` is whatever else
    the result depends on, such as how the function's signature is read.
    """
    walk = _Walk()
    walk.visit(thing)
    for each in also:
        walk.visit_named("signature", "", each)
    digest = xxh3_128_digest(b"".join(walk.parts))
    if digest not in _ledgers:
        keep_ledger(digest, walk.ledger())
    return Digest(digest, walk.durable, walk.reusable)


LEDGERS_KEPT = 4096
Mark = tuple[str, str]
Ledger = dict[Mark, tuple[bytes, str]]
_ledgers: dict[bytes, Ledger] = {}
OWN_CODE: Mark = ("code", "")
UNREADABLE: Mark = ("", "unreadable")


def keep_ledger(digest: bytes, ledger: Ledger) -> None:
    """Remember what a digest of code was made of, for `code_changes`."""
    _ledgers[digest] = ledger
    if len(_ledgers) > LEDGERS_KEPT:
        del _ledgers[next(iter(_ledgers))]


def unreadable_in_code(code: bytes) -> str | None:
    """Return what keeps the code behind a digest from being known in full ("global `client` is a Client"), or None."""
    return _ledgers.get(code, {}).get(UNREADABLE, (b"", None))[1]


def code_changes(old: bytes, new: bytes) -> list[str]:
    """Describe how the code behind two digests differs; just "code changed" if that is not known."""
    before, now = _ledgers.get(old), _ledgers.get(new)
    if before is None or now is None:
        return ["code changed"]
    changed = [mark for mark in now if mark in before and before[mark][0] != now[mark][0] and mark != UNREADABLE]
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


SEEN = b"again"
# Built-in functions by which code can read globals that it does not name.
READS_ANYTHING = frozenset({"__import__", "eval", "exec", "globals"})
# The same for modules, and what code reads of them.
DOORS = {sys: "modules", importlib: "import_module"}


class _Walk:
    """One pass over functions, classes and everything they name; each is read once."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.durable = self.reusable = True
        self.seen: dict[int, int] = {}
        self.order = itertools.count()
        self._spans: list[tuple[int, int, str, str, Any]] = []
        self._unreadable: tuple[int, str] | None = None

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
                shown = reprlib.repr(value) if name and is_plain(value) else ""
                ledger[kind, name] = (xxh3_128_digest(b"".join(own[index])), shown)
        if self._unreadable is not None:
            place, reason = self._unreadable
            _, _, kind, name, _ = self._spans[owner[place]] if owner[place] >= 0 else (0, 0, "its code", "", None)
            ledger[UNREADABLE] = (b"", f"{kind} `{name}` is {reason}" if name else f"{kind} reads {reason}")
        return ledger

    def visit(self, thing: Any) -> None:
        """Add a value to the digest, following code that belongs to the notebook or the project."""
        try:
            self._visit(thing)
        except Exception:  # a proxy or a class of somebody else's may refuse to be looked at in any way
            self._name("unreadable", type(thing).__name__)
            self._give_up(f"a value of class {type(thing).__name__}")

    def _visit(self, thing: Any) -> None:
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
        if declared_constant(thing) is not None:
            self._read_value(thing)
        elif isinstance(thing, types.FunctionType):
            self._read_function(thing)
        elif isinstance(thing, type):
            self._read_class(thing)
        elif isinstance(thing, types.ModuleType) and not is_local(thing.__name__):
            self._name("module", thing.__name__)
        elif type(thing) in (list, tuple):
            self._read_items(thing)
        elif type(thing) in (dict, types.MappingProxyType):
            self._read_items([part for pair in thing.items() for part in pair])
        elif (name := installed_name(thing)) is not None:
            self._name("installed", name)
        elif type(thing) in PARTS_OF_CALLABLES:
            self._name("made of", type(thing).__name__)
            self._read_items(PARTS_OF_CALLABLES[type(thing)](thing))
        else:
            self._read_value(thing)

    def _name(self, kind: str, name: str) -> None:
        self.parts.append(f"{kind} {name}".encode())

    def _read_items(self, items: Sequence[Any]) -> None:
        self.parts.append(b"items%d" % len(items))
        for item in items:
            self.visit(item)

    def _read_value(self, value: Any) -> None:
        found = digest_of(value)
        self.parts.append(found.value)
        self.durable = self.durable and found.durable
        if not found.reusable:
            self._give_up(last_unreadable())

    def _give_up(self, reason: str) -> None:
        """Note that what was added last does not tell all."""
        self.reusable = False
        self._unreadable = self._unreadable or (len(self.parts) - 1, reason)

    def _read_function(self, function: types.FunctionType) -> None:
        if (name := installed_name(function)) is not None:
            self._name("function", name)
            return
        if is_local_file(function.__code__.co_filename):
            self._read_code(function.__code__, function.__globals__)
        else:
            self._name("function", f"{function.__module__}.{function.__qualname__}")
        for name, value in _defaults(function):
            self.visit_named(f"default of {function.__name__}'s", name, value)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.visit_named("closure variable", name, cell.cell_contents)
            except ValueError:
                self._name("empty closure variable", name)
        self.visit(function.__doc__)
        for name, value in function.__dict__.items():
            self.visit_named("attribute", f"{function.__name__}.{name}", value)

    def _read_code(self, code: types.CodeType, scope: dict[str, Any]) -> None:
        self.parts += (code.co_code, code.co_exceptiontable)
        self.parts.append(repr((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)).encode())
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self.parts.append(b"%d/%d/%d/%d" % counts)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._read_code(constant, scope)
            elif isinstance(constant, frozenset):
                self._name("set", "")
                self._read_items(sorted(constant, key=encode_plain))
            else:
                self.visit(constant)
        names = names_in(code)
        for name in names.variables:
            if name in scope:
                self._read_global(name, scope[name], code.co_names, names.bare)
            elif name in READS_ANYTHING:
                self._name("reads anything", name)
                self._give_up(f"whatever `{name}` is asked for")
        for found in names.imports:
            name = module_name(found, scope)
            if name in sys.modules and is_local(name):
                bare = names.bare | {name} if found.bound_to in names.bare else names.bare
                self._read_global(name, sys.modules[name], code.co_names, bare)

    def _read_global(self, path: str, value: Any, names: tuple[str, ...], bare: frozenset[str]) -> None:
        """Add a global: of a module only what the code can reach by these names, unless it hands the module on."""
        if not isinstance(value, types.ModuleType) or path.rpartition(".")[2] in bare or path in bare:
            self.visit_named(_kind_of(value), path, value)
            return
        self._name("module", value.__name__)
        if value in DOORS and DOORS[value] in names:
            self._give_up(f"whatever `{value.__name__}.{DOORS[value]}` is asked for")
        for name in names if is_local(value.__name__) else ():
            if name in value.__dict__:
                others = tuple(other for other in names if other != name)
                self._read_global(f"{path}.{name}", value.__dict__[name], others, bare)

    def _read_class(self, cls: type) -> None:
        if (name := installed_name(cls)) is not None:
            self._name("class", name)
            return
        self._name("class", f"{cls.__module__}.{cls.__qualname__}")
        self.visit(type(cls))
        for base in cls.__mro__[1:]:
            self.visit(base)
        for name, value in _own_attributes(cls):
            self.visit_named("attribute", f"{cls.__name__}.{name}", value)


def _defaults(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    given = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    yield from zip(names[len(names) - len(given) :], given, strict=True)
    yield from sorted((function.__kwdefaults__ or {}).items())


def _kind_of(value: Any) -> str:
    if isinstance(value, types.FunctionType):
        return "function"
    return "class" if isinstance(value, type) else "global"


# What pydantic keeps of a class beside its schema, all of which follows from the schema.
_NOT_CODE = {
    "__pydantic_complete__",
    "__pydantic_decorators__",
    "__pydantic_parent_namespace__",
    "__pydantic_post_init__",
    "__pydantic_serializer__",
    "__pydantic_setattr_handlers__",
    "__pydantic_validator__",
    "__signature__",
    "__annotate_func__",
    "__annotations_cache__",
    "__dict__",
    "__firstlineno__",
    "__module__",
    "__qualname__",
    "__static_attributes__",
    "__weakref__",
}


def _own_attributes(cls: type) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(cls).items()):
        is_slot = inspect.isdatadescriptor(value) and not isinstance(value, property)
        if name in _NOT_CODE or name.startswith("_abc_") or (is_slot and not is_local(type(value).__module__)):
            continue
        yield name, value


@reads(types.FunctionType)
def _(value: types.FunctionType) -> Parts:
    digest = code_digest(value)
    return Whole((value.__name__, value.__qualname__, value.__module__, value.__doc__, _annotations(value), digest))


def _annotations(function: types.FunctionType) -> Any:
    try:
        return function.__annotations__
    except NameError:  # they name what is not defined yet
        return None


@reads(type, with_derived=True)
def _(value: type) -> Digest:
    name = installed_name(value)
    return code_digest(value) if name is None else Digest(xxh3_128_digest(b"class " + name.encode()), fixed=True)


@reads(types.CodeType)
def _(value: types.CodeType) -> Parts:
    walk = _Walk()
    walk._read_code(value, {})
    return Whole((b"".join(walk.parts),))


@reads(types.ModuleType, with_derived=True)
def _(value: types.ModuleType) -> Parts:
    if not is_local(value.__name__):
        return Whole((value.__name__, version_of(value.__name__)))
    return Whole([part for name, each in vars(value).items() if not name.startswith("__") for part in (name, each)])
