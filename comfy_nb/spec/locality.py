"""Which code is the person's own, and by which name an installed package knows its things."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comfy_nb.spec.attributes import HEAP_TYPE

_INSTALLED = tuple(
    {
        os.path.realpath(path)
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if (path := sysconfig.get_path(name)) is not None
    }
)
_OWN_PACKAGE = str(Path(__file__).resolve().parents[1])


def module_of(thing: type | types.FunctionType) -> str:
    """Return the name of the module that a class or function says to be from; "" if that is no name."""
    name = _MODULE_OF_CLASS(thing) if issubclass(type(thing), type) else thing.__module__
    return name if type(name) is str else ""


_MODULE_OF_CLASS: Callable[[Any], Any] = vars(type)["__module__"].__get__


def is_local(module_name: Any) -> bool:
    """Return whether a module is the notebook or one of the project's own files, not an installed package.

    What is no name of a module, which a class may claim to be from, is the person's own.
    """
    if type(module_name) is not str or module_name == "__main__":
        return True
    module = sys.modules.get(module_name)
    if module is None:
        return True
    path = vars(module).get("__file__") or next(iter(vars(module).get("__path__") or ()), None)
    if not isinstance(path, str):
        return module_name not in sys.builtin_module_names
    return is_local_file(path)


@functools.lru_cache(maxsize=4096)
def is_local_file(path: str) -> bool:
    """Return whether a file of code is the person's own; what was typed in a cell is."""
    if path.startswith("<frozen "):
        return False
    real = os.path.realpath(path)
    if real.startswith(_OWN_PACKAGE + os.sep) or "site-packages" in real or "dist-packages" in real:
        return False
    return not real.startswith(tuple(root + os.sep for root in _INSTALLED))


def installed_name(thing: Any) -> str | None:
    """Return the name under which an installed package holds this very object, with its version; None if none does."""
    try:
        module = getattr(thing, "__module__", None)
        name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a foreign object may fail on any attribute; then it has no such name
        return None
    if type(module) is not str or type(name) is not str:
        return None
    if issubclass(type(thing), type) and _is_compiled(thing):
        return f"{module}.{name}"
    if is_local(module) or _find(module, name) is not thing:
        return None
    return f"{module}.{name} {version_of(module)}"


def is_superseded(kind: type) -> bool:
    """Whether a class was defined again: its module holds another one under its name."""
    module = kind.__module__
    held = _find(module, kind.__qualname__) if module in sys.modules else None
    return isinstance(held, type) and held is not kind


def _is_compiled(kind: type) -> bool:
    """Whether a class is part of the interpreter or of a compiled module, and not to be changed."""
    is_enum_of_cpp = type(kind).__module__ == "pybind11_builtins" and "__entries" in vars(kind)
    return is_enum_of_cpp or not kind.__flags__ & HEAP_TYPE


def _find(module: str, name: str) -> Any:
    """Return what a module holds under a dotted name."""
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = vars(found).get(part) if isinstance(found, (type, types.ModuleType)) else None
    return found


def version_of(module: str) -> str:
    """Return the version that the package of a module tells, or by which it was installed; "" for Python's own."""
    name = module.partition(".")[0]
    package = sys.modules.get(name)
    version = vars(package).get("__version__") if isinstance(package, types.ModuleType) else None
    return version if isinstance(version, str) else _installed_version(name)


@functools.lru_cache(maxsize=4096)
def _installed_version(package: str) -> str:
    if not package or package in sys.stdlib_module_names or is_local(package):
        return ""
    from importlib import metadata

    try:
        return metadata.version(package) or ""
    except metadata.PackageNotFoundError:
        return ""
