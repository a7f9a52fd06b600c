"""The inventory of classes whose values are read: two that any public attribute tells apart never share a digest."""

from __future__ import annotations

import array
import asyncio
import collections
import contextlib
import contextvars
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import hmac
import io
import ipaddress
import itertools
import json
import logging
import operator
import pathlib
import pprint
import random
import re
import string
import struct
import threading
import time
import types
import uuid
import warnings
import weakref
import xml.etree.ElementTree
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import attrs
import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from comfy_nb.spec.fingerprint import digest_of

# What may differ between two values of one digest: where they lie, how, and by which operations they came about.
NOT_COUNTED = {
    "T", "H", "mT", "mH", "base", "buffer_info", "ctypes", "data", "data_ptr", "flags", "flat", "grad_fn", "imag",
    "itemset", "is_leaf", "output_nr", "real", "strides", "_version", "im", "fp", "tile", "map", "readonly",
    "decoderconfig", "decodermaxblock", "encoderconfig", "encoderinfo", "pyaccess", "png", "plot", "str", "dt", "cat",
    "sparse", "list", "struct", "hist", "boxplot", "style", "values", "array", "nbytes", "iat", "at", "loc", "iloc",
    "obj",
}  # fmt: skip


class Point(NamedTuple):
    x: int
    y: int


class Mood(enum.Enum):
    CALM = 1
    WILD = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Bag(list):
    pass


class Text(str):
    pass


class Loud(str):
    def __str__(self) -> str:
        return "loud"


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)


@dataclasses.dataclass
class Settings:
    steps: int
    names: list[str] = dataclasses.field(default_factory=list)
    note: str = dataclasses.field(default="", compare=False, repr=False)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    steps: int = 1
    name: str = ""
    _secret: int = pydantic.PrivateAttr(default=0)


@attrs.define
class Frozen:
    steps: int
    note: str = attrs.field(default="", eq=False, repr=False)


class Units(np.ndarray):
    unit: str = ""


class Tagged(torch.Tensor):
    pass


def with_attributes(value: Any, **attributes: Any) -> Any:
    for name, each in attributes.items():
        setattr(value, name, each)
    return value


def units(unit: str) -> Any:
    return with_attributes(np.zeros(2).view(Units), unit=unit)


def secret(number: int) -> Model:
    model = Model()
    model._secret = number
    return model


def read_only(values: Any) -> Any:
    values.flags.writeable = False
    return values


def moved_to_end() -> Any:
    values = collections.OrderedDict(a=1, b=2)
    values.move_to_end("a")
    return values


def advanced(generator: Any, draw: str = "random") -> Any:
    getattr(generator, draw)()
    return generator


def drawn_from(generator: torch.Generator) -> torch.Generator:
    torch.rand(1, generator=generator)
    return generator


def quiet(make: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def quantized(scale: float, zero: int = 0) -> Any:
    return quiet(lambda: torch.quantize_per_tensor(torch.zeros(2), scale, zero, torch.quint8))


def with_grad(value: float) -> Any:
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.full((1,), value)
    return parameter


def uncoalesced() -> Any:
    return quiet(lambda: torch.sparse_coo_tensor([[0, 0]], [1.0, 2.0], (2,)))


def in_inference_mode() -> torch.Tensor:
    with torch.inference_mode():
        return torch.zeros(2)


def linear(weight: float, training: bool = True, **attributes: Any) -> torch.nn.Module:
    module = torch.nn.Linear(1, 1).train(training)
    with torch.no_grad():
        module.weight.fill_(weight)
        module.bias.fill_(0)
    return with_attributes(module, **attributes)


def normed(mean: float) -> torch.nn.Module:
    module = torch.nn.BatchNorm1d(1)
    module.running_mean.fill_(mean)
    return module


def optimiser(rate: float = 0.1, steps: int = 0) -> torch.optim.Optimizer:
    module = linear(1.0)
    found = torch.optim.Adam(module.parameters(), lr=rate)
    for _ in range(steps):
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter)
        found.step()
    return found


def categories(order: list[str], ordered: bool = False) -> Any:
    return pd.Categorical(["b", "a"], categories=order, ordered=ordered)


def noted(frame: Any, **attributes: Any) -> Any:
    frame.attrs.update(attributes)
    return frame


def unique(frame: Any) -> Any:
    return frame.set_flags(allows_duplicate_labels=False)


def png(**text: str) -> Any:
    buffer, notes = io.BytesIO(), PngInfo()
    for name, value in text.items():
        notes.add_text(name, value)
    Pictures.new("L", (2, 2)).save(buffer, "PNG", pnginfo=notes)
    return Pictures.open(buffer)


