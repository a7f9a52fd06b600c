"""Inputs that are computed only when a node asks for them (docs/semantics.md, "Lazy inputs")."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch

from comfy_nb.engine import events
from comfy_nb.errors import ComfyNBWarning
from tests.engine.support import Pack, failure_of, listed, made, messages, number, ran, reported, run_of
from tests.reference.classes import INT, LAZY_INT, RAW_INT

pytestmark = pytest.mark.usefixtures("zoo")


@pytest.mark.parametrize("switch", ["Switch", "AsyncSwitch"])
async def test_a_lazy_input_is_computed_only_when_the_check_names_it(pack: Pack, switch: str) -> None:
    prompt = {"1": number(10), "2": number(20), "3": made(switch, which=1, even=["1", 0], odd=["2", 0])}
    run = await run_of(pack, prompt)
    assert run["3"] == 20
    assert ran(run) == ["2", "3"]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("asks_async", [False, True])
async def test_a_sync_or_async_node_may_have_a_sync_or_async_check(
    pack: Pack, is_async: bool, asks_async: bool
) -> None:
    check = _ask_async if asks_async else _ask
    pack.node("Lazy", _double_async if is_async else _double, {"n": LAZY_INT}, check_lazy_status=check)
    assert (await run_of(pack, {"1": number(4), "2": made("Lazy", n=["1", 0])}))["2"] == 8


def _double(self: Any, n: int) -> tuple[int]:
    return (n * 2,)


async def _double_async(self: Any, n: int) -> tuple[int]:
    await asyncio.sleep(0)
    return (n * 2,)


def _ask(self: Any, n: int | None) -> list[str]:
    return ["n"]


async def _ask_async(self: Any, n: int | None) -> list[str]:
    await asyncio.sleep(0)
    return ["n"]


async def test_the_check_is_asked_per_list_index_and_answers_are_united(pack: Pack) -> None:
    prompt = {
        "1": listed(0, 1),
        "2": number(20),
        "3": number(30),
        "4": made("Switch", which=["1", 0], even=["2", 0], odd=["3", 0]),
    }
    assert (await run_of(pack, prompt)).outputs("4") == ([20, 30],)


async def test_the_check_sees_what_is_there_and_none_for_the_rest_and_is_asked_again(pack: Pack) -> None:
    seen: list[Any] = []

    def check(self: Any, a: Any, b: Any, c: Any, me: Any) -> list[str]:
        seen.append((a, b, c, me))
        return ["a", "c", "me"]

    pack.node(
        "Lazy",
        lambda self, a, b, c, me: ((a, b, c),),
        {"a": LAZY_INT, "b": LAZY_INT, "c": INT},
        check_lazy_status=check,
        hidden={"me": "UNIQUE_ID"},
    )
    run = await run_of(pack, {"1": number(1), "2": number(2), "3": made("Lazy", a=["1", 0], b=["2", 0], c=3)})
    assert run["3"] == (1, None, 3)
    assert seen == [(None, None, 3, "3"), (1, None, 3, "3")]
    assert [event.node_id for event in reported(run, events.NodeStarted)] == ["3", "1", "3"]
    assert [event.node_id for event in reported(run, events.NodeWaiting)] == ["3"]


async def test_a_check_with_input_is_list_is_asked_once_with_lists(pack: Pack) -> None:
    seen: list[Any] = []

    def check(self: Any, which: Any, n: Any, me: Any) -> list[str]:
        seen.append((which, n, me))
        return ["n"]

    pack.node(
        "Lazy",
        lambda self, which, n, me: (n,),
        {"which": INT, "n": LAZY_INT},
        check_lazy_status=check,
        hidden={"me": "UNIQUE_ID"},
        INPUT_IS_LIST=True,
    )
    await run_of(pack, {"1": listed(1, 2), "2": listed(7, 8), "3": made("Lazy", which=["1", 0], n=["2", 0])})
    assert seen == [([1, 2], [None], ["3"]), ([1, 2], [7, 8], ["3"])]


@pytest.mark.filterwarnings("ignore:.*which asks for nothing")
@pytest.mark.parametrize("answer", [("n",), {"n"}, "n", None, 5, [None, 3]])
async def test_only_a_list_of_names_is_an_answer(pack: Pack, answer: Any) -> None:
    pack.node("Lazy", lambda self, n: ((n,),), {"n": LAZY_INT}, check_lazy_status=lambda self, n: answer)
    assert (await run_of(pack, {"1": number(1), "2": made("Lazy", n=["1", 0])}, "2"))["2"] == (None,)


async def test_asking_for_a_name_that_the_inputs_lack_fails_the_run(pack: Pack) -> None:
    pack.node("Lazy", lambda self, n: (n,), {"n": LAZY_INT}, check_lazy_status=lambda self, n: ["m"])
    error = await failure_of(pack, {"1": number(1), "2": made("Lazy", n=["1", 0])})
    assert error.node_id == "2"
    assert "'m'" in str(error)


async def test_without_a_check_a_lazy_input_is_none_though_it_is_cached(pack: Pack) -> None:
    pack.node("Lazy", lambda self, n: ((n,),), {"n": LAZY_INT})
    graph = pack.graph({"1": number(1), "2": made("Lazy", n=["1", 0])})
    await graph.run(["1"])
    assert (await graph.run(["1", "2"]))["2"] == (None,)


async def test_a_cached_lazy_source_is_not_passed_unasked(pack: Pack) -> None:
    seen: list[Any] = []

    def check(self: Any, n: Any) -> list[str]:
        seen.append(n)
        return []

    pack.node("Lazy", lambda self, n: ((n,),), {"n": LAZY_INT}, check_lazy_status=check)
    graph = pack.graph({"1": number(7), "2": made("Lazy", n=["1", 0])})
    await graph.run(["1"])
    assert (await graph.run(["2"]))["2"] == (None,)
    assert seen == [None]


async def test_an_unasked_input_does_not_depend_on_what_others_computed(pack: Pack) -> None:
    """The source runs first, for another node, and is there when this one is called."""
    pack.node("Lazy", lambda self, n, m: ((n, m),), {"n": LAZY_INT, "m": INT})
    prompt = {
        "1": number(7),
        "2": made("Add", a=["1", 0], b=1),
        "3": made("Lazy", n=["1", 0], m=["2", 0]),
        "4": made("Show", n=["1", 0]),
    }
    graph = pack.graph(prompt)
    assert (await graph.run(["4", "3"]))["3"] == (None, 8)


@pytest.mark.parametrize("also", [INT, RAW_INT], ids=["a value", "a raw link"])
async def test_a_lazy_input_is_there_where_the_node_waits_for_its_source_anyhow(pack: Pack, also: Any) -> None:
    pack.node("Lazy", lambda self, n, m: ((n,),), {"n": LAZY_INT, "m": also})
    prompt = {"1": number(7), "2": made("Lazy", n=["1", 0], m=["1", 0])}
    assert (await run_of(pack, prompt))["2"] == (7,)


async def test_all_lazy_inputs_of_a_source_that_was_asked_for_are_there(pack: Pack) -> None:
    check = {"check_lazy_status": lambda self, n, m: ["n"]}
    pack.node("Lazy", lambda self, n, m: ((n, m),), {"n": LAZY_INT, "m": LAZY_INT}, **check)
    prompt = {"1": number(7), "2": made("Lazy", n=["1", 0], m=["1", 0])}
    assert (await run_of(pack, prompt))["2"] == (7, 7)


async def test_a_lazy_source_that_was_changed_in_place_is_computed_again_for_who_asked_for_it(pack: Pack) -> None:
    tensor = ("IMAGE", {})
    pack.node("Zeros", lambda self: (torch.zeros(1, 2, 2, 3),), {}, ("IMAGE",))
    pack.node("Spoil", lambda self, image: (image.add_(1),), {"image": tensor}, ("IMAGE",))
    lazy = {"image": ("IMAGE", {"lazy": True}), "late": ("IMAGE", {"lazy": True})}
    check = {"check_lazy_status": lambda self, image, late: ["image", "late"] if image is None else ["late"]}
    pack.node("Sum", lambda self, image, late: (float(image.sum()),), lazy, ("FLOAT",), **check)
    prompt = {
        "1": made("Zeros"),
        "2": made("Spoil", image=["1", 0]),
        "3": made("Sum", image=["1", 0], late=["2", 0]),
    }
    with pytest.warns(ComfyNBWarning, match="in place"):
        run = await run_of(pack, prompt)
    assert run["3"] == 0.0


async def test_an_index_that_a_blocker_reaches_is_not_asked(pack: Pack) -> None:
    prompt = {
        "1": made("BlockOdd", n=1, message="stop"),
        "2": number(2),
        "3": made("Switch", which=["1", 0], even=["2", 0], odd=["2", 0]),
    }
    run = await run_of(pack, prompt)
    assert messages(run.outputs("3")[0]) == [("blocked", None)]
    assert run.blocked == [("3", "stop")]
    assert "2" not in ran(run)
