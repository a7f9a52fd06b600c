"""Tensors and arrays of any kind, as tensors whose numbers can be read a slice at a time."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import torch

from comfy_nb.wording import format_size

Array = torch.Tensor | np.ndarray[Any, Any]

MAGNITUDES = "complex: magnitudes are shown, in a picture by their logarithm"
UNREADABLE = (RuntimeError, NotImplementedError, TypeError, ValueError)


def is_array(value: object) -> TypeGuard[Array]:
    """Whether a value is a tensor or a numpy array."""
    return issubclass(type(value), torch.Tensor | np.ndarray)


def as_readable(value: Array) -> tuple[torch.Tensor | None, str]:
    """Return a tensor that shares the memory of a tensor or array, and a note on what its values mean.

    The tensor is None if there are no numbers; then the note says why. Only arrays with a dtype, byte order or
    direction that torch does not have are copied.
    """
    if isinstance(value, np.ndarray):
        return _of_array(value)
    try:
        if value.device.type == "meta":
            return None, "on the meta device: it has a shape but no values"
        if value.is_nested:
            return None, "a nested tensor: look at its parts, x.unbind()"
        if value.layout is torch.sparse_coo:
            values = value.detach()._values()
            return values, f"sparse: the statistics are of its {values.numel():,} stored values"
        if value.layout is not torch.strided:
            stored = value.detach().values()
            return stored, f"{_short_name(value.layout)}: the statistics are of its {stored.numel():,} stored values"
        if value.is_complex():
            return value.detach(), MAGNITUDES
        if value.is_quantized and value.qscheme() not in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            return value.detach().int_repr(), "quantised by channel: the whole numbers that are stored are shown"
        if value.is_quantized:
            return value.detach(), "quantised: the dequantised values are shown"
        return value.detach(), ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a tensor of somebody else's class may raise anything
        return None, f"its values cannot be read: {first_line(error)}"


def _of_array(array: np.ndarray[Any, Any]) -> tuple[torch.Tensor | None, str]:
    if array.dtype.kind not in "biufc":
        kind = "of records" if array.dtype.names else f"of {array.dtype}"
        return None, f"an array {kind}: it holds no numbers to count"
    try:
        return torch.from_numpy(_writable(array)), MAGNITUDES if array.dtype.kind == "c" else ""
    except UNREADABLE:
        pass
    try:
        return torch.from_numpy(array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)), ""
    except UNREADABLE as error:
        return None, f"its values cannot be read: {first_line(error)}"


class _Memory:
    """Lends the memory of a read-only array as if it were writable: torch warns otherwise, and we only read."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def _writable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array if array.flags.writeable else np.asarray(_Memory(array))


def floats(x: torch.Tensor) -> torch.Tensor:
    """Return a small slice as float64 (float32 on a device without it), magnitudes for complex values."""
    if x.is_quantized:
        x = x.dequantize()
    if x.is_complex():
        x = x.resolve_conj().abs()
    if x.dtype.is_floating_point and x.element_size() == 1:
        x = x.float()
    return x.resolve_neg().to(torch.float32 if x.device.type == "mps" else torch.float64)


def describe_array(value: Array) -> str:
    """Return shape, dtype, device and bytes of a tensor or array in one line."""
    if isinstance(value, np.ndarray):
        return f"array {list(value.shape)} {value.dtype}, {format_size(value.nbytes)}"
    shape = f"nested of {value.size(0)}" if value.is_nested else list(value.shape)
    parts = [f"{shape} {_short_name(value.dtype)}", f"on {value.device}"]
    if value.layout is torch.strided and not value.is_nested:
        parts.append(format_size(value.numel() * value.element_size()))
    if value.requires_grad:
        parts.append("requires grad")
    if value.layout is torch.strided and not value.is_quantized and not _is_contiguous(value):
        parts.append("not contiguous")
    return ", ".join(parts)


def _is_contiguous(value: torch.Tensor) -> bool:
    try:
        return bool(value.is_contiguous())
    except UNREADABLE:
        return True


def _short_name(of_torch: object) -> str:
    return str(of_torch).removeprefix("torch.")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or else its class."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