def tiff(software: str) -> Any:
    buffer = io.BytesIO()
    Pictures.new("L", (2, 2)).save(buffer, "TIFF", software=software)
    return Pictures.open(buffer)


def rotated(turn: int) -> Any:
    picture = Pictures.new("L", (2, 2))
    picture.getexif()[0x0112] = turn
    return picture


def palette(colour: tuple[int, ...], mode: str = "RGB") -> Any:
    picture = Pictures.new("P", (2, 2), 1)
    picture.putpalette([*([0] * len(mode)), *colour], mode)
    return picture


def element(tag: str, **attributes: str) -> Any:
    return xml.etree.ElementTree.Element(tag, attributes)


def hint(default: Any, value: Any = None) -> Any:
    variable = contextvars.ContextVar("hint", default=default)
    if value is not None:
        variable.set(value)
    return variable


def read_to(position: int) -> Any:
    buffer = io.BytesIO(b"abc")
    buffer.seek(position)
    return buffer


UTC, BERLIN = datetime.UTC, zoneinfo.ZoneInfo("Europe/Berlin")
NOON = datetime.datetime(2026, 10, 25, 2, 30)
STRUCTURED = [("a", "i4"), ("b", "f4")]
nan = float("nan")

FAMILIES: dict[str, list[Callable[[], Any]]] = {
    "numbers": [
        lambda: 1, lambda: True, lambda: 1.0, lambda: 1 + 0j, lambda: 2**80, lambda: 0.0, lambda: -0.0, lambda: nan,
        lambda: np.float64(1), lambda: np.float32(1), lambda: np.int64(1), lambda: np.bool_(True), lambda: None,
        lambda: decimal.Decimal("1"), lambda: decimal.Decimal("1.0"), lambda: fractions.Fraction(1), lambda: ...,
        lambda: decimal.Decimal("-0"), lambda: np.datetime64("2026-01-01"), lambda: np.datetime64("2026-01-01", "s"),
        lambda: NotImplemented, lambda: np.str_("a"), lambda: np.bytes_(b"a"),
    ],
    "texts": [
        lambda: "a", lambda: b"a", lambda: bytearray(b"a"), lambda: memoryview(b"a"), lambda: Text("a"),
        lambda: Loud("a"), lambda: Loud("b"), lambda: with_attributes(Text("a"), note=1), lambda: "\ud800",
        lambda: string.Template("a"), lambda: string.Template("b"), lambda: "é", lambda: "é",
    ],
    "containers": [
        lambda: [1], lambda: (1,), lambda: {1}, lambda: frozenset({1}), lambda: [[1], []], lambda: [[], [1]],
        lambda: Point(1, 2), lambda: (1, 2), lambda: Bag([1]), lambda: with_attributes(Bag([1]), note=1),
        lambda: {8, 0}, lambda: {0, 8}, lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1},
        lambda: collections.OrderedDict(a=1, b=2), moved_to_end, lambda: collections.Counter(a=1, b=2),
        lambda: collections.defaultdict(int, a=1), lambda: collections.defaultdict(list, a=1),
        lambda: collections.deque([1]), lambda: collections.deque([1], 3), lambda: collections.ChainMap({1: 2}),
        lambda: collections.ChainMap({1: 2}, {3: 4}), lambda: types.MappingProxyType({"a": 1}),
        lambda: types.MappingProxyType(collections.OrderedDict(a=1)), lambda: types.MappingProxyType({"a": 2}),
        lambda: {"a": 1}.keys(), lambda: {"a": 1}.values(), lambda: {"a": 1}.items(),
        lambda: range(3), lambda: range(0, 4, 2), lambda: range(0, 3, 2), lambda: slice(1, 2), lambda: slice(1, [2]),
        lambda: array.array("i", [1]), lambda: array.array("l", [1]), lambda: collections.UserDict(a=1),
        lambda: time.gmtime(0), lambda: time.struct_time(tuple(time.gmtime(0))),
    ],
    "objects": [
        lambda: types.SimpleNamespace(a=1), lambda: types.SimpleNamespace(a=2), lambda: types.SimpleNamespace(b=1),
        lambda: Slotted(a=1), lambda: Slotted(b=1), lambda: Slotted(a=1, b=2), lambda: Slotted(), lambda: Settings(1),
        lambda: Settings(1, ["a"]), lambda: Settings(1, note="x"), lambda: with_attributes(Settings(1), more=1),
        lambda: Frozen(1), lambda: Frozen(2), lambda: Frozen(1, "x"), lambda: Model(), lambda: Model(steps=1),
        lambda: Model(steps=2), lambda: Model(more=1), lambda: secret(1),
        lambda: Mood.CALM, lambda: Mood.WILD, lambda: Access.READ, lambda: Access.READ | Access.WRITE,
        lambda: Access(0), lambda: uuid.UUID(int=1), lambda: uuid.UUID(int=1, is_safe=uuid.SafeUUID.safe),
        lambda: ipaddress.ip_address("1.1.1.1"), lambda: ipaddress.ip_network("1.1.1.0/24"),
        lambda: ValueError("a"), lambda: ValueError("b"), lambda: KeyError("a"), lambda: OSError(1, "a", "f"),
        lambda: OSError(1, "a", "g"), lambda: with_attributes(ValueError("a"), __notes__=["n"]),
        lambda: BlockingIOError(1, "a", 3), lambda: with_attributes(BlockingIOError(1, "a"), characters_written=3),
        lambda: BlockingIOError(1, "a"), lambda: with_attributes(BlockingIOError(1, "a"), characters_written=4),
        lambda: element("a"), lambda: element("b"), lambda: element("a", x="1"),
    ],
    "paths": [
        lambda: pathlib.Path("a"), lambda: pathlib.PurePath("a"), lambda: pathlib.PureWindowsPath("a"),
        lambda: pathlib.Path("a/b"),
    ],
    "dates": [
        lambda: datetime.date(2026, 10, 25), lambda: NOON, lambda: NOON.replace(fold=1),
        lambda: NOON.replace(tzinfo=UTC),
        lambda: NOON.replace(tzinfo=BERLIN), lambda: NOON.replace(tzinfo=BERLIN, fold=1), lambda: NOON.time(),
        lambda: NOON.replace(tzinfo=datetime.timezone(datetime.timedelta(0), "zero")),
        lambda: datetime.timezone(datetime.timedelta(hours=1)),
        lambda: datetime.timezone(datetime.timedelta(hours=1), "UTC+01:00"), lambda: NOON.time().replace(fold=1),
        lambda: datetime.timedelta(1), lambda: datetime.timedelta(0, 1),
        lambda: UTC, lambda: BERLIN, lambda: zoneinfo.ZoneInfo("UTC"), lambda: pd.Timestamp(NOON),
        lambda: pd.Timestamp(NOON).as_unit("ns"), lambda: pd.Timestamp(NOON, tz="UTC"), lambda: pd.NaT, lambda: pd.NA,
        lambda: pd.Timedelta(1, "s"), lambda: pd.Timedelta(2, "s"), lambda: pd.Period("2026-01", "M"),
        lambda: pd.Period("2026-01", "D"), lambda: pd.Interval(0, 1), lambda: pd.Interval(0, 1, "both"),
        lambda: pd.offsets.Day(1), lambda: pd.offsets.Day(2), lambda: pd.offsets.Hour(1),
    ],
    "patterns and streams": [
        lambda: re.compile("a"), lambda: re.compile("a", re.I), lambda: re.compile(b"a"), lambda: re.match("a", "a"),
        lambda: re.match("a", "ab"), lambda: re.match("(a)", "a"), lambda: read_to(0), lambda: read_to(1),
        lambda: io.StringIO("abc"), lambda: struct.Struct("i"), lambda: struct.Struct("l"),
        lambda: decimal.Context(5), lambda: decimal.Context(6), lambda: decimal.Context(5, decimal.ROUND_UP),
    ],
    "generators of numbers": [
        lambda: random.Random(1), lambda: random.Random(2), lambda: advanced(random.Random(1)),
        lambda: np.random.default_rng(1), lambda: np.random.default_rng(2), lambda: advanced(np.random.default_rng(1)),
        lambda: np.random.Generator(np.random.MT19937(1)), lambda: np.random.RandomState(1),
        lambda: advanced(np.random.RandomState(1)), lambda: np.random.SeedSequence(1),
        lambda: np.random.SeedSequence(2),
        lambda: torch.Generator().manual_seed(1), lambda: torch.Generator().manual_seed(2),
        lambda: drawn_from(torch.Generator().manual_seed(1)),
    ],
    "callables": [
        lambda: functools.partial(max, 1), lambda: functools.partial(max, 2), lambda: functools.partial(min, 1),
        lambda: functools.partial(max, key=len), lambda: operator.itemgetter(1), lambda: operator.itemgetter(2),
        lambda: operator.attrgetter("a"), lambda: operator.methodcaller("a"), lambda: operator.methodcaller("a", 1),
        lambda: operator.methodcaller("a", k=1), lambda: operator.methodcaller("a", k=2),
        lambda: operator.attrgetter("a", "b"), lambda: operator.attrgetter("a.b"), lambda: operator.itemgetter(1, 2),
        lambda: "-".join, lambda: "+".join, lambda: str.upper, lambda: str.lower, lambda: np.sin, lambda: np.cos,
        lambda: Settings(1).__init__, lambda: Settings(2).__init__, lambda: len, lambda: torch.relu, lambda: torch.tanh,
        lambda: lambda x: x, lambda: lambda x: x + 1, lambda: (lambda n: lambda x: x * n)(2), lambda: property(len),
        lambda: (lambda n: lambda x: x * n)(3), lambda: with_attributes(lambda x: x, note=1), lambda: staticmethod(len),
        lambda: functools.lru_cache(maxsize=1)(len), lambda: functools.lru_cache(maxsize=2)(len),
        lambda: torch.nn.functional.relu, lambda: torch.ops.aten.add.Tensor, lambda: torch.ops.aten.mul.Tensor,
    ],
    "compiled objects": [
        lambda: hashlib.md5(b"a"), lambda: hashlib.md5(b"b"), lambda: hashlib.sha256(b"a"),
        lambda: hashlib.blake2b(b"a"), lambda: hashlib.sha3_256(b"a"), lambda: hashlib.shake_128(b"a"),
        lambda: hmac.new(b"a", b"b", "md5"), lambda: hashlib.blake2s(b"a"), lambda: hashlib.shake_128(b"b"),
        lambda: hmac.new(b"a", b"c", "md5"), json.JSONDecoder, lambda: json.JSONDecoder(strict=False),
        lambda: json.JSONDecoder(parse_float=str), json.JSONEncoder, lambda: ctypes.c_int(1), lambda: ctypes.c_int(2),
        lambda: ctypes.c_int.__ctype_be__(1), lambda: ctypes.c_long(1), lambda: ctypes.c_char_p(b"a"),
        lambda: ctypes.c_double(1), lambda: torch.nn.attention.SDPBackend.MATH,
        lambda: torch.nn.attention.SDPBackend.FLASH_ATTENTION, lambda: pydantic.TypeAdapter(int),
        lambda: pydantic.TypeAdapter(str), lambda: pydantic.TypeAdapter(list[Model]),
        lambda: pydantic.AnyUrl("http://a.b"), lambda: pydantic.AnyUrl("http://a.c"), pprint.PrettyPrinter,
        lambda: pprint.PrettyPrinter(2), lambda: np.ma.masked, lambda: pd.offsets.CustomBusinessDay(),
        lambda: pd.offsets.CustomBusinessDay(2), lambda: pd.offsets.CustomBusinessDay(holidays=["2026-01-01"]),
        lambda: pd.offsets.CustomBusinessDay(weekmask="Mon Tue"),
        lambda: pd.offsets.CustomBusinessDay(offset=datetime.timedelta(1)),
    ],
    "classes": [
        lambda: int, lambda: float, lambda: Mood, lambda: Access, lambda: list[int], lambda: list[str],
        lambda: int | str, lambda: int | float, lambda: torch.nn.Linear, lambda: type("A", (), {"x": 1}),
        lambda: type("A", (), {"x": 2}), lambda: np, lambda: torch,
    ],
    "what coordinates": [
        threading.Lock, threading.RLock, threading.Event, lambda: locked(threading.Lock()),
        lambda: with_flag(threading.Event()), asyncio.Lock, lambda: asyncio.Semaphore(1), lambda: asyncio.Semaphore(2),
        asyncio.Event, lambda: with_flag(asyncio.Event()),
    ],
    "dtypes": [
        lambda: np.dtype("f4"), lambda: np.dtype(">f4"), lambda: np.dtype("f8"), lambda: np.dtype(STRUCTURED),
        lambda: np.dtype(STRUCTURED, align=True), lambda: np.dtype([("a", "i4"), ("c", "f4")]),
        lambda: np.dtype("f4", metadata={"unit": "m"}), lambda: np.dtype("f4", metadata={"unit": "s"}),
        lambda: np.dtype(("i4", (2,))), lambda: np.dtype("M8[s]"), lambda: np.dtype("M8[ns]"), lambda: np.dtype("U3"),
        lambda: np.dtypes.StringDType(), lambda: np.dtypes.StringDType(na_object=None), lambda: torch.float32,
        lambda: torch.bfloat16, lambda: torch.device("cpu"), lambda: torch.device("cuda", 1), lambda: torch.strided,
        lambda: torch.contiguous_format, lambda: torch.per_tensor_affine, lambda: torch.Size([1]),
        lambda: categories(["a", "b"]).dtype, lambda: categories(["b", "a"]).dtype,
        lambda: categories(["a", "b"], ordered=True).dtype, lambda: pd.DatetimeTZDtype("ns", "UTC"),
        lambda: pd.DatetimeTZDtype("s", "UTC"), lambda: pd.StringDtype("python"), lambda: pd.Int64Dtype(),
        lambda: pd.SparseDtype("f8", 0.0), lambda: pd.SparseDtype("f8", 1.0), lambda: torch.finfo(torch.float16),
    ],
    "arrays": [
        lambda: np.zeros(2), lambda: np.zeros((2, 1)), lambda: np.zeros(2, "f4"), lambda: np.zeros(2, ">f8"),
        lambda: -np.zeros(2), lambda: np.full(2, nan), lambda: np.zeros(2, STRUCTURED), lambda: units("m"),
        lambda: units("s"), lambda: np.zeros(2).view(Units), lambda: np.ma.array([0.0, 0], mask=[0, 1]),
        lambda: np.ma.array([0.0, 0], mask=[1, 0]), lambda: np.ma.array([0.0, 0], mask=[0, 1], fill_value=7),
        lambda: np.ma.array([0.0, 0], mask=[0, 1], hard_mask=True),
        lambda: quiet(lambda: np.asmatrix(np.zeros((1, 2)))),
        lambda: np.zeros(2, STRUCTURED).view(np.recarray), lambda: read_only(np.zeros(3)),
        lambda: np.array(["a", "bc"]),
        lambda: np.array(["a", "bd"]), lambda: np.array(["a", "b" * 40], np.dtypes.StringDType()),
        lambda: np.array(["a", "c" * 40], np.dtypes.StringDType()), lambda: np.array([1, "a"], object),
        lambda: np.array([1, {"a": [1]}], object), lambda: np.array([1, {"a": [2]}], object), lambda: np.array(0.0),
        lambda: np.zeros(2, np.dtype("f8", metadata={"unit": "m"})), lambda: np.array([], "f8"),
        lambda: np.array([0, 1], "M8[D]"), lambda: np.array([0, 1], "M8[h]"), lambda: np.poly1d([1, 2]),
    ],
    "tensors": [
        lambda: torch.zeros(2), lambda: torch.zeros(2, 1), lambda: -torch.zeros(2), lambda: torch.zeros(2).half(),
        lambda: torch.zeros(2, requires_grad=True), lambda: torch.nn.Parameter(torch.zeros(2)), in_inference_mode,
        lambda: torch.nn.Parameter(torch.zeros(2), requires_grad=False), lambda: torch.nn.Buffer(torch.zeros(2)),
        lambda: with_attributes(torch.zeros(2, requires_grad=True), grad_dtype=torch.float64), lambda: with_grad(1.0),
        lambda: with_grad(2.0), lambda: torch.zeros(2).as_subclass(Tagged),
        lambda: with_attributes(torch.zeros(2).as_subclass(Tagged), note=1), lambda: torch.tensor(0.0),
        lambda: with_attributes(torch.zeros(2), note=1), lambda: torch.tensor([1 + 1j]), lambda: torch.zeros(0),
        lambda: torch.tensor([1 - 1j]).conj(), lambda: torch.zeros(2, device="meta"), lambda: torch.zeros(2, 0),
        lambda: torch.zeros(3, device="meta"), lambda: torch.zeros(2).to_sparse(), lambda: torch.ones(2).to_sparse(),
        uncoalesced, lambda: uncoalesced().coalesce(), lambda: quiet(lambda: torch.eye(2).to_sparse_csr()),
        lambda: quantized(0.1),
        lambda: quiet(lambda: torch.eye(2).to_sparse_csc()), lambda: quantized(0.2), lambda: quantized(0.1, 3),
        lambda: quiet(lambda: torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)])),
        lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(1)]),
        lambda: torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)], layout=torch.jagged),
        lambda: torch.zeros(2, dtype=torch.float8_e4m3fn), lambda: torch.zeros(2, dtype=torch.float8_e5m2),
        lambda: torch.zeros(1 << 20).expand(4, -1), lambda: torch.ones(1 << 20).expand(4, -1),
        lambda: torch.zeros(2).untyped_storage(), lambda: torch.ones(2).untyped_storage(),
    ],
    "modules and optimisers": [
        lambda: linear(1), lambda: linear(2), lambda: linear(1, training=False), lambda: linear(1, note="a"),
        lambda: normed(0), lambda: normed(1), lambda: torch.nn.Dropout(0.1), lambda: torch.nn.Dropout(0.2),
        lambda: torch.nn.Sequential(linear(1), linear(2)), lambda: torch.nn.Sequential(linear(2), linear(1)),
        lambda: linear(1).requires_grad_(False), lambda: optimiser(), lambda: optimiser(0.2),
        lambda: optimiser(steps=1),
        lambda: torch.optim.lr_scheduler.StepLR(optimiser(), 1),
        lambda: torch.optim.lr_scheduler.StepLR(optimiser(), 2),
    ],
    "tables": [
        lambda: pd.DataFrame({"a": [1]}), lambda: pd.DataFrame({"b": [1]}), lambda: pd.DataFrame({"a": [1.0]}),
        lambda: pd.DataFrame({"a": [1]}, index=[5]), lambda: pd.DataFrame({"a": [1]}, index=pd.Index([0], name="i")),
        lambda: noted(pd.DataFrame({"a": [1]}), unit="m"), lambda: noted(pd.DataFrame({"a": [1]}), unit="s"),
        lambda: unique(pd.DataFrame({"a": [1]})), lambda: pd.DataFrame([[1]], columns=pd.Index(["a"], name="c")),
        lambda: pd.DataFrame({"a": categories(["a", "b"])}), lambda: pd.DataFrame({"a": categories(["b", "a"])}),
        lambda: pd.DataFrame({"a": categories(["a", "b"], ordered=True)}), lambda: pd.DataFrame({"a": ["1"]}),
        lambda: pd.DataFrame({"a": ["1"]}, dtype=object), lambda: pd.DataFrame({"a": [1]}, dtype=object),
        lambda: pd.DataFrame({"a": [1]}, dtype="Int64"), lambda: pd.DataFrame({"a": [None]}, dtype="Int64"),
        lambda: pd.DataFrame({"a": [{"x": [1]}]}), lambda: pd.DataFrame({"a": [{"x": [2]}]}),
        lambda: pd.DataFrame({"a": [1, 2], "b": [3, 4]}), lambda: pd.DataFrame({"a": [1, 3], "b": [2, 4]}),
        lambda: pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]}), lambda: pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}),
        lambda: pd.DataFrame({"a": [0.0]}), lambda: pd.DataFrame({"a": [-0.0]}), lambda: pd.DataFrame(),
        lambda: pd.Series([1]), lambda: pd.Series([1], name="a"), lambda: noted(pd.Series([1]), unit="m"),
        lambda: pd.Series([NOON]), lambda: pd.Series([NOON], dtype="datetime64[ns]"),
        lambda: pd.Series([NOON]).dt.tz_localize("UTC"), lambda: pd.Series(pd.arrays.SparseArray([0.0, 1])),
        lambda: pd.Series(pd.interval_range(0, 2)), lambda: pd.Series(pd.period_range("2026", periods=2, freq="M")),
        lambda: pd.Series([True, None], dtype="boolean"), lambda: pd.Series([False, None], dtype="boolean"),
        lambda: pd.Series([nan]), lambda: pd.Series([None], dtype=object), lambda: pd.Series([pd.NA], dtype=object),
        lambda: pd.RangeIndex(2), lambda: pd.Index([0, 1]), lambda: pd.RangeIndex(2, name="a"),
        lambda: pd.MultiIndex.from_tuples([("a", 1)]), lambda: pd.MultiIndex.from_tuples([("a", 2)]),
        lambda: pd.MultiIndex.from_tuples([("a", 1)], names=["x", "y"]), lambda: pd.date_range("2026", periods=3),
        lambda: pd.DatetimeIndex(list(pd.date_range("2026", periods=3))), lambda: pd.CategoricalIndex(["a"]),
    ],
    "pictures": [
        lambda: Pictures.new("RGB", (2, 2)), lambda: Pictures.new("RGB", (2, 2), "red"),
        lambda: Pictures.new("L", (2, 2)),
        lambda: Pictures.new("L", (2, 3)), lambda: Pictures.new("RGBA", (2, 2)), lambda: Pictures.new("F", (2, 2)),
        lambda: palette((9, 9, 9)), lambda: palette((8, 8, 8)), lambda: palette((9, 9, 9, 9), "RGBA"), png,
        lambda: png(a="b"), lambda: png(a="c"), lambda: rotated(6), lambda: rotated(3), lambda: rotated(6).getexif(),
        lambda: rotated(3).getexif(), lambda: tiff("a").tag_v2, lambda: tiff("b").tag_v2,
        lambda: ImageDraw.Draw(Pictures.new("L", (2, 2))), lambda: ImageDraw.Draw(Pictures.new("L", (2, 2), 1)),
        lambda: ImageDraw.Draw(Pictures.new("RGB", (2, 2))),
        lambda: ImageDraw.Draw(Pictures.new("RGB", (2, 2)), "RGBA"), lambda: ImageFont.load_default(10),
        lambda: ImageFont.load_default(12),
        lambda: with_attributes(Pictures.new("L", (2, 2)), info={"dpi": (1, 1)}),
        lambda: with_attributes(Pictures.new("L", (2, 2)), note="a"),
    ],
}  # fmt: skip


