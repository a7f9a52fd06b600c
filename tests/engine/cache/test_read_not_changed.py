"""Objects that remember what was computed when they are read are not taken for changed, nor is what was set by hand."""

from __future__ import annotations

import contextlib
import datetime
import fractions
import functools
import io
import itertools
import pathlib
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import networkx as nx
import numpy as np
import pandas as pd
import pydantic
import pytest
import sympy
import torch
from PIL import Image as Pictures

import comfy_nb as nb
from tests.engine.support import Calls


class Numbers:
    def __init__(self) -> None:
        self.numbers = [1, 2]

    @functools.cached_property
    def total(self) -> int:
        return sum(self.numbers)

    @functools.cached_property
    def parts(self) -> list[Numbers]:
        return [Numbers(), Numbers()]


class Model(pydantic.BaseModel):
    steps: int = 1
    _secret: int = pydantic.PrivateAttr(default=0)

    @functools.cached_property
    def twice(self) -> int:
        return 2 * self.steps


@attrs.define
class Slotted:
    steps: int = 1

    @functools.cached_property
    def twice(self) -> int:
        return 2 * self.steps


@attrs.frozen(cache_hash=True)
class Hashed:
    steps: int = 1


def frame() -> Any:
    return pd.DataFrame({"a": [1, 1, 2], "b": [1.0, 2, 3]})


x, y = sympy.Symbol("x", positive=True), sympy.Symbol("y")
normal = torch.distributions.Normal
OF_PACKAGES: dict[str, Callable[[], Any]] = {
    "groups of a table": lambda: frame().groupby("a"),
    "groups of a column": lambda: frame().groupby("a")["b"],
    "a window over a table": lambda: frame().rolling(2),
    "a table": frame,
    "a column": lambda: frame()["b"],
    "an index": lambda: pd.Index([1, 2, 3]),
    "an index of dates": lambda: pd.date_range("2026", periods=3),
    "an index of pairs": lambda: pd.MultiIndex.from_tuples([(1, 2), (1, 3)]),
    "a distribution": lambda: normal(torch.zeros(2), torch.ones(2)),
    "a symbol": lambda: x,
    "an expression": lambda: x**2 + sympy.sin(y),
    "a number of sympy": lambda: sympy.Integer(3),
    "a polynomial": lambda: sympy.Poly(y**2 + 1),
    "a path": lambda: pathlib.Path("a/b"),
    "a pattern": lambda: re.compile("(?P<x>a)b"),
    "a fraction": lambda: fractions.Fraction(1, 3),
    "a date": lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "a graph": lambda: nx.path_graph(3),
    "a directed graph": lambda: nx.DiGraph([(1, 2)]),
    "an object that keeps its hash": Hashed,
    "the limits of a float": lambda: np.finfo("f4"),
    "the limits of an int": lambda: np.iinfo("i4"),
    "a function of arrays": lambda: np.vectorize(abs, otypes=[float]),
}
MADE_OF_WHAT_THEY_COMPUTE: dict[str, Callable[[], Any]] = {
    "categories": lambda: torch.distributions.Categorical(logits=torch.zeros(3)),
    "many variables": lambda: torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2)),
    "tries until a success": lambda: torch.distributions.Geometric(torch.tensor(0.5)),
}
OF_THE_PERSON: dict[str, Callable[[], Any]] = {
    "a class": Numbers,
    "a class of pydantic": Model,
    "a class of attrs with slots": Slotted,
}
NOT_ONLY_COMPUTED = MADE_OF_WHAT_THEY_COMPUTE | OF_THE_PERSON


def read(value: Any) -> None:
    """Do all that merely reads a value: call it, ask for its text, hash, items, attributes, and what these are."""
    with contextlib.suppress(Exception):
        value([1])
    for each in (value, *_attributes_of(value)):
        for look in (repr, len, hash, bool, lambda one: list(itertools.islice(one, 9)), lambda one: one == one):
            with contextlib.suppress(Exception):
                look(each)


def _attributes_of(value: Any) -> Iterator[Any]:
    for name in dir(value):
        if not name.startswith("_"):
            with contextlib.suppress(Exception):
                yield getattr(value, name)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", nb.ComfyNBWarning)
        yield


