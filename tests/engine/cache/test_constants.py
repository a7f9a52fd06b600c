"""Constants of any kind are keyed by what they hold (docs/semantics.md, "Keys")."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import comfy_nb as nb
from tests.engine.cache.classes import one
from tests.engine.support import Pack, ran


def picture(colour: int) -> Image.Image:
    return Image.new("RGB", (4, 3), (colour, 0, 0))


CONSTANTS: dict[str, Callable[[int], Any]] = {
    "tensor": lambda n: torch.full((2, 3), float(n)),
    "array": lambda n: np.full((2, 3), n),
    "picture": picture,
    "dataframe": lambda n: pd.DataFrame({"a": [n, 2], "b": ["x", "y"]}),
    "series": lambda n: pd.Series([n, 2], name="a"),
    "dict": lambda n: {"samples": torch.full((1, 4), float(n)), "also": [n, (n, "x")]},
    "set": lambda n: {n, "x", 3.5},
    "bytes": lambda n: bytes([n]),
    "array of objects": lambda n: np.array([n, "x", None], dtype=object),
    "complex": lambda n: complex(n, 1),
}


@pytest.mark.parametrize("make", CONSTANTS.values(), ids=CONSTANTS)
async def test_a_live_constant_is_keyed_by_its_content(pack: Pack, make: Callable[[int], Any]) -> None:
    pack.node("Keep", lambda self, v: (1,), {"v": ("*",)})
    await pack.graph(one("Keep", v=make(1))).run()
    assert ran(await pack.graph(one("Keep", v=make(1))).run()) == []
    assert ran(await pack.graph(one("Keep", v=make(2))).run()) == ["1"]


async def test_tensors_of_other_shape_or_dtype_with_the_same_bytes_are_different(pack: Pack) -> None:
    pack.node("Keep", lambda self, v: (1,), {"v": ("*",)})
    zeros = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.int32), np.zeros(4, np.float32)]
    for value in zeros:
        assert ran(await pack.graph(one("Keep", v=value)).run()) == ["1"]


async def test_an_ordinary_object_counts_by_its_attributes(pack: Pack) -> None:
    pack.node("Keep", lambda self, v: (1,), {"v": ("*",)})
    settings = types.SimpleNamespace(steps=1)
    graph = pack.graph(one("Keep", v=settings))
    await graph.run()
    assert ran(await graph.run()) == []
    assert ran(await pack.graph(one("Keep", v=types.SimpleNamespace(steps=1))).run()) == []
    settings.steps = 2
    run = await graph.run()
    assert (ran(run), run.why("1")) == (["1"], "input `v` was changed in place")


async def test_what_cannot_be_read_runs_each_time_until_it_is_declared_constant(pack: Pack) -> None:
    pack.node("Keep", lambda self, v: (1,), {"v": ("*",)})
    numbers = iter([1])
    graph = pack.graph(one("Keep", v=numbers))
    await graph.run()
    run = await graph.run()
    assert ran(run) == ["1"]
    assert run.why("1") == (
        "input `v` is a value of class list_iterator, which may have changed. "
        "If it does not change, say so: nb.constant(obj), or a method __comfy_nb_key__ of its class."
    )
    constant = pack.graph(one("Keep", v=nb.constant(numbers)))
    await constant.run()
    assert ran(await constant.run()) == []


async def test_an_object_that_refuses_hashing_and_comparison_can_be_a_constant(pack: Pack) -> None:
    class Stubborn:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise TypeError("compare me with nothing")

        __ne__ = __eq__

    pack.node("Keep", lambda self, v: (1,), {"v": ("*",)})
    graph = pack.graph(one("Keep", v=Stubborn()))
    await graph.run()
    assert ran(await graph.run()) == []
