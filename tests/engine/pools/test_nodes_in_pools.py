"""Nodes that use pools: never more at a time than there are places, in one run, in many, in cells and jobs."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from contextlib import contextmanager

import pytest

import comfy_nb as nb
from comfy_nb.engine.events import NodeQueued, NodeStarted
from comfy_nb.engine.pools.fair_queue import Demand
from comfy_nb.engine.session import Session

salts = itertools.count()


class Meter:
    """Counts how many are inside at a time, and how many were at most."""

    def __init__(self) -> None:
        self.inside = self.most = self.calls = 0
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            self.calls += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1


meter = nb.constant(Meter())


@pytest.fixture(autouse=True)
def counts_anew() -> None:
    meter.__init__()


@nb.node(uses="pools-desk")
async def asks_at_desk(value: int) -> int:
    with meter:
        await asyncio.sleep(0.02)
    return value


@nb.node(uses="pools-desk")
def computes_at_desk(value: int) -> int:
    with meter:
        time.sleep(0.02)
    return value


@nb.node(uses={"pools-desk": 2, "pools-ram": 1})
async def needs_both(value: int) -> int:
    with meter:
        await asyncio.sleep(0.02)
    return value


@pytest.mark.parametrize("node", [asks_at_desk, computes_at_desk])
@pytest.mark.parametrize("size", [1, 3])
async def test_no_more_nodes_work_at_a_time_than_there_are_places(session: Session, node, size):
    session.pools.define("pools-desk", size, None, False)
    assert await asyncio.gather(*(node(value) for value in range(8))) == list(range(8))
    assert meter.most == size
    assert session.pools.states()[0].in_use == 0


async def test_each_item_of_a_list_takes_a_place(session: Session):
    session.pools.define("pools-desk", 2, None, False)

    @nb.node(list_output=True)
    def pools_six() -> int:
        return [1, 2, 3, 4, 5, 6]

    for node in (asks_at_desk, computes_at_desk):
        meter.__init__()
        run = await nb.Graph(node(pools_six())).run()
        assert meter.calls == 6 and meter.most == (2 if node is asks_at_desk else 1)
        assert run.result("2" if "2" in run else "1") == [1, 2, 3, 4, 5, 6]
    assert session.pools.states()[0].in_use == 0


async def test_places_of_several_pools_are_taken_together(session: Session):
    session.pools.define("pools-desk", 3, None, False)
    session.pools.define("pools-ram", 2, None, False)
    await asyncio.gather(*(needs_both(value) for value in range(4)))
    assert meter.most == 1


async def test_what_is_cached_takes_no_place(session: Session):
    session.pools.define("pools-desk", 1, None, False)
    await asks_at_desk(1)
    async with nb.pool("pools-desk"):
        assert await asyncio.wait_for(asks_at_desk(1).run(), 5.0) == 1
    assert meter.calls == 1


async def test_equal_nodes_take_one_place(session: Session):
    session.pools.define("pools-desk", 2, None, False)
    await asyncio.gather(*(asks_at_desk(1).run() for _ in range(5)))
    assert meter.calls == 1


@pytest.mark.parametrize("node", [asks_at_desk, computes_at_desk])
async def test_a_node_inside_one_that_has_the_place_does_not_wait_for_it(session: Session, node):
    session.pools.define("pools-desk", 1, None, False)

    @nb.node(uses="pools-desk")
    async def pools_outer(value: int) -> int:
        async with nb.pool("pools-desk"):
            return await node(value)

    @nb.node(uses="pools-desk")
    def pools_outer_sync(value: int) -> int:
        with nb.pool("pools-desk"):
            return node(value).run_sync()

    assert await asyncio.wait_for(pools_outer(1).run(), 10.0) == 1
    assert await asyncio.wait_for(pools_outer_sync(2).run(), 10.0) == 2
    assert session.pools.states()[0].in_use == 0


@nb.node(uses="pools-desk")
async def sleeps_in_pool(value: int) -> int:
    await asyncio.sleep(60)
    return value


@nb.node(uses="pools-desk")
def sleeps_in_pool_sync(value: int, *, progress: nb.Progress) -> int:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        progress(0, 1)
    return value


@nb.node(uses="pools-desk")
async def fails_in_pool(value: int) -> int:
    raise ValueError("no luck")


@nb.node(uses="pools-desk")
def fails_in_pool_sync(value: int) -> int:
    raise ValueError("no luck")


@nb.node(uses="pools-desk", timeout=0.05)
async def takes_too_long_in_pool(value: int) -> int:
    await asyncio.sleep(60)
    return value


@pytest.mark.parametrize("node", [fails_in_pool, fails_in_pool_sync, takes_too_long_in_pool])
async def test_a_node_that_fails_gives_its_place_back(session: Session, node):
    session.pools.define("pools-desk", 1, None, False)
    with pytest.raises(nb.NodeError):
        await node(1)
    assert await asyncio.wait_for(asks_at_desk(2).run(), 5.0) == 2


@pytest.mark.parametrize("node", [sleeps_in_pool, sleeps_in_pool_sync])
async def test_a_run_that_is_stopped_gives_back_what_its_nodes_have_and_waits_for_nothing(session: Session, node):
    session.pools.define("pools-desk", 1, None, False)
    graph = nb.Graph()
    for value in range(3):
        graph.add(node(value))
    job = graph.start()
    while not any(state.waiting for state in session.pools.states()):
        await asyncio.sleep(0.01)
    job.run.stop()
    run = await job
    assert run.state == "stopped"
    assert await asyncio.wait_for(asks_at_desk(2).run(), 5.0) == 2
    assert session.pools.states()[0].waiting == ()


@contextmanager
def somebody_has_the_place(session: Session):
    demand = Demand((("pools-desk", 1),), lambda: None, source="somebody")
    session.pools.ask(demand)
    yield
    session.pools.withdraw(demand)


async def test_a_cell_that_is_cancelled_waits_no_longer(session: Session):
    session.pools.define("pools-desk", 1, None, False)
    with somebody_has_the_place(session):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asks_at_desk(1).run(), 0.1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), nb.pool("pools-desk"):
                pass
        assert session.pools.states()[0].waiting == ()


async def test_a_retry_takes_a_place_anew(session: Session):
    session.pools.define("pools-desk", 1, None, False)
    tries = nb.constant([])

    for made in ("sync", "async"):
        tries.clear()
        if made == "sync":

            @nb.node(uses="pools-desk", retries=2, backoff=0.01)
            def pools_tries(value: int) -> int:
                tries.append(session.pools.states()[0].in_use)
                if len(tries) < 3:
                    raise ValueError("not yet")
                return value
        else:

            @nb.node(uses="pools-desk", retries=2, backoff=0.01)
            async def pools_tries(value: int) -> int:
                tries.append(session.pools.states()[0].in_use)
                if len(tries) < 3:
                    raise ValueError("not yet")
                return value

        assert await pools_tries(5) == 5 and tries == [1, 1, 1]
        assert session.pools.states()[0].in_use == 0


async def test_a_node_that_waits_says_for_what_and_behind_how_many(session: Session):
    session.pools.define("pools-desk", 1, None, False)
    graph = nb.Graph()
    for value in range(3):
        graph.add(asks_at_desk(value))
    events = []
    stop = session.on_run(lambda run: run.subscribe(events.extend))
    await graph.run()
    stop()
    waited = [event for event in events if isinstance(event, NodeQueued)]
    assert [(event.node_id, event.pools, event.ahead) for event in waited[:2]] == [
        ("2", ("pools-desk",), 0),
        ("3", ("pools-desk",), 1),
    ]
    started = [event.node_id for event in events if isinstance(event, NodeStarted)]
    assert {"1", "2", "3"} == set(started)


async def test_a_pool_that_was_not_made_is_named_with_the_node_and_what_else_was_computed_stays(session: Session):
    graph = nb.Graph()
    graph.add(asks_at_desk(1))
    with pytest.raises(nb.NodeError, match=r"asks_at_desk \(node 1\).*no pool 'pools-desk'.*nb.pool"):
        await graph.run()
    nb.pool("pools-desk", 1)
    with pytest.raises(nb.NodeError, match="2 places of the pool 'pools-desk' are needed, which has 1"):
        nb.pool("pools-ram", 1)
        await needs_both(1)


async def test_pools_are_assigned_to_classes_that_do_not_know_them(session: Session):
    nb.pool("pools-desk", 1)
    nb.pools.assign("ImageBl?r", "pools-desk")
    picture = nb.nodes.EmptyImage(width=8, height=8)
    with somebody_has_the_place(session):
        job = nb.nodes.ImageBlur(picture, sigma=1.0).start()
        await picture
        while not session.pools.states()[0].waiting:
            await asyncio.sleep(0.01)
        assert not job.done()
    assert (await job).shape == (1, 8, 8, 3)


async def test_of_ready_nodes_those_of_higher_priority_are_called_first(session: Session):
    called = nb.constant([])

    @nb.node
    def pools_usual(value: int) -> int:
        called.append(value)
        return value

    @nb.node(priority=5)
    def pools_first(value: int) -> int:
        called.append(value)
        return value

    @nb.node(priority=-5)
    def pools_last(value: int) -> int:
        called.append(value)
        return value

    graph = nb.Graph()
    for made in (pools_last(1), pools_usual(2), pools_first(3), pools_usual(4)):
        graph.add(made)
    await graph.run()
    assert called == [3, 2, 4, 1]


async def test_a_node_inside_another_one_is_not_held_up_by_who_waits_for_the_place_of_that():
    nb.pool("outer", 1)
    nb.pool("inner", 1)
    inside = asyncio.Event()

    @nb.node(uses=["outer", "inner"])
    async def both(value: int) -> int:
        return value

    @nb.node(uses="outer")
    async def around(value: int) -> int:
        inside.set()
        while len(nb.pool("outer").state.waiting) < 1:
            await asyncio.sleep(0.001)
        return await both(value)

    async with asyncio.timeout(20):
        first = around(1).graph.start()
        await inside.wait()
        assert await both(2) == 2
        await first


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1, "3", None, True])
def test_a_pause_is_a_number_of_seconds(seconds):
    with pytest.raises(nb.GraphError, match="The pool 'service' is to wait for .*: a number of"):
        nb.pool("service", per_minute=60).wait(seconds)


@pytest.mark.parametrize("pattern", [None, 3, "", ["KSampler"]])
def test_what_is_assigned_is_a_pattern(pattern):
    nb.pool("gpu", 1)
    with pytest.raises(nb.GraphError, match="is no pattern of class names: a text such as 'KSampler"):
        nb.pools.assign(pattern, "gpu")


@pytest.mark.parametrize("uses", [[["gpu"]], [{}], "", [""]])
def test_what_a_node_uses_is_read_or_refused(uses):
    with pytest.raises(nb.SpecError, match="expected is a pool"):

        @nb.node(uses=uses)
        def load(value: int) -> int:
            return value


def test_the_name_of_a_pool_fits_into_that_of_a_file():
    with pytest.raises(nb.GraphError, match="50 letters at most, not 300"):
        nb.pool("a" * 300, 1)
    with pytest.raises(nb.GraphError, match="shared of the pool 'gpu' is 'yes': True or False was expected"):
        nb.pool("gpu", 1, shared="yes")
