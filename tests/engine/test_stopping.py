"""Stopping a run: who may, what ends at once, what stays, and what no run may leave behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine import drive, events
from comfy_nb.engine.lanes import Lane, SwitchInterval, Worker
from tests.engine.support import Calls, reported

PATIENCE_S = 20.0
"""What a test waits at most for something that comes at once when all is well."""


class Sign(threading.Event):
    """What a node and its test tell each other by. To the code of a node it is always the same."""

    def __comfy_nb_code__(self) -> bytes:
        return b"sign"

    async def seen(self) -> None:
        """Until it is set, without keeping the loop."""
        assert await asyncio.to_thread(self.wait, PATIENCE_S), "the sign was not given"


@pytest.fixture
def release() -> Iterator[Sign]:
    """Nodes that wait for it go on when the test has ended at the latest."""
    sign = Sign()
    yield sign
    sign.set()


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "GRACE_S", 0.02)


def others() -> set[asyncio.Task[object]]:
    """The tasks of the loop beside this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def sleeper(begun: Sign, ended: Sign) -> nb.Handle:
    """A node that sleeps long, and says when it begins and ends."""

    @nb.node
    async def sleeper() -> int:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.set()
        return 1

    return sleeper()


def blocker(begun: Sign, release: Sign, value: int = 1) -> nb.Handle:
    """A sync node that hears nothing until it is released."""

    @nb.node
    def blocker(value: int) -> int:
        begun.set()
        release.wait(PATIENCE_S)
        return value

    return blocker(value)


# Who stops a run ---------------------------------------------------------------------------------------------------


async def test_a_cancelled_job_gives_its_run_and_leaves_no_task():
    begun, ended = Sign(), Sign()
    job = sleeper(begun, ended).graph.start()
    await begun.seen()
    job.cancel()
    run = await job
    assert (run.state, job.done(), ended.is_set()) == ("cancelled", True, True)
    assert not others()


async def test_a_job_cancelled_before_it_began_gives_its_run_too():
    job = sleeper(Sign(), Sign()).graph.start()
    job.cancel()
    assert (await job).state == "cancelled"
    assert not others()


async def test_the_value_of_a_cancelled_job_is_stopped():
    begun = Sign()
    job = sleeper(begun, Sign()).start()
    await begun.seen()
    job.cancel()
    with pytest.raises(nb.Stopped, match="cancelled before node 1") as caught:
        await job
    assert caught.value.run is job.run
    assert caught.value._render_traceback_() == [f"Stopped: {caught.value}"]


async def test_stop_all_stops_the_runs_of_the_session_and_no_others():
    signs = [(Sign(), Sign()) for _ in range(3)]
    jobs = [sleeper(*pair).fresh().graph.start() for pair in signs[:2]]
    with nb.use_session(nb.Session()):
        apart = sleeper(*signs[2]).graph.start()
    for begun, _ in signs:
        await begun.seen()
    assert nb.stop_all() == 2
    assert [(await job).state for job in jobs] == ["stopped", "stopped"]
    assert not apart.done()
    apart.cancel()
    await apart
    assert nb.stop_all() == 0


async def test_a_run_is_stopped_from_another_thread():
    begun, ended = Sign(), Sign()
    graph = sleeper(begun, ended).graph
    runs: list[nb.Run] = []
    nb.default_session().on_run(runs.append)

    def stop() -> None:
        begun.wait(PATIENCE_S)
        runs[0].stop()

    helper = asyncio.create_task(asyncio.to_thread(stop))
    run = await graph.run()
    assert (run.state, ended.is_set()) == ("stopped", True)
    await helper
    assert not others()


async def test_stopping_one_run_leaves_the_others(release: Sign):
    begun, other_begun, finish = Sign(), Sign(), asyncio.Event()

    @nb.node(cache="off")
    async def other() -> str:
        other_begun.set()
        await finish.wait()
        return "went on"

    first, second = sleeper(begun, Sign()).start(), other().start()
    await begun.seen()
    await other_begun.seen()
    first.cancel()
    with pytest.raises(nb.Stopped):
        await first
    finish.set()
    assert await second == "went on"


async def test_a_run_whose_preparation_hangs_is_stopped(release: Sign):
    begun = Sign()

    def slow_fingerprint() -> int:
        begun.set()
        release.wait(PATIENCE_S)
        return 1

    @nb.node(fingerprint=slow_fingerprint)
    def marked() -> int:
        return 1

    @nb.node(fingerprint=lambda: 2)
    def quick() -> int:
        return 2

    job = marked().graph.start()
    await begun.seen()
    job.cancel()
    assert (await job).state == "cancelled"
    assert await quick() == 2
    assert not release.is_set()


