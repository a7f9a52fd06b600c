"""Places are given back, and waits end, at every way out of a node and of a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

import comfy_nb as nb
from comfy_nb.engine.execution import abandon, cancelling
from comfy_nb.engine.pools.pools import PoolState
from comfy_nb.engine.session import Session
from tests.engine.signs import Sign

POOL = "letting-go"


@pytest.fixture
def release() -> Iterator[Sign]:
    sign = Sign()
    yield sign
    sign.set()


@nb.node(uses=POOL)
async def letting_go_waits(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@nb.node(uses=POOL)
def letting_go_works(seconds: float, *, progress: nb.Progress) -> float:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        progress(0, 1)
    return seconds


@nb.node(uses=POOL)
def letting_go_fails(value: int) -> int:
    raise ValueError(str(value))


@nb.node
async def letting_go_fails_later(value: int) -> int:
    await asyncio.sleep(0.1)
    raise ValueError(str(value))


BOTH = pytest.mark.parametrize("node", [letting_go_waits, letting_go_works])


def graph_of(*handles) -> nb.Graph:
    graph = nb.Graph()
    for handle in handles:
        graph.add(handle)
    return graph


def state(session: Session) -> PoolState:
    (pool,) = session.pools.states()
    return pool


async def check_free(session: Session) -> None:
    """Nobody waits or has a place, or at least not for long: a thread notices by itself that it is to stop."""
    async with asyncio.timeout(10.0):
        while state(session).in_use or state(session).waiting:
            await asyncio.sleep(0.005)
        assert await letting_go_waits(0.0) == 0.0


@BOTH
async def test_a_run_that_takes_too_long(session: Session, node):
    with pytest.raises(nb.RunTimeout):
        await graph_of(node(60.0), node(61.0)).run(timeout=0.1)
    await check_free(session)


@BOTH
async def test_a_run_that_fails_by_another_node_while_one_works_and_one_waits(session: Session, node):
    with pytest.raises(nb.NodeError):
        await graph_of(node(60.0), node(61.0), letting_go_fails_later(1)).run()
    await check_free(session)


@BOTH
async def test_a_run_that_goes_on_after_failures(session: Session, node):
    with pytest.raises(nb.NodeErrors) as caught:
        await graph_of(letting_go_fails(1), node(0.01), letting_go_fails(2), node(0.02)).run(on_error="continue")
    assert sorted(caught.value.run) == ["2", "4"]
    await check_free(session)


@BOTH
async def test_a_job_that_is_cancelled(session: Session, node):
    job = graph_of(node(60.0), node(61.0)).start()
    while not state(session).waiting:
        await asyncio.sleep(0.005)
    job.cancel()
    assert (await job).state == "cancelled"
    await check_free(session)


@BOTH
async def test_a_run_inside_a_node_that_is_stopped(session: Session, node):
    @nb.node
    async def letting_go_outer(seconds: float) -> float:
        return await node(seconds)

    job = graph_of(letting_go_outer(60.0), letting_go_outer(61.0)).start()
    while not state(session).waiting:
        await asyncio.sleep(0.005)
    job.run.stop()
    await job
    await check_free(session)


async def test_a_node_that_hears_nothing_gives_its_place_back_when_it_is_left_behind(
    session: Session, release: Sign, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(abandon, "GRACE_S", 0.02)
    begun = Sign()

    @nb.node(uses=POOL)
    def letting_go_deaf() -> int:
        begun.set()
        release.wait()
        return 1

    job = letting_go_deaf().graph.start()
    await begun.seen()
    with pytest.warns(nb.ComfyNBWarning, match="did not stop"):
        job.cancel()
        await job
        await check_free(session)


async def test_a_node_that_swallows_its_cancellation_gives_its_place_back_when_it_is_left_behind(
    session: Session, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cancelling, "GIVE_UP_S", 0.05)
    over = asyncio.Event()

    @nb.node(uses=POOL)
    async def letting_go_stubborn() -> int:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue
        return 1

    job = letting_go_stubborn().graph.start()
    while not state(session).in_use:
        await asyncio.sleep(0.005)
    with pytest.warns(nb.ComfyNBWarning, match="did not stop"):
        job.cancel()
        await job
    await check_free(session)
    over.set()


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_node_has_no_place_while_it_waits_for_lazy_inputs(session: Session, is_async: bool):
    """What it asks for uses the same pool, so that both would wait for ever."""

    def letting_go_adds(first: float, second: float) -> float:
        return first + second

    async def letting_go_adds_async(first: float, second: float) -> float:
        return first + second

    node = nb.node(uses=POOL, lazy={"second": lambda first: True})(
        letting_go_adds_async if is_async else letting_go_adds
    )
    asks = node(letting_go_waits(0.01), letting_go_works(0.02))
    assert await asyncio.wait_for(asks.run(), 10.0) == pytest.approx(0.03)
    await check_free(session)


async def test_a_node_has_no_place_while_it_waits_for_what_it_expanded_into(session: Session):
    class LettingGoExpands:
        RETURN_TYPES = ("FLOAT",)
        FUNCTION = "expand"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"seconds": ("FLOAT",)}}

        def expand(self, seconds):
            builder = nb.GraphBuilder()
            inner = builder.node("letting_go_works", seconds=seconds)
            return {"result": (inner.out(0),), "expand": builder.finalize()}

    nb.register(LettingGoExpands)
    nb.pools.assign("LettingGoExpands", POOL)
    run = await asyncio.wait_for(graph_of(nb.nodes.LettingGoExpands(seconds=0.01)).run(), 10.0)
    assert run["1"] == 0.01
    await check_free(session)


async def test_a_block_that_an_interrupt_kept_from_giving_its_place_back_does_so_with_the_call():
    nb.pool("outer", 1)
    nb.pool("inner", 1)

    @nb.node
    def leave_open(value: int) -> int:
        with nb.pool("outer"):
            nb.pool("inner").__enter__()
            raise nb.InterruptProcessingException

    @nb.node
    def hammer(value: int) -> int:
        while True:
            with nb.pool("inner"):
                pass

    with pytest.raises(nb.Stopped):
        await leave_open(1)
    assert [nb.pool(name).state.in_use for name in ("outer", "inner")] == [0, 0]
    for value in range(3):
        job = hammer(value).graph.start()
        while not nb.pool("inner").state.in_use:
            await asyncio.sleep(0.001)
        nb.stop_all()
        await job
        async with asyncio.timeout(20):
            while nb.pool("inner").state.in_use:
                await asyncio.sleep(0.001)
    assert nb.pool("outer").state.in_use == 0
