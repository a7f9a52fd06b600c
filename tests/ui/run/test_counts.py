"""How many nodes the runs of a cell have between them, and how many a run has of which nobody looked at all."""

from __future__ import annotations

import asyncio

import comfy_nb as nb
from comfy_nb.engine.session import default_session
from comfy_nb.ui.run.counts import SharedNodes
from comfy_nb.ui.run.monitor import monitor_of


@nb.node
async def counted_source(value: float) -> float:
    return value


@nb.node
async def counted_sum(a: float, b: float) -> float:
    return a + b


async def runs_of(*handles) -> list:
    """Await handles side by side, and return their runs."""
    runs: list = []
    stop_listening = default_session().on_run(runs.append)
    await asyncio.gather(*handles)
    stop_listening()
    return runs


async def test_a_node_that_two_runs_share_counts_once():
    nb.cache.clear()
    above = counted_source(1.0)
    runs = await runs_of(counted_sum(above, 1.0), counted_sum(above, 2.0))
    assert SharedNodes().repeated(runs) == 1


async def test_a_node_that_an_earlier_run_had_counts_once():
    nb.cache.clear()
    above = counted_source(2.0)
    shared = SharedNodes()
    added = [shared.add(await runs_of(counted_sum(above, number))) for number in (1.0, 2.0, 2.0)]
    assert added == [0, 1, 2]


async def test_a_node_that_runs_again_counts_again():
    nb.cache.clear()
    shared = SharedNodes()
    added = [shared.add(await runs_of(counted_source(3.0).fresh())) for _ in range(2)]
    assert added == [0, 0]


async def test_too_many_nodes_are_not_compared(monkeypatch):
    monkeypatch.setattr("comfy_nb.ui.run.counts.NODES_MAX", 3)
    above = counted_source(4.0)
    runs = await runs_of(counted_sum(above, 1.0), counted_sum(above, 2.0))
    assert SharedNodes().repeated(runs) == 0


async def test_nodes_above_what_was_found_are_counted_as_cached():
    last = counted_source(5.0)
    for number in range(10):
        last = counted_sum(last, float(number))
    graph = nb.Graph(last)
    first = monitor_of(await graph.run()).snapshot()
    run = await graph.run()
    again = monitor_of(run).snapshot()
    assert (first.total, first.cached) == (11, 0)
    assert (again.total, again.done, again.cached, again.ran) == (11, 11, 11, 0)
    assert again.headline(0.0).startswith("11 nodes from cache")
    assert run.summary().endswith(": 0 ran, 11 from cache.")


async def test_a_graph_that_goes_on_where_it_was_left_counts_all_its_nodes():
    nb.cache.clear()
    half = counted_sum(counted_source(6.0), 1.0)
    await half
    whole = await nb.Graph(counted_sum(half, 2.0)).run()
    snapshot = monitor_of(whole).snapshot()
    assert (snapshot.total, snapshot.cached, snapshot.ran) == (3, 2, 1)
    assert ": 1 ran, 2 from cache." in whole.summary()
