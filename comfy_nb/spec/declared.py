"""Objects that were declared constant: each is known by its identity, and nothing is read of it."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from xxhash import xxh3_128_digest

from comfy_nb.spec.digest import PLAIN, PROCESS, Digest

Value = TypeVar("Value")
_serials = itertools.count(1)
_constants: dict[int, tuple[Callable[[], Any], int]] = {}


def constant(value: Value) -> Value:
    """Declare that an object will not change from now on, and return it: results that depend on it can be reused.

    For what cannot be read, or takes long to read, at each run: a client, a tokenizer, a compiled model. It counts as
    the same as long as it is this very object, in this process. What cannot be referred to weakly, such as a list, is
    kept for good.

        tokenizer = nb.constant(load_tokenizer())
    """
    if type(value) not in PLAIN and declared_constant(value) is None:
        key, serial = id(value), next(_serials)
        try:
            holder: Callable[[], Any] = weakref.ref(value, partial(_forget, key, serial))
        except TypeError:
            holder = partial(_itself, value)
        _constants[key] = (holder, serial)
    return value


def declared_constant(value: Any) -> Digest | None:
    """Return the digest of an object that was declared to be constant; None for any other."""
    declared = _constants.get(id(value))
    if declared is None or declared[0]() is not value:
        return None
    return Digest(xxh3_128_digest(PROCESS + b"constant %d" % declared[1]), durable=False, fixed=True)


def _itself(value: Any) -> Any:
    return value


def _forget(key: int, serial: int, _: object) -> None:
    if key in _constants and _constants[key][1] == serial:
        del _constants[key]