def locked(lock: Any) -> Any:
    lock.acquire()
    return lock


def with_flag(event: Any) -> Any:
    event.set()
    return event


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_made_alike_has_one_digest(family):
    for make in FAMILIES[family]:
        value, again = make(), make()
        assert digest_of(value).reusable, value
        assert digest_of(value) == digest_of(again), value


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_public_attribute_tells_apart_has_two_digests(family):
    values = [make() for make in FAMILIES[family]]
    views = [public_view(value) for value in values]
    digests = [digest_of(value).value for value in values]
    told_apart = 0
    for one, other in itertools.combinations(range(len(values)), 2):
        if difference := first_difference(views[one], views[other]):
            told_apart += 1
            assert digests[one] != digests[other], f"{values[one]!r} and {values[other]!r} differ in {difference}"
    assert told_apart > len(values)


def hooked(value: Any, register: str, *hooks: Callable[..., Any], **options: Any) -> Any:
    for hook in hooks:
        getattr(value, register)(hook, **options)
    return value


def mapped() -> Any:
    return np.memmap(__file__, mode="r", shape=(2,))


def emptied(queue: asyncio.Queue[int]) -> Any:
    queue.put_nowait(1)
    queue.get_nowait()
    return queue


class Column(pd.arrays.NumpyExtensionArray):
    """An array for a table."""


