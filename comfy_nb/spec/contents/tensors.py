"""What torch's values hold: the elements of a tensor of any layout, with all that its public attributes tell of it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from xxhash import xxh3_128, xxh3_128_digest

from comfy_nb.spec.contents.arrays import LARGE_BYTES, PIECE_BYTES, pieces_in_order
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.fingerprint import note_copied
from comfy_nb.spec.readers import Parts, Unreadable, Whole, reads

DEVICE_PIECE_BYTES = 64 << 20


@reads(
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
    torch.qscheme,
    torch.finfo,
    torch.iinfo,
    unchangeable=True,
)
def _(value: Any) -> Parts:
    return (str(value),)


@reads(torch.Size, unchangeable=True)
def _(value: torch.Size) -> Parts:
    return tuple(value)


@reads(torch.Generator)
def _(value: torch.Generator) -> Parts:
    if value is torch.default_generator:
        return Whole(("the generator behind torch's functions",))
    return (value.device, value.get_state())


@reads(torch.UntypedStorage)
def _(value: torch.UntypedStorage) -> Parts:
    return (value.device, _whole(value))


@reads(torch.Tensor)
def _(value: torch.Tensor) -> Parts:
    if type(value) in _OF_TORCH:
        return _parts_of_tensor(value)
    with torch._C.DisableTorchFunctionSubclass():  # else its class is asked, and told, of all that is read
        return _parts_of_tensor(value)


_OF_TORCH = (torch.Tensor, torch.nn.Parameter)


def _parts_of_tensor(value: torch.Tensor) -> Parts:
    shape = None if value.is_nested else tuple(_shape_of(value))
    marks = (value.is_conj(), value.is_neg(), value.is_inference(), value.requires_grad)
    facts = (_text(value.dtype), _text(value.device), _text(value.layout), *marks, repr(shape), *_names(value))
    parts = (*facts, *_gradient(value), elements_of(value))
    # The attributes of a jagged tensor number it and hold what was worked out about its shape.
    return Whole(parts) if value.layout is torch.jagged else parts


_shape_of = torch.Tensor.shape.__get__  # type: ignore[attr-defined]
_text = lru_cache(str)
_HAS_NAMES = hasattr(torch.Tensor, "names")


def _names(value: torch.Tensor) -> Parts:
    """Return the names of a tensor's dimensions, which not every torch has."""
    return (repr(value.names),) if _HAS_NAMES else ()  # type: ignore[attr-defined]


def _gradient(value: torch.Tensor) -> Parts:
    """What a tensor shows of its gradient, but for the graph of functions that it came from."""
    if not value.is_leaf:
        return (value.retains_grad, gradient_of(value), _in_order(value._backward_hooks))
    if value.grad is None and not value.requires_grad:
        return ()
    hooks = (_in_order(value._backward_hooks), _in_order(value._post_accumulate_grad_hooks))
    return (value.grad, getattr(value, "grad_dtype", None), *hooks)


def gradient_of(value: torch.Tensor) -> torch.Tensor | None:
    """Return the gradient that a tensor holds; one that does not keep its own would warn of being asked."""
    return value.grad if value.is_leaf or value.retains_grad else None


def carries_more(value: torch.Tensor) -> bool:
    """Whether a tensor may have more than its elements: a gradient, hooks, attributes."""
    return value.requires_grad or value.grad is not None or bool(value.__dict__)


def _in_order(hooks: Mapping[int, Any] | None) -> list[Any]:
    """Return hooks without their numbers, which torch counts over all tensors."""
    return list((hooks or {}).values())


def elements_of(value: torch.Tensor) -> Any:
    """Return the elements of a tensor: a digest of their bytes in order, or, of a special layout, the tensors in it."""
    if value.is_nested:
        return list(value.detach().unbind())
    is_of_torch = type(value) in _OF_TORCH
    if not is_of_torch and hasattr(type(value), "__tensor_flatten__"):
        names, context = value.__tensor_flatten__()  # type: ignore[attr-defined]
        return (names, [getattr(value, name) for name in names], context)
    if not is_of_torch and type(value).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        raise Unreadable(f"a tensor of class {type(value).__name__}")
    if value.is_quantized:
        return (value.qscheme(), value.detach().int_repr(), _scales(value))
    if value.layout is torch.sparse_coo:
        return (value.is_coalesced(), value.sparse_dim(), value._indices(), value._values())
    if value.layout in (torch.sparse_csr, torch.sparse_bsr):
        return (value.crow_indices(), value.col_indices(), value.values())
    if value.layout in (torch.sparse_csc, torch.sparse_bsc):
        return (value.ccol_indices(), value.row_indices(), value.values())
    if value.layout is not torch.strided:
        raise Unreadable(f"a tensor of layout {value.layout}")
    if value.device.type == "meta":
        return None
    if not has_storage(value):
        raise Unreadable("a tensor whose memory is not there")
    storage = value.untyped_storage()
    if value.nbytes > max(LARGE_BYTES, storage.nbytes()):
        return ("overlapping", value.stride(), value.storage_offset(), _whole(storage))
    return Digest(_digest_of_bytes(value))


