"""A few elements from all over a tensor, read from where they lie in main memory: after each node, so quickly."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from comfy_nb.spec.contents.tensors import lies_in_order, view_of_memory

GOLDEN_RATIO = 0.618033988749895
_WORDS = {1: "B", 2: "H", 4: "I"}
_FLOATS = {torch.float32: "f", torch.float64: "d"}
Few = tuple[Any, ...]


def few_words(value: torch.Tensor, number: int) -> Few | None:
    """Return so many words of a tensor's memory; None where it does not lie there in order, or has none any more."""
    return _few(value, _WORDS.get(value.element_size(), "Q"), number)


def few_floats(value: torch.Tensor, number: int) -> Few | None:
    """Return so many elements of a tensor of floats; None where they cannot be read as they lie in memory."""
    letter = _FLOATS.get(value.dtype)
    return None if letter is None else _few(value, letter, number)


def _few(value: torch.Tensor, letter: str, number: int) -> Few | None:
    if type(value) is not torch.Tensor or not lies_in_order(value):
        return None
    storage = value.untyped_storage()  # held meanwhile: others may give the tensor other memory
    address, size = value.data_ptr(), value.nbytes
    begin = address - storage.data_ptr()
    if not size or not 0 <= begin <= storage.nbytes() - size:  # packs resize storages to 0 to offload them
        return None
    memory: Any = view_of_memory(address, size)
    words = memory.cast(letter)
    return _scattered(len(words), number)(words)


@lru_cache(maxsize=256)
def _scattered(size: int, number: int) -> Callable[[Any], Few]:
    """Return what takes items of a sequence of this size that are off the grid of rows and columns."""
    return operator.itemgetter(*(int(place * GOLDEN_RATIO % 1 * size) for place in range(number)))
