"""Digests of values: equal if two values mean the same to a node, different if they do not."""

from __future__ import annotations

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
import operator
import pathlib
import re
import struct
import sys
import threading
import uuid
import warnings
import zoneinfo

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as Pictures

from comfy_nb.spec import declared
from comfy_nb.spec.contents.tensors import tensor_bytes
from comfy_nb.spec.declared import constant
from comfy_nb.spec.fingerprint import digest_of, unreadable_in


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
    "an attrgetter of `f_globals`, which reads whatever it is asked for": lambda: operator.attrgetter("a.f_globals"),
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


def test_an_object_is_known_by_what_it_holds_also_where_its_metaclass_answers_to_any_name():
    class Registry(type):
        def __getattr__(cls, name):
            return lambda *_: name

    class Item(metaclass=Registry):
        def __init__(self, number):
            self.number = number

    assert digest_of(Item(1)) == digest_of(Item(1)) != digest_of(Item(2))


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


def test_the_bytes_of_any_tensor_are_its_elements_in_order():
    assert bytes(tensor_bytes(torch.tensor([[1, 2], [3, 4]], dtype=torch.int8).t())) == b"\1\3\2\4"
    assert bytes(tensor_bytes(torch.tensor([True, False]))) == b"\1\0"
    assert bytes(tensor_bytes(torch.zeros(0))) == b""
    assert bytes(tensor_bytes(quantized([0.5], 0.5))) == b"\1"


def test_members_of_string_and_number_enums_mean_the_same_in_another_process():
    class Mode(enum.StrEnum):
        FAST = "fast"
        SLOW = "slow"

    class Level(enum.IntEnum):
        LOW = 1

    assert digest_of(Mode.FAST).durable
    assert digest_of(Level.LOW).durable
    assert len({digest_of(each) for each in (Mode.FAST, Mode.SLOW, Level.LOW, "fast", 1)}) == 5
