"""ComfyUI's cache policies, and our own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.errors import UnknownName
from tests.engine.support import Outside, Pack, made, ran


def add_number(pack: Pack) -> None:
    pack.node("number", lambda self, value: (value,), {"value": ("INT", {})})


async def compute(session: nb.Session, pack: Pack, *values: int) -> list[str]:
    """Run one prompt with a node for each value; return which values had to be computed."""
    graph = pack.graph({str(value): {"class_type": "number", "inputs": {"value": value}} for value in values})
    run = await session.run(graph)
    return ran(run)


async def test_classic_holds_what_the_last_prompt_holds(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    session.store.set_policy("classic")
    assert await compute(session, pack, 1, 2) == ["1", "2"]
    assert await compute(session, pack, 2, 3) == ["3"]
    assert await compute(session, pack, 1, 3) == ["1"]


async def test_a_number_holds_that_many_results_the_last_used_ones(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    session.store.set_policy(2)
    await compute(session, pack, 1)
    await compute(session, pack, 2)
    await compute(session, pack, 1)
    await compute(session, pack, 3)
    assert await compute(session, pack, 1) == []
    assert await compute(session, pack, 2) == ["2"]


async def test_a_number_evicts_nothing_that_the_last_prompt_holds(session: nb.Session, pack: Pack) -> None:
    pack.node("add", lambda self, a, b: (a + b,), {"a": ("INT", {}), "b": ("INT", {})})
    session.store.set_policy(3)
    prompt = {"1": made("add", a=0, b=1), **{str(n): made("add", a=[str(n - 1), 0], b=n) for n in range(2, 7)}}
    graph = pack.graph(prompt)
    await session.run(graph)
    graph["3"].inputs["b"] = 9
    run = await session.run(graph)
    assert ran(run) == ["3", "4", "5", "6"]
    assert len(session.cache) == 4 + 3  # of the six that it found, three are left
    assert ran(await session.run(graph)) == []


async def test_what_the_last_prompt_holds_stays_though_nothing_needed_it(session: nb.Session, pack: Pack) -> None:
    pack.node("add", lambda self, a, b: (a + b,), {"a": ("INT", {}), "b": ("INT", {})})
    session.store.set_policy(1)
    graph = pack.graph({"1": made("add", a=0, b=1), "2": made("add", a=["1", 0], b=1)})
    for _ in range(3):
        await session.run(graph)  # the later ones need node 2 alone
    graph["2"].inputs["b"] = 2
    assert ran(await session.run(graph)) == ["2"]


async def test_a_number_evicts_nothing_of_a_run_that_goes_on(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    begun, sign = asyncio.Event(), asyncio.Event()
    outside = Outside(begun=begun, sign=sign)

    async def wait(self: Any, n: int) -> tuple[int]:
        outside.begun.set()
        await outside.sign.wait()
        return (n,)

    pack.node("wait", wait, {"n": ("INT", {})})
    session.store.set_policy(1)
    await compute(session, pack, 7)
    slow = session.start(pack.graph({"1": made("number", value=1), "2": made("wait", n=["1", 0])}))
    await begun.wait()
    await compute(session, pack, 2, 3)
    await compute(session, pack, 4, 5)
    sign.set()
    await slow
    assert await compute(session, pack, 1) == []


async def test_no_results_to_keep_are_none(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    session.store.set_policy(0)
    assert await compute(session, pack, 1) == ["1"]
    assert await compute(session, pack, 1) == ["1"]


@pytest.mark.parametrize("policy", ["classic", 1])
async def test_the_nodes_of_an_expansion_are_held_with_the_node_that_made_them(
    session: nb.Session, pack: Pack, policy: str | int
) -> None:
    def expand(self: Any, a: int, unused: int) -> dict[str, Any]:
        graph = nb.GraphBuilder()
        return {"result": (graph.node("number", value=a).out(0),), "expand": graph.finalize()}

    add_number(pack)
    pack.node("grow", expand, {"a": ("INT", {}), "unused": ("INT", {})})
    session.store.set_policy(policy)
    graph = pack.graph({"1": made("grow", a=1, unused=1)})
    await session.run(graph)
    assert ran(await session.run(graph)) == []
    graph["1"].inputs["unused"] = 2
    assert ran(await session.run(graph)) == ["1"]
    graph["1"].inputs["a"] = 2
    assert ran(await session.run(graph)) == ["1.0.0.1", "1"]
    graph.replace("1", "number", value=5)
    await session.run(graph)
    await session.run(graph)
    assert len(session.cache) == 1


async def test_none_holds_nothing(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    await compute(session, pack, 1)
    session.store.set_policy("none")
    assert len(session.cache) == 0
    assert await compute(session, pack, 1) == ["1"]
    assert await compute(session, pack, 1) == ["1"]


async def test_memory_is_the_policy_again_after_another(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    session.store.set_policy("none")
    session.store.set_policy("memory")
    await compute(session, pack, 1)
    assert await compute(session, pack, 1) == []


def test_another_word_is_refused_with_the_ones_there_are(session: nb.Session) -> None:
    with pytest.raises(UnknownName, match="classic"):
        session.store.set_policy("clasic")
