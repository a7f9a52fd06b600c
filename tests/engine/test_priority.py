"""Which runs' nodes go first on the thread of sync nodes: those of higher priority, and what a cell awaits."""

from __future__ import annotations

import asyncio
import math
import threading
import time

import pytest

import comfy_nb as nb
from comfy_nb.engine.session import Session, use_session

calls: list[str] = nb.constant([])
gate = nb.constant(threading.Event())


@nb.node(cache="off")
def priority_notes(who: str, number: int) -> int:
    calls.append(f"{who}{number}")
    time.sleep(0.002)
    return number


@nb.node(cache="off")
def priority_waits(value: int) -> int:
    gate.wait(20.0)
    return value


def graph_of(who: str, count: int) -> nb.Graph:
    graph = nb.Graph()
    for number in range(count):
        graph.add(priority_notes(who, number))
    return graph


@pytest.fixture(autouse=True)
def session():
    calls.clear()
    gate.clear()
    own = Session()
    with use_session(own):
        yield own


async def while_the_lane_is_busy(*runs):
    """Begin these in their order while another node has the lane, let it go, and wait for all."""
    busy = nb.Graph(priority_waits(1)).start()
    await asyncio.sleep(0)
    while busy.run.task.executor is None or not busy.run.task.executor.calling:
        await asyncio.sleep(0.005)
    tasks = []
    for run in runs:
        tasks.append(asyncio.ensure_future(run))
        await asyncio.sleep(0.02)
    gate.set()
    await asyncio.gather(busy, *tasks)


def first(who: str) -> int:
    return next(place for place, call in enumerate(calls) if call.startswith(who))


def last(who: str) -> int:
    return max(place for place, call in enumerate(calls) if call.startswith(who))


async def test_a_run_of_higher_priority_goes_first():
    await while_the_lane_is_busy(graph_of("a", 5).run(priority=-10), graph_of("b", 5).run(priority=10))
    assert last("b") < first("a")


async def test_what_a_cell_awaits_goes_before_the_background():
    async def in_the_background() -> None:
        job = graph_of("a", 5).start()
        while not job.done():
            await asyncio.sleep(0.005)

    await while_the_lane_is_busy(in_the_background(), graph_of("b", 5).run())
    assert last("b") < first("a")


async def test_a_job_that_is_awaited_is_of_the_background_no_more():
    job = graph_of("a", 1).start()
    assert job.run.priority == -1
    await job
    assert job.run.priority == 0
    mine = graph_of("a", 1).start(priority=-1)
    await mine
    assert mine.run.priority == -1


async def test_a_job_that_waits_for_the_thread_goes_by_the_priority_that_it_has_once_it_is_awaited():
    async def awaits(job: nb.Job) -> None:
        await job

    busy = nb.Graph(priority_waits(1)).start()
    while busy.run.task.executor is None or not busy.run.task.executor.calling:
        await asyncio.sleep(0.005)
    job = graph_of("a", 2).start()
    await asyncio.sleep(0.02)
    awaited = asyncio.create_task(awaits(job))
    await asyncio.sleep(0)
    other = asyncio.create_task(graph_of("b", 2).run())
    await asyncio.sleep(0.02)
    gate.set()
    await asyncio.gather(busy, awaited, other)
    assert calls == ["a0", "a1", "b0", "b1"]


async def test_the_runs_of_a_sweep_that_is_awaited_are_of_the_background_no_more(session: Session):
    seen: list[nb.Run] = []
    session.on_run(seen.append)
    await nb.sweep(priority_notes("a", 0), number=range(6))
    assert len(seen) == 6 and {run.priority for run in seen} == {0}
    seen.clear()
    await nb.sweep(priority_notes("a", 0), number=range(6), priority=-10)
    assert len(seen) == 6 and {run.priority for run in seen} == {-10}
    seen.clear()
    in_background = nb.sweep(priority_notes("a", 0), number=range(6))
    while not in_background.done():
        await asyncio.sleep(0.005)
    assert len(seen) == 6 and {run.priority for run in seen} == {-1}


async def test_a_run_that_has_the_lane_gives_it_up_to_one_of_higher_priority_between_two_nodes():
    job = graph_of("a", 200).start()
    while len(calls) < 5:
        await asyncio.sleep(0.001)
    await graph_of("b", 3).run(priority=5)
    seen = len(calls)
    assert seen < 150 and not job.done()
    await job


async def test_runs_of_equal_priority_take_turns():
    await while_the_lane_is_busy(graph_of("a", 40).run(), graph_of("b", 40).run())
    assert first("b") < last("a") and first("a") < last("b")


async def test_one_of_low_priority_is_served_in_the_end(session: Session):
    nb.configure(aging=0.01)
    assert session.aging.seconds == 0.01
    await while_the_lane_is_busy(graph_of("a", 3).run(priority=-3), graph_of("b", 200).run())
    assert first("a") < last("b")


@pytest.mark.parametrize("wrong", [0, -1.0, float("nan"), "1", True])
def test_aging_that_is_no_number_of_seconds_is_refused(wrong):
    with pytest.raises(ValueError, match="aging is .*, but it must be a number of seconds above 0"):
        nb.configure(aging=wrong)


async def test_with_endless_aging_one_of_low_priority_waits_for_all_others():
    nb.configure(aging=math.inf)
    await while_the_lane_is_busy(graph_of("a", 3).run(priority=-3), graph_of("b", 200).run())
    assert last("b") < first("a")


async def test_a_run_inside_a_node_has_the_priority_of_that(session: Session):
    seen = nb.constant([])
    session.on_run(lambda run: seen.append(run.priority))

    @nb.node(priority=2, cache="off")
    async def priority_outer(value: int) -> int:
        return await priority_notes("x", value)

    await nb.Graph(priority_outer(1)).run(priority=3)
    assert seen == [3, 5]


@pytest.mark.parametrize("wrong", ["high", 1.5, True])
async def test_a_priority_that_is_no_whole_number_is_refused(wrong):
    with pytest.raises(nb.GraphError, match="priority is .*, but it must be a whole number"):
        await graph_of("a", 1).run(priority=wrong)
    with pytest.raises(nb.SpecError, match="priority must be a whole number"):
        nb.node(priority=wrong)(lambda: None)


def test_aging_is_long_enough_to_be_counted():
    with pytest.raises(ValueError, match="aging is 5e-324, but it must be 1e-06 seconds or more"):
        nb.configure(aging=5e-324)
