"""Equal nodes are computed once, also while one of them is running (docs/semantics.md, "Equal nodes")."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import comfy_nb as nb
from tests.engine.cache.classes import INT
from tests.engine.support import Outside, Pack, made, ran

pytestmark = pytest.mark.usefixtures("arithmetic")


async def test_two_equal_sync_nodes_run_once_and_both_report(pack: Pack) -> None:
    run = await pack.graph({"1": made("Number", n=1), "2": made("Number", n=1)}).run()
    assert pack.calls["Number"] == 1
    assert (run["1"], run["2"]) == (1, 1)
    assert sorted(run.why(each) for each in ("1", "2"))[1] == "first run"
    assert (run.counts["ran"], run.counts["shared"]) == (1, 1)


def waiting(pack: Pack) -> tuple[asyncio.Event, asyncio.Event]:
    """Register Wait(n), an async node that reports when it begins and then waits for a sign."""
    begun, sign = asyncio.Event(), asyncio.Event()
    outside = Outside(begun=begun, sign=sign)

    async def wait(self: Any, n: int) -> tuple[int]:
        outside.begun.set()
        await outside.sign.wait()
        return (n,)

    pack.node("Wait", wait, {"n": INT})
    return begun, sign


async def someone_waits(session: nb.Session) -> None:
    """Return when a node waits for an equal one that is in flight."""
    while not any(session.store.in_flight._waiters.values()):
        await asyncio.sleep(0)


async def test_two_equal_async_nodes_in_flight_run_once(pack: Pack) -> None:
    begun, sign = waiting(pack)
    job = pack.graph({"1": made("Wait", n=1), "2": made("Wait", n=1)}).start()
    await begun.wait()
    sign.set()
    run = await job
    assert pack.calls["Wait"] == 1
    assert (run["1"], run["2"]) == (1, 1)
    assert run.counts["shared"] == 1
    (shared,) = [each for each in ("1", "2") if each not in ran(run)]
    assert run.why(shared) == "an equal node was running already; its result is shared"


async def test_two_concurrent_runs_compute_an_equal_node_once(pack: Pack, session: nb.Session) -> None:
    begun, sign = waiting(pack)
    first = pack.graph({"1": made("Wait", n=1)}).start()
    await begun.wait()
    second = pack.graph({"x": made("Wait", n=1), "y": made("Add", a=["x", 0], b=1)}).start()
    await someone_waits(session)
    sign.set()
    assert (await first)["1"] == 1
    assert (await second)["y"] == 2
    assert pack.calls["Wait"] == 1


async def test_a_waiter_computes_if_the_computing_run_is_cancelled(pack: Pack, session: nb.Session) -> None:
    begun, sign = waiting(pack)
    first = pack.graph({"1": made("Wait", n=1)}).start()
    await begun.wait()
    second = pack.graph({"x": made("Wait", n=1)}).start()
    await someone_waits(session)
    begun.clear()
    first.cancel()
    assert (await first).state == "cancelled"
    await begun.wait()
    sign.set()
    assert (await second)["x"] == 1
    assert pack.calls["Wait"] == 2


def own(pack: Pack, **traits: Any) -> None:
    """Register Own(n), an async node."""

    async def own(self: Any, n: int) -> tuple[int]:
        await asyncio.sleep(0)
        return (n,)

    pack.node("Own", own, {"n": INT}, **traits)


async def test_nodes_that_are_not_idempotent_are_never_shared_in_flight(pack: Pack) -> None:
    own(pack, NOT_IDEMPOTENT=True)
    await pack.graph({"1": made("Own", n=1), "2": made("Own", n=1)}).run()
    assert pack.calls["Own"] == 2


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
async def test_equal_output_nodes_run_once_and_both_report(pack: Pack, is_async: bool) -> None:
    async def wait(self: Any, n: int) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"ui": {"shown": [n]}}

    if is_async:
        pack.node("Show", wait, {"n": INT}, OUTPUT_NODE=True)
    run = await pack.graph({"1": made("Show", n=1), "2": made("Show", n=1)}).run()
    assert pack.calls["Show"] == 1
    assert run.ui == {"1": {"shown": [1]}, "2": {"shown": [1]}}


@pytest.mark.parametrize("class_type", ["Own", "Number"], ids=["async", "sync"])
async def test_equal_nodes_all_run_where_nothing_is_cached(pack: Pack, session: nb.Session, class_type: str) -> None:
    own(pack)
    session.store.set_policy("none")
    run = await pack.graph({"1": made(class_type, n=1), "2": made(class_type, n=1)}).run()
    assert pack.calls[class_type] == 2
    assert run.counts == {"ran": 2}


async def test_an_equal_node_that_is_needed_late_says_that_its_twin_is_of_the_same_run(pack: Pack) -> None:
    lazy = {"n": ("INT", {"lazy": True}), "m": INT}
    pack.node("Late", lambda self, n, m: (n,), lazy, check_lazy_status=lambda self, n, m: ["n"])
    prompt = {"1": made("Number", n=1), "2": made("Number", n=1), "3": made("Late", n=["2", 0], m=["1", 0])}
    graph = pack.graph(prompt)
    run = await graph.run()
    assert run.why("2") == "an equal node of this run was there already; its result is shared"
    graph["3"].inputs["m"] = 5
    assert (await graph.run()).why("2") == "from an earlier run"
