"""Digests of values: equal if two values mean the same to a node, different if they do not."""

from __future__ import annotations

import array
import asyncio
import collections
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import gc
import io
import logging
import os
import pathlib
import re
import struct
import sys
import threading
import tracemalloc
import uuid
import warnings
import zoneinfo
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as Pictures
from torch._subclasses.fake_tensor import FakeTensorMode

from comfy_nb.spec import declared
from comfy_nb.spec.contents import tensors
from comfy_nb.spec.contents.tensors import accelerator_of, tensor_bytes
from comfy_nb.spec.declared import constant
from comfy_nb.spec.fingerprint import copied_for, digest_of, unreadable_in
from comfy_nb.wording import format_size


class Mood(enum.Enum):
    CALM = 1
    WILD = 2


@dataclasses.dataclass
class Settings:
    steps: int
    names: list


@dataclasses.dataclass
class Unset:
    value: int = dataclasses.field(init=False)


class Point(collections.namedtuple("Point", "x y")):
    __slots__ = ()


class Bag(list):
    pass


class Name(str):
    pass


class Opaque:
    pass


class Slotted:
    __slots__ = ()


class Hostile:
    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError("not comparable")

    def __getattr__(self, name):
        raise RuntimeError("no attributes")


def palette_picture(colour):
    picture = Pictures.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, *colour])
    return picture


def labelled(text):
    bag = Bag([1])
    bag.label = text
    return bag


def quantized(values, scale):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.tensor(values), scale, 0, torch.quint8)


STRUCTURED = np.dtype([("a", "i4"), ("b", "f4")])

