"""What torch's modules hold: their attributes, parameters and buffers; of very large modules, samples of these."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from xxhash import xxh3_128_digest

from comfy_nb.spec.attributes import attributes_of
from comfy_nb.spec.contents.tensors import is_dense, tensor_bytes
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.fingerprint import note_sampled
from comfy_nb.spec.readers import Parts, Whole, known_of, reads
from comfy_nb.wording import format_size

READ_WHOLE_BYTES = 1 << 30
# Of each large tensor in a larger module this many blocks of this size are read, evenly spread, with both ends.
BLOCKS = 256
BLOCK_BYTES = 4096
_TENSORS = {"_parameters", "_buffers", "_modules"}


@reads(torch.nn.Module)
def _(value: torch.nn.Module) -> Parts:
    size = sum(each.nbytes for each in chain(value.parameters(), value.buffers()) if is_dense(each))
    if size <= READ_WHOLE_BYTES:
        return ()
    note_sampled(f"a module of {format_size(size)}")
    parts: list[Any] = []
    for name, module in value.named_modules():
        parts += (name, type(module), *_attributes(module))
    for name, tensor in chain(value.named_parameters(), value.named_buffers()):
        parts += (name, *_sampled(tensor))
    return Whole(parts)


def _attributes(module: torch.nn.Module) -> Iterator[Any]:
    found = attributes_of(module, (), known_of(type(module)).left_out)
    for name, item in zip(found[::2], found[1::2], strict=True):
        if name not in _TENSORS:
            yield from (name, item)


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
