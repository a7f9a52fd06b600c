"""Pools that all kernels of a machine share, by locked files."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import comfy_nb as nb
from comfy_nb.engine.pools.capacity import Capacity, SharedPlaces
from comfy_nb.engine.pools.fair_queue import Demand, FairQueue
from comfy_nb.engine.pools.turns import Aging, Turns
from comfy_nb.engine.session import Session, use_session

PATIENCE_S = 60.0
numbers = itertools.count()

HOLDER = """
import asyncio, sys
import comfy_nb as nb

@nb.node(uses={NAME: COUNT})
async def holds(value: int) -> int:
    print("holds", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    return value

async def main():
    nb.pool(NAME, SIZE, shared=True)
    print("begun", flush=True)
    await holds(1)
    print("gave back", flush=True)
    await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.fixture
def name() -> str:
    return f"shared-test-{os.getpid()}-{next(numbers)}"


class Other:
    """Another process, whose node takes places of a shared pool and holds them until it is told to go on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    async def says(self, words: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert (await asyncio.to_thread(self.process.stdout.readline)).strip() == words

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def another_process(name: str, size: int, count: int = 1) -> Iterator[Other]:
    code = HOLDER.replace("NAME", repr(name)).replace("SIZE", str(size)).replace("COUNT", str(count))
    piped = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdin=piped, stdout=piped, text=True)
    with process:
        try:
            yield Other(process)
        finally:
            process.kill()


async def begun(pool: nb.Pool) -> None:
    """Wait until somebody here waits for the pool."""
    async with asyncio.timeout(PATIENCE_S):
        while not pool.state.waiting:
            await asyncio.sleep(0.005)


async def enter(pool: nb.Pool) -> None:
    async with pool:
        pass


async def waits_behind(other: Other, pool: nb.Pool) -> asyncio.Task[None]:
    """Begin to wait for a place of the pool that another process holds."""
    await other.says("begun")
    await other.says("holds")
    task = asyncio.create_task(enter(pool))
    await begun(pool)
    return task


def test_places_are_taken_all_or_none_and_given_back(tmp_path):
    one, other = SharedPlaces("gpu", tmp_path), SharedPlaces("gpu", tmp_path)
    assert one.take(2, 3) and not other.take(2, 3) and other.take(1, 3) and not other.take(1, 3)
    one.keep(1)
    assert other.take(1, 3) and not one.take(1, 3)
    other.keep(0)
    one.keep(0)
    assert one.take(3, 3)
    one.keep(0)


def test_sessions_of_one_process_share_it_too(name: str):
    async def main() -> None:
        one, other = Session(), Session()
        for session in (one, other):
            session.pools.define(name, 1, None, True)
        with use_session(one):
            first = nb.pool(name)
        with use_session(other):
            second = nb.pool(name)
        async with first:
            task = asyncio.get_running_loop().create_task(enter(second), context=contextvars.Context())
            await begun(second)
        async with asyncio.timeout(PATIENCE_S):
            await task

    asyncio.run(main())


@pytest.mark.process
async def test_a_node_waits_for_the_place_of_another_process_until_that_gives_it_back(name: str):
    pool = nb.pool(name, 1, shared=True)
    with another_process(name, 1) as other:
        task = await waits_behind(other, pool)
        assert not task.done()
        other.go_on()
        await other.says("gave back")
        async with asyncio.timeout(PATIENCE_S):
            await task


@pytest.mark.process
async def test_the_place_of_a_process_that_was_killed_is_free(name: str):
    pool = nb.pool(name, 1, shared=True)
    with another_process(name, 1) as other:
        task = await waits_behind(other, pool)
        other.process.send_signal(signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            await task


@pytest.mark.process
async def test_another_process_waits_for_the_place_of_this_one(name: str):
    pool = nb.pool(name, 3, shared=True)
    with another_process(name, 3, count=3) as other:
        async with pool:
            await other.says("begun")
            said = asyncio.create_task(other.says("holds"))
            done, _ = await asyncio.wait([said], timeout=0.5)
            assert not done
        await said


def test_a_pool_that_was_made_larger_keeps_the_files_of_those_who_are_left(name: str):
    pool, other = Capacity(2, None, SharedPlaces(name)), SharedPlaces(name)
    assert pool.take(5, 0.0), "who needs more than there are since it was made smaller has all"
    pool.size = 6
    assert pool.take(1, 0.0)
    pool.give_back(5)
    assert not other.take(6, 6), "one place is in use"
    pool.give_back(1)
    assert other.take(6, 6)
    other.keep(0)


def test_a_pool_cannot_be_shared_where_no_file_can_be_locked(name: str, tmp_path: Path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(nb.GraphError, match="cannot be shared, since no file can be locked in .*file"):
        nb.pool(name, 1, shared=True)


def test_a_folder_that_is_gone_meanwhile_takes_no_other_places_and_is_waited_for(name: str, tmp_path: Path):
    (tmp_path / "file").touch()
    limits = {"here": Capacity(1, None, None), name: Capacity(1, None, SharedPlaces(name, tmp_path / "file"))}
    queue = FairQueue(limits, Turns(Aging()))
    queue.ask(Demand((("here", 1), (name, 1)), lambda: None, source="a"), 0.0)
    with pytest.warns(nb.ComfyNBWarning, match=f"Places of the pool '{name}' are waited for: "):
        served, again_at = queue.serve(0.0)
    assert served == [] and again_at is not None
    assert limits["here"].in_use == 0
    (tmp_path / "file").unlink()
    (served,), _ = queue.serve(again_at)
    queue.withdraw(served)
