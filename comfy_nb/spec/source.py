"""Digests of the files that classes were read from: what an edit of a pack changes, and its state does not."""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from comfy_nb.spec.code import code_digest
from comfy_nb.spec.context_variables import context_variables_of
from comfy_nb.spec.digest import Digest, combine
from comfy_nb.spec.fingerprint import digest_of
from comfy_nb.spec.ledger import OWN_CODE, Ledger, keep_ledger
from comfy_nb.spec.loads import Together, loads_of
from comfy_nb.spec.locality import module_of


class _Source(NamedTuple):
    """What a class is beside its files, and the mark of the loads that it came from, when it was first seen.

    `variables` are the context variables that its code reads. `digest` is that of the class with its loads `at` last.
    """

    own: Digest
    came_from: Digest
    variables: tuple[ContextVar[Any], ...]
    at: Together
    digest: Digest


_sources: WeakKeyDictionary[type, _Source] = WeakKeyDictionary()


def source_digest(cls: type) -> Digest:
    """Digest the file that a class was read from, and the project's own files that this one takes from, as loaded.

    What the class and its module keep while they run does not count, but what the context variables are that its code
    reads, since they belong to the run and not to the pack. A class that its file does not hold by name, such as one
    that a function made, counts by its code as it is when it is first seen. Where the files do not tell what runs (one
    was edited since it was loaded, or there is none), the code counts with all that it reads, as in a notebook.
    """
    together = loads_of(module_of(cls))
    if together.mark is None:
        return code_digest(cls)
    known = _sources.get(cls)
    if known is None or known.at is not together:
        known = _sources[cls] = _seen(cls, known, together, together.mark)
    source = known.digest
    if edits := together.edits():
        source = combine(b"edited", [source, code_digest(cls), *edits])
    return _with_variables(source, known.variables) if known.variables else source


def _seen(cls: type, known: _Source | None, together: Together, mark: Digest) -> _Source:
    if known is None:
        own = _own(cls)
        return _Source(own, mark, context_variables_of(cls), together, combine(b"source", [own, mark]))
    marks = [known.came_from] if known.came_from.value == mark.value else [known.came_from, mark]
    return known._replace(at=together, digest=combine(b"source", [known.own, *marks]))


def _own(cls: type) -> Digest:
    """Return the name of a class if its module holds it by that; else its code, which only this process can know."""
    if vars(sys.modules[module_of(cls)]).get(cls.__qualname__) is cls:
        return digest_of(cls.__qualname__)
    code = code_digest(cls)
    return code if code.reusable else Digest(os.urandom(16), durable=False)


def _with_variables(source: Digest, variables: tuple[ContextVar[Any], ...]) -> Digest:
    read = [(variable.name, digest_of(variable)) for variable in variables]
    found = combine(b"context variables", [source, *(digest for _, digest in read)])
    ledger: Ledger = {("context variable", name): (digest.value, "") for name, digest in read}
    keep_ledger(found.value, {OWN_CODE: (source.value, ""), **ledger})
    return found
