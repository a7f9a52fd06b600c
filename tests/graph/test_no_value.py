"""A handle that is taken for its value: each form of a forgotten await is answered by one sentence."""

from __future__ import annotations

import asyncio
import copy
import math
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import comfy_nb as nb

SENTENCE = r"This handle of a_poster(\.IMAGE)? has no value yet: `await` it\."


@nb.node
def a_poster(levels: int = 4) -> nb.Image:
    return torch.full([1, 2, 2, 3], levels / 8)


@nb.node
def a_pair() -> tuple[int, str]:
    return 1, "one"


FORMS: dict[str, Callable[[Any], Any]] = {
    "an attribute": lambda poster: poster.shape,
    "a method": lambda poster: poster.mean(),
    "a sum": lambda poster: poster + 1,
    "a sum from the right": lambda poster: 1 + poster,
    "a sum in place": lambda poster: operator.iadd(poster, 1),
    "a sum with a tensor": lambda poster: torch.ones(2) + poster,
    "a product with an array": lambda poster: np.ones(2) * poster,
    "a power": lambda poster: poster**2,
    "a matrix product": lambda poster: poster @ poster,
    "a negative": lambda poster: -poster,
    "a comparison": lambda poster: poster > 1,
    "membership": lambda poster: 1 in poster,
    "float": float,
    "int": int,
    "math": math.sqrt,
    "round": round,
    "an index of a list": lambda poster: [1, 2][poster],
    "an array": np.asarray,
    "a format": lambda poster: f"{poster:.2f}",
    "iteration": list,
    "unpacking one": lambda poster: [*poster],
    "iteration over an output": lambda poster: list(poster.IMAGE),
    "a slice": lambda poster: poster[0:1],
    "an index of axes": lambda poster: poster[0, :, :],
    "an index of all": lambda poster: poster.IMAGE[...],
    "pickling": pickle.dumps,
    "an item set": lambda poster: operator.setitem(poster, 0, 1),
}


@pytest.mark.parametrize("form", FORMS)
def test_arithmetic_conversion_and_iteration_raise(form: str):
    with pytest.raises((TypeError, AttributeError), match=SENTENCE):
        FORMS[form](a_poster())


def test_a_name_that_is_nearly_an_output_is_offered():
    with pytest.raises(AttributeError, match="no value yet.*no output 'IMGE' on a_poster. Did you mean 'IMAGE'"):
        a_poster().IMGE


WARNED: dict[str, Callable[[Any], Any]] = {
    "truth": lambda poster: "yes" if poster else "no",
    "printing": print,
    "text": str,
    "a text it is put into": lambda poster: f"{poster}",
}


@pytest.mark.parametrize("form", WARNED)
def test_truth_and_printing_warn_with_the_persons_line(form: str):
    with pytest.warns(nb.ComfyNBWarning, match=SENTENCE) as caught:
        WARNED[form](a_poster())
    assert caught[0].filename == __file__


def test_a_repr_of_handles_warns_of_nothing(capsys: pytest.CaptureFixture[str]):
    print([a_poster()], {"poster": a_poster()})
    assert "await it" in capsys.readouterr().out


def test_nodes_with_several_outputs_are_unpacked():
    number, text = a_pair()
    assert (number.run_sync(), text.run_sync()) == (1, "one")


async def test_asyncio_takes_handles_where_it_takes_awaitables():
    first, second = a_poster(1), a_poster(2)
    assert len(await asyncio.gather(first, second)) == 2
    for value in (
        await asyncio.wait_for(first, 5),
        await asyncio.shield(first),
        await asyncio.ensure_future(first),
        *[await each for each in asyncio.as_completed([first, second])],
    ):
        assert value.shape == (1, 2, 2, 3)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(first.run())
    assert task.result().shape == (1, 2, 2, 3)


async def test_the_error_of_create_task_says_what_it_takes():
    with pytest.raises(TypeError, match=r"await it, or its \.run\(\) as a task"):
        await asyncio.create_task(a_poster())


def test_equality_asks_for_no_value_since_lists_and_dicts_ask_for_it():
    assert (a_poster() == 6) is False and a_poster() != 6
    assert a_poster() in [6, a_poster()] and {a_poster(): 1}[a_poster()] == 1


def test_a_copy_of_a_handle_is_the_handle():
    poster = a_poster()
    assert copy.copy(poster) is poster
    assert copy.deepcopy({"first": poster})["first"] is poster


@pytest.mark.filterwarnings("error")
def test_registering_a_handle_is_answered_by_what_a_class_is():
    with pytest.raises(nb.SpecError):
        nb.register(a_poster())
