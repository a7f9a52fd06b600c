"""Loads of modules: which text of a file is the one that runs, as far as anybody can tell, and what it imports.

Python keeps neither the text nor the time of a load. A file that has not changed since this process began is what was
loaded; of any other one that cannot be told, so each of its loads counts as another one.
"""

from __future__ import annotations

import ast
import functools
import os
import sys
import time
import types
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import resolve_name
from pathlib import Path
from typing import Any, NamedTuple

from xxhash import xxh3_128_digest

from comfy_nb.spec.digest import Digest, combine
from comfy_nb.spec.locality import is_local, is_local_file, module_of

Stamp = tuple[int, int, int]
# Clocks of file systems are behind by some milliseconds, and some tell only every second one.
CLOCK_NS = 2_000_000_000
NOTHING = Digest(b"")


class Load(NamedTuple):
    """One load of a module, told from the next one by its `spec`, which that replaces; None: it is not loaded yet.

    `file` is the one that it came from, with its `stamp` when this was first seen; "" if it came from none. `mark`
    stands for what was loaded, or is None where a later load could not be told from this one. `imports` are the modules
    that it takes from.
    """

    name: str
    spec: Any
    file: str = ""
    stamp: Stamp = (0, 0, 0)
    mark: Digest | None = None
    imports: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        """Whether the module was not loaded since."""
        if _spec_of(self.name) is not self.spec:
            return False
        return self.spec is not None or _stamp(self.file) == self.stamp

    @property
    def edit(self) -> Digest | None:
        """The digest of the file if it was written since the load was first seen, even if it has the same text again.

        In between, the code may have been patched in place.
        """
        stamp = _stamp(self.file)
        return None if stamp == self.stamp else Digest(_digest_of_file(self.file, *stamp))


class Together(NamedTuple):
    """The loads of a module and of what it takes from, with one mark for all; the same object until one is renewed."""

    loads: tuple[Load, ...]
    mark: Digest | None

    def edits(self) -> list[Digest]:
        """Return the digests of the files that were edited since they were loaded."""
        return [edit for load in self.loads if (edit := load.edit) is not None]


_loads: dict[str, Load] = {}
_together: dict[str, Together] = {}


def loads_of(name: str) -> Together:
    """Return the loads of a module and of the project's modules that it takes from, one way or another."""
    known = _together.get(name)
    if known is not None and all(load.is_current for load in known.loads):
        return known
    found: dict[str, Load] = {}
    names = {name}
    while names:
        each = names.pop()
        load = found[each] = _load_of(each)
        names.update(other for other in load.imports if other not in found and is_local(other))
    loads = tuple([found[each] for each in sorted(found)])
    marks = [load.mark for load in loads if load.mark is not None]
    together = Together(loads, combine(b"loads", marks) if len(marks) == len(loads) else None)
    _together[name] = together
    return together


def _spec_of(name: str) -> Any:
    """Return what each load of a module replaces; None if it is not loaded."""
    module = sys.modules.get(name)
    if not issubclass(type(module), types.ModuleType):
        return module
    spec = vars(module).get("__spec__")
    return module if spec is None else spec


# What was loaded before this package may have been edited before this package could look.
_BEGAN_NS = time.time_ns()
_EARLIER = {name: _spec_of(name) for name in list(sys.modules)}


def _load_of(name: str) -> Load:
    known = _loads.get(name)
    if known is not None and known.is_current:
        return known
    spec = _spec_of(name)
    file = _file_of(name)
    stamp = _stamp(file)
    text = _digest_of_file(file, *stamp)
    imports: set[str] = set()
    if not file or is_local_file(file):
        imports = {*_imported_by(name, file, stamp), *_modules_in(name)}
    load = Load(name, spec, file, stamp, _mark_of(name, spec, file, stamp, text), tuple(sorted(imports)))
    _loads[name] = load
    return load


