"""Digests of code: everything that a function's result depends on beyond its arguments.

That is the function's bytecode, defaults and closure, and, through everything it names, the helpers, classes and
values of the notebook and of the project's own modules. Code from installed packages is identified by its name.
"""

from __future__ import annotations

import abc
import enum
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any, NamedTuple

from xxhash import xxh3_128_digest

from comfy_nb.spec.attributes import derived_from, held_by, registered_with
from comfy_nb.spec.contents.schemas import without_addresses
from comfy_nb.spec.digest import Digest, encode_plain
from comfy_nb.spec.fingerprint import digest_code, note_superseded
from comfy_nb.spec.ledger import keep_marks
from comfy_nb.spec.loads import files_not_loaded
from comfy_nb.spec.locality import installed_name, is_local, is_local_file, is_superseded, version_of
from comfy_nb.spec.names import Names, module_name, names_in
from comfy_nb.spec.readers import ANY_GLOBAL, GLOBALS_OF_CODE, Code, Named, Parts, Whole, reads
from comfy_nb.spec.texts import accessors_named, may_take_names, named_in_texts, names_in_hints, takes_names


def code_digest(thing: Callable[..., Any] | type, *also: Any) -> Digest:
    """Digest a function or class with everything it reads; it differs after any edit that can matter.

    A name that does not exist yet counts as missing, so defining it later changes the digest. `also` is whatever else
    the result depends on, such as how the function's signature is read. How a function itself is called and annotated
    does not count, as it does for one that code reads.
    """
    code = Code((thing,), [])
    function: Any = thing
    if issubclass(type(thing), types.FunctionType) and installed_name(thing) is None:
        code = _function(function)
    if also:
        code.named.append((("signature", ""), also if len(also) > 1 else also[0]))
    found, marks = digest_code(code)
    if marks is not None:
        keep_marks(found.value, marks)
    return Digest(found.value, found.durable, found.reusable)


# What code reads of modules, by their names, to get at globals that it does not name.
DOORS: dict[str, Set[str]] = {**ANY_GLOBAL, "sys": {"modules"}}
READS_ANYTHING = DOORS["builtins"]


class _Bytecode(NamedTuple):
    """What never changes of a code object, and the names in it and in each function defined in it.

    `may_take_names`: it may be given others (see `texts.takes_names`). `reads_globals`: the attribute of functions or
    frames by which it may read any, if it names one.
    """

    own: bytes
    pieces: tuple[Names, ...]
    may_take_names: bool
    reads_globals: str | None


