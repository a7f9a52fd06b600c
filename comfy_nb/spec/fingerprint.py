"""Digests of values by content: 16 bytes that are equal when two values mean the same to a node.

Tensors, arrays, pictures and dataframes are read in full (xxh3_128, about memory bandwidth) and remembered while they
live unchanged. An object of another class stands for itself: equal only to itself, and only in this process.
"""

from __future__ import annotations

import enum
import itertools
import marshal
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from functools import partial, singledispatch
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import torch
from xxhash import xxh3_128_digest

# Version 2 of the format knows no back-references, so equal values always give equal bytes.
_MARSHAL_VERSION = 2
PLAIN: frozenset[type] = frozenset({int, float, str, bool, type(None), bytes, complex})
DEEPEST = 200


class Digest(NamedTuple):
    """A digest; `durable` tells whether it means the same in another process."""

    value: bytes
    durable: bool


class _Depth(threading.local):
    value = 0


_depth = _Depth()


def digest_of(value: Any) -> Digest:
    """Digest any value, by content where that is possible.

    Never raises for a strange object: what cannot be read is told apart by identity, and is not durable.
    """
    if type(value) in PLAIN:
        return Digest(xxh3_128_digest(encode_plain(value)), True)
    _depth.value += 1
    try:
        if _depth.value > DEEPEST:
            return by_identity(value)
        return content_digest(value)
    finally:
        _depth.value -= 1


def encode_plain(value: Any) -> bytes:
    """Encode a value made of `PLAIN` types (or a tuple of them) so that equal bytes mean equal values and types."""
    return marshal.dumps(value, _MARSHAL_VERSION)


def combine(tag: bytes, parts: Sequence[Digest]) -> Digest:
    """Digest a tag and digests, in order."""
    return Digest(
        xxh3_128_digest(tag + b"".join(part.value for part in parts)), all(part.durable for part in parts)
    )