SCRIPT = """
import asyncio, threading, time
import comfy_nb as nb

@nb.node
async def sleeper() -> int:
    print("begun", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)

@nb.node
def worker(*, progress: nb.Progress) -> int:
    print("begun", flush=True)
    while True:
        time.sleep(0.005)
        progress(1, 2)

@nb.node
def one() -> int:
    return 1

async def main():
    run = await sleeper().graph.run()
    print("state", run.state)
    print("then", await one())
"""


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("sleeper().run_sync()", ["cleaned up", "Stopped by Ctrl-C.", "then 1"]),
        ("worker().graph.run_sync()", ["Stopped by Ctrl-C.", "then 1"]),
    ],
)
def test_ctrl_c_in_a_script_ends_run_sync_with_stopped(call: str, shown: list[str]):
    code = f"{SCRIPT}\ntry:\n    {call}\nexcept nb.Stopped as stopped:\n    print(stopped)\nprint('then', one().run_sync())"
    assert interrupted_script(code) == shown


def test_ctrl_c_under_asyncio_run_stops_the_awaited_run():
    assert interrupted_script(SCRIPT + "\nasyncio.run(main())") == ["cleaned up", "state stopped", "then 1"]


def interrupted_script(code: str) -> list[str]:
    """Run a script, interrupt it when it says "begun", and return the lines it printed then."""
    script = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert script.stdout is not None
    assert script.stdout.readline() == "begun\n"
    script.send_signal(signal.SIGINT)
    out, err = script.communicate(timeout=PATIENCE_S)
    assert script.returncode == 0, err
    return out.splitlines()


# Every other cancellation passes on --------------------------------------------------------------------------------


async def test_a_timeout_around_a_run_is_a_timeout():
    for _ in range(2):
        ended = Sign()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await sleeper(Sign(), ended)
        assert ended.is_set()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sleeper(Sign(), Sign()).graph.run(), 0.05)
    assert not others()


async def test_a_cancelled_task_is_cancelled_when_its_run_has_ended():
    begun, ended = Sign(), Sign()
    task = asyncio.create_task(sleeper(begun, ended).run())
    await begun.seen()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled() and ended.is_set()
    assert not others()


async def test_a_task_group_cancels_the_runs_beside_a_failed_one():
    begun, ended = Sign(), Sign()

    @nb.node
    async def fails() -> int:
        await begun.seen()
        raise ValueError("no")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper(begun, ended).run())
            group.create_task(fails().run())
    assert [type(error) for error in caught.value.exceptions] == [nb.NodeError]
    assert ended.is_set()
    assert not others()


async def test_a_cancelled_await_of_a_job_leaves_the_job():
    begun = Sign()
    job = sleeper(begun, Sign()).start()
    await begun.seen()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(job, 0.01)
    assert not job.done() and job.run.state == "running"
    job.cancel()
    with pytest.raises(nb.Stopped):
        await job


# What ends with a run, and what stays ------------------------------------------------------------------------------


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


async def test_the_switch_interval_is_put_back_after_the_last_run():
    before = sys.getswitchinterval()
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
    assert sys.getswitchinterval() == before


async def test_an_async_node_that_swallows_its_cancellation_is_asked_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drive, "ASK_AGAIN_S", 0.02)
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
    monkeypatch.setattr(drive, "ASK_AGAIN_S", 0.02)
    monkeypatch.setattr(drive, "GIVE_UP_S", 0.1)
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
    with pytest.warns(nb.ComfyNBWarning, match=r"stubborn \(node 1\) swallows its cancellation; it was left behind"):
        assert (await job).state == "cancelled"
    finish.set()
    await asyncio.gather(*others())


# Sync nodes --------------------------------------------------------------------------------------------------------


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
    with pytest.warns(nb.ComfyNBWarning, match=r"blocker \(node 1\) sits in code that cannot be interrupted"):
        job = handle.graph.start()
        await begun.seen()
        job.cancel()
        assert (await job).state == "cancelled"
        pressing = [thread for thread in threading.enumerate() if thread.name == "comfy-nb-stop"]
        assert pressing
        for thread in pressing:
            await asyncio.to_thread(thread.join, PATIENCE_S)


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
    assert not release.is_set()


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
    worker = nb.default_session().lane.workers[0]
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


def test_an_interrupt_hits_only_the_call_it_was_meant_for():
    lane = Lane("hammer")
    struck: set[object] = set()
    hit: set[object] = set()
    astray: list[object] = []
    over = threading.Event()

    def count(to: int) -> None:
        for _ in range(to):
            pass

    def work(worker: Worker) -> None:
        for number in range(20_000):
            try:
                worker.call(number, count, {"to": number % 50})
            except nb.InterruptProcessingException:
                hit.add(number)
            try:
                count(20)
            except nb.InterruptProcessingException:
                astray.append(number)
        over.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        lane.submit(work)
        worker = lane.workers[0]
        while not over.is_set():
            token = worker.token
            if token is not None and token not in struck and worker.strike(token):
                struck.add(token)
            time.sleep(0)
    finally:
        sys.setswitchinterval(before)
        lane.close()
    assert len(struck) > 20 and hit
    assert not astray
    assert hit <= struck


async def test_a_stop_never_hits_the_next_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drive, "GRACE_S", 0.0)

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


# A nested run ------------------------------------------------------------------------------------------------------


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


async def test_stopping_a_run_stops_what_its_node_runs():
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


# Side by side ------------------------------------------------------------------------------------------------------


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
    assert sum(one != other for one, other in zip(order, order[1:], strict=False)) >= 4


async def test_an_async_result_starts_the_next_async_node_though_the_lane_is_blocked(release: Sign):
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