class Cells(pd.api.extensions.ExtensionDtype):
    name = "cells"
    type = float


def moved(*_: Any) -> None:
    pass


def stopped(*_: Any) -> None:
    raise StopIteration


class AttrDict(dict[str, Any]):
    def __init__(self, **items: Any) -> None:
        super().__init__(**items)
        self.__dict__ = self


def with_own_attributes(value: Any) -> Any:
    value.__dict__ = {}
    return value


def finalized(finalizer: weakref.finalize[..., Any]) -> weakref.finalize[..., Any]:
    finalizer()
    return finalizer


# By what each is told apart from the one beside it, other than by an attribute.
PAIRS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "what is written to it later": (lambda: io.StringIO(newline=None), lambda: io.StringIO(newline="\n")),
    "how lines end in it": (lambda: io.StringIO(newline=""), lambda: io.StringIO(newline="\r\n")),
    "the default of a context variable": (lambda: hint(1), lambda: hint(2)),
    "whether a context variable has a default": (lambda: hint(None), lambda: contextvars.ContextVar("hint")),
    "an attribute of an array in a file": (mapped, lambda: with_attributes(mapped(), note=1)),
    "what is called when an object dies": (lambda: weakref.ref(Mood, moved), lambda: weakref.ref(Mood, stopped)),
    "an item of a dict whose items are its attributes": (lambda: AttrDict(a=1), lambda: AttrDict(a=2)),
    "whether the items of a dict are its attributes": (
        lambda: AttrDict(a=1),
        lambda: with_own_attributes(AttrDict(a=1)),
    ),
    "whether it will be called when an object dies": (
        lambda: weakref.finalize(Mood, moved),
        lambda: finalized(weakref.finalize(Mood, moved)),
    ),
    "what will be called when an object dies": (
        lambda: weakref.finalize(Mood, moved),
        lambda: weakref.finalize(Mood, moved, 1),
    ),
    "how often a semaphore may be released": (
        lambda: asyncio.BoundedSemaphore(1),
        lambda: with_attributes(asyncio.BoundedSemaphore(2), _value=1),
    ),
    "what is left to do of a queue": (asyncio.Queue, lambda: emptied(asyncio.Queue())),
    "an attribute of an event": (asyncio.Event, lambda: with_attributes(asyncio.Event(), note=1)),
    "an attribute of a queue": (asyncio.Queue, lambda: with_attributes(asyncio.Queue(), note=1)),
    "an attribute of an array in a table": (
        lambda: with_attributes(Column(np.ones(1)), note=1),
        lambda: with_attributes(Column(np.ones(1)), note=2),
    ),
    "an attribute of the dtype of a column": (
        lambda: with_attributes(Cells(), note=1),
        lambda: with_attributes(Cells(), note=2),
    ),
    "an attribute of a logger": (
        lambda: logging.Logger("a"),
        lambda: with_attributes(logging.Logger("a"), note=1),
    ),
    "whether a masked array can be written": (lambda: np.ma.array([1]), lambda: read_only(np.ma.array([1]))),
    "what a memoryview looks at": (
        lambda: memoryview(b"a"),
        lambda: memoryview(bytearray(b"a")).toreadonly(),
    ),
    "whether a module has a hook": (
        lambda: hooked(linear(1), "register_forward_hook", moved),
        lambda: linear(1),
    ),
    "when a hook of a module is called": (
        lambda: hooked(linear(1), "register_forward_hook", moved),
        lambda: hooked(linear(1), "register_forward_pre_hook", moved),
    ),
    "what a hook of a module gets": (
        lambda: hooked(linear(1), "register_forward_hook", moved),
        lambda: hooked(linear(1), "register_forward_hook", moved, with_kwargs=True),
    ),
    "in which order hooks of a module are called": (
        lambda: hooked(linear(1), "register_forward_hook", moved, stopped),
        lambda: hooked(linear(1), "register_forward_hook", stopped, moved),
    ),
    "which of two hooks gets more": (
        lambda: hooked(
            hooked(linear(1), "register_forward_hook", moved), "register_forward_hook", moved, with_kwargs=True
        ),
        lambda: hooked(
            hooked(linear(1), "register_forward_hook", moved, with_kwargs=True), "register_forward_hook", moved
        ),
    ),
    "the hook of a tensor": (
        lambda: hooked(with_grad(1.0), "register_hook", moved),
        lambda: hooked(with_grad(1.0), "register_hook", stopped),
    ),
    "the hook of an optimiser": (
        lambda: hooked(optimiser(), "register_step_pre_hook", moved),
        lambda: hooked(optimiser(), "register_step_pre_hook", stopped),
    ),
    "what a comparison is made of": (
        lambda: functools.cmp_to_key(lambda a, b: a - b),
        lambda: functools.cmp_to_key(lambda a, b: b - a),
    ),
    "the function that a ufunc is made of": (
        lambda: np.frompyfunc(lambda x: x, 1, 1),
        lambda: np.frompyfunc(lambda x: x + 1, 1, 1),
    ),
    "what a ufunc starts with": (
        lambda: np.frompyfunc(max, 2, 1, identity=0),
        lambda: np.frompyfunc(max, 2, 1, identity=1),
    ),
    "the value of a context variable": (lambda: hint(1), lambda: hint(1, 2)),
}


