"""Tensors that are known at a glance: digested when somebody is about to get hold of them, not when they are kept.

Only the engine refers to the memory of such a tensor. What torch writes to it is counted, and shows at a glance; so do
writes to much of it that torch does not count. Before anything else can get at it, its content is digested: a node that
may write in other ways, another result over the same memory, a person, a file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np
import torch

from comfy_nb.spec.contents.tensors import is_seen_by_numpy

SMALL_BYTES = 64 << 10
"""What takes no longer to digest than to look at."""
SAMPLES = 64
GOLDEN_RATIO = 0.618033988749895


class _Pending(Protocol):
    def complete(self) -> None: ...


class Glances:
    """The tensors of a session that are known at a glance, by the address of their memory.

    `are_any`: there have been some.
    """

    def __init__(self) -> None:
        self._pending: WeakValueDictionary[int, Any] = WeakValueDictionary()
        self.are_any = False

    def add(self, address: int, mark: _Pending) -> None:
        """Take in what nobody else has a hold on."""
        self.are_any = True
        self._pending[address] = mark

    def complete(self, address: int) -> None:
        """Digest what lies in this memory: another result holds it too."""
        mark = self._pending.pop(address, None)
        if mark is not None:
            mark.complete()

    def complete_all(self) -> None:
        """Digest whatever is known at a glance: a result that cannot be looked through may hold it."""
        for address in list(self._pending):
            self.complete(address)


def address_of(value: torch.Tensor) -> int:
    """Return the address of the memory that a tensor is in, the same for all views of it."""
    return value.untyped_storage().data_ptr()


def addresses_of(values: Iterable[Any]) -> set[int]:
    """Return the addresses of the tensors among some values."""
    return {address_of(value) for value in values if isinstance(value, torch.Tensor)}


def can_be_glanced_at(value: torch.Tensor) -> bool:
    """Whether a glance at a tensor is worth it, and shows what torch writes: it is large, and has a version counter."""
    return (
        type(value) is torch.Tensor
        and value.nbytes > SMALL_BYTES
        and not value.requires_grad
        and not value.is_inference()
        and is_seen_by_numpy(value)
    )


def sample_of(value: torch.Tensor) -> bytes:
    """Return elements from all over a tensor that can be glanced at, off the grid of its rows and columns."""
    flat: np.ndarray[Any, Any] = value.numpy().reshape(-1)
    return bytes(flat[_places(flat.size)].data)


@functools.lru_cache(maxsize=256)
def _places(size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return (np.arange(SAMPLES) * GOLDEN_RATIO % 1 * size).astype(np.int64)
