"""Digests of the files that classes were read from: what an edit of a pack changes, and its state does not."""

from __future__ import annotations

import functools
import os
import sys
import types
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from xxhash import xxh3_128_digest

from comfy_nb.spec.code import code_digest
from comfy_nb.spec.context_variables import context_variables_of
from comfy_nb.spec.digest import Digest, combine
from comfy_nb.spec.fingerprint import digest_of
from comfy_nb.spec.ledger import OWN_CODE, Ledger, keep_ledger
from comfy_nb.spec.locality import is_local


class _Source(NamedTuple):
    """The files of a class, with their digest and that of what only the class itself has, when it was first seen.

    `variables` are the context variables that its code reads.
    """

    files: tuple[str, ...]
    digest: bytes
    own: bytes
    variables: tuple[ContextVar[Any], ...]


_sources: WeakKeyDictionary[type, _Source] = WeakKeyDictionary()


def source_digest(cls: type) -> Digest:
    """Digest the file that a class was read from, and the project's own files that this one takes functions from.

    What the class and its module keep while they run does not count, but what the context variables are that its code
    reads, since they belong to the run and not to the pack. A file that changed counts with what it was when
    the class was first seen, since either may be what runs. A class that its file does not hold by name, such as one
    that a function made, counts by its code as it is when it is first seen.
    """
    module = sys.modules.get(cls.__module__)
    known = _sources.get(cls)
    files = known.files if known is not None else tuple(sorted(_files_of(module)))
    digest = xxh3_128_digest(b"".join([_digest_of_file(path, *_stamp(path)) for path in files]))
    if known is None:
        is_named = files and getattr(module, cls.__qualname__, None) is cls
        own = cls.__qualname__.encode() if is_named else code_digest(cls).value
        known = _sources[cls] = _Source(files, digest, own, context_variables_of(cls))
    source = Digest(xxh3_128_digest(known.own + known.digest + (digest if digest != known.digest else b"")))
    return _with_variables(source, known.variables) if known.variables else source


def _with_variables(source: Digest, variables: tuple[ContextVar[Any], ...]) -> Digest:
    read = [(variable.name, digest_of(variable)) for variable in variables]
    found = combine(b"context variables", [source, *(digest for _, digest in read)])
    ledger: Ledger = {("context variable", name): (digest.value, "") for name, digest in read}
    keep_ledger(found.value, {OWN_CODE: (source.value, ""), **ledger})
    return found


def _files_of(module: types.ModuleType | None) -> set[str]:
    """Return the files of a module and of the local modules that it takes from, one way or another."""
    found: dict[str, str | None] = {}
    stack = [module] if module is not None else []
    while stack:
        module = stack.pop()
        if module.__name__ not in found:
            found[module.__name__] = getattr(module, "__file__", None)
            names = set(_modules_named(module)) - found.keys()
            stack += [sys.modules[name] for name in names if name in sys.modules and is_local(name)]
    return {path for path in found.values() if path is not None}


def _modules_named(module: types.ModuleType) -> Iterator[str]:
    """Return the names of the modules that the values of a module come from."""
    for value in list(vars(module).values()):
        if isinstance(value, types.ModuleType):
            yield value.__name__
        elif isinstance(value, types.FunctionType | type) and isinstance(value.__module__, str):
            yield value.__module__


def _stamp(path: str) -> tuple[int, int, int]:
    """Return what changes when a file is written: its times and size; zeros where there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size


@functools.lru_cache(maxsize=4096)
def _digest_of_file(path: str, *_stamp: int) -> bytes:
    try:
        return xxh3_128_digest(Path(path).read_bytes())
    except OSError:
        return xxh3_128_digest(path.encode())