@singledispatch
def content_digest(value: Any) -> Digest:
    """Digest a value that is not plain. Register a function here to have instances of a class known by content."""
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    reader = BY_MODULE.get((module, kind.__name__))
    if reader is not None:
        return reader(value)
    for base in kind.__mro__[1:]:
        reader = BY_MODULE.get((base.__module__.partition(".")[0], base.__name__))
        if reader is not None:
            return reader(value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = [digest_of(getattr(value, entry.name)) for entry in fields(value)]
        return combine(_class_tag(kind), parts)
    return by_identity(value)


def _class_tag(kind: type) -> bytes:
    return f"{kind.__module__}.{kind.__qualname__}".encode()


@content_digest.register(int)
@content_digest.register(float)
@content_digest.register(str)
@content_digest.register(bytes)
@content_digest.register(bytearray)
def _(value: Any) -> Digest:
    base = next(base for base in (bool, int, float, str, bytes, bytearray) if isinstance(value, base))
    plain = bytes(value) if base is bytearray else base(value)
    return combine(_class_tag(type(value)), [Digest(xxh3_128_digest(encode_plain(plain)), True)])


@content_digest.register
def _(value: enum.Enum) -> Digest:
    return combine(_class_tag(type(value)) + value.name.encode(), [])


@content_digest.register
def _(value: PurePath) -> Digest:
    return combine(b"path" + str(value).encode("utf-8", "surrogateescape"), [])


@content_digest.register(list)
@content_digest.register(tuple)
def _(value: Sequence[Any]) -> Digest:
    tag = b"list" if isinstance(value, list) else b"tuple"
    return combine(tag, [digest_of(item) for item in value])


@content_digest.register(dict)
def _(value: Mapping[Any, Any]) -> Digest:
    parts: list[Digest] = []
    for key, item in value.items():
        parts += (digest_of(key), digest_of(item))
    return combine(b"dict", parts)


@content_digest.register(set)
@content_digest.register(frozenset)
def _(value: Set[Any]) -> Digest:
    return combine(b"set", sorted(digest_of(item) for item in value))


@content_digest.register
def _(value: np.ndarray) -> Digest:
    if value.dtype.hasobject:
        return combine(
            b"objects" + repr(value.shape).encode(), [digest_of(item) for item in value.ravel().tolist()]
        )
    tag = f"array{value.dtype.str}{value.dtype.descr if value.dtype.names else ''}{value.shape}".encode()
    return Digest(
        xxh3_128_digest(tag + xxh3_128_digest(np.ascontiguousarray(value).view(np.uint8).data)), True
    )


@content_digest.register
def _(value: torch.Tensor) -> Digest:
    return _remembered(value, tensor_state(value), _read_tensor)


def tensor_state(value: torch.Tensor) -> tuple[Any, ...]:
    """What changes when a tensor is written by torch: where it lies, how it is read, and its version (-1 if it has none)."""
    version = -1 if value.is_inference() else value._version
    try:
        place = value.data_ptr()
    except RuntimeError:
        place = 0
    return (
        place,
        version,
        value.dtype,
        tuple(value.shape),
        value.stride() if value.layout is torch.strided else (),
    )


def _read_tensor(value: torch.Tensor) -> Digest:
    tag = f"tensor{value.dtype}{tuple(value.shape)}{value.layout}{type(value).__name__}".encode()
    return Digest(xxh3_128_digest(tag + xxh3_128_digest(tensor_bytes(value))), True)


def tensor_bytes(value: torch.Tensor) -> Any:
    """Return a tensor's elements as a buffer of bytes, in order, whatever its dtype, layout or device."""
    plain = value.detach()
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    if plain.is_conj() or plain.is_neg():
        plain = plain.resolve_conj().resolve_neg()
    if plain.is_quantized:
        plain = plain.int_repr()
    flat = plain.contiguous().cpu().reshape(-1)
    return flat.view(torch.uint8).numpy().data if flat.numel() else b""


_memo: dict[int, tuple[weakref.ref[Any], tuple[Any, ...], Digest]] = {}
# Writes through `.numpy()` do not move a tensor's version, so small tensors are read again each time.
REMEMBER_FROM_BYTES = 1 << 20


def _remembered(value: torch.Tensor, state: tuple[Any, ...], read: Callable[[Any], Digest]) -> Digest:
    if value.layout is not torch.strided or value.nbytes < REMEMBER_FROM_BYTES or state[1] == -1:
        return read(value)
    known = _memo.get(id(value))
    if known is not None and known[0]() is value and known[1] == state:
        return known[2]
    found = read(value)
    _memo[id(value)] = (weakref.ref(value, partial(_forget, id(value))), state, found)
    return found


def _forget(key: int, dead: weakref.ref[Any]) -> None:
    known = _memo.get(key)
    if known is not None and known[0] is dead:
        del _memo[key]


def _read_picture(value: Any) -> Digest:
    parts = [digest_of(value.mode), digest_of(value.size), digest_of(value.tobytes())]
    palette = value.getpalette("RGBA") if value.mode in ("P", "PA") else None
    parts.append(digest_of(palette))
    parts.append(digest_of(value.info.get("transparency")))
    parts.append(digest_of(value.getexif().get(0x0112)))
    return combine(b"picture", parts)


def _read_frame(value: Any) -> Digest:
    from pandas.util import hash_pandas_object

    try:
        rows = hash_pandas_object(value, index=True).to_numpy()
    except TypeError:
        return by_identity(value)
    names = list(value.columns) if hasattr(value, "columns") else [value.name]
    kinds = [str(kind) for kind in (value.dtypes if hasattr(value, "columns") else [value.dtype])]
    return combine(b"frame", [digest_of(rows), digest_of(names), digest_of(kinds)])


BY_MODULE: dict[tuple[str, str], Callable[[Any], Digest]] = {
    ("PIL", "Image"): _read_picture,
    ("pandas", "DataFrame"): _read_frame,
    ("pandas", "Series"): _read_frame,
}


_serials = itertools.count(1)
# Another process counts its own objects from 1 too, and must not take its for ours.
_process = os.urandom(16)
_known_objects: dict[int, tuple[Any, int]] = {}
_identity_lock = threading.Lock()


def by_identity(value: Any) -> Digest:
    """Digest an object that stands for itself; it keeps the digest for as long as it lives."""
    with _identity_lock:
        known = _known_objects.get(id(value))
        if known is None or _target(known[0]) is not value:
            known = (_hold(value), next(_serials))
            _known_objects[id(value)] = known
    return Digest(xxh3_128_digest(_process + b"object%d" % known[1]), False)


def _target(holder: Any) -> Any:
    return holder() if isinstance(holder, weakref.ref) else holder


def _hold(value: Any) -> Any:
    try:
        return weakref.ref(value, partial(_forget_object, id(value)))
    except TypeError:
        return value


def _forget_object(key: int, dead: weakref.ref[Any]) -> None:
    known = _known_objects.get(key)
    if known is not None and known[0] is dead:
        del _known_objects[key]
