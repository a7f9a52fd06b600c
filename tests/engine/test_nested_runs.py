"""Runs that nodes wait for, on whatever thread they begin them: no run waits for the code that waits for it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import comfy_nb as nb
from comfy_nb.engine.execution import abandon
from tests.engine.signs import PATIENCE_S, Sign, others, sleeper


@nb.node(cache="off")
def nested_sync(value: int) -> int:
    return value + 1


@nb.node(cache="off")
async def nested_async(value: int) -> int:
    return await nested_sync(value)


@nb.node(cache="off", fingerprint=lambda: nested_sync(1).run_sync())
def nested_marked(value: int) -> int:
    return value + 1


def in_a_thread(handle: nb.Handle) -> int:
    values: list[int] = []
    thread = threading.Thread(target=lambda: values.append(handle.run_sync()))
    thread.start()
    thread.join()
    return values[0]


def in_a_pool(handle: nb.Handle) -> int:
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda _: handle.run_sync(), range(3))) // 3


def in_a_pool_that_was_there(handle: nb.Handle) -> int:
    return WARM.submit(handle.run_sync).result()


def on_a_loop_of_its_own(handle: nb.Handle) -> int:
    return asyncio.run(handle.run())


def on_a_loop_in_a_thread(handle: nb.Handle) -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(on_a_loop_of_its_own, handle).result()


def below_an_async_node(handle: nb.Handle) -> int:
    return nested_async(1).run_sync()


def two_levels_down(handle: nb.Handle) -> int:
    @nb.node(cache="off")
    def between() -> int:
        return in_a_pool(handle)

    return in_a_pool(between())


WARM = ThreadPoolExecutor(1)
WARM.submit(str).result()
WAYS = [
    in_a_thread,
    in_a_pool,
    in_a_pool_that_was_there,
    on_a_loop_of_its_own,
    on_a_loop_in_a_thread,
    below_an_async_node,
    two_levels_down,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("script", [False, True])
async def test_a_sync_node_may_wait_for_graphs_of_sync_nodes_in_any_way(way: Callable[[nb.Handle], int], script: bool):
    @nb.node(cache="off")
    def outer() -> int:
        return way(nested_sync(1))

    assert (await asyncio.to_thread(outer().run_sync) if script else await outer()) == 2
    assert not others()


@pytest.mark.parametrize("script", [False, True])
async def test_an_async_node_may_hold_the_loop_while_its_threads_run_graphs(script: bool):
    @nb.node(cache="off")
    async def outer() -> int:
        return in_a_pool(nested_async(1))

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*kept the event loop busy", nb.ComfyNBWarning)
        assert (await asyncio.to_thread(outer().run_sync) if script else await outer()) == 2


async def test_thread_safe_nodes_may_run_graphs_of_their_like_on_all_threads_of_the_pool():
    workers = os.cpu_count() or 1
    all_busy = threading.Barrier(workers)

    @nb.node(cache="off", thread_safe=True)
    def inner(value: int) -> int:
        return value

    @nb.node(cache="off", thread_safe=True)
    def outer(value: int) -> int:
        all_busy.wait(PATIENCE_S)
        return inner(value).run_sync()

    assert await asyncio.gather(*(outer(value).run() for value in range(workers))) == list(range(workers))


async def test_a_fingerprint_may_run_a_graph_with_fingerprints():
    @nb.node(fingerprint=lambda: nested_marked(1).run_sync())
    def outer() -> int:
        return 3

    assert await outer() == 3


async def test_nested_graphs_of_the_threads_of_a_node_take_turns_with_sync_nodes():
    busy = threading.Lock()

    @nb.node(cache="off")
    def alone(value: int) -> bool:
        with_nobody = busy.acquire(blocking=False)
        time.sleep(0.002)
        busy.release()
        return with_nobody

    @nb.node(cache="off")
    def outer() -> bool:
        with ThreadPoolExecutor(4) as pool:
            return all(pool.map(lambda value: alone(value).run_sync(), range(12)))

    assert await outer()


async def test_the_lanes_of_nested_runs_end_with_them():
    @nb.node(cache="off")
    def outer() -> list[threading.Thread]:
        return [in_a_pool(here())]

    @nb.node(cache="off")
    def here() -> int:
        lanes.append(threading.current_thread())
        return 1

    lanes: list[threading.Thread] = []
    await outer()
    for thread in lanes:
        await asyncio.to_thread(thread.join, PATIENCE_S)
        assert not thread.is_alive()


async def test_stopping_a_run_stops_what_the_threads_of_its_node_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(abandon, "GRACE_S", 10 * PATIENCE_S)
    begun, ended, left = Sign(), Sign(), Sign()
    inner = sleeper(begun, ended)

    @nb.node(cache="off")
    def outer() -> int:
        try:
            return in_a_pool(inner)
        finally:
            left.set()

    job = outer().graph.start()
    await begun.seen()
    job.cancel()
    assert (await job).state == "cancelled"
    await left.seen()
    await ended.seen()


async def test_a_run_that_a_node_begins_while_its_own_is_being_stopped_calls_nothing():
    begun, begins, tidies, left, tidy = Sign(), Sign(), Sign(), Sign(), Sign()
    called: list[str] = []

    async def slow_fingerprint() -> int:
        called.append("fingerprint")
        await asyncio.sleep(0.05)
        return 1

    @nb.node(fingerprint=slow_fingerprint)
    async def inner() -> int:
        called.append("inner")
        return 1

    @nb.node(cache="off")
    async def cleans_up() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            tidies.set()
            await tidy.seen()

    @nb.node(cache="off")
    def outer() -> int:
        begun.set()
        begins.wait(PATIENCE_S)
        try:
            return inner().run_sync()
        finally:
            left.set()

    job = nb.Graph(cleans_up(), outer()).start()
    await begun.seen()
    job.run.stop()
    await tidies.seen()
    begins.set()
    await left.seen()
    tidy.set()
    assert (await job).state == "stopped"
    assert (called, nb.default_session().live_runs()) == ([], [])
    assert not others()


@pytest.mark.process
def test_a_loop_goes_on_whose_callbacks_were_called_while_its_first_run_sync_nested():
    script = """
import asyncio
import comfy_nb as nb

@nb.node
def one() -> int: return 1

async def main():
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: print(one().run_sync()))
    loop.call_soon(print, "called")
    await asyncio.sleep(0.1)
    print("went on")

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "called\n1\nwent on\n"), ended.stderr
