"""Stopping sync nodes: those that notice, those that must be interrupted, and those that are left behind."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.execution import abandon
from comfy_nb.engine.execution.lanes import Lanes, Worker
from comfy_nb.engine.pools.turns import Aging
from tests.engine.signs import PATIENCE_S, Sign, blocker
from tests.engine.support import Calls, reported


@pytest.fixture
def release() -> Iterator[Sign]:
    """A sign that is set at the latest when the test has ended, so that nodes that wait for it go on."""
    sign = Sign()
    yield sign
    sign.set()


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abandon, "GRACE_S", 0.02)


async def test_a_sync_node_stops_at_its_next_progress_report():
    begun, ended = Sign(), Sign()

    @nb.node
    def works(*, progress: nb.Progress) -> int:
        begun.set()
        try:
            while True:
                time.sleep(0.001)
                progress(1, 2)
        finally:
            ended.set()

    job = works().graph.start()
    await begun.seen()
    job.cancel()
    assert (await job).state == "cancelled"
    await ended.seen()


async def test_a_sync_node_that_reports_nothing_is_interrupted_between_bytecodes(short_grace: None):
    begun, ended = Sign(), Sign()

    @nb.node
    def spins() -> int:
        begun.set()
        try:
            while True:
                pass
        except nb.InterruptProcessingException:
            ended.set()
            raise

    job = spins().graph.start()
    await begun.seen()
    job.cancel()
    assert (await job).state == "cancelled"
    await ended.seen()


async def test_a_sync_node_that_hears_nothing_is_left_behind_and_named(short_grace: None, release: Sign):
    begun = Sign()
    handle = blocker(begun, release)
    with pytest.warns(nb.ComfyNBWarning, match=r"blocker \(node 1\) did not stop \(it is in C code\)"):
        job = handle.graph.start()
        await begun.seen()
        job.cancel()
        assert (await job).state == "cancelled"
        pressing = [thread for thread in threading.enumerate() if thread.name == "comfy-nb-stop"]
        assert pressing
        for thread in pressing:
            await asyncio.to_thread(thread.join, PATIENCE_S)


async def test_a_node_that_only_waited_for_the_lane_when_its_run_was_stopped_has_not_begun(release: Sign):
    begun, is_free = Sign(), threading.Event()
    first = blocker(begun, release).start()
    await begun.seen()
    second = nb.nodes.PrimitiveInt(value=7).fresh().graph.start()
    while second.run.loop is None:
        await asyncio.sleep(0)
    second.run.stop()
    release.set()
    nb.default_session().lanes.lane.submit(lambda worker: is_free.set())
    assert is_free.wait(PATIENCE_S)  # the loop, which would end the run, does not turn before
    await asyncio.gather(first, second)
    assert not reported(second.run, events.NodeStarted)


async def test_the_next_run_has_a_lane_of_its_own_at_once(release: Sign):
    begun = Sign()

    @nb.node
    def doubled(value: int) -> int:
        return value * 2

    job = blocker(begun, release).start()
    await begun.seen()
    waiting = doubled(2).start()
    job.cancel()
    with pytest.raises(nb.Stopped):
        await job
    assert (await waiting, await doubled(3)) == (4, 6)
    assert begun.is_set()


async def test_a_late_result_of_a_node_that_was_left_behind_is_ignored(release: Sign):
    calls, begun = Calls(), Sign()

    @nb.node
    def slow() -> int:
        calls["slow"] += 1
        if calls["slow"] == 1:
            begun.set()
            release.wait(PATIENCE_S)
        return calls["slow"]

    handle = slow()
    job = handle.graph.start()
    await begun.seen()
    worker = nb.default_session().lanes.lane.workers[0]
    job.cancel()
    run = await job
    release.set()
    await asyncio.to_thread(worker.thread.join, PATIENCE_S)
    assert run.counts["ran"] == 0 and not reported(run, events.NodeFinished)
    assert await handle == 2


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_what_a_node_returns_though_it_was_stopped_is_not_kept(kind: str):
    calls, begun = Calls(), Sign()

    def work(progress: nb.Progress) -> bool:
        try:
            while calls["work"] == 1:
                progress(1, 2)
                begun.set()
                time.sleep(0.001)
        except nb.InterruptProcessingException:
            return True
        return False

    @nb.node
    def partial(*, progress: nb.Progress) -> str:
        calls["work"] += 1
        return "part" if work(progress) else "whole"

    @nb.node
    async def partial_too() -> str:
        calls["work"] += 1
        begun.set()
        try:
            await asyncio.sleep(60 if calls["work"] == 1 else 0)
        except asyncio.CancelledError:
            return "part"
        return "whole"

    handle = partial() if kind == "sync" else partial_too()
    job = handle.graph.start()
    await begun.seen()
    job.cancel()
    run = await job
    assert (run.state, run.counts["ran"]) == ("cancelled", 0)
    assert await handle == "whole"


async def test_a_node_that_interrupts_stops_its_run():
    @nb.node
    def interrupts() -> int:
        raise nb.InterruptProcessingException

    assert (await interrupts().graph.run()).state == "stopped"
    with pytest.raises(nb.Stopped):
        await interrupts()


TRACER = """
def lock_data(lock):
    lock.acquire()
    for _ in range(20_000):
        pass
    lock.release()