@pytest.mark.parametrize("difference", PAIRS)
def test_what_only_a_call_tells_apart_has_two_digests(difference):
    make, make_other = PAIRS[difference]
    value, again, other = make(), make(), make_other()
    assert digest_of(value).reusable and digest_of(other).reusable
    assert digest_of(value) == digest_of(again) != digest_of(other)


def public_view(value: Any) -> dict[str, Any]:
    """What a node could read of a value: its class, text, items, and every public attribute that is not a method."""
    found: dict[str, Any] = {"its class": type(value), **dict(items_of(value))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in dir(value):
            if name.startswith("_") or name in NOT_COUNTED:
                continue
            try:
                item = getattr(value, name)
            except Exception as error:
                found[name] = type(error)
                continue
            if not callable(item):
                found[name] = item
    return found


def items_of(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, torch.Tensor):
        if value.layout is torch.strided and not value.is_quantized and value.device.type == "cpu":
            yield "items", [each.tolist() for each in value.unbind()] if value.is_nested else value.tolist()
        return
    if isinstance(value, (dict, pd.DataFrame, pd.Series)):
        yield "items", list(value.items())
    elif not isinstance(value, (type, Iterator)):
        with contextlib.suppress(TypeError):
            yield "items", list(value)
    yield "text", re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def first_difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    for name in one.keys() | other.keys():
        if name not in one or name not in other or not is_alike(one[name], other[name]):
            return name
    return ""


def is_alike(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_alike, one, other))
    if isinstance(one, dict):
        return is_alike(list(one.items()), list(other.items()))
    if isinstance(one, np.ma.MaskedArray):
        return repr(one) == repr(other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    try:
        same = one == other
    except Exception:
        return True
    return same is True or repr(one) == repr(other)
