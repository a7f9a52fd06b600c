"""What a person gives to a value of any class counts, and what a derived class says of its values does not."""

from __future__ import annotations

import array
import asyncio
import collections
import datetime
import decimal
import functools
import io
import logging
import struct
import weakref
import xml.etree.ElementTree
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from comfy_nb.spec.fingerprint import digest_of


def derived(base: Any, **body: Any) -> Any:
    return type("Derived", (base,), body)


def given(value: Any, name: str, item: int) -> Any:
    setattr(value, name, item)
    return value


# By the method whose name the attribute has.
LIKE_METHODS: dict[str, Callable[[], Any]] = {
    "count": lambda: derived(list)([1]),
    "items": lambda: derived(dict)(a=1),
    "index": lambda: derived(tuple)((1,)),
    "title": lambda: derived(str)("a"),
    "copy": lambda: derived(set)([1]),
    "bit_length": lambda: derived(int)(1),
    "mean": lambda: np.zeros(2).view(derived(np.ndarray)),
    "std": lambda: torch.zeros(2),
    "cached": lambda: derived(object, cached=functools.lru_cache(len))(),
    "partial": lambda: derived(object, partial=functools.partialmethod(len))(),
}
OF_PACKAGES: dict[str, Callable[[], Any]] = {
    "an index": lambda: pd.Index([1]),
    "an index of a range": lambda: pd.RangeIndex(3),
    "an index of pairs": lambda: pd.MultiIndex.from_tuples([(1, 2)]),
    "an index of dates": lambda: pd.date_range("2026", periods=2),
    "categories": lambda: pd.Categorical([1]),
    "numbers that may be missing": lambda: pd.array([1]),
    "what a picture says of itself": Pictures.Exif,
    "a picture": lambda: Pictures.new("L", (2, 2)),
    "what draws into a picture": lambda: ImageDraw.Draw(Pictures.new("L", (2, 2))),
    "a font": lambda: ImageFont.load_default(12),
}
WITH_A_SLOT: dict[str, Callable[[], Any]] = {
    "a picture": lambda: derived(Pictures.Image, __slots__=("note",))(),
    "a table": lambda: derived(pd.DataFrame, __slots__=("note",))({"a": [1]}),
    "a logger": lambda: derived(logging.Logger, __slots__=("note",))("a"),
    "a lock": lambda: derived(asyncio.Lock, __slots__=("note",))(),
}


@pytest.mark.parametrize("name", LIKE_METHODS)
def test_an_attribute_that_has_the_name_of_a_method_counts(name):
    one, other = (given(LIKE_METHODS[name](), name, item) for item in (1, 2))
    assert digest_of(one).reusable
    assert digest_of(one) != digest_of(other)


@pytest.mark.parametrize("kind", OF_PACKAGES)
def test_an_attribute_that_a_person_gave_to_a_value_of_a_package_counts(kind):
    one, again, other = (given(OF_PACKAGES[kind](), "note", item) for item in (1, 1, 2))
    assert digest_of(one).reusable
    assert digest_of(one) == digest_of(again) != digest_of(other)


@pytest.mark.parametrize("kind", WITH_A_SLOT)
def test_a_slot_of_a_derived_class_counts(kind):
    one, other = WITH_A_SLOT[kind](), WITH_A_SLOT[kind]()
    for item, value in enumerate((one, other)):
        type(value).note.__set__(value, item)
    assert digest_of(one).reusable
    assert digest_of(one) != digest_of(other)


@pytest.mark.parametrize(
    "make", [torch.distributions.Geometric, lambda odds: torch.distributions.Geometric(None, odds)]
)
def test_what_a_package_makes_a_value_of_counts_where_it_could_be_computed_too(make):
    assert digest_of(make(torch.tensor(0.2))) == digest_of(make(torch.tensor(0.2)))
    assert digest_of(make(torch.tensor(0.2))) != digest_of(make(torch.tensor(0.5)))


def refuse(_: Any) -> Any:
    raise AttributeError("nothing to see here")


