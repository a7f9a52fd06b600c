"""Digests of code: what a function's result depends on beyond its arguments.

The function's bytecode, defaults and closure, and, through everything it names, the helpers, classes and constants of the
notebook and of the project's own modules. Code from installed packages stands for itself by name.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from xxhash import xxh3_128_digest

from comfy_nb.spec.fingerprint import PLAIN, Digest, digest_of, encode_plain

_INSTALLED = tuple(
    {
        os.path.realpath(path)
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if (path := sysconfig.get_path(name)) is not None
    }
)
_OWN_PACKAGE = str(Path(__file__).resolve().parents[1])


def code_digest(thing: Callable[..., Any] | type) -> bytes:
    """Digest a function or class with all that it reads: 16 bytes, other ones after any edit that can matter.

    A name that does not exist yet counts as missing, so that defining it later changes the digest.
    """
    walk = _Walk()
    walk.visit(thing)
    return xxh3_128_digest(b"".join(walk.parts))


@functools.cache
def source_digest(cls: type) -> bytes:
    """Digest the file that a class was read from; its code alone where there is no file."""
    try:
        source = Path(inspect.getfile(cls)).read_bytes()
    except (OSError, TypeError):
        return code_digest(cls)
    return xxh3_128_digest(source + cls.__qualname__.encode())


def is_local(module_name: str | None) -> bool:
    """Tell whether a module is the notebook, or a file of the project's own rather than an installed package."""
    if module_name is None or module_name == "__main__":
        return True
    module = sys.modules.get(module_name)
    if module is None:
        return True
    path = getattr(module, "__file__", None)
    if path is None:
        return module_name not in sys.builtin_module_names and not hasattr(module, "__path__")
    return _is_local_file(path)


@functools.lru_cache(maxsize=4096)
def _is_local_file(path: str) -> bool:
    real = os.path.realpath(path)
    if real.startswith(_OWN_PACKAGE + os.sep) or "site-packages" in real or "dist-packages" in real:
        return False
    return not real.startswith(tuple(root + os.sep for root in _INSTALLED))


class _Walk:
    """One pass over a function and what it names; each object is read once."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.seen: set[int] = set()

    def visit(self, thing: Any) -> None:
        """Add a value to the digest, going into code of the notebook's or the project's own."""
        if type(thing) in PLAIN:
            self.parts.append(encode_plain(thing))
            return
        thing = inspect.unwrap(thing) if isinstance(thing, types.FunctionType) else thing
        if id(thing) in self.seen:
            self.parts.append(b"again")
            return
        self.seen.add(id(thing))
        if isinstance(thing, types.FunctionType):
            self._visit_function(thing)
        elif isinstance(thing, (types.MethodType, staticmethod, classmethod)):
            self.visit(thing.__func__)
        elif isinstance(thing, property):
            self.parts.append(b"property")
            for part in (thing.fget, thing.fset):
                self.visit(part)
        elif isinstance(thing, functools.partial):
            for part in (thing.func, *thing.args, *thing.keywords.items()):
                self.visit(part)
        elif isinstance(thing, type):
            self._visit_class(thing)
        elif isinstance(thing, types.ModuleType):
            self.parts.append(b"module" + thing.__name__.encode())
        elif isinstance(thing, types.BuiltinFunctionType):
            self.parts.append(f"builtin{thing.__module__}.{thing.__qualname__}".encode())
        elif isinstance(thing, (list, tuple)) and type(thing) in (list, tuple):
            self.parts.append(b"items%d" % len(thing))
            for item in thing:
                self.visit(item)
        else:
            self._visit_value(thing)

    def _visit_value(self, value: Any) -> None:
        code = getattr(value, "__comfy_nb_code__", None)
        if callable(code) and not isinstance(value, type):
            self.parts.append(code())
            return
        found: Digest = digest_of(value)
        self.parts.append(found.value)
        if not found.durable:
            self.visit(type(value))

    def _visit_function(self, function: types.FunctionType) -> None:
        if not is_local(function.__module__):
            self.parts.append(f"function{function.__module__}.{function.__qualname__}".encode())
            return
        self._visit_code(function.__code__, function.__globals__)
        self.visit(function.__defaults__)
        for name, value in sorted((function.__kwdefaults__ or {}).items()):
            self.parts.append(name.encode())
            self.visit(value)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self.parts.append(name.encode())
            try:
                self.visit(cell.cell_contents)
            except ValueError:
                self.parts.append(b"empty")

    def _visit_code(self, code: types.CodeType, scope: dict[str, Any]) -> None:
        self.parts.append(code.co_code)
        self.parts.append(repr((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)).encode())
        self.parts.append(b"%d/%d/%d" % (code.co_argcount, code.co_kwonlyargcount, code.co_flags))
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._visit_code(constant, scope)
            else:
                self.visit(constant)
        for name in code.co_names:
            if name in scope:
                self.parts.append(name.encode())
                self._visit_global(scope[name], code.co_names)

    def _visit_global(self, value: Any, names: tuple[str, ...]) -> None:
        if not isinstance(value, types.ModuleType) or not is_local(value.__name__):
            self.visit(value)
            return
        self.parts.append(b"module" + value.__name__.encode())
        for name in names:
            if name in value.__dict__:
                self.visit(value.__dict__[name])

    def _visit_class(self, cls: type) -> None:
        self.parts.append(f"class{cls.__module__}.{cls.__qualname__}".encode())
        if not is_local(cls.__module__):
            return
        for base in cls.__mro__[1:]:
            self.visit(base)
        for name, value in _own_attributes(cls):
            self.parts.append(name.encode())
            self.visit(value)


_NOT_CODE = {
    "__module__",
    "__dict__",
    "__weakref__",
    "__doc__",
    "__qualname__",
    "__annotations__",
    "__firstlineno__",
}


def _own_attributes(cls: type) -> Iterator[tuple[str, Any]]:
    for name in sorted(vars(cls)):
        value = vars(cls)[name]
        is_slot = isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType))
        if name not in _NOT_CODE and not is_slot and not name.startswith("_abc_"):
            yield name, value