@pytest.mark.parametrize("kind", [*OF_PACKAGES, *NOT_ONLY_COMPUTED])
def test_a_result_that_was_read_is_used_again(kind: str) -> None:
    make = (OF_PACKAGES | NOT_ONLY_COMPUTED)[kind]

    @nb.node
    def makes() -> object:
        return make()

    @nb.node
    def reads(value: object, times: int) -> int:
        read(value)
        return times

    graph = nb.Graph(reads(makes(), 1))
    graph.run_sync()
    for graph["2"].inputs["times"] in (2, 3):
        assert graph.run_sync().why("1") == "from an earlier run"


def reading(value: object) -> nb.Graph:
    """A graph of one node, which reads this."""

    @nb.node
    def reads(value: object) -> int:
        read(value)
        return 1

    return nb.Graph(reads(value))


@pytest.mark.parametrize("kind", OF_PACKAGES)
def test_a_constant_that_was_read_counts_as_before(kind: str) -> None:
    graph = reading(OF_PACKAGES[kind]())
    graph.run_sync()
    assert graph.run_sync().why("1") == "from an earlier run"


@pytest.mark.parametrize("kind", NOT_ONLY_COMPUTED)
def test_what_a_constant_has_computed_counts_from_the_next_run_on(kind: str) -> None:
    graph = reading(NOT_ONLY_COMPUTED[kind]())
    graph.run_sync()
    assert graph.run_sync().why("1") == "a cached property of input `value` was computed"
    assert graph.run_sync().why("1") == "from an earlier run"


def test_a_cached_property_that_was_set_by_hand_counts() -> None:
    @nb.node
    def reads(value: object) -> int:
        return value.total  # type: ignore[attr-defined, no-any-return]

    value = Numbers()
    for value.total in (1, 2):
        assert reads(value).run_sync() == value.total


def test_a_cached_property_that_became_outdated_is_not_taken_for_an_up_to_date_one() -> None:
    @nb.node
    def reads(value: object) -> int:
        return value.total  # type: ignore[attr-defined, no-any-return]

    outdated, fresh = Numbers(), Numbers()
    assert outdated.total == 3
    for value in (outdated, fresh):
        value.numbers.append(4)
    assert (reads(outdated).run_sync(), reads(fresh).run_sync()) == (3, 7)


@pytest.mark.parametrize("name", ["total", "parts"])
def test_what_a_cached_property_of_a_result_holds_may_not_be_changed_afterwards(name: str) -> None:
    calls = Calls()

    @nb.node
    def makes() -> object:
        calls["makes"] += 1
        return Numbers()

    value = makes().run_sync()
    read(value)
    assert makes().run_sync() is value
    setattr(value, name, 5)
    with pytest.warns(nb.ComfyNBWarning, match="the Numbers in output 0 was changed"):
        makes().run_sync()
    assert calls["makes"] == 2


@pytest.mark.parametrize("format", [None, "PNG", "JPEG", "GIF", "TIFF"])
def test_a_picture_that_was_saved_and_measured_is_used_again(format: str | None) -> None:
    @nb.node
    def makes() -> object:
        picture, buffer = Pictures.new("RGB", (4, 4), "red"), io.BytesIO()
        if format is None:
            return picture
        picture.save(buffer, format, dpi=(72, 72))
        return Pictures.open(buffer)

    @nb.node
    def saves(picture: object, target: str) -> object:
        buffer = io.BytesIO()
        picture.save(buffer, target, dpi=(300, 300))  # type: ignore[attr-defined]
        read(picture)
        return buffer.getvalue()

    given = makes().run_sync()
    for target in ("PNG", "GIF", "TIFF", "BMP"):
        saves(given, target).run_sync()
        graph = nb.Graph(saves(given, target))
        assert graph.run_sync().why("1") == "from an earlier run"
        assert makes().run_sync() is given


def test_a_symbol_counts_with_what_is_assumed_of_it() -> None:
    @nb.node
    def is_positive(symbol: object) -> object:
        return symbol.is_positive  # type: ignore[attr-defined]

    assert [is_positive(sympy.Symbol("s", positive=each)).run_sync() for each in (True, False, None)] == [
        True,
        False,
        None,
    ]