def _mark_of(name: str, spec: Any, file: str, stamp: Stamp, text: bytes) -> Digest | None:
    """Return what stands for a load: the text of its file if that is what was loaded, else what no other load has."""
    if spec is None:
        return Digest(text) if file else NOTHING
    if spec is sys.modules.get(name):  # a module without a spec may be executed again in its place
        return None
    if not file and getattr(spec, "submodule_search_locations", None) is not None:
        return NOTHING  # a folder without code
    is_old = stamp[0] and max(stamp[:2]) < _BEGAN_NS - CLOCK_NS and _EARLIER.get(name) is not spec
    if is_old or (file and not is_local_file(file)):
        return Digest(text)
    return Digest(os.urandom(16), durable=False)


def _file_of(name: str) -> str:
    """Return the file that a module came from, or that importing it would read; "" if there is none of the project."""
    module = sys.modules.get(name)
    if isinstance(module, types.ModuleType):
        file = vars(module).get("__file__")
        return file if isinstance(file, str) else ""
    found = _find(name) if module is None else None
    return found.origin if found is not None and found.origin and is_local_file(found.origin) else ""


def files_not_loaded(name: str, taken: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the project's files that importing a module, and what is taken from it, would load, with their digests."""
    module = sys.modules.get(name)
    names = [name]
    if module is not None:
        held: Mapping[str, Any] = vars(module) if issubclass(type(module), types.ModuleType) else {}
        is_package = "__path__" in held and is_local(name)
        names = [f"{name}.{each}" for each in taken if each not in held] if is_package else []
    for each in names:
        if each not in sys.modules and (file := _file_of(each)):
            yield each, _digest_of_file(file, *_stamp(file))


def _find(name: str) -> ModuleSpec | None:
    """Find a module that is not loaded, without loading what it is part of."""
    package = name.rpartition(".")[0]
    if not package:
        return PathFinder.find_spec(name)
    spec = _spec_of(package) or _find(package)
    folders = getattr(spec, "submodule_search_locations", None)
    return PathFinder.find_spec(name, folders) if folders else None


def _imported_by(name: str, file: str, stamp: Stamp) -> Iterator[str]:
    """Return the names of the modules that the import statements of a file name, also those within functions."""
    package = name if os.path.basename(file).startswith("__init__.") else name.rpartition(".")[0]
    for module, item in _imports_in(file, *stamp):
        try:
            base = resolve_name(module, package)
        except ImportError:  # more dots than packages, where it was never meant to run
            continue
        whole = f"{base}.{item}"
        yield whole if item and is_local(base) and (whole in sys.modules or _find(whole) is not None) else base


@functools.lru_cache(maxsize=4096)
def _imports_in(file: str, *_stamp: int) -> tuple[tuple[str, str], ...]:
    """Return the imports of a file: the module, with dots before it, and what is taken from it, "" for itself."""
    try:
        tree = ast.parse(Path(file).read_bytes()) if file else ast.Module([], [])
    except (OSError, SyntaxError, ValueError, RecursionError):  # it is gone, being written, or compiled code
        return ()
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [("." * node.level + (node.module or ""), alias.name) for alias in node.names]
    return tuple(found)


def _modules_in(name: str) -> Iterator[str]:
    """Return the names of the modules that the values of a module come from."""
    module = sys.modules.get(name)
    for value in list(vars(module).values()) if isinstance(module, types.ModuleType) else ():
        if issubclass(type(value), types.ModuleType):
            yield value.__name__
        elif issubclass(type(value), types.FunctionType | type):
            yield module_of(value)


def _stamp(file: str) -> Stamp:
    """Return what changes when a file is written: its times and size; zeros where there is no file."""
    try:
        found = os.stat(file) if file else None
    except (OSError, ValueError):
        found = None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size) if found is not None else (0, 0, 0)


@functools.lru_cache(maxsize=4096)
def _digest_of_file(file: str, *_stamp: int) -> bytes:
    try:
        return xxh3_128_digest(Path(file).read_bytes())
    except (OSError, ValueError):
        return xxh3_128_digest(file.encode())