# Each row makes a value twice, and another that differs from it.
KINDS = {
    "int": (lambda: 7, lambda: 8),
    "large int": (lambda: 2**80, lambda: 2**80 + 1),
    "int and float": (lambda: 1, lambda: 1.0),
    "int and bool": (lambda: 1, lambda: True),
    "text and bytes": (lambda: "a", lambda: b"a"),
    "zeros": (lambda: 0.0, lambda: -0.0),
    "not a number": (lambda: float("nan"), lambda: float("inf")),
    "complex": (lambda: 1j, lambda: 2j),
    "none": (lambda: None, lambda: ...),
    "bytearray": (lambda: bytearray(b"ab"), lambda: bytearray(b"ac")),
    "bytes": (lambda: bytearray(b"ab"), lambda: b"ab"),
    "list": (lambda: [1, [2, "a"]], lambda: [1, [2, "b"]]),
    "list and tuple": (lambda: [1], lambda: (1,)),
    "split": (lambda: ["ab", "c"], lambda: ["a", "bc"]),
    "nested split": (lambda: [[1], [2]], lambda: [[1, 2], []]),
    "dict": (lambda: {"a": 1}, lambda: {"a": 2}),
    "dict keys": (lambda: {"a": "b"}, lambda: {"b": "a"}),
    "dict pairs": (lambda: {"a": 1, "b": 2}, lambda: {"a": 2, "b": 1}),
    "set": (lambda: {1, 2, "x"}, lambda: {1, 2, "y"}),
    "frozenset": (lambda: frozenset("ab"), lambda: set("ab")),
    "named tuple": (lambda: Point(1, 2), lambda: (1, 2)),
    "subclass of list": (lambda: Bag([1]), lambda: [1]),
    "attributes of a subclass": (lambda: labelled("a"), lambda: labelled("b")),
    "subclass of str": (lambda: Name("a"), lambda: "a"),
    "enum": (lambda: Mood.CALM, lambda: Mood.WILD),
    "dataclass": (lambda: Settings(1, [2]), lambda: Settings(1, [3])),
    "path": (lambda: pathlib.Path("a/b"), lambda: pathlib.Path("a/c")),
    "path and text": (lambda: pathlib.Path("a"), lambda: "a"),
    "range": (lambda: range(3), lambda: range(4)),
    "slice": (lambda: slice(1, 2), lambda: slice(1, 3)),
    "date": (lambda: datetime.date(2026, 1, 1), lambda: datetime.datetime(2026, 1, 1)),
    "time": (lambda: datetime.timedelta(1), lambda: datetime.timedelta(2)),
    "decimal": (lambda: decimal.Decimal("1.0"), lambda: decimal.Decimal("1.1")),
    "fraction": (lambda: fractions.Fraction(1, 3), lambda: fractions.Fraction(1, 2)),
    "uuid": (lambda: uuid.UUID(int=1), lambda: uuid.UUID(int=2)),
    "pattern": (lambda: re.compile("a"), lambda: re.compile("a", re.I)),
    "logger": (lambda: logging.getLogger("a"), lambda: logging.getLogger("b")),
    "torch dtype": (lambda: torch.float16, lambda: torch.bfloat16),
    "torch device": (lambda: torch.device("cpu"), lambda: torch.device("cuda", 0)),
    "shape": (lambda: torch.Size([1, 2]), lambda: (1, 2)),
    "numpy scalar": (lambda: np.float32(1), lambda: np.float32(2)),
    "numpy scalar and number": (lambda: np.float64(1), lambda: 1.0),
    "numpy dtype": (lambda: np.dtype("f4"), lambda: np.dtype("f8")),
    "numpy function": (lambda: np.sin, lambda: np.cos),
    "array": (lambda: np.arange(6), lambda: np.arange(6)[::-1]),
    "array shape": (lambda: np.zeros((2, 3)), lambda: np.zeros((3, 2))),
    "array dtype": (lambda: np.zeros(2, "f4"), lambda: np.zeros(2, "i4")),
    "array byte order": (lambda: np.zeros(2, "<f4"), lambda: np.zeros(2, ">f4")),
    "array of no dimensions": (lambda: np.array(3), lambda: np.array([3])),
    "empty array": (lambda: np.zeros((0, 2)), lambda: np.zeros((0, 3))),
    "structured array": (lambda: np.zeros(2, STRUCTURED), lambda: np.ones(2, STRUCTURED)),
    "field names": (lambda: np.zeros(1, STRUCTURED), lambda: np.zeros(1, [("a", "i4"), ("c", "f4")])),
    "array of objects": (lambda: np.array([1, "a"], object), lambda: np.array([1, "b"], object)),
    "array of dates": (lambda: np.array(["2026-01-01"], "M8[D]"), lambda: np.array(["2026-01-02"], "M8[D]")),
    "masked array": (lambda: np.ma.array([1, 2], mask=[0, 1]), lambda: np.ma.array([1, 2], mask=[1, 0])),
    "tensor": (lambda: torch.arange(4.0), lambda: torch.arange(4.0) + 1),
    "tensor and array": (lambda: torch.zeros(2), lambda: np.zeros(2, "f4")),
    "tensor shape": (lambda: torch.zeros(2, 3), lambda: torch.zeros(3, 2)),
    "tensor dtype": (lambda: torch.zeros(2, dtype=torch.int32), lambda: torch.zeros(2)),
    "bfloat16": (lambda: torch.ones(2, dtype=torch.bfloat16), lambda: torch.zeros(2, dtype=torch.bfloat16)),
    "float8": (lambda: torch.ones(2).to(torch.float8_e4m3fn), lambda: torch.ones(2).to(torch.float8_e5m2)),
    "bool tensor": (lambda: torch.tensor([True]), lambda: torch.tensor([False])),
    "complex tensor": (lambda: torch.tensor([1 + 1j]), lambda: torch.tensor([1 - 1j])),
    "conjugate": (lambda: torch.tensor([1 - 1j]).conj(), lambda: torch.tensor([1 - 1j])),
    "negative view": (lambda: torch.tensor([1 + 2j]).conj().imag, lambda: torch.tensor([1 + 2j]).imag),
    "sparse tensor": (lambda: torch.eye(3).to_sparse(), lambda: torch.zeros(3, 3).to_sparse()),
    "sparse and dense": (lambda: torch.eye(3).to_sparse(), lambda: torch.eye(3)),
    "quantized tensor": (lambda: quantized([1.0, 2.0], 0.1), lambda: quantized([2.0, 4.0], 0.2)),
    "tensor of no dimensions": (lambda: torch.tensor(1.0), lambda: torch.tensor([1.0])),
    "empty tensor": (lambda: torch.zeros(0, 2), lambda: torch.zeros(0, 3)),
    "parameter": (lambda: torch.nn.Parameter(torch.zeros(1)), lambda: torch.zeros(1)),
    "picture": (lambda: Pictures.new("RGB", (2, 2), "red"), lambda: Pictures.new("RGB", (2, 2), "blue")),
    "picture size": (lambda: Pictures.new("L", (2, 3)), lambda: Pictures.new("L", (3, 2))),
    "palette": (lambda: palette_picture((9, 9, 9)), lambda: palette_picture((8, 8, 8))),
    "frame": (lambda: pd.DataFrame({"a": [1, 2]}), lambda: pd.DataFrame({"a": [1, 3]})),
    "column names": (lambda: pd.DataFrame({"a": [1]}), lambda: pd.DataFrame({"b": [1]})),
    "frame dtypes": (lambda: pd.DataFrame({"a": [1]}), lambda: pd.DataFrame({"a": [1.0]})),
    "frame index": (lambda: pd.DataFrame({"a": [1]}, index=[5]), lambda: pd.DataFrame({"a": [1]}, index=[6])),
    "mixed column": (lambda: pd.DataFrame({"a": [1, "1"]}), lambda: pd.DataFrame({"a": ["1", "1"]})),
    "series": (lambda: pd.Series([1], name="a"), lambda: pd.Series([1], name="b")),
    "series and frame": (lambda: pd.Series([1], name="a"), lambda: pd.DataFrame({"a": [1]})),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_known_by_content(kind):
    make, make_other = KINDS[kind]
    same = digest_of(make())
    assert same == digest_of(make())
    assert same.value != digest_of(make_other()).value
    assert same.durable and len(same.value) == 16


def test_the_order_in_which_a_dict_was_filled_counts():
    assert digest_of({"a": 1, "b": [2]}) != digest_of({"b": [2], "a": 1})


def test_how_a_tensor_lies_in_memory_does_not_matter():
    values = torch.arange(6.0).reshape(2, 3)
    assert digest_of(values.t()) == digest_of(values.t().contiguous())
    assert digest_of(values[:, ::2]) == digest_of(values[:, ::2].clone())
    assert digest_of(torch.zeros(1).expand(4)) == digest_of(torch.zeros(4))


def test_of_a_tensor_that_was_permuted_a_megabyte_is_copied_at_a_time(monkeypatch):
    copied = []
    monkeypatch.setattr(tensors, "tensor_bytes", lambda piece: copied.append(piece.nbytes) or tensor_bytes(piece))
    decoded = torch.rand(2, 3, 512, 512).movedim(1, -1)
    found = digest_of(decoded)
    assert max(copied) <= 1 << 20 and sum(copied) == decoded.nbytes
    assert found == digest_of(decoded.contiguous())


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


def test_large_bytes_differ_from_others_and_from_what_holds_them():
    values = [CONTENT, CONTENT[:-1], CONTENT[:-1] + b"?", [CONTENT], (CONTENT,), bytearray(CONTENT), [CONTENT, CONTENT]]
    assert len({digest_of(value).value for value in values}) == len(values)


def test_a_large_array_in_a_mapped_file_is_not_read(tmp_path):
    mapped = np.memmap(tmp_path / "large", np.uint8, "w+", shape=(4 << 30,))
    for value in (mapped, mapped[1:], np.asarray(mapped)):
        assert unreadable_in(value) == f"an array of {format_size(value.nbytes)} in a mapped file"


def test_how_an_array_lies_in_memory_does_not_matter():
    values = np.arange(6).reshape(2, 3)
    assert digest_of(values.T) == digest_of(np.ascontiguousarray(values.T))


@pytest.mark.parametrize(
    "make", [Opaque, Slotted, Hostile, Unset, threading.Lock, lambda: lambda: 1, lambda: [Opaque()]]
)
def test_an_ordinary_object_is_known_by_its_class_and_attributes(make):
    assert digest_of(make()) == digest_of(make())
    assert digest_of(make()).reusable and digest_of(make()).durable


def test_a_bare_object_is_equal_to_itself_only_and_in_this_process_only():
    value = object()
    assert digest_of(value) == digest_of(value) != digest_of(object())
    assert digest_of(value).reusable and not digest_of(value).durable


def zone_of_file():
    table = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"
    return zoneinfo.ZoneInfo.from_file(io.BytesIO(table), key="Europe/Berlin")


UNREADABLE = {
    "a value of class generator": lambda: (each for each in ()),
    "a value of class list_iterator": lambda: iter([1]),
    "a value of class TextIOWrapper": lambda: open(__file__),  # noqa: SIM115
    "a value of class coroutine": lambda: asyncio.sleep(0),
    "a compiled function or module (torch.compile)": lambda: torch.compile(lambda x: x),
    "a time zone read from a file": zone_of_file,
    "an address in memory": lambda: ctypes.c_void_p(1),
    "a value of class reversed": lambda: [Opaque(), {"inside": (reversed(""),)}],
}


@pytest.mark.parametrize("reason", UNREADABLE)
def test_what_cannot_be_read_is_not_reusable_and_named(reason):
    value = UNREADABLE[reason]()
    found = digest_of(value)
    assert not found.reusable and not found.durable
    assert unreadable_in(value) == reason
    getattr(value, "close", int)()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_standard_stream_is_known_by_its_name(name):
    stream, handler = getattr(sys, name), logging.StreamHandler(getattr(sys, name))
    before = digest_of(stream), digest_of(handler)
    print("written since", file=stream)
    assert all(digest.reusable for digest in before)
    assert before == (digest_of(stream), digest_of(logging.StreamHandler(stream)))


def test_a_container_is_durable_when_all_in_it_is():
    assert digest_of({"a": [1, (2, {3})]}).durable
    assert not digest_of({"a": [1, (2, {object()})]}).durable
    assert not digest_of(Settings(1, [object()])).durable


def test_a_constant_made_where_a_dead_one_lay_is_another():
    seen = set()
    for _ in range(50):
        value = constant(Opaque())
        seen.add(digest_of(value).value)
        del value
        gc.collect(0)
    assert len(seen) == 50


def test_a_dead_constant_is_forgotten():
    before = len(declared._constants)
    values = [constant(Opaque()) for _ in range(10)]
    assert len(declared._constants) == before + 10
    del values
    gc.collect()
    assert len(declared._constants) <= before


def test_what_was_declared_constant_is_not_read_again():
    generator = constant(each for each in ())
    known = digest_of(generator)
    next(generator, None)
    assert known.reusable and digest_of(generator) == known
    listed = constant([1])
    known = digest_of(listed)
    listed.append(2)
    assert digest_of(listed) == known


def test_a_class_can_say_how_it_is_known():
    class Box:
        def __init__(self, held):
            self.held, self.handle = held, (each for each in ())

        def __comfy_nb_key__(self):
            return self.held

    assert digest_of(Box(1)) == digest_of(Box(1)) != digest_of(Box(2))
    assert digest_of(Box(1)).reusable
    assert not digest_of(Box(iter([]))).reusable


def ring(*values):
    items = [[value] for value in values]
    for item, following in zip(items, [*items[1:], items[0]], strict=True):
        item.append(following)
    return items[0]


def test_a_cycle_is_known_by_what_is_in_it():
    assert digest_of(ring(1, 2)) == digest_of(ring(1, 2))
    assert len({digest_of(each) for each in (ring(1), ring(1, 2), ring(2, 1), ring(1, 2, 3), ring(1, 1))}) == 5
    shared = ring(1, 2)
    assert digest_of([shared, shared[1]]) == digest_of([other := ring(1, 2), other[1]])
    assert digest_of([shared, shared[1]]) != digest_of([shared, shared])


def test_which_parts_are_shared_counts():
    part, other = [1, [2]], [1, [2]]
    assert digest_of([part, part]) == digest_of([other, other]) != digest_of([part, other])
    assert digest_of([part, ring(1), part]) != digest_of([part, ring(1), other])
    layer = torch.nn.Linear(1, 1)
    twin = torch.nn.Linear(1, 1)
    twin.load_state_dict(layer.state_dict())
    assert digest_of(torch.nn.Sequential(layer, layer)) != digest_of(torch.nn.Sequential(layer, twin))


def test_what_cannot_change_is_not_told_apart_from_its_equals():
    def dates():
        return [datetime.date(2026, 1, 1), (1, "a"), decimal.Decimal(1), pathlib.Path("a"), Mood.CALM]

    same = dates()
    assert digest_of([same[0], same[0], *same]) == digest_of([dates()[0], dates()[0], *dates()])
    pair, twin = (1, 2), tuple(range(1, 3))
    assert digest_of([pair, pair]) == digest_of([pair, twin])


def test_many_objects_that_know_each_other_are_read_in_one_pass():
    class Person:
        def __init__(self, name):
            self.name, self.friends = name, []

    def crowd(size):
        everybody = [Person(number) for number in range(size)]
        for person in everybody:
            person.friends += everybody
        return everybody

    assert digest_of(crowd(50)) == digest_of(crowd(50)) != digest_of(crowd(51))


def test_what_lies_too_deep_to_read_is_known_by_itself():
    def nest(depth):
        value: list = []
        for _ in range(depth):
            value = [value]
        return value

    assert digest_of(nest(100)) == digest_of(nest(100))
    deep = nest(10_000)
    assert digest_of(deep) == digest_of(deep) and not digest_of(deep).reusable
    assert unreadable_in(deep) == "a value too deep or too large to be read at each run"


def test_a_closed_picture_stands_for_itself():
    picture = Pictures.new("L", (1, 1))
    picture.close()
    assert not digest_of(picture).reusable


def film(path, *shades: int):
    first, *rest = [Pictures.new("L", (4, 4), shade) for shade in shades]
    first.save(path, save_all=True, append_images=rest)
    return Pictures.open(path)


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.png"])
def test_a_picture_of_several_frames_counts_with_all_of_them_and_stays_at_its_own(tmp_path, name):
    with film(tmp_path / name, 0, 9, 99) as one, film(tmp_path / f"b-{name}", 0, 9, 98) as other:
        before = digest_of(one)
        assert before.reusable and before != digest_of(other)
        one.seek(1)
        assert digest_of(one) != before
        assert one.tell() == 1 and one.convert("L").getpixel((0, 0)) == 9
        one.seek(2)
        assert one.convert("L").getpixel((0, 0)) == 99
        one.seek(0)
        assert digest_of(one) == before


def test_a_picture_whose_frames_cannot_be_read_from_its_file_stands_for_itself(tmp_path):
    with film(tmp_path / "a.webp", 0, 255) as moving:
        assert unreadable_in(moving) == "an animated picture, whose frames can be sought"


def test_a_picture_that_is_read_for_its_digest_tells_the_same_as_before(tmp_path):
    Pictures.new("RGB", (4, 4), "red").save(tmp_path / "a.png", dpi=(72, 72))
    opened = Pictures.open(tmp_path / "a.png")
    told = (opened.format, dict(opened.info), opened.filename, opened.tell(), opened.size)
    assert digest_of(opened).reusable
    assert (opened.format, dict(opened.info), opened.filename, opened.tell(), opened.size) == told
    assert opened.getpixel((0, 0)) == (255, 0, 0)


def test_a_picture_whose_file_ends_too_early_is_said_to_be_unreadable(tmp_path):
    Pictures.effect_noise((99, 99), 50).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    opened = Pictures.open(tmp_path / "a.png")
    assert unreadable_in(opened) == "a picture that cannot be read (image file is truncated)"


def test_a_picture_is_known_with_its_rotation():
    upright, rotated = Pictures.new("L", (2, 2)), Pictures.new("L", (2, 2))
    rotated.getexif()[0x0112] = 6
    assert digest_of(upright) != digest_of(rotated)


def test_a_small_tensor_is_read_each_time_since_numpy_may_have_written_it():
    value = torch.zeros(4)
    before = digest_of(value)
    value.numpy()[0] = 1
    assert digest_of(value) != before


def test_the_bytes_of_any_tensor_are_its_elements_in_order():
    assert bytes(tensor_bytes(torch.tensor([[1, 2], [3, 4]], dtype=torch.int8).t())) == b"\1\3\2\4"
    assert bytes(tensor_bytes(torch.tensor([True, False]))) == b"\1\0"
    assert bytes(tensor_bytes(torch.zeros(0))) == b""
    assert bytes(tensor_bytes(quantized([0.5], 0.5))) == b"\1"


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
    tensor = torch.zeros(8, dtype=torch.bfloat16)
    assert copied_for([tensor, tensor, torch.ones(4, dtype=torch.bfloat16)]) == {"cuda:0": 24}


def test_members_of_string_and_number_enums_mean_the_same_in_another_process():
    class Mode(enum.StrEnum):
        FAST = "fast"
        SLOW = "slow"

    class Level(enum.IntEnum):
        LOW = 1

    assert digest_of(Mode.FAST).durable
    assert digest_of(Level.LOW).durable
    assert len({digest_of(each) for each in (Mode.FAST, Mode.SLOW, Level.LOW, "fast", 1)}) == 5
