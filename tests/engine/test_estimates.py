"""How long a run will take: what is known from earlier runs, and what is not."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine.estimate import Estimate

SHORT_S = 0.05


@pytest.fixture(autouse=True)
def session():
    with nb.use_session(nb.Session(budget=1 << 20)) as session:
        yield session


@nb.node
def estimated_sleeps(n: int) -> int:
    time.sleep(SHORT_S)
    return n


@nb.node
async def estimated_waits(n: int) -> int:
    await asyncio.sleep(SHORT_S)
    return n


@nb.node
def estimated_total(a: int, b: int) -> int:
    return a + b


async def test_of_nodes_that_were_never_timed_nothing_is_known():
    graph = estimated_total(estimated_sleeps(1), estimated_sleeps(2)).graph
    assert graph.estimate() == Estimate(None, 3, 3)
    assert repr(graph.estimate()) == "<Estimate: not known; 3 nodes to compute, never timed>"


async def test_what_is_cached_takes_no_time():
    graph = estimated_sleeps(1).graph
    await graph.run()
    assert graph.estimate() == Estimate(0.0, 0, 0)
    assert repr(graph.estimate()) == "<Estimate: nothing to compute>"


async def test_stale_nodes_take_as_long_as_they_took_and_others_are_counted():
    graph = estimated_total(estimated_sleeps(1), 2).graph
    await estimated_sleeps(1).graph.run()
    graph["1"].inputs["n"] = 5
    found = graph.estimate()
    assert (found.nodes, found.unknown) == (2, 1)
    assert SHORT_S <= found.seconds < 100 * SHORT_S
    assert "for 1 node, and 1 node never timed" in repr(found)


def known(session: nb.Session, graph: nb.Graph, seconds: dict[str, float]) -> nb.Graph:
    """Set the times of the nodes of the last run, and make all of them stale."""
    for node_id, each in seconds.items():
        session.last.node_run(node_id).seconds = each
    session.cache.clear()
    return graph


async def test_sync_nodes_come_one_after_the_other_and_async_ones_overlap(session: nb.Session):
    graph = nb.Graph(estimated_sleeps(1), estimated_sleeps(2), estimated_waits(3), estimated_waits(4))
    await graph.run()
    known(session, graph, {"1": 10.0, "2": 20.0, "3": 25.0, "4": 7.0})
    assert graph.estimate() == Estimate(30.0, 4, 0)
    assert graph.estimate(["3", "4"]).seconds == 25.0
    assert graph.estimate(["1", "3"]).seconds == 25.0


async def test_a_chain_takes_as_long_as_its_nodes_together(session: nb.Session):
    graph = estimated_total(estimated_waits(estimated_waits(1)), estimated_sleeps(2)).graph
    await graph.run()
    known(session, graph, {"1": 10.0, "2": 20.0, "3": 4.0, "4": 1.0})
    assert graph.estimate() == Estimate(31.0, 4, 0)


async def test_an_equal_key_tells_more_than_the_class(session: nb.Session):
    small, large = estimated_sleeps(1), estimated_sleeps(1000)
    for each, seconds in ((large, 50.0), (small, 2.0)):
        await each.graph.run()
        session.last.node_run("1").seconds = seconds
    session.cache.clear()
    assert (small.graph.estimate().seconds, large.graph.estimate().seconds) == (2.0, 50.0)
    assert estimated_sleeps(7).graph.estimate().seconds == 2.0


async def test_the_time_of_a_node_that_expands_has_that_of_what_ran_inside(session: nb.Session):
    class Expands:
        RETURN_TYPES = ("INT",)
        FUNCTION = "run"

        @classmethod
        def INPUT_TYPES(cls) -> dict[str, Any]:
            return {"required": {"n": ("INT",)}}

        def run(self, n: int) -> dict[str, Any]:
            graph = nb.GraphBuilder()
            inner = graph.node("estimated_sleeps", n=n)
            return {"result": (inner.out(0),), "expand": graph.finalize()}

    nb.register(Expands)
    graph = nb.Graph()
    graph.node("Expands", n=1)
    await graph.run()
    graph["1"].inputs["n"] = 2
    assert SHORT_S <= graph.estimate().seconds < 100 * SHORT_S


async def test_a_run_tells_what_remains_of_it(session: nb.Session):
    begun, go_on = asyncio.Event(), asyncio.Event()

    @nb.node
    async def held(n: int) -> int:
        begun.set()
        await go_on.wait()
        return n

    go_on.set()
    graph = estimated_sleeps(held(1)).graph
    await graph.run()
    known(session, graph, {"1": 1000.0, "2": 5.0})
    go_on.clear(), begun.clear()
    job = graph.start()
    await begun.wait()
    rest = job.run.remaining()
    assert (rest.nodes, rest.unknown) == (2, 0)
    assert 900 < rest.seconds < 1005
    go_on.set()
    run = await job
    assert run.remaining() == Estimate(0.0, 0, 0)


async def test_nodes_of_a_class_that_this_run_has_timed_are_known_in_it():
    begun, go_on = asyncio.Event(), asyncio.Event()

    @nb.node
    async def step(n: int) -> int:
        if n:
            begun.set()
            await go_on.wait()
        return n + 1

    job = step(step(step(0))).graph.start()
    await begun.wait()
    rest = job.run.remaining()
    go_on.set()
    await job
    assert (rest.nodes, rest.unknown) == (2, 0)