@pytest.mark.parametrize("shown", [{"a": 1}, property(refuse), property(lambda _: {"a": 1})])
def test_an_object_whose_attributes_its_class_hides_cannot_be_read(shown):
    assert not digest_of(derived(object, __dict__=shown)()).reusable


class Claims(torch.Tensor):
    """A tensor of which each function and attribute says the same."""

    @classmethod
    def __torch_function__(cls, *_: Any) -> Any:
        return torch.zeros(1)


class Note:
    def __init__(self, number: int) -> None:
        self.number = number


def element(kind: Any, number: int) -> Any:
    found = kind("a")
    found.append(xml.etree.ElementTree.Element(str(number)))
    return found


HOURS = [datetime.timezone(datetime.timedelta(hours=number)) for number in range(3)]
NOTES = [Note(number) for number in range(3)]
# By the base class, the attribute of which the derived one tells something else, and how both are made.
LIARS: list[tuple[Any, str, Callable[[Any, int], Any]]] = [
    (collections.defaultdict, "default_factory", lambda kind, number: kind((int, str, float)[number])),
    (collections.deque, "maxlen", lambda kind, number: kind([], number)),
    (array.array, "typecode", lambda kind, number: kind("BiI"[number], [0])),
    (datetime.timedelta, "days", lambda kind, number: kind(number)),
    (datetime.datetime, "fold", lambda kind, number: kind(2026, 1, 1, fold=number - 1)),
    (datetime.datetime, "replace", lambda kind, number: kind(2026, 1, number)),
    (datetime.datetime, "tzinfo", lambda kind, number: kind(2026, 1, 1, tzinfo=HOURS[number])),
    (datetime.time, "replace", lambda kind, number: kind(number)),
    (datetime.time, "tzinfo", lambda kind, number: kind(1, tzinfo=HOURS[number])),
    (decimal.Context, "__repr__", lambda kind, number: kind(prec=number)),
    (io.BytesIO, "tell", lambda kind, number: kind(bytes(number))),
    (struct.Struct, "format", lambda kind, number: kind("BiI"[number])),
    (xml.etree.ElementTree.Element, "tag", lambda kind, number: kind(str(number))),
    (xml.etree.ElementTree.Element, "__iter__", element),
    (ValueError, "args", lambda kind, number: kind(number)),
    (functools.partial, "args", lambda kind, number: kind(len, number)),
    (property, "fget", lambda kind, number: kind((len, str, int)[number])),
    (weakref.ref, "__call__", lambda kind, number: kind(NOTES[number])),
    (np.ndarray, "shape", lambda kind, number: np.zeros((number, 2 // number)).view(kind)),
    (np.ndarray, "dtype", lambda kind, number: np.zeros(2, "bif"[number]).view(kind)),
    (torch.Tensor, "shape", lambda kind, number: torch.zeros(number, 2 // number).as_subclass(kind)),
    (Claims, "note", lambda kind, number: torch.zeros(number, 2 // number).as_subclass(kind)),
]


@pytest.mark.parametrize(("base", "name", "make"), LIARS, ids=[f"{each[0].__name__}.{each[1]}" for each in LIARS])
def test_what_a_derived_class_says_of_a_value_does_not_count(base, name, make):
    kind = derived(base, **{name: property(lambda _: 7) if not name.startswith("__") else lambda *_: ""})
    one, again, other = (digest_of(make(kind, number)) for number in (1, 1, 2))
    assert one.reusable
    assert one == again != other


def test_the_class_of_the_items_of_an_array_counts():
    def items(body: Any) -> Any:
        return np.zeros(2, np.dtype((derived(np.void, scaled=body), [("a", "i4")])))

    one, other = items(lambda item: item["a"]), items(lambda item: 2 * item["a"])
    assert digest_of(one) != digest_of(other)
    assert digest_of(one.dtype) != digest_of(other.dtype)


def test_how_a_sparse_array_keeps_its_places_counts():
    one, other = (pd.arrays.SparseArray([0, 1, 1], kind=kind) for kind in ("block", "integer"))
    assert digest_of(one) != digest_of(other)
