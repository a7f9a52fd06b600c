"""Digests of values by content: 16 bytes that are equal if two values mean the same to a node.

Tensors, arrays, pictures and dataframes are read in full (xxh3_128, about memory bandwidth) and remembered as long
as they live unchanged. Any other object is equal only to itself, and only in this process.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import itertools
import marshal
import os
import re
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence, Set
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from functools import partial, singledispatch
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import torch
from xxhash import xxh3_128_digest

# Version 2 of the format has no back-references, so equal values always give equal bytes.
_MARSHAL_VERSION = 2
PLAIN: frozenset[type] = frozenset({int, float, str, bool, type(None), bytes, complex, type(...)})
DEEPEST = 200


class Digest(NamedTuple):
    """A digest; if it is `durable`, it means the same in another process."""

    value: bytes
    durable: bool


class _Reading(threading.local):
    """The ids of the containers that this thread is inside of."""

    def __init__(self) -> None:
        self.ids: set[int] = set()


_reading = _Reading()


def digest_of(value: Any) -> Digest:
    """Digest any value, by content if possible.

    Never raises for a strange object: one that cannot be read, or contains itself, is identified by `id` and is not
    durable.
    """
    if type(value) in PLAIN:
        return Digest(xxh3_128_digest(encode_plain(value)), True)
    inside = _reading.ids
    if id(value) in inside or len(inside) >= DEEPEST:
        return by_identity(value)
    inside.add(id(value))
    try:
        return content_digest(value)
    except Exception:  # a closed picture, a half-made dataclass: foreign objects may fail to be read in any way
        return by_identity(value)
    finally:
        inside.discard(id(value))


def encode_plain(value: Any) -> bytes:
    """Encode a value made of `PLAIN` types (or a tuple of them) so that equal bytes mean equal values and types."""
    return marshal.dumps(value, _MARSHAL_VERSION)


def combine(tag: bytes, parts: Sequence[Digest]) -> Digest:
    """Digest a tag and digests, in order."""
    return Digest(xxh3_128_digest(tag + b"".join(part.value for part in parts)), all(part.durable for part in parts))


def node_digest(
    class_type: str, code: bytes, fresh: int, bound: Any, inputs: Mapping[str, Any], links: tuple[Any, ...]
) -> Digest:
    """Digest a node without what is above it: the one recipe for handles that are equal and results that are reused.

    `inputs` has a constant for each name, None for a link; `links` describes the links. `bound` is None, or what binds
    the node to its place in one graph. The order of inputs does not matter.
    """
    names = tuple(sorted(inputs)) if len(inputs) > 1 else tuple(inputs)
    values = tuple([inputs[name] for name in names])
    durable = bound is None and not fresh
    for value in values:
        if type(value) not in PLAIN:
            tag = encode_plain((class_type, code, fresh, bound, names, links))
            found = combine(tag, [digest_of(each) for each in values])
            return Digest(found.value, found.durable and durable)
    return Digest(xxh3_128_digest(encode_plain((class_type, code, fresh, bound, names, links, values))), durable)


@singledispatch
def content_digest(value: Any) -> Digest:
    """Digest a value that is not plain. Register a function here to digest instances of a class by content."""
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
    if isinstance(value, enum.Enum):
        return _read_member(value)
    base = next(base for base in (int, float, str, bytes, bytearray) if isinstance(value, base))
    plain = bytes(value) if base is bytearray else base(value)
    return combine(_class_tag(type(value)), [digest_of(plain), *_attributes(value)])


def _attributes(value: Any) -> list[Digest]:
    """Digest what an instance of a subclass holds besides the value of its base class."""
    own = getattr(value, "__dict__", None)
    return [digest_of(own)] if own else []


@content_digest.register
def _read_member(value: enum.Enum) -> Digest:
    return combine(_class_tag(type(value)) + value.name.encode(), [digest_of(value.value)])


@content_digest.register(torch.dtype)
@content_digest.register(torch.device)
@content_digest.register(torch.layout)
@content_digest.register(torch.memory_format)
@content_digest.register(np.dtype)
@content_digest.register(range)
@content_digest.register(slice)
@content_digest.register(datetime.date)
@content_digest.register(datetime.time)
@content_digest.register(datetime.timedelta)
@content_digest.register(decimal.Decimal)
@content_digest.register(fractions.Fraction)
@content_digest.register(uuid.UUID)
def _(value: Any) -> Digest:
    return combine(_class_tag(type(value)) + repr(value).encode(), [])


@content_digest.register
def _(value: re.Pattern) -> Digest:  # type: ignore[type-arg]
    return combine(b"pattern", [digest_of(value.pattern), digest_of(value.flags)])


@content_digest.register
def _(value: ContextVar) -> Digest:  # type: ignore[type-arg]
    """Digest a context variable by itself and by the value that it has in the code that asks."""
    return combine(b"context variable", [by_identity(value), digest_of(value.get(None))])


@content_digest.register
def _(value: np.generic) -> Digest:
    return combine(b"scalar", [digest_of(np.asarray(value))])


@content_digest.register
def _(value: np.ufunc) -> Digest:
    return combine(b"ufunc" + value.__name__.encode(), [])


@content_digest.register
def _(value: PurePath) -> Digest:
    return combine(b"path" + str(value).encode("utf-8", "surrogateescape"), [])


@content_digest.register(list)
@content_digest.register(tuple)
def _(value: Sequence[Any]) -> Digest:
    parts = [digest_of(item) for item in value]
    return combine(_class_tag(type(value)) + b"%d" % len(parts), parts + _attributes(value))


@content_digest.register(dict)
def _(value: Mapping[Any, Any]) -> Digest:
    # Dicts are equal regardless of the order in which they were filled.
    pairs = sorted(combine(b"pair", [digest_of(key), digest_of(item)]) for key, item in value.items())
    return combine(_class_tag(type(value)) + b"%d" % len(pairs), pairs + _attributes(value))


@content_digest.register(set)
@content_digest.register(frozenset)
def _(value: Set[Any]) -> Digest:
    items = sorted(digest_of(item) for item in value)
    return combine(_class_tag(type(value)) + b"%d" % len(items), items + _attributes(value))


@content_digest.register
def _(value: np.ndarray) -> Digest:
    tag = (
        _class_tag(type(value))
        + f"{value.dtype.str}{value.dtype.descr if value.dtype.names else ''}{value.shape}".encode()
    )
    if isinstance(value, np.ma.MaskedArray):
        return combine(tag, [digest_of(np.ma.getdata(value)), digest_of(np.ma.getmaskarray(value))])
    if value.dtype.hasobject:
        return combine(tag, [digest_of(item) for item in value.ravel().tolist()])
    content = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data if value.size else b""
    return Digest(xxh3_128_digest(tag + xxh3_128_digest(content)), True)


@content_digest.register
def _(value: torch.Tensor) -> Digest:
    return _remembered(value, tensor_state(value), _read_tensor)


def tensor_state(value: torch.Tensor) -> tuple[Any, ...]:
    """Return what changes when torch writes to a tensor: its address, layout and version (-1 if it has none)."""
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
    if value.is_quantized:
        return combine(tag, [digest_of(value.int_repr()), digest_of(value.dequantize())])
    return Digest(xxh3_128_digest(tag + xxh3_128_digest(tensor_bytes(value))), True)


def tensor_bytes(value: torch.Tensor) -> Any:
    """Return a tensor's elements in order as a buffer of bytes, for any dtype, layout and device."""
    plain = value.detach()
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    if plain.is_conj() or plain.is_neg():
        plain = plain.resolve_conj().resolve_neg()
    if plain.is_quantized:
        plain = plain.int_repr()
    whole = plain.contiguous().cpu()
    # A single element counts as contiguous with any stride, but cannot be viewed as bytes like that.
    flat = whole.as_strided((whole.numel(),), (1,))
    return flat.view(torch.uint8).numpy().data if flat.numel() else b""


