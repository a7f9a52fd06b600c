"""The parts of a value, at most a hundred: the tensors in it, and text for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from comfy_nb.ui.inspect.arrays import Array, is_array
from comfy_nb.wording import count, describe_error, encodable, format_size

PARTS_MAX = 100
DEEPEST = 8
TEXT_MAX = 20_000
LINE_MAX = 200
NUMBERS_MIN = 2


@dataclass(frozen=True)
class Part:
    """One part of a value. `kind` is IMAGE, MASK, LATENT, AUDIO, NUMBERS (1-d), TENSOR, TEXT or MODEL.

    `array` is the tensor or numpy array itself, None for text; `rate` is an AUDIO's samples per second. Name and text
    can be encoded as UTF-8.
    """

    name: str
    kind: str
    array: Array | None = None
    text: str = ""
    rate: int = 0


def parts_of(value: Any, kind: str | None = None) -> list[Part]:
    """Take a value apart. `kind` is its socket type; if it is None or does not fit, the shape decides."""
    found: list[Part] = []
    for part in _walk(value, kind or "", "", 0):
        if len(found) == PARTS_MAX:
            found.append(Part("", "TEXT", text=f"more than {PARTS_MAX} parts: the rest is not shown"))
            break
        found.append(replace(part, name=encodable(part.name), text=encodable(part.text)))
    return found


def _walk(value: Any, kind: str, name: str, depth: int) -> Iterator[Part]:
    try:
        yield from _parts(value, kind, name, depth)
    except Exception as error:  # a value's own code may raise anything; its type is known even then
        yield Part(name, "TEXT", text=f"{type(value).__name__}: it cannot be inspected ({describe_error(error)})")


def _parts(value: Any, kind: str, name: str, depth: int) -> Iterator[Part]:
    if is_array(value):
        yield Part(name, _array_kind(value, kind), value)
    elif isinstance(value, torch.nn.Module):
        yield Part(name, "MODEL", text=describe_model(value, value))
    elif _is_picture(value):
        pixels = _pixels(value)
        kind = "IMAGE" if pixels.ndim == 4 else "TENSOR"
        yield Part(name, kind, pixels, text=f"{type(value).__name__}, mode {value.mode}")
    elif isinstance(value, str):
        cut = f"\n… {len(value):,} characters" if len(value) > TEXT_MAX else ""
        yield Part(name, "TEXT", text=value[:TEXT_MAX] + cut)
    elif depth < DEEPEST and isinstance(value, Mapping) and value:
        yield from _entries(value, name, depth)
    elif depth < DEEPEST and isinstance(value, list | tuple) and value:
        yield from _items(value, kind, name, depth)
    elif isinstance(getattr(value, "model", None), torch.nn.Module):
        yield Part(name, "MODEL", text=describe_model(value, value.model))
    else:
        yield Part(name, "TEXT", text=clipped_repr(value, TEXT_MAX if depth == 0 else LINE_MAX))


def _entries(value: Mapping[Any, Any], name: str, depth: int) -> Iterator[Part]:
    for key, item in value.items():
        inner = f"{name}.{key}" if name else str(key)
        if key == "waveform" and is_array(item) and item.ndim in (1, 2, 3):
            rate = value.get("sample_rate")
            yield Part(inner, "AUDIO", item, rate=rate if isinstance(rate, int) else 0)
            continue
        yield from _walk(item, {"samples": "LATENT", "noise_mask": "MASK"}.get(str(key), ""), inner, depth + 1)


def _items(value: list[Any] | tuple[Any, ...], kind: str, name: str, depth: int) -> Iterator[Part]:
    numbers = all(type(item) in (int, float) for item in value[:TEXT_MAX])
    if numbers and len(value) >= NUMBERS_MIN:
        yield Part(name, "NUMBERS", _numbers(value), text=f"{type(value).__name__} of {len(value):,} numbers")
        return
    for place, item in enumerate(value):
        yield from _walk(item, "" if kind == "CONDITIONING" else kind, f"{name}[{place}]", depth + 1)


def _numbers(value: list[Any] | tuple[Any, ...]) -> np.ndarray[Any, Any]:
    try:
        return np.array(value, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        return np.array([str(item) for item in value], dtype=object)


def _array_kind(value: Array, kind: str) -> str:
    axes, shape = value.ndim, tuple(value.shape) if not getattr(value, "is_nested", False) else ()
    is_plain = getattr(value, "layout", torch.strided) is torch.strided and bool(shape)
    if not is_plain:
        return "TENSOR"
    if kind == "IMAGE" and axes in (3, 4) and shape[-1] in (1, 3, 4):
        return "IMAGE"
    if kind == "MASK" and axes in (2, 3):
        return "MASK"
    if kind == "LATENT" and axes == 4:
        return "LATENT"
    if axes == 1:
        return "NUMBERS"
    is_float = value.dtype.is_floating_point if isinstance(value, torch.Tensor) else value.dtype.kind == "f"
    looks_like_image = axes == 4 and shape[-1] in (1, 3, 4) and shape[1] > 4
    return "IMAGE" if not kind and is_float and looks_like_image else "TENSOR"


def _is_picture(value: Any) -> bool:
    return (
        not isinstance(value, type)
        and hasattr(value, "thumbnail")
        and hasattr(value, "mode")
        and hasattr(value, "getpixel")
    )


def _pixels(picture: Any) -> np.ndarray[Any, Any]:
    """Return a PIL picture as [1, H, W, C] of bytes, or [H, W] where its values are wider than bytes."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        return np.asarray(picture)
    has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    mode = "RGBA" if has_alpha else "L" if picture.mode in ("1", "L") else "RGB"
    pixels = np.asarray(picture.convert(mode))
    return pixels[None, ..., None] if pixels.ndim == 2 else pixels[None]


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


def clipped_repr(value: Any, most: int) -> str:
    """Return a value's repr, or the beginning of a long one with its length."""
    try:
        text = repr(value)
    except Exception as error:  # somebody else's class
        return f"a {type(value).__name__}, whose repr raises {type(error).__name__}: {error}"
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
