"""The views of the values that every notebook has: tensors, models, pictures, text, mappings and lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch

from comfy_nb.spec.contents.tensors import has_storage
from comfy_nb.spec.pixels import pixels_of
from comfy_nb.spec.sockets import SOCKETS, socket_of_key
from comfy_nb.ui.inspect.arrays import Array, describe_array, is_array
from comfy_nb.ui.inspect.part import Entry, Part, View
from comfy_nb.ui.render.drawings import drawing_of
from comfy_nb.ui.render.thumbnails import is_picture
from comfy_nb.wording import class_name, count, format_size

TEXT_MAX = 20_000
NUMBERS_MIN = 2
PICTURE_MIN_PX = 8


def array(value: Any, kind: str) -> Part | None:
    """Show a tensor or array."""
    if issubclass(type(value), torch.Tensor) and not has_storage(value):
        return Part("", "TEXT", text=f"{describe_array(value)}. Its storage is empty: it was released or offloaded.")
    return Part("", _array_kind(value, kind), value) if is_array(value) else None


def model(value: Any, kind: str) -> Part | None:
    """Show a torch module."""
    return Part("", "MODEL", text=describe_model(value, value)) if issubclass(type(value), torch.nn.Module) else None


def picture(value: Any, kind: str) -> Part | None:
    """Show a PIL picture as a node gets it."""
    if not is_picture(value):
        return None
    return Part("", "IMAGE", pixels_of(value).unsqueeze(0), f"{type(value).__name__}, mode {value.mode}")


def text(value: Any, kind: str) -> Part | None:
    """Show a string."""
    if not issubclass(type(value), str):
        return None
    value = str.__str__(value)
    cut = f"\n… {len(value):,} characters" if len(value) > TEXT_MAX else ""
    return Part("", "TEXT", text=value[:TEXT_MAX] + cut)


def mapping(value: Any, kind: str) -> Iterator[Part | Entry] | None:
    """Show the entries of a mapping."""
    return _entries(value, kind) if issubclass(type(value), Mapping) and value else None


def sequence(value: Any, kind: str) -> Part | Iterator[Entry] | None:
    """Show the items of a list or tuple; one of numbers alone as a row."""
    base = next((each for each in (list, tuple) if issubclass(type(value), each)), None)
    if base is None or not (length := base.__len__(value)):
        return None
    if length >= NUMBERS_MIN and all(type(item) in (int, float) for item in islice(base.__iter__(value), TEXT_MAX)):
        numbers = _numbers(tuple(base.__iter__(value)))
        return Part("", "NUMBERS", numbers, text=f"{class_name(value)} of {length:,} numbers")
    inner = "" if kind in SOCKETS and SOCKETS[kind].is_list else kind
    return (Entry(place, item, inner) for place, item in enumerate(base.__iter__(value)))


def model_holder(value: Any, kind: str) -> Part | None:
    """Show an object around a torch module, such as ComfyUI's model patcher."""
    module = getattr(value, "model", None)
    return Part("", "MODEL", text=describe_model(value, module)) if isinstance(module, torch.nn.Module) else None


BUILT_IN: tuple[View, ...] = (array, model, picture, text, mapping, sequence, model_holder)


def _entries(value: Mapping[Any, Any], kind: str) -> Iterator[Part | Entry]:
    for key, item in value.items():
        inner = socket_of_key(str(key), kind)
        drawing = drawing_of(inner)
        if drawing.view == "plot" and is_array(item) and drawing.fits(_shape(item)):
            rate = value.get(SOCKETS[inner].rate_key)
            yield Part(str(key), inner, item, rate=rate if isinstance(rate, int) else 0)
        else:
            yield Entry(str(key), item, inner)


def _numbers(value: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    try:
        return np.array(value, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        return np.array([str(item) for item in value], dtype=object)


def _shape(value: Array) -> tuple[int, ...]:
    return () if getattr(value, "is_nested", False) else tuple(value.shape)


def _array_kind(value: Array, kind: str) -> str:
    shape = _shape(value)
    if getattr(value, "layout", torch.strided) is not torch.strided or not shape:
        return "TENSOR"
    drawing = drawing_of(kind)
    if drawing.view == "pixels" and drawing.fits(shape):
        return kind
    if len(shape) == 1:
        return "NUMBERS"
    return "IMAGE" if not kind and _looks_like_image(value, shape) else "TENSOR"


def _looks_like_image(value: Array, shape: tuple[int, ...]) -> bool:
    """Whether an array may be [B,H,W,C], or [H,W,C] as other libraries have pictures."""
    is_float = value.dtype.is_floating_point if isinstance(value, torch.Tensor) else value.dtype.kind == "f"
    if not is_float and value.dtype not in (torch.uint8, np.uint8):
        return False
    if len(shape) == 3:
        return shape[-1] in (3, 4) and min(shape[:2]) >= PICTURE_MIN_PX
    return len(shape) == 4 and shape[-1] in (1, 3, 4) and shape[1] > 4


def describe_model(value: Any, module: torch.nn.Module) -> str:
    """Return a model's class, number of parameters, dtypes, devices and memory, a line each."""
    tensors = {id(each): each for each in (*module.parameters(), *module.buffers())}.values()
    numbers = sum(each.numel() for each in module.parameters())
    size = sum(each.numel() * each.element_size() for each in tensors)
    dtypes = sorted({str(each.dtype).removeprefix("torch.") for each in tensors})
    devices = sorted({str(each.device) for each in tensors})
    inner = "" if value is module else f" around {type(module).__name__}"
    return "\n".join(
        [
            f"{type(value).__name__}{inner}",
            f"{count(numbers, 'parameter')}, {format_size(size)} with buffers",
            f"dtype {', '.join(dtypes) or 'none'}, on {', '.join(devices) or 'no device'}",
            f"{count(sum(1 for _ in module.modules()), 'module')}, {'training' if module.training else 'evaluating'}",
        ]
    )
