"""Whether an output is what its node declares: a plain type, or a layout, told by shape, dtype and a few elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from comfy_nb.errors import InterruptProcessingException, LayoutError
from comfy_nb.spec.contents.samples import few_floats
from comfy_nb.spec.contents.tensors import has_storage
from comfy_nb.spec.layouts import (
    COLOUR_CHANNELS,
    IMAGE_IS,
    MASK_IS,
    Fault,
    image_fault,
    largest_sampled,
    mask_fault,
    misfit,
    to_audio,
    to_latent,
    value_fault,
)
from comfy_nb.spec.node_spec import PLAIN_SOCKETS
from comfy_nb.wording import short

FEW = 64


def output_fault(value: Any, socket: str) -> str:
    """Say how an output is not what its socket promises, and what converts it; nothing where it fits.

    Of a layout, what is no tensor or dict of them is left, and so are elements on an accelerator, which would have to
    be waited for. A number may be numpy's or torch's; None fits a plain type.
    """
    try:
        return _FAULTS[socket](value)
    except InterruptProcessingException:
        raise
    except Exception:  # a class of tensors, a key or a number may refuse whatever it is asked: it cannot be judged
        return ""


def _image_fault(shape: Sequence[int]) -> Fault | None:
    """Return why a shape is not that of an IMAGE: a constant may lack the batch or be grey, an output may not."""
    if len(shape) == 4 and shape[3] in COLOUR_CHANNELS:
        return None
    fault = image_fault(shape)
    if fault is not None:
        return fault
    looks = ["lacks the axis of the batch"] * (len(shape) == 3) + ["has 1 channel"] * (shape[-1] == 1)
    fix = "{}" + "[None]" * (len(shape) == 3) + ".repeat(1, 1, 1, 3)" * (shape[-1] == 1)
    return Fault(" and ".join(looks), fix)


def _checked_as(promise: str, shape_fault: Callable[[Sequence[int]], Fault | None]) -> Callable[[Any], str]:
    def fault(value: Any) -> str:
        if not issubclass(type(value), Tensor) or value.is_nested:
            return ""
        return misfit(value, promise, shape_fault(value.shape), _value_fault(value))

    return fault


def _checked_by(bring: Callable[[Any], Any]) -> Callable[[Any], str]:
    def fault(value: Any) -> str:
        try:
            if type(value) is dict or issubclass(type(value), Tensor):
                bring(value)
        except LayoutError as error:
            return str(error)
        return ""

    return fault


# What each plain type is in words, the kinds of numbers of numpy and torch that are one, and the method that makes one.
_PLAIN = {
    "INT": ("a whole number", "bui", "__index__"),
    "FLOAT": ("a number", "buif", "__float__"),
    "STRING": ("a text", "", ""),
    "BOOLEAN": ("True or False", "b", ""),
}


def _plain_fault(socket: str, value: Any) -> str:
    words, kinds, method = _PLAIN[socket]
    plain, given = PLAIN_SOCKETS[socket], type(value)
    if value is None or issubclass(given, plain):
        return ""
    if issubclass(given, (Tensor, np.ndarray, np.generic)):
        if value.ndim == 0 and _kind_of_number(value.dtype) in kinds:
            return ""
    elif method and hasattr(given, method):
        return ""
    fault = f"{socket} is {words}; this is of type {given.__name__}: {short(value)}."
    is_convertible = socket in ("STRING", "BOOLEAN") or isinstance(value, Real)
    remedy = f"{plain.__name__}(x)" if is_convertible else words
    return f"{fault} Return {remedy}, or declare `-> {given.__name__}`."


def _kind_of_number(dtype: Any) -> str:
    if not isinstance(dtype, torch.dtype):
        return str(dtype.kind)
    return "c" if dtype.is_complex else "f" if dtype.is_floating_point else "b" if dtype == torch.bool else "i"


_FAULTS: Mapping[str, Callable[[Any], str]] = {
    "IMAGE": _checked_as(IMAGE_IS, _image_fault),
    "MASK": _checked_as(MASK_IS, mask_fault),
    "LATENT": _checked_by(to_latent),
    "AUDIO": _checked_by(to_audio),
    **{socket: partial(_plain_fault, socket) for socket in _PLAIN},
}
CHECKED_SOCKETS = frozenset(_FAULTS)


def _value_fault(x: Tensor) -> Fault | None:
    return Fault("holds truth values", "{}.float()") if x.dtype == torch.bool else value_fault(x, _largest_of_few)


def _largest_of_few(x: Tensor) -> float:
    """Return the largest finite value of 64 from all over a tensor, read from its memory, or of those on a grid."""
    few = few_floats(x, FEW)
    if few is not None:
        largest: float = max(few)
        return largest if math.isfinite(largest) else max(filter(math.isfinite, few), default=0.0)
    if not x.is_cpu or not has_storage(x):
        return 0.0 if x.is_floating_point() else 255.0  # whole numbers are bytes, as far as is known
    return largest_sampled(x)
