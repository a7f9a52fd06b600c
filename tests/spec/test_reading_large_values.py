"""How values are read for their digests: where they lie, in the order of their elements, copied as little as can be."""

from __future__ import annotations

import array
import io
import os
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from torch._subclasses.fake_tensor import FakeTensorMode

from comfy_nb.spec.contents import tensors
from comfy_nb.spec.contents.tensors import accelerator_of, tensor_bytes
from comfy_nb.spec.fingerprint import copied_for, digest_of, unreadable_in
from comfy_nb.wording import format_size


def test_how_a_tensor_lies_in_memory_does_not_matter():
    values = torch.arange(6.0).reshape(2, 3)
    assert digest_of(values.t()) == digest_of(values.t().contiguous())
    assert digest_of(values[:, ::2]) == digest_of(values[:, ::2].clone())
    assert digest_of(torch.zeros(1).expand(4)) == digest_of(torch.zeros(4))


def test_how_an_array_lies_in_memory_does_not_matter():
    values = np.arange(6).reshape(2, 3)
    assert digest_of(values.T) == digest_of(np.ascontiguousarray(values.T))


def test_a_small_tensor_is_read_each_time_since_numpy_may_have_written_it():
    value = torch.zeros(4)
    before = digest_of(value)
    value.numpy()[0] = 1
    assert digest_of(value) != before


CONTENT = os.urandom(16 << 20)
LARGE = {
    "bytes": lambda: CONTENT,
    "bytes in a list": lambda: [CONTENT, 1],
    "bytes in an object": lambda: SimpleNamespace(content=CONTENT),
    "bytearray": lambda: bytearray(CONTENT),
    "memoryview": lambda: memoryview(bytearray(CONTENT)),
    "array.array": lambda: array.array("d", CONTENT),
    "BytesIO": lambda: io.BytesIO(CONTENT),
    "array": lambda: np.frombuffer(CONTENT, np.uint8).reshape(256, -1).T,
    "picture": lambda: Pictures.frombytes("RGB", (2048, 2048), CONTENT[: 3 * 2048 * 2048]),
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_is_large_is_read_without_a_copy(kind):
    value = LARGE[kind]()
    before = digest_of(value)
    tracemalloc.start()
    try:
        assert digest_of(value) == before and before.reusable
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()


def test_of_a_tensor_that_was_permuted_a_megabyte_is_copied_at_a_time(monkeypatch):
    copied = []
    monkeypatch.setattr(tensors, "tensor_bytes", lambda piece: copied.append(piece.nbytes) or tensor_bytes(piece))
    decoded = torch.rand(2, 3, 512, 512).movedim(1, -1)
    found = digest_of(decoded)
    assert max(copied) <= 1 << 20 and sum(copied) == decoded.nbytes
    assert found == digest_of(decoded.contiguous())


def test_large_bytes_differ_from_others_and_from_what_holds_them():
    values = [CONTENT, CONTENT[:-1], CONTENT[:-1] + b"?", [CONTENT], (CONTENT,), bytearray(CONTENT), [CONTENT, CONTENT]]
    assert len({digest_of(value).value for value in values}) == len(values)


def test_a_large_array_in_a_mapped_file_is_not_read(tmp_path):
    mapped = np.memmap(tmp_path / "large", np.uint8, "w+", shape=(4 << 30,))
    for value in (mapped, mapped[1:], np.asarray(mapped)):
        assert unreadable_in(value) == f"an array of {format_size(value.nbytes)} in a mapped file"


def test_only_the_memory_of_a_device_counts_as_an_accelerator():
    with FakeTensorMode():
        there = torch.zeros(2, device="cuda:1")
    assert [accelerator_of(each) for each in (torch.zeros(2), torch.zeros(2, device="meta"), there)] == [
        None,
        None,
        "cuda:1",
    ]


def test_what_is_copied_from_an_accelerator_to_be_read_is_counted(monkeypatch):
    assert copied_for(torch.zeros(8)) == {}
    monkeypatch.setattr(tensors, "accelerator_of", lambda _: "cuda:0")  # as it answers for a tensor there
    tensor = torch.zeros(4, 2, dtype=torch.bfloat16).t()
    assert copied_for([tensor, tensor, torch.ones(2, 2, dtype=torch.bfloat16).t()]) == {"cuda:0": 24}
