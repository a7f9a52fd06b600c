"""Glances: what shows of a write to a large tensor without reading it, and which tensors that is enough for.

Torch counts what its own operations write. Samples show writes to much of a tensor that it does not count, as batch
normalisation does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from comfy_nb.spec.contents.arrays import scattered_places
from comfy_nb.spec.contents.tensors import has_storage, is_dense, lies_in_order, memory_of
from comfy_nb.spec.digest import is_plain

SMALL_BYTES = 64 << 10
"""What takes no longer to digest than to look at."""
SAMPLES = 16


class Glance:
    """What shows of a tensor without reading it: its place, its version, and elements from all over it."""

    __slots__ = ("_flat", "_memory", "_places", "_sample", "_value", "_version")

    def __init__(self, value: torch.Tensor) -> None:
        self._value = value
        self._memory = _memory_of(value)
        self._version = value._version
        self._flat: np.ndarray[Any, Any] = np.frombuffer(memory_of(value), f"V{value.element_size()}")
        self._places = scattered_places(self._flat.size, SAMPLES)
        self._sample = self._flat[self._places].tobytes()

    def is_same(self) -> bool:
        """Whether all that shows is as it was."""
        value = self._value
        # Released memory must not be read, so this comes first.
        if value._version != self._version or _memory_of(value) != self._memory or value.requires_grad:
            return False
        return bool(self._flat[self._places].tobytes() == self._sample)


def glance_at(value: torch.Tensor) -> Glance | None:
    """Glance at a tensor; None for one of which that does not show what torch writes, or that is as quickly read."""
    is_large = is_bare(value) and value.nbytes > SMALL_BYTES
    return Glance(value) if is_large and lies_in_order(value) and has_storage(value) else None


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
    """Whether a value is no more than a tensor's elements: without a gradient, hooks, or attributes of its own."""
    is_tensor = type(value) is torch.Tensor and is_dense(value)
    return is_tensor and not (value.requires_grad or value.is_inference() or value.__dict__)


def _address_of(value: torch.Tensor) -> int:
    """Return the address of the memory that a tensor is in, the same for all views of it."""
    return value.untyped_storage().data_ptr()


def _memory_of(value: torch.Tensor) -> tuple[int, int]:
    """Return where a tensor's elements begin, and how much memory there is behind them and around."""
    return value.data_ptr(), value.untyped_storage().nbytes()
