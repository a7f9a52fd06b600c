"""Glances: what shows of a write to a large tensor without reading it, and which tensors that is enough for.

Torch counts what its own operations write. Samples show writes to much of a tensor that it does not count, as batch
normalisation does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from comfy_nb.spec.contents.samples import few_words
from comfy_nb.spec.contents.tensors import carries_more, is_dense
from comfy_nb.spec.digest import is_plain

SMALL_BYTES = 64 << 10
"""What takes no longer to digest than to look at."""
SAMPLES = 16


class Glance(NamedTuple):
    """What shows of a tensor without reading it: its place, its version, and elements from all over it."""

    value: torch.Tensor
    shown: tuple[Any, ...]

    def is_same(self) -> bool:
        """Whether all that shows is as it was."""
        return _shown_by(self.value) == self.shown


def glance_at(value: torch.Tensor) -> Glance | None:
    """Glance at a tensor; None for one of which that does not show what torch writes, or that is as quickly read."""
    shown = _shown_by(value) if is_bare(value) and value.nbytes > SMALL_BYTES else None
    return None if shown is None else Glance(value, shown)


def _shown_by(value: torch.Tensor) -> tuple[Any, ...] | None:
    words = few_words(value, SAMPLES)
    if words is None:
        return None
    return value.data_ptr(), value.untyped_storage().nbytes(), value._version, value.requires_grad, words


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
    return type(value) is torch.Tensor and is_dense(value) and not (carries_more(value) or value.is_inference())


def _address_of(value: torch.Tensor) -> int:
    """Return the address of the memory that a tensor is in, the same for all views of it."""
    return value.untyped_storage().data_ptr()
