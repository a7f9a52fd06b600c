"""What ends with a stopped run, and what stays (docs/semantics.md, "Stopping")."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine.execution import cancelling
from comfy_nb.engine.execution.lanes import SwitchInterval
from tests.engine.planning.refusals import checking
from tests.engine.signs import PATIENCE_S, Sign, others, sleeper
from tests.engine.support import Calls, Pack, made


async def test_async_calls_beside_a_failed_node_are_cancelled_and_awaited():
    begun, ended = Sign(), Sign()

    @nb.node
    def fails() -> int:
        begun.wait(PATIENCE_S)
        raise ValueError("no")

    with pytest.raises(nb.NodeError, match="no"):
        await nb.Graph(sleeper(begun, ended), fails()).run()
    assert ended.is_set()
    assert not others()


async def test_the_calls_over_a_list_are_cancelled_when_one_fails():
    ended = Calls()

    @nb.node(list_output=True)
    def numbers() -> int:
        return [0, 1, 2]

    @nb.node
    async def each(number: int) -> int:
        if number == 1:
            raise ValueError("one is wrong")
        try:
            await asyncio.sleep(60)
        finally:
            ended["calls"] += 1
        return number

    with pytest.raises(nb.NodeError, match="one is wrong"):
        await each(numbers())
    assert ended["calls"] == 2
    assert not others()


@pytest.mark.parametrize("how", ["stopped", "failed"])
async def test_what_had_finished_stays_cached(how: str):
    calls, begun = Calls(), Sign()

    @nb.node
    def first() -> int:
        calls["first"] += 1
        return 1

    @nb.node
    async def second(value: int) -> int:
        begun.set()
        if how == "failed":
            raise ValueError("no")
        await asyncio.sleep(60)
        return value

    handle = first()
    job = second(handle).graph.start()
    await begun.seen()
    if how == "stopped":
        job.run.stop()
        run = await job
    else:
        with pytest.raises(nb.NodeError) as caught:
            await job
        run = caught.value.run
    assert (run.state, run["1"]) == (how, 1)
    assert await handle == 1
    assert calls["first"] == 1


@pytest.fixture
def usual_interval() -> Iterator[float]:
    """Start from a switch interval that no run sets."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.004)
    yield sys.getswitchinterval()
    sys.setswitchinterval(before)


async def test_the_switch_interval_is_put_back_after_the_last_run(usual_interval: float):
    begun, other_begun = Sign(), Sign()
    first, second = sleeper(begun, Sign()).start(), sleeper(other_begun, Sign()).fresh().start()
    await begun.seen()
    await other_begun.seen()
    assert sys.getswitchinterval() == pytest.approx(SwitchInterval.SECONDS)
    first.cancel()
    with pytest.raises(nb.Stopped):
        await first
    assert sys.getswitchinterval() == pytest.approx(SwitchInterval.SECONDS)
    second.cancel()
    with pytest.raises(nb.Stopped):
        await second
    assert sys.getswitchinterval() == usual_interval


async def test_an_async_node_that_swallows_its_cancellation_is_asked_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cancelling, "ASK_AGAIN_S", 0.02)
    begun, asked = Sign(), Calls()

    @nb.node
    async def stubborn() -> int:
        begun.set()
        while asked["times"] < 3:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                asked["times"] += 1
        return 1

    job = stubborn().graph.start()
    await begun.seen()
    job.cancel()
    assert (await job).state == "cancelled"
    assert asked["times"] == 3
    assert not others()


async def test_an_async_node_that_never_gives_in_is_left_behind_and_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cancelling, "ASK_AGAIN_S", 0.02)
    monkeypatch.setattr(cancelling, "GIVE_UP_S", 0.1)
    begun, finish = Sign(), asyncio.Event()

    @nb.node
    async def stubborn() -> int:
        begun.set()
        while not finish.is_set():
            try:
                await finish.wait()
            except asyncio.CancelledError:
                continue
        return 1

    job = stubborn().graph.start()
    await begun.seen()
    job.cancel()
    with pytest.warns(
        nb.ComfyNBWarning, match=r"stubborn \(node 1\) did not stop \(it swallows its cancellation\); it was abandoned"
    ) as caught:
        assert (await job).state == "cancelled"
    assert caught[0].filename == __file__
    finish.set()
    await asyncio.gather(*others())


@pytest.mark.parametrize("how", ["stopped", "cancelled"])
async def test_a_validation_that_swallows_its_cancellation_does_not_keep_the_run(
    how: str, pack: Pack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cancelling, "ASK_AGAIN_S", 0.02)
    monkeypatch.setattr(cancelling, "GIVE_UP_S", 0.1)
    begun, finish, runs = Sign(), asyncio.Event(), []

    async def validate(cls: Any, a: Any) -> bool:
        begun.set()
        while not finish.is_set():
            try:
                await finish.wait()
            except asyncio.CancelledError:
                continue
        return True

    checking(pack, classmethod(validate))
    nb.default_session().on_run(runs.append)
    task = asyncio.create_task(pack.graph({"1": made("Checked", a=1, b=2)}).run())
    await begun.seen()
    with pytest.warns(nb.ComfyNBWarning, match=r"validate did not stop \(it swallows its cancellation\)"):
        if how == "cancelled":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            runs[0].stop()
            assert await task is runs[0]
    assert runs[0].state == how
    finish.set()
    await asyncio.gather(*others())
    assert runs[0].counts == {}


@pytest.mark.parametrize("how", ["stopped", "failed"])
async def test_runs_beside_an_inner_one_that_ended_the_node_end_with_it(how: str):
    begun, beside, ended, inner = Sign(), Sign(), Sign(), []

    @nb.node
    async def first() -> int:
        begun.set()
        await beside.seen()
        if how == "failed":
            raise ValueError("no")
        inner[0].stop()
        await asyncio.sleep(60)
        return 1

    @nb.node
    async def both() -> int:
        nb.default_session().on_run(inner.append)
        return sum(await asyncio.gather(first().run(), sleeper(beside, ended).run()))

    with pytest.raises(nb.NodeError):
        await both()
    assert [run.state for run in inner] == [how, "cancelled"]
    assert await asyncio.to_thread(ended.wait, PATIENCE_S)
    assert begun.is_set() and not others()


async def test_what_a_stopped_async_node_held_is_let_go_without_the_collector():
    held: list[weakref.ref] = []
    is_there = asyncio.Event()

    @nb.node(cache="off")
    async def holds() -> int:
        value = torch.zeros(8)
        held.append(weakref.ref(value))
        is_there.set()
        await asyncio.sleep(60)
        return len(value)

    job = holds().start()
    await is_there.wait()
    gc.disable()
    try:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        del job
        for _ in range(5):
            await asyncio.sleep(0)
        assert held[0]() is None
    finally:
        gc.enable()
