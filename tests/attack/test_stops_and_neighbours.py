"""Stopped, cancelled and abandoned runs do no harm to the runs beside or after them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine.execution.lanes import Lane
from tests.engine.support import Outside, Pack, made


async def test_a_stop_while_the_lane_moves_on_to_another_run_does_not_touch_that_run(
    pack: Pack, session: nb.Session, monkeypatch: pytest.MonkeyPatch
):
    """The node has just ended when its run is stopped: its worker may have begun a node of another run."""
    world = Outside(first=threading.Event(), second=threading.Event(), go=threading.Event(), retired=threading.Event())

    def wait_first() -> tuple[int]:
        world.first.set()
        world.go.wait(5)
        return (1,)

    def wait_second() -> tuple[int]:
        world.second.set()
        world.retired.wait(5)
        return (2,)

    def after(n: int) -> tuple[int]:
        return (n + 1,)

    pack.node("First", lambda self: wait_first(), {}, ("INT",))
    pack.node("Second", lambda self: wait_second(), {}, ("INT",))
    pack.node("After", lambda self, n: after(n), {"n": ("INT",)}, ("INT",))
    retire = Lane.retire

    def retire_late(lane: Lane, worker: Any) -> None:
        world.go.set()
        while worker.thread.is_alive() and not world.second.wait(0.01):
            pass
        retire(lane, worker)
        world.retired.set()

    monkeypatch.setattr(Lane, "retire", retire_late)
    stopped = pack.graph({"1": made("First")}).start()
    beside = pack.graph({"1": made("Second"), "2": made("After", n=["1", 0])}).start()
    await asyncio.to_thread(world.first.wait, 5)
    stopped.cancel()
    assert (await asyncio.wait_for(stopped, 5)).state == "cancelled"
    run = await asyncio.wait_for(beside, 5)
    assert (run.state, run["2"]) == ("done", 3)


async def test_a_job_that_is_cancelled_before_its_first_step_releases_its_plan(pack: Pack):
    pack.node("One", lambda self: (1,), {}, ("INT",))
    graph = pack.graph({"1": made("One")})
    job = graph.start()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (job.run.state, job.run.plan.users) == ("cancelled", 0)


async def test_results_that_nothing_waits_for_are_subject_to_the_budget(pack: Pack):
    living: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = Outside(count=0)

    def grow(x: Any) -> tuple[torch.Tensor]:
        made_now = torch.zeros(1 << 18) + x.sum()
        living.add(made_now)
        most.count = max(most.count, len(living))
        return (made_now,)

    pack.node("Start", lambda self: (torch.ones(3),), {}, ("T",))
    pack.node("Grow", lambda self, x: grow(x), {"x": ("T",)}, ("T",))
    prompt = {"0": made("Start")} | {str(n): made("Grow", x=[str(n - 1), 0]) for n in range(1, 40)}
    with nb.use_session(nb.Session(budget=4 << 20)):
        await pack.graph(prompt).run()
    assert most.count <= 8


def test_the_threads_of_a_session_end_with_it(pack: Pack):
    pack.node("One", lambda self: (threading.current_thread(),), {}, ("*",))
    session = nb.Session(budget=1 << 20)
    with nb.use_session(session):
        thread = pack.graph({"1": made("One")}).run_sync()["1"]
    assert thread.is_alive()
    gone = weakref.ref(session)
    del session
    for _ in range(100):
        gc.collect()
        thread.join(0.05)
        if gone() is None and not thread.is_alive():
            break
    assert gone() is None
    assert not thread.is_alive()