@functools.lru_cache(maxsize=4096)
def _bytecode(code: types.CodeType) -> _Bytecode:
    facts: list[Any] = [code.co_code, code.co_exceptiontable]
    facts.append(repr((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)))
    facts += (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    pieces = [names_in(code)]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = _bytecode(constant)
            facts += ("code", constant.co_name, inner.own)
            pieces += inner.pieces
        else:
            facts.append(_encode_constant(constant))
    may_take = any(map(may_take_names, pieces))
    read = {name for names in pieces for name in (*names.all, *names.bare)}
    reads_globals = next(iter(sorted(GLOBALS_OF_CODE & read)), None)
    return _Bytecode(xxh3_128_digest(encode_plain(tuple(facts))), tuple(pieces), may_take, reads_globals)


def _encode_constant(constant: Any) -> bytes:
    if isinstance(constant, frozenset):  # it is gone through in another order in each process
        return b"set" + encode_plain(tuple(sorted(map(encode_plain, constant))))
    if isinstance(constant, slice):
        return b"slice" + encode_plain((constant.start, constant.stop, constant.step))
    return encode_plain(constant)


# By file, closure variables and attributes in which a package's functions keep what they found: `singledispatch` does.
_MEMOS_OF_CODE = {
    functools.singledispatch.__code__.co_filename: frozenset({"_clear_cache", "cache_token", "dispatch_cache"})
}


def _function(function: types.FunctionType, *known_by: Any) -> Code:
    """Return all that a function does and reads; `known_by` is what else counts of it."""
    named: list[Named] = []
    unreadable = None
    if is_local_file(function.__code__.co_filename):
        bytecode = _bytecode(function.__code__)
        own: Any = bytecode.own
        unreadable = _read_names(bytecode, function.__globals__, named, function)
    else:  # `functools.wraps` gives one that a package made the name of the person's function
        made_by = f"{function.__globals__.get('__name__')}.{function.__code__.co_qualname}"
        own = f"{function.__module__}.{function.__qualname__} {made_by}"
    if function.__defaults__ or function.__kwdefaults__:
        for name, value in _defaults(function):
            named.append(((f"default of {function.__name__}'s", name), value))
    memos = _MEMOS_OF_CODE.get(function.__code__.co_filename, frozenset())
    if function.__closure__:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
            if name not in memos:
                named.append((("closure variable", name), cell))
                unreadable = unreadable or _behind_door(held_by(cell), function.__code__)
    for name, value in function.__dict__.items():
        if name not in memos:
            named.append((("attribute", f"{function.__name__}.{name}"), value))
    return Code((own, function.__doc__, *known_by), named, unreadable)


def _read_names(
    code: _Bytecode, scope: Mapping[str, Any], named: list[Named], function: types.FunctionType | None = None
) -> str | None:
    """Add what code, of a function if it is of one, can reach by names; return in words what it may reach by none."""
    anything = (takes_names(code.pieces, scope, function) if code.may_take_names else None) or code.reads_globals
    for names in code.pieces:
        for name in (*names.variables, *named_in_texts(names, scope)):
            if name in scope:
                anything = _read_global(name, scope[name], names.all, names.bare, named) or anything
            elif name in READS_ANYTHING:
                anything = name
        named += [(("accessor", name), accessor) for name, accessor in accessors_named(names)]
        for found in names.imports:
            name = module_name(found, scope)
            if found.taken or name not in sys.modules:
                named += [(("module", each), Digest(text)) for each, text in files_not_loaded(name, found.taken)]
            if found.bound_to is not None and found.level == 0:
                name = name.partition(".")[0]
            module = sys.modules.get(name)
            if module is not None and (name in DOORS or is_local(name)):
                bare = names.bare | {name} if found.bound_to in names.bare else names.bare
                anything = _read_global(name, module, names.all, bare, named) or anything
        for parent in names.parents:
            kind: Any = scope.get(parent) if parent is not None else None
            if issubclass(type(kind), type):
                named.append((("subclasses of", str(parent)), derived_from(kind)))
            else:
                anything = "__subclasses__"
    return _whatever(anything)


def globals_read(code: types.CodeType, scope: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the globals that code reads, by name, and in words what it may read by no name."""
    bytecode = _bytecode(code)
    anything = _read_names(bytecode, scope, [])
    names = [name for piece in bytecode.pieces for name in (*piece.variables, *named_in_texts(piece, scope))]
    return {name: scope[name] for name in names if name in scope}, anything


def is_same_code(code: types.CodeType, other: types.CodeType) -> bool:
    """Whether two code objects do the same, wherever they were written."""
    return _bytecode(code).own == _bytecode(other).own


def _whatever(anything: str | None) -> str | None:
    return f"whatever `{anything}` is asked for" if anything else None


def _read_global(path: str, value: Any, names: tuple[str, ...], bare: frozenset[str], named: list[Named]) -> str | None:
    """Add a global: of a module only what the code can reach by these names, unless it hands the module on."""
    is_handed_on = path.rpartition(".")[2] in bare or path in bare or "__dict__" in names
    if not issubclass(type(value), types.ModuleType) or is_handed_on or _is_odd(value):
        named.append(((_kind_of(value), path), value))
        return _door(value)
    is_own = is_local(value.__name__)
    named.append((("module", path), value.__name__ if is_own else f"{value.__name__} {version_of(value.__name__)}"))
    anything = next((f"{value.__name__}.{name}" for name in names if name in DOORS.get(value.__name__, ())), None)
    if not is_own:
        return anything
    found = value.__dict__
    if "__getattr__" in found and not found.keys() >= set(names):
        named.append((("function", f"{path}.__getattr__"), found["__getattr__"]))
    for name in names:
        if name in found:
            others = tuple(other for other in names if other != name)
            anything = _read_global(f"{path}.{name}", found[name], others, bare, named) or anything
    return anything


def _is_odd(module: types.ModuleType) -> bool:
    """Whether a module has no name, or its class may compute what it gives, as when it sets its `__class__`."""
    name = vars(module).get("__name__")
    return type(name) is not str or (type(module) is not types.ModuleType and is_local(name))


def _door(value: Any) -> str | None:
    """Return the name of a module through which code may reach any global; None for anything else."""
    name = vars(value).get("__name__") if issubclass(type(value), types.ModuleType) else None
    return name if type(name) is str and name in DOORS else None


def _behind_door(values: Iterable[Any], code: types.CodeType) -> str | None:
    """Return in words what code may reach by no name through a module that its closure holds."""
    doors = [door for each in values if (door := _door(each)) is not None]
    read = {name for names in _bytecode(code).pieces for name in names.all}
    return _whatever(next((f"{each}.{name}" for each in doors for name in DOORS[each] & read), None))


def _read_hints(hints: Iterable[Any], scope: Mapping[str, Any]) -> list[Named]:
    """Return what type hints name that are texts."""
    named: list[Named] = []
    for code in names_in_hints(hints):
        _read_names(_bytecode(code), scope, named)
    return named


def _defaults(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    given = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    yield from zip(names[len(names) - len(given) :], given, strict=True)
    yield from sorted((function.__kwdefaults__ or {}).items())


def _kind_of(value: Any) -> str:
    if issubclass(type(value), types.FunctionType):
        return "function"
    return "class" if issubclass(type(value), type) else "global"


# What pydantic keeps of a class beside its schema, typing of a protocol, copying of slots: all follows from the rest.
_NOT_CODE = {
    "__non_callable_proto_members__",
    "__protocol_attrs__",
    "__pydantic_complete__",
    "__pydantic_decorators__",
    "__pydantic_parent_namespace__",
    "__pydantic_post_init__",
    "__pydantic_serializer__",
    "__pydantic_setattr_handlers__",
    "__pydantic_validator__",
    "__signature__",
    "__slotnames__",
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
        if name in _NOT_CODE or _is_memo(cls, name, value) or _is_slot(value):
            continue
        yield name, without_addresses(value) if name == "__pydantic_core_schema__" else value


def _is_memo(cls: type, name: str, value: Any) -> bool:
    """Whether a class may have this only since it was used."""
    if name == "_value2member_map_":  # flags keep what was computed of them, such as `A | B`, beside their members
        return issubclass(cls, enum.Flag)
    if name == "__annotations__":  # made for whoever asks, such as the check of a protocol
        return not value
    if name == "__init__":  # a protocol's is put in the place of one that refuses, when an instance is made
        return value is object.__init__ and typing.Protocol in cls.__mro__
    return name == "_abc_impl"  # what is registered with the class counts for itself


def _is_slot(value: Any) -> bool:
    """Whether what a class has under a name only says where C code keeps something of the instances."""
    kind = type(value)
    if not hasattr(kind, "__set__") or isinstance(value, property):
        return False
    is_python = isinstance(inspect.getattr_static(kind, "__get__", None), types.FunctionType)
    return not is_python and not is_local(kind.__module__)


@reads(types.FunctionType)
def _(value: types.FunctionType) -> Parts:
    hints = _annotations(value)
    code = _function(value, value.__name__, value.__qualname__, value.__module__, *hints)
    if hints and is_local_file(value.__code__.co_filename):
        code.named.extend(_read_hints(hints[1::2], value.__globals__))
    return code


reads(types.CellType)(held_by)


def _annotations(function: types.FunctionType) -> list[Any]:
    try:
        return [part for pair in function.__annotations__.items() for part in pair]
    except NameError:  # they name what is not defined yet
        return []


@reads(type, with_derived=True)
def _(value: type) -> Parts:
    named = [(("attribute", f"{value.__name__}.{name}"), each) for name, each in _own_attributes(value)]
    if isinstance(value, abc.ABCMeta):
        named.append((("classes registered with", value.__name__), registered_with(value)))
    hints = vars(value).get("__annotations__")
    if isinstance(hints, dict) and value.__module__ in sys.modules:
        named += _read_hints(hints.values(), vars(sys.modules[value.__module__]))
    parts = (value.__module__, value.__qualname__, type(value), *value.__mro__[1:])
    if is_superseded(value):
        note_superseded(value.__name__)
        parts = (*parts, "defined again since")
    return Code(parts, named)


@reads(types.CodeType)
def _(value: types.CodeType) -> Parts:
    return Whole((_bytecode(value).own,))


# What importing a module, and warnings, leave in it; its name, its file and all that its code sets count.
_OF_IMPORT = frozenset(
    {"__builtins__", "__cached__", "__loader__", "__package__", "__path__", "__spec__", "__warningregistry__"}
)


@reads(types.ModuleType, with_derived=True)
def _(value: types.ModuleType) -> Parts:
    if not is_local(value.__name__):
        return Whole((value.__name__, version_of(value.__name__)))
    return Whole([part for name, each in vars(value).items() if name not in _OF_IMPORT for part in (name, each)])
