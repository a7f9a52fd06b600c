"""What objects of compiled modules hold: hashes, scanners, numbers of C, members of enums of C++, standard streams."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import hmac
import io
import json.scanner
import sys
from typing import Any

from comfy_nb.spec.attributes import referents_of
from comfy_nb.spec.readers import Parts, Unreadable, Whole, reads, reads_named

_HASHES = {type(hashlib.new(name)) for name in ("sha256", "sha3_256", "blake2b")} | {type(hashlib.blake2b())}
_SCANNER_FACTS = ("strict", "object_hook", "object_pairs_hook", "parse_float", "parse_int", "parse_constant")
_EXTENDED_BYTES = 64
_ADDRESSES = "PO"
_TEXTS = "zZ"


@reads(*_HASHES, type(hashlib.blake2s()), type(getattr(hmac.new(b"", b"", "sha256"), "_hmac", None)))
def _(value: Any) -> Parts:
    return (value.name, value.digest_size, value.block_size, value.digest())


@reads(type(hashlib.shake_128()))
def _(value: Any) -> Parts:
    return (value.name, value.block_size, value.digest(_EXTENDED_BYTES))


@reads(json.scanner.make_scanner)
def _(value: Any) -> Parts:
    return tuple([getattr(value, name) for name in _SCANNER_FACTS])


@reads(type(functools.cmp_to_key(lambda one, other: 0)))
def _(value: Any) -> Parts:
    return referents_of(value)


@reads(*{each for each in vars(ctypes).values() if isinstance(each, type) and issubclass(each, ctypes._SimpleCData)})
def _(value: Any) -> Parts:
    is_text_elsewhere = type(value)._type_ in _TEXTS and value and not issubclass(type(value._objects), (bytes, str))
    if type(value)._type_ in _ADDRESSES or is_text_elsewhere:  # who knows whether it is still there
        raise Unreadable("an address in memory")
    return (value.value,)


@reads(io.TextIOWrapper)
@reads_named("ipykernel", "OutStream")
def _(value: Any) -> Parts:
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        if value is getattr(sys, name):
            return Whole((name,))
    raise Unreadable


@reads_named("pybind11_builtins", "pybind11_object", with_derived=True)
def _(value: Any) -> Parts:
    if getattr(type(value), "__members__", {}).get(value.name) != value:
        raise Unreadable
    return Whole((value.name, int(value)))
