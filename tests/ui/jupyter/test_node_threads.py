"""What the threads and thread pools of nodes print and report while their run is shown."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest
import tqdm

import comfy_nb as nb
from comfy_nb.engine.events import NodeProgress
from comfy_nb.engine.execution.node_threads import NodeThreads
from comfy_nb.engine.node_api.context import EndedRun, current_call
from comfy_nb.ui.jupyter.capture import capture
from tests.ui.jupyter.captured import logged, progress_of, shown


def in_a_thread(say: Callable[[], None]) -> None:
    thread = threading.Thread(target=say)
    thread.start()
    thread.join()


def in_a_thread_of_a_thread(say: Callable[[], None]) -> None:
    in_a_thread(lambda: in_a_thread(say))


def in_a_subclass(say: Callable[[], None]) -> None:
    class Speaker(threading.Thread):
        def run(self) -> None:
            say()

    speaker = Speaker()
    speaker.start()
    speaker.join()
    assert "run" not in vars(speaker)


def in_a_pool(say: Callable[[], None]) -> None:
    with ThreadPoolExecutor(2) as pool:
        pool.submit(say).result()


def in_a_pool_that_was_there(say: Callable[[], None]) -> None:
    WARM.submit(say).result()


def by_map(say: Callable[[], None]) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: say(), [1]))


def in_the_pool_of_multiprocessing(say: Callable[[], None]) -> None:
    with ThreadPool(2) as pool:
        pool.apply(say)


WARM = ThreadPoolExecutor(1)
WARM.submit(str).result()
WAYS = [
    in_a_thread,
    in_a_thread_of_a_thread,
    in_a_subclass,
    in_a_pool,
    in_a_pool_that_was_there,
    by_map,
    in_the_pool_of_multiprocessing,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_the_threads_of_a_node_print_log_and_report_to_its_row(console, way):
    log = logging.getLogger("tests.threads")
    handler = logging.StreamHandler(sys.stderr)
    log.addHandler(handler)

    def say() -> None:
        print("from a thread")
        log.warning("logged")
        bar = nb.ProgressBar(4)
        bar.update(3)

    @nb.node(cache="off")
    def threaded() -> int:
        way(say)
        return 1

    try:
        events = await shown(threaded())
    finally:
        log.removeHandler(handler)
    assert console.getvalue() == ""
    assert logged(events) == "from a thread\nlogged\n"
    assert [(event.value, event.total) for event in events if isinstance(event, NodeProgress)] == [(3, 4)]


async def test_so_does_what_an_async_node_runs_in_the_pool_of_the_loop(console):
    @nb.node(cache="off")
    async def threaded() -> int:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, print, "from the pool")
        return 1

    events = await shown(threaded())
    assert console.getvalue() == "" and logged(events) == "from the pool\n"
    await asyncio.get_running_loop().run_in_executor(None, print, "not from a node")
    assert console.getvalue() == "not from a node\n"


async def test_a_pool_of_multiprocessing_that_was_there_prints_as_usual(console):
    with ThreadPool(1) as pool:

        @nb.node(cache="off")
        def threaded() -> int:
            pool.apply(print, ("nobody's",))
            return 1

        assert logged(await shown(threaded())) == ""
    assert console.getvalue() == "nobody's\n"


async def test_a_tqdm_in_a_thread_is_the_nodes_bar_too(console):
    @nb.node(cache="off")
    def threaded() -> int:
        in_a_thread(lambda: list(tqdm.tqdm(range(5), mininterval=0)))
        return 1

    assert progress_of(await shown(threaded()))[-1] == (5, 5)
    assert console.getvalue() == ""


async def test_of_a_bar_and_those_of_its_threads_the_outer_one_counts(console):
    @nb.node(cache="off")
    def threaded() -> int:
        for _ in tqdm.tqdm(range(2), mininterval=0):
            in_a_thread(lambda: list(tqdm.tqdm(range(50), mininterval=0)))
        return 1

    assert {total for _, total in progress_of(await shown(threaded()))} == {2}


async def test_a_thread_that_outlives_its_run_prints_as_usual_and_keeps_nothing_of_it(console):
    ended, runs = threading.Event(), []

    @nb.node(cache="off")
    def threaded() -> int:
        def lives_on() -> None:
            ended.wait()
            runs.append(current_call.get().run)
            print("still here")

        threads.append(threading.Thread(target=lives_on))
        threads[0].start()
        return 1

    threads: list[threading.Thread] = []
    assert logged(await shown(threaded())) == ""
    ended.set()
    threads[0].join()
    assert console.getvalue() == "still here\n"
    assert type(runs[0]) is EndedRun


async def test_a_thread_that_cannot_start_is_left_as_it_was(console):
    @nb.node(cache="off")
    def threaded() -> bool:
        thread = threading.Thread(target=str)
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        return "run" in vars(thread)

    job = threaded().start()
    capture.start(job.run)
    try:
        assert await job is False
    finally:
        capture.stop(job.run)


def test_threads_and_pools_are_put_back():
    before = threading.Thread.start, ThreadPoolExecutor.submit
    with NodeThreads():
        assert (threading.Thread.start, ThreadPoolExecutor.submit) != before
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before
