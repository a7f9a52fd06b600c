"""What torch's modules hold: their attributes, parameters and buffers; of very large modules, samples of these."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import chain
from typing import Any

import torch
from xxhash import xxh3_128_digest

from comfy_nb.spec.attributes import attributes_of
from comfy_nb.spec.contents.arrays import READ_WHOLE_BYTES
from comfy_nb.spec.contents.tensors import is_dense, tensor_bytes
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.fingerprint import note_sampled
from comfy_nb.spec.readers import Parts, Whole, known_of, reads
from comfy_nb.wording import format_size

# Of each large tensor in a larger module this many blocks of this size are read, evenly spread, with both ends.
BLOCKS = 256
BLOCK_BYTES = 4096
_TENSORS = {"_parameters", "_buffers", "_modules"}
_HOOKS = {
    name
    for each in (torch.nn.Module(), torch.optim.SGD([torch.zeros(1)]))
    for name, item in vars(each).items()
    if "_hooks" in name and isinstance(item, dict)
}


@reads(torch.nn.Module)
def _(value: torch.nn.Module) -> Parts:
    size = sum(each.nbytes for each in chain(value.parameters(), value.buffers()) if is_dense(each))
    if size <= READ_WHOLE_BYTES:
        return Whole((*_hooks(value), *_attributes(value)))
    note_sampled(f"a module of {format_size(size)}")
    parts: list[Any] = []
    for name, module in value.named_modules():
        parts += (name, type(module), *_hooks(module), *_attributes(module, _TENSORS))
    for name, tensor in chain(value.named_parameters(), value.named_buffers()):
        parts += (name, *_sampled(tensor))
    return Whole(parts)


@reads(torch.optim.Optimizer)
def _(value: torch.optim.Optimizer) -> Parts:
    return Whole((*_hooks(value), *_attributes(value)))


def _hooks(value: Any) -> Iterator[Any]:
    """Return a module's or optimiser's hooks, numbered in the order of registration: torch numbers those of all."""
    held = {name: hooks for name, hooks in vars(value).items() if name in _HOOKS and hooks}
    places = {number: place for place, number in enumerate(sorted(set(chain.from_iterable(held.values()))))}
    for name, hooks in held.items():
        yield from (name, [(places[number], hook) for number, hook in hooks.items()])


def _attributes(value: Any, but_for: Set[str] = frozenset()) -> list[Any]:
    known = known_of(type(value))
    return attributes_of(value, known.slots, known.left_out | _HOOKS | but_for)


def _sampled(tensor: torch.Tensor) -> Parts:
    """Return what tells a large tensor from another. Its version can prove a change, never that there was none."""
    if tensor.nbytes <= BLOCKS * BLOCK_BYTES or not is_dense(tensor) or not tensor.is_contiguous():
        return (tensor,)
    version = -1 if tensor.is_inference() else tensor._version
    here = Digest(xxh3_128_digest(b"%d %d %d" % (id(tensor), tensor.data_ptr(), version)), durable=False)
    facts = (type(tensor), tensor.dtype, tensor.device, tuple(tensor.shape), tensor.requires_grad, tensor.grad)
    return (*facts, here, Digest(xxh3_128_digest(tensor_bytes(_blocks(tensor)))))


def _blocks(tensor: torch.Tensor) -> torch.Tensor:
    flat = tensor.detach().reshape(-1).view(torch.uint8)
    starts = torch.linspace(0, flat.numel() - BLOCK_BYTES, BLOCKS, dtype=torch.float64, device=flat.device).long()
    return flat[starts[:, None] + torch.arange(BLOCK_BYTES, device=flat.device)]
