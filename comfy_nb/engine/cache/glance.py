"""Glances: what shows of a write to a large tensor without reading it, and which tensors that is enough for.

Torch counts what its own operations write. Samples show writes to much of a tensor that it does not count, as batch
normalisation does.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from comfy_nb.spec.contents.tensors import is_seen_by_numpy
from comfy_nb.spec.digest import is_plain

SMALL_BYTES = 64 << 10
"""What takes no longer to digest than to look at."""
SAMPLES = 16
GOLDEN_RATIO = 0.618033988749895


def can_be_glanced_at(value: torch.Tensor) -> bool:
    """Whether a glance at a tensor is worth it, and shows what torch writes: it is large, and has a version counter."""
    return is_bare(value) and value.nbytes > SMALL_BYTES and is_seen_by_numpy(value)


def glance(value: torch.Tensor) -> tuple[Any, ...]:
    """Return what shows of a tensor that can be glanced at: its place and version, and elements from all over it."""
    flat: np.ndarray[Any, Any] = value.detach().numpy().reshape(-1)
    return value.data_ptr(), value._version, value.requires_grad, flat[_places(flat.size)].tobytes()


@functools.lru_cache(maxsize=256)
def _places(size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return places off the grid of rows and columns."""
    return (np.arange(SAMPLES) * GOLDEN_RATIO % 1 * size).astype(np.int64)


def lie_alone(outputs: tuple[list[Any], ...], tensors: Iterable[torch.Tensor]) -> bool:
    """Whether outputs are plain values, and tensors none of which shares memory with another or with these tensors."""
    found = [value for slot in outputs for value in slot if not is_plain(value)]
    if not all(map(is_bare, found)):
        return False
    try:
        own = list(map(_address_of, found))
        others = set(map(_address_of, tensors))
    except (RuntimeError, NotImplementedError):  # a wrapper, as within vmap
        return False
    return len(own) == len({*own} - others)


def is_bare(value: Any) -> bool:
    """Whether a value is a tensor and nothing else: without a gradient, hooks, or attributes of its own."""
    return (
        type(value) is torch.Tensor
        and value.layout is torch.strided
        and not (value.requires_grad or value.is_inference() or value.__dict__)
    )


def _address_of(value: torch.Tensor) -> int:
    """Return the address of the memory that a tensor is in, the same for all views of it."""
    return value.untyped_storage().data_ptr()
