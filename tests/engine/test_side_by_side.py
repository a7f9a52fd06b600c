"""What goes on at the same time: nested runs, runs that share a lane, sync beside async nodes, gradients."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine.execution import executor
from tests.engine.signs import PATIENCE_S, Sign, others, sleeper


@pytest.mark.parametrize("thread_safe", [False, True])
async def test_a_sync_node_may_run_graphs_itself(thread_safe: bool):
    @nb.node
    def plain(value: int) -> int:
        return value + 1

    @nb.node
    async def waits(value: int) -> int:
        await asyncio.sleep(0.001)
        return value * 10

    @nb.node(thread_safe=thread_safe)
    def outer(value: int) -> int:
        return waits(plain(value)).run_sync()

    assert await outer(outer(1)) == 210
    assert not others()


async def test_stopping_a_run_stops_what_its_node_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(executor, "GRACE_S", 10 * PATIENCE_S)
    begun, ended, left = Sign(), Sign(), Sign()
    inner = sleeper(begun, ended)

    @nb.node(cache="off")
    def outer() -> int:
        try:
            return inner.run_sync()
        finally:
            left.set()

    job = outer().graph.start()
    await begun.seen()
    job.cancel()
    assert (await job).state == "cancelled"
    await left.seen()
    await ended.seen()
    if nested := others():
        assert not (await asyncio.wait(nested, timeout=PATIENCE_S))[1]


async def test_two_runs_share_the_lane_fairly():
    order: list[str] = []

    @nb.node(cache="off")
    def step(name: str, above: int) -> int:
        time.sleep(0.005)
        order.append(name)
        return above + 1

    def chain(name: str) -> nb.Handle:
        handle = step(name, 0)
        for _ in range(19):
            handle = step(name, handle)
        return handle

    assert await asyncio.gather(chain("a").run(), chain("b").run()) == [20, 20]
    assert order.index("b") < 12
    assert sum(one != other for one, other in itertools.pairwise(order)) >= 4


async def test_an_async_result_starts_the_next_async_node_though_the_lane_is_blocked():
    begun, reached = Sign(), Sign()

    @nb.node
    def blocks() -> bool:
        begun.set()
        return reached.wait(PATIENCE_S)

    @nb.node
    async def first() -> int:
        await begun.seen()
        return 1

    @nb.node
    async def second(value: int) -> int:
        reached.set()
        return value

    run = await nb.Graph(blocks(), second(first())).run()
    assert [run[node_id] for node_id in run.wanted] == [True, 1]


@pytest.mark.parametrize("order", [("sync", "async"), ("async", "sync")])
async def test_a_sync_and_an_async_node_overlap_in_either_order(order: tuple[str, str]):
    sync_begun, async_begun = Sign(), Sign()

    @nb.node
    def blocks() -> bool:
        sync_begun.set()
        return async_begun.wait(PATIENCE_S)

    @nb.node
    async def waits() -> bool:
        async_begun.set()
        await sync_begun.seen()
        return True

    made = {"sync": blocks(), "async": waits()}
    run = await nb.Graph(*(made[kind] for kind in order)).run()
    assert [run[node_id] for node_id in run.wanted] == [True, True]


async def test_async_nodes_have_no_gradients_and_what_runs_beside_them_has():
    inside: list[bool] = []
    beside: list[bool] = []

    @nb.node(cache="off")
    async def steps() -> int:
        for _ in range(20):
            inside.append(torch.is_grad_enabled())
            await asyncio.sleep(0)
        return 1

    @nb.node(cache="off", grad=True)
    async def trains() -> bool:
        await asyncio.sleep(0)
        return torch.is_grad_enabled()

    async def watch() -> None:
        while len(inside) < 20:
            beside.append(torch.is_grad_enabled())
            await asyncio.sleep(0)

    _, _, trained = await asyncio.gather(steps().run(), watch(), trains().run())
    assert (set(inside), set(beside), trained) == ({False}, {True}, True)
    assert len(beside) > 3 and torch.is_grad_enabled()


async def test_a_stopped_async_node_does_not_leave_gradients_off():
    begun = Sign()
    job = sleeper(begun, Sign()).start()
    await begun.seen()
    job.cancel()
    with pytest.raises(nb.Stopped):
        await job
    assert torch.is_grad_enabled()