_memo: dict[int, tuple[weakref.ref[Any], tuple[Any, ...], Digest]] = {}
# Writes through `.numpy()` do not change a tensor's version, so small tensors are read again each time.
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
    if getattr(value, "is_animated", False):
        return by_identity(value)  # a node may seek its other frames
    parts = [digest_of(value.mode), digest_of(value.size), digest_of(value.tobytes())]
    palette = value.getpalette("RGBA") if value.mode in ("P", "PA") else None
    parts.append(digest_of(palette))
    parts.append(digest_of(value.info.get("transparency")))
    parts.append(digest_of(value.getexif().get(0x0112)))
    return combine(b"picture", parts)


def _read_frame(value: Any) -> Digest:
    """Digest a DataFrame or Series: names, dtypes, index and columns, mixed columns by the content of each cell."""
    table = value if hasattr(value, "columns") else value.to_frame()
    columns = [table.iloc[:, place] for place in range(table.shape[1])]
    head = (type(value).__name__, list(table.columns), [str(each.dtype) for each in columns], list(table.index.names))
    cells = [digest_of(each.to_numpy()) for each in (table.index, *columns)]
    return combine(b"frame", [digest_of(head), *cells])


def _read_logger(value: Any) -> Digest:
    return combine(b"logger" + value.name.encode(), [])


BY_MODULE: dict[tuple[str, str], Callable[[Any], Digest]] = {
    ("PIL", "Image"): _read_picture,
    ("pandas", "DataFrame"): _read_frame,
    ("pandas", "Series"): _read_frame,
    ("logging", "Logger"): _read_logger,
}


_serials = itertools.count(1)
# Another process counts its own objects from 1 too; its digests must differ from ours.
_process = os.urandom(16)
_known_objects: dict[int, tuple[Any, int]] = {}
_identity_lock = threading.Lock()


def by_identity(value: Any) -> Digest:
    """Digest an object by its identity; it keeps the digest as long as it lives."""
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
