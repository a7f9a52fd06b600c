"""A run with a time limit: what it stops, what it keeps, and what its error tells."""

from __future__ import annotations

import asyncio
import threading

import pytest

import comfy_nb as nb

TIMEOUT_S = 0.2


@pytest.fixture(autouse=True)
def session():
    with nb.use_session(nb.Session(budget=1 << 20)) as session:
        yield session


@nb.node
def limited_quick(n: int) -> int:
    return n + 1


@nb.node
async def limited_waits(n: int) -> int:
    await asyncio.sleep(60)
    return n


@nb.node
def limited_spins(n: int) -> int:
    while True:
        pass


@nb.node
def limited_after(n: int) -> int:
    return n


@pytest.mark.parametrize("slow", [limited_waits, limited_spins])
async def test_a_run_that_takes_too_long_fails_and_tells_what_ran_and_what_had_not_begun(slow):
    first = limited_quick(1)
    graph = limited_after(slow(first)).graph
    graph["2"].title = "Too much"
    with pytest.raises(nb.RunTimeout) as caught:
        await graph.run(timeout=TIMEOUT_S)
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.seconds, error.running, error.not_begun) == (TIMEOUT_S, ["2"], ["3"])
    assert str(error) == (
        f'The run took longer than its timeout of 0.20 s. Still running: "Too much" (node 2, {slow.spec.class_type}). '
        "Not begun: limited_after (node 3). What had finished stays cached, so that a run with a longer timeout goes "
        "on from there."
    )
    assert (error.run.state, error.run.error, error.run["1"]) == ("failed", error, 2)
    assert await first.run(timeout=TIMEOUT_S) == 2
    assert nb.default_session().last.counts["memory"] == 1


async def test_nodes_are_stopped_as_by_stop_when_the_time_is_over():
    ended = asyncio.Event()

    @nb.node
    async def cleans_up() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return 1

    with pytest.raises(nb.RunTimeout):
        await cleans_up().run(timeout=TIMEOUT_S)
    assert ended.is_set()


async def test_a_run_that_ends_in_time_is_as_without_a_limit():
    run = await limited_quick(1).graph.run(timeout=60)
    assert (run.state, run["1"]) == ("done", 2)
    assert await limited_quick(1).start(timeout=60) == 2


def test_the_limit_holds_for_run_sync_too():
    with pytest.raises(nb.RunTimeout, match=r"Still running: limited_spins \(node 1\)"):
        limited_spins(1).run_sync(timeout=TIMEOUT_S)


async def test_the_limit_holds_for_a_job_that_somebody_awaits():
    with pytest.raises(nb.RunTimeout, match="Still running"):
        await limited_waits(1).graph.start(timeout=TIMEOUT_S)


async def test_the_limit_holds_while_a_class_validates():
    class Validates:
        RETURN_TYPES = ("INT",)
        FUNCTION = "run"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"n": ("INT",)}}

        @classmethod
        async def VALIDATE_INPUTS(cls, n):
            await asyncio.sleep(60)
            return True

        def run(self, n):
            return (n,)

    nb.register(Validates)
    graph = nb.Graph()
    graph.node("Validates", n=1)
    with pytest.raises(nb.RunTimeout, match="still being asked for VALIDATE_INPUTS") as caught:
        await graph.run(timeout=TIMEOUT_S)
    assert caught.value.run.state == "failed"


async def test_with_on_error_continue_the_failures_until_then_are_in_the_run():
    @nb.node
    def fails(n: int) -> int:
        raise ValueError("no luck")

    graph = nb.Graph(fails(1), limited_waits(2))
    with pytest.raises(nb.RunTimeout) as caught:
        await graph.run(on_error="continue", timeout=TIMEOUT_S)
    assert list(caught.value.run.failed) == ["1"]


async def test_a_stop_before_the_limit_is_a_stop():
    begun = threading.Event()

    @nb.node
    async def begins() -> int:
        begun.set()
        await asyncio.sleep(60)
        return 1

    job = begins().graph.start(timeout=60)
    while not begun.is_set():
        await asyncio.sleep(0)
    job.run.stop()
    assert (await job).state == "stopped"


@pytest.mark.parametrize("timeout", [0, -1, "5", True, float("nan")])
async def test_a_limit_that_is_no_number_of_seconds_is_refused(timeout):
    with pytest.raises(nb.GraphError, match="timeout is .*, but it must be a number of seconds above 0"):
        await limited_quick(1).graph.run(timeout=timeout)


async def test_a_combination_of_a_sweep_that_takes_too_long_fails_and_the_others_go_on():
    @nb.node
    async def waits_so_long(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    sweep = await nb.sweep(waits_so_long(0.0), {"seconds": [0.0, 60.0, 0.01]}, timeout=TIMEOUT_S)
    assert [cell.state for cell in sweep] == ["done", "failed", "done"]
    assert isinstance(sweep.cell(1).error, nb.RunTimeout)