def accelerator_of(value: torch.Tensor) -> str | None:
    """Return the device whose memory a tensor is in, if that is not main memory; a "meta" tensor is in none."""
    return None if value.is_cpu or value.is_meta else str(value.device)


def _digest_of_bytes(value: torch.Tensor) -> bytes:
    """Digest a strided tensor's elements in order, in half the time where they lie so in main memory."""
    if lies_in_order(value):
        bytes_read = _here.bytes_read if _here.bytes_read is not None else {}
        if id(value) not in bytes_read:
            plain = value.detach()
            bytes_read[id(value)] = (value, xxh3_128_digest(memory_of(plain)))
        return bytes_read[id(value)][1]
    if (device := accelerator_of(value)) is not None:
        note_copied(device, value.nbytes)
    found = xxh3_128()
    for piece in bytes_in_pieces(value):
        found.update(piece)
    return found.digest()


class _Here(threading.local):
    bytes_read: dict[int, tuple[torch.Tensor, bytes]] | None = None


_here = _Here()


@contextmanager
def read_once() -> Generator[None, None, None]:
    """Read the bytes of each tensor only once in a `with` block, in which nothing but digests is computed."""
    outer, _here.bytes_read = _here.bytes_read, {}
    try:
        yield
    finally:
        _here.bytes_read = outer


def lies_in_order(value: torch.Tensor) -> bool:
    """Whether a strided tensor's elements lie in main memory in their order, as they are."""
    return value.is_cpu and value.is_contiguous() and not value.is_conj() and not value.is_neg()


_view_of_memory = ctypes.pythonapi.PyMemoryView_FromMemory
_view_of_memory.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
_view_of_memory.restype = ctypes.py_object
_TO_BE_READ = 0x100  # PyBUF_READ


def view_of_memory(address: int, size: int) -> memoryview:
    """Return so many bytes from an address on, to be read while the caller holds what they belong to."""
    found: memoryview = _view_of_memory(address, size, _TO_BE_READ)
    return found


def memory_of(value: torch.Tensor) -> memoryview:
    """Return the bytes of a tensor that lies in order, to be read while the caller holds the tensor.

    A tensor that others hold may be given other memory meanwhile; its `detach()` may not. After `Tensor.numpy()` torch
    would refuse to resize the memory, as nodes do to grow or offload a tensor.
    """
    if not value.numel():
        return memoryview(b"")
    return view_of_memory(value.data_ptr(), value.nbytes)


def _whole(storage: torch.UntypedStorage) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _scales(value: torch.Tensor) -> Parts:
    if value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return (value.q_scale(), value.q_zero_point())
    return (value.q_per_channel_scales(), value.q_per_channel_zero_points(), value.q_per_channel_axis())


def has_storage(value: torch.Tensor) -> bool:
    """Whether a strided tensor still has the memory that its shape tells: packs resize storages to 0 to offload them.

    Reading one that has not ends the process. Tensors of zeros that autograd makes, and those that stand for others
    within functionalize, never had any.
    """
    if value.layout is not torch.strided or value.is_meta or value.is_nested or value.numel() == 0:
        return True
    try:
        held, address = value.untyped_storage().nbytes(), value.data_ptr()
    except (RuntimeError, NotImplementedError):  # a wrapper, as within vmap
        return True
    is_contiguous = value.is_contiguous()
    steps = () if is_contiguous else zip(value.shape, value.stride(), strict=True)
    needed = value.numel() if is_contiguous else 1 + sum((size - 1) * step for size, step in steps)
    is_wrapper = type(value).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__
    return (address != 0 or is_wrapper) and (value.storage_offset() + needed) * value.element_size() <= held


def is_dense(value: torch.Tensor) -> bool:
    """Whether a tensor is no more than its elements, which lie in memory as its strides say."""
    kind = type(value)
    is_torchs = kind is torch.Tensor or kind.__torch_dispatch__ is torch.Tensor.__torch_dispatch__
    special = value.layout is not torch.strided or value.is_nested or value.is_quantized or value.is_meta
    return is_torchs and not special


def bytes_in_pieces(value: torch.Tensor) -> Iterator[Any]:
    """Yield a strided tensor's elements in order as buffers of bytes; what has to be copied for it, a piece at a time.

    By pieces of a megabyte this is twice as fast as a copy of all of a large tensor that was permuted.
    """
    plain = value.detach()
    if lies_in_order(plain):
        yield memory_of(plain)
        return
    for piece in pieces_in_order(plain, PIECE_BYTES if plain.is_cpu else DEVICE_PIECE_BYTES):
        if lies_in_order(piece):
            yield memory_of(piece)
        else:
            yield tensor_bytes(piece)


def tensor_bytes(value: torch.Tensor) -> Any:
    """Return a strided tensor's elements in order as a buffer of bytes, for any dtype and device."""
    plain = value.detach()
    if plain.is_conj() or plain.is_neg():
        plain = plain.resolve_conj().resolve_neg()
    whole = plain.contiguous().cpu()
    # A single element counts as contiguous with any stride, but cannot be viewed as bytes like that.
    flat = whole.as_strided((whole.numel(),), (1,))
    return flat.view(torch.uint8).numpy().data if flat.numel() else b""
