"""What code has of pools: what it awaits needs no places for itself; what it only begins does."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import comfy_nb as nb
from comfy_nb.engine.pools.fair_queue import Demand
from comfy_nb.engine.session import Session

POOL = "held-desk"


@nb.node(uses=POOL)
async def held_async(value: int) -> int:
    return value


@nb.node(uses=POOL)
def held_plain(value: int) -> int:
    return value


@nb.node
async def held_nothing(value: int) -> int:
    return await held_async(value)


@nb.node
async def held_block(value: int) -> int:
    async with nb.pool("held-desk"):
        return value


@nb.node
def held_block_plain(value: int) -> int:
    with nb.pool("held-desk"):
        return held_plain(value).run_sync()


NODES = pytest.mark.parametrize("node", [held_async, held_plain, held_nothing, held_block, held_block_plain])


async def waiting(session: Session) -> None:
    while not session.pools.states()[0].waiting:
        await asyncio.sleep(0.005)


@NODES
async def test_a_job_that_is_begun_where_places_are_held_waits_for_its_own(session: Session, node):
    async with nb.pool("held-desk"):
        job = node(1).start()
        await waiting(session)
        assert not job.done()
    assert await job == 1


@NODES
async def test_a_job_that_is_awaited_where_places_are_held_needs_none(session: Session, node):
    async with nb.pool("held-desk"):
        job = node(1).start()
        await waiting(session)
        assert await asyncio.wait_for(job, 10.0) == 1
        assert await asyncio.wait_for(node(2).start(), 10.0) == 2
    assert session.pools.states()[0].in_use == 0


async def test_a_sweep_that_is_awaited_where_places_are_held_needs_none():
    async with nb.pool("held-desk"):
        swept = await asyncio.wait_for(nb.sweep(held_plain(0), value=range(3)), 20.0)
    assert [cell.value for cell in swept.cells.values()] == [0, 1, 2]


@NODES
async def test_a_job_that_a_node_began_waits_for_places_of_its_own(session: Session, node):
    jobs = nb.constant([])

    @nb.node(uses=POOL)
    async def held_begins(value: int) -> int:
        jobs.append(node(value).start())
        await waiting(session)
        return value

    assert await asyncio.wait_for(held_begins(1).run(), 10.0) == 1
    assert await asyncio.wait_for(jobs[0], 10.0) == 1


async def test_a_task_that_outlives_the_block_it_was_begun_in_waits_like_others(session: Session):
    begin = asyncio.Event()

    async def later() -> int:
        await begin.wait()
        return await held_async(1)

    async with nb.pool("held-desk"):
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    async with nb.pool("held-desk"):
        begin.set()
        await asyncio.create_task(waiting(session))
        assert not task.done()
    assert await task == 1


def in_a_thread(value: int) -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(held_plain(value).run_sync()))
    thread.start()
    thread.join()
    return found[0]


def in_a_pool_of_threads(value: int) -> int:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: held_plain(value).run_sync()).result()


@pytest.mark.parametrize("awaits", [in_a_thread, in_a_pool_of_threads])
async def test_a_thread_of_a_node_has_what_the_node_has(awaits):
    @nb.node(uses=POOL)
    def held_in_thread(value: int) -> int:
        return awaits(value)

    assert await asyncio.wait_for(held_in_thread(3).run(), 10.0) == 3


async def test_a_block_in_a_thread_waits_until_a_place_is_given_back(session: Session):
    entered = threading.Event()

    def enter() -> None:
        with nb.pool("held-desk"):
            entered.set()

    task = asyncio.create_task(asyncio.to_thread(enter))
    somebody = Demand((("held-desk", 1),), lambda: None, source="somebody")
    session.pools.ask(somebody)
    await waiting(session)
    assert not entered.is_set()
    session.pools.withdraw(somebody)
    await asyncio.wait_for(task, 10.0)
    assert entered.is_set() and session.pools.states()[0].in_use == 0


async def test_a_block_in_a_cell_that_would_keep_the_loop_is_refused(session: Session):
    async def other() -> None:
        with pytest.raises(nb.GraphError, match="All places of the pool 'held-desk' are taken.*Use `async with`"), pool:
            pass

    async with (pool := nb.pool("held-desk")):
        await asyncio.get_running_loop().create_task(other(), context=contextvars.Context())
    assert session.pools.states()[0].waiting == ()
