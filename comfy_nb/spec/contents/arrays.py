"""What NumPy's values hold: elements with their dtype, shape and mask; states of random generators."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from xxhash import xxh3_128, xxh3_128_digest

from comfy_nb.spec.attributes import referents_of
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.readers import Parts, Unreadable, Whole, reads
from comfy_nb.wording import format_size

LARGE_BYTES = 1 << 20
PIECE_BYTES = 1 << 20
"""How much is copied at once of what does not lie in memory in its order."""
READ_WHOLE_BYTES = 1 << 30
"""Of modules that are larger samples are read, and arrays in a mapped file that are larger are not read at all."""


@reads(np.generic, np.str_, np.bytes_, with_derived=True)
def _(value: np.generic) -> Parts:
    return (np.asarray(value),)


@reads(np.dtype, with_derived=True)
def _(value: np.dtype[Any]) -> Parts:
    metadata = dict(value.metadata) if value.metadata else None
    fields = [(name, *value.fields[name]) for name in value.names] if value.names and value.fields else None
    missing = (hasattr(value, "na_object"), getattr(value, "na_object", None))
    layout = (value.itemsize, value.isalignedstruct, value.subdtype)
    return (value.str, repr(value), value.type, *layout, fields, metadata, missing)


@reads(type(np.ma.masked))
def _(_value: Any) -> Parts:
    return Whole(())


@reads(np.busdaycalendar)
def _(value: np.busdaycalendar) -> Parts:
    return (value.weekmask, value.holidays)


@reads(np.finfo)
def _(value: np.finfo[Any]) -> Parts:
    """Return the dtype, from which all that it tells follows, some of it when it is first asked for."""
    return Whole((value.dtype,))


@reads(np.ufunc)
def _(value: np.ufunc) -> Parts:
    # The function that one is made of, as `frompyfunc` does, and what reductions start with.
    made_of = [each for each in referents_of(value) if type(each) is not dict]
    return (value.__name__, value.signature, value.types, value.identity, made_of)


@reads(np.ndarray)
def _(value: np.ndarray[Any, Any]) -> Parts:
    plain = value if type(value) is np.ndarray else np.ndarray.view(value, np.ndarray)
    return (*_kind_of(plain.dtype), plain.flags.writeable, plain.ndim, *plain.shape, elements_of(plain))


def _kind_of(dtype: np.dtype[Any]) -> Parts:
    """Return what tells a dtype from all others; quickly for one of numpy's own."""
    return (dtype.str, dtype.char) if dtype.isbuiltin == 1 and dtype.metadata is None else (dtype,)


@reads(np.memmap)
def _(value: np.memmap[Any, Any]) -> Parts:
    attributes = [pair for pair in vars(value).items() if pair[0] != "_mmap"]  # its file, and the place in it, too
    return Whole((value.dtype, value.shape, value.flags.writeable, elements_of(value), attributes))


@reads(np.ma.MaskedArray)
def _(value: np.ma.MaskedArray[Any, Any]) -> Parts:
    data, mask = np.ma.getdata(value, subok=False), np.ma.getmaskarray(value)
    shape, facts = (value.dtype, value.shape), (value.fill_value, value.hardmask, value.flags.writeable)
    return (*shape, elements_of(data), elements_of(mask), *facts)


def elements_of(value: np.ndarray[Any, Any]) -> Any:
    """Return the elements of an array in order: as objects where they are references, else as a digest of their bytes.

    A large array that is wider than its memory, as `broadcast_to` makes them, is read as it lies there.
    """
    plain = np.ndarray.view(value, np.ndarray)
    if plain.dtype.hasobject or plain.dtype.kind == "T":
        once = unrepeated(plain) if plain.nbytes > LARGE_BYTES else plain
        items = once.ravel().tolist()
        return items if once.size == plain.size else ("repeated", once.shape, items)
    if plain.nbytes > LARGE_BYTES:
        low, high = np.lib.array_utils.byte_bounds(plain)
        if plain.nbytes > high - low:
            return ("overlapping", plain.strides, _memory(plain, low, high))
    if plain.nbytes > READ_WHOLE_BYTES and _is_mapped(plain):
        raise Unreadable(f"an array of {format_size(plain.nbytes)} in a mapped file")
    if not plain.size:
        return None
    found = xxh3_128()
    for piece in (plain,) if plain.flags.c_contiguous else pieces_in_order(plain):
        found.update(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
    return Digest(found.digest())


def unrepeated(value: Any) -> Any:
    """Return a view of an array or tensor that has once what it repeats without a step in memory, as when broadcast."""
    strides = value.strides if issubclass(type(value), np.ndarray) else value.stride()
    return value[tuple(slice(0, 1) if step == 0 else slice(None) for step in strides)]


def pieces_in_order(value: Any, most: int = PIECE_BYTES) -> Iterator[Any]:
    """Cut an array or tensor into views of at most so many bytes, in the order of its elements."""
    if value.nbytes <= most or not value.ndim:
        yield value
        return
    length = value.shape[0]
    step = most * length // value.nbytes
    if step:
        yield from (value[start : start + step] for start in range(0, length, step))
    else:
        for place in range(length):
            yield from pieces_in_order(value[place], most)


def _is_mapped(value: Any) -> bool:
    while isinstance(value, np.ndarray | memoryview):
        value = value.base if isinstance(value, np.ndarray) else value.obj
    return isinstance(value, mmap.mmap)


def _memory(value: np.ndarray[Any, Any], low: int, high: int) -> Digest:
    """Digest the memory that an array lies in, from its lowest to its highest byte."""
    offset = value.__array_interface__["data"][0] - low
    span = {"data": (low, True), "shape": (high - low,), "typestr": "|u1", "version": 3}
    raw = np.asarray(type("_Span", (), {"__array_interface__": span, "owner": value})())
    return Digest(xxh3_128_digest(b"%d" % offset + xxh3_128_digest(raw.data)))


@reads(np.random.Generator)
def _(value: np.random.Generator) -> Parts:
    return (value.bit_generator,)


@reads(
    np.random.BitGenerator, *{getattr(np.random, name) for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")}
)
def _(value: np.random.BitGenerator) -> Parts:
    return (value.state, value.seed_seq)


@reads(np.random.SeedSequence)
def _(value: np.random.SeedSequence) -> Parts:
    return (value.state["entropy"], value.spawn_key, value.pool_size, value.n_children_spawned)


@reads(np.random.RandomState)
def _(value: np.random.RandomState) -> Parts:
    if value is np.random.mtrand._rand:
        return Whole(("the generator behind numpy.random's functions",))
    return (value.get_state(legacy=False),)