"""


async def test_an_interrupt_does_not_come_in_the_code_of_a_tracer_which_would_keep_its_lock_for_ever():
    globals_of_coverage = {"__name__": "coverage.collector"}
    exec(TRACER, globals_of_coverage)
    lock, begun, ended = threading.Lock(), Sign(), Sign()

    @nb.node(cache="off")
    def is_traced() -> None:
        begun.set()
        try:
            while True:
                globals_of_coverage["lock_data"](lock)
                for _ in range(10_000):
                    pass
        finally:
            ended.set()

    for _ in range(3):
        begun.clear()
        ended.clear()
        job = is_traced().graph.start()
        await begun.seen()
        job.run.stop()
        assert (await job).state == "stopped"
        await ended.seen()
        assert not lock.locked()


def test_an_interrupt_hits_only_the_call_it_was_meant_for():
    lane = Lanes(Aging()).lane
    interrupted: set[int] = set()
    hit: set[int] = set()
    astray: list[int] = []
    enough, over = threading.Event(), threading.Event()

    def count(to: int) -> None:
        for _ in range(to):
            pass

    def work(worker: Worker) -> None:
        for number in itertools.count():
            try:
                worker.call(number, count, {"to": number % 50})
            except nb.InterruptProcessingException:
                hit.add(number)
            try:
                count(20)
            except nb.InterruptProcessingException:
                astray.append(number)
            if enough.is_set():
                break
        over.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        lane.submit(work)
        worker = lane.workers[0]
        for turn in itertools.count():
            token = worker.token
            if turn % 3:
                time.sleep(0)
            if isinstance(token, int) and token not in interrupted and worker.interrupt(token):
                interrupted.add(token)
            if len(interrupted) == 300:
                break
        enough.set()
        assert over.wait(PATIENCE_S)
    finally:
        sys.setswitchinterval(before)
        enough.set()
        lane.close()
    assert hit
    assert not astray
    assert hit <= interrupted


async def test_a_stop_never_hits_the_next_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(abandon, "GRACE_S", 0.0)

    @nb.node(cache="off")
    def short(number: int) -> int:
        for _ in range(2_000):
            pass
        return number

    for number in range(100):
        job = short(number).graph.start()
        for _ in range(number % 10):
            await asyncio.sleep(0)
        job.cancel()
        assert await short(number) == number
        assert (await job).state in ("cancelled", "done")


TRACED_AFTER_A_STRIKE = """
import sys, threading
from comfy_nb.engine.execution.lanes import Lanes
from comfy_nb.engine.pools.turns import Aging
from comfy_nb.errors import InterruptProcessingException

lane, over = Lanes(Aging()).lane, threading.Event()

def work(worker):
    class Late:
        def __call__(self):
            assert worker.interrupt("a call")

    for _ in range(100):
        try:
            worker.call("a call", Late(), {})
        except InterruptProcessingException:
            pass
    over.set()

lane.submit(work)
assert over.wait(30)
sys.settrace(lambda *_: None)
(lambda: None)()
sys.settrace(None)
print("traced")
"""


@pytest.mark.process
def test_code_can_be_traced_after_an_interrupt():
    done = subprocess.run([sys.executable, "-c", TRACED_AFTER_A_STRIKE], capture_output=True, text=True, timeout=60)
    assert done.stdout == "traced\n", done.stderr
