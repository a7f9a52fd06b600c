"""What is said of nodes that wait for a pool, or for the thread of plain nodes: events, `why`, summaries, errors."""

from __future__ import annotations

import asyncio
import re
import threading

import pytest

import comfy_nb as nb
from comfy_nb.engine.events import NodeQueued, NodeStarted, PlacesGivenBack, PlacesTaken
from comfy_nb.engine.pools.fair_queue import Demand
from comfy_nb.engine.session import Session
from tests.engine.support import reported

POOL = "telling"
gate = nb.constant(threading.Event())


@pytest.fixture(autouse=True)
def closed_gate() -> None:
    gate.clear()


@nb.node(uses=POOL)
async def telling_async(value: int) -> int:
    return value


@nb.node(uses=POOL)
def telling_plain(value: int) -> int:
    return value


@nb.node
def telling_holds_the_thread(value: int) -> int:
    gate.wait(20.0)
    return value


@nb.node
def telling_needs_the_thread(value: int) -> int:
    return value


def graph_of(*handles) -> nb.Graph:
    graph = nb.Graph()
    for handle in handles:
        graph.add(handle)
    return graph


async def told(run: nb.Run, node_id: str) -> NodeQueued:
    """Wait until it is said that a node waits."""
    while True:
        found = [event for event in reported(run, NodeQueued) if event.node_id == node_id]
        if found:
            return found[-1]
        await asyncio.sleep(0.01)


def somebody(session: Session) -> Demand:
    demand = Demand((("telling", 1),), lambda: None, source="somebody")
    session.pools.ask(demand)
    return demand


@pytest.mark.parametrize("node", [telling_async, telling_plain])
async def test_it_is_told_when_places_are_waited_for_taken_and_given_back(session: Session, node):
    other = somebody(session)
    job = graph_of(node(1)).start()
    await told(job.run, "1")
    session.pools.withdraw(other)
    run = await job
    kinds = (NodeQueued, PlacesTaken, NodeStarted, PlacesGivenBack)
    events = [event for event in reported(run, tuple) if type(event) in kinds]
    assert [type(event) for event in events] == list(kinds)
    assert events[0].pools == events[1].pools == events[3].pools == ("telling",)
    assert events[1].seconds == pytest.approx(events[1].time - events[0].time, abs=0.1)


@pytest.mark.parametrize("node", [telling_async, telling_plain])
async def test_seconds_of_waiting_are_told_apart_from_seconds_of_work(session: Session, node):
    other = somebody(session)
    job = graph_of(node(1)).start()
    await told(job.run, "1")
    assert job.run.why("1") == "has not finished yet: it waits for telling, next in line"
    assert f"{node.__name__} (node 1): has not finished yet: it waits for telling" in job.run.summary()
    await asyncio.sleep(0.2)
    session.pools.withdraw(other)
    run = await job
    waited = re.fullmatch(r"first run; it waited (.*) s for telling", run.why("1"))
    assert waited and float(waited[1]) >= 0.2
    assert run.node_run("1").seconds < 0.1
    assert f"; it waited {waited[1]} s for telling" in run.summary()
    again = await graph_of(node(1)).run()
    assert again.why("1") == "from an earlier run"


async def test_a_stopped_run_tells_which_node_waited_for_what(session: Session):
    somebody(session)
    job = graph_of(telling_async(1)).start()
    await told(job.run, "1")
    job.run.stop()
    await job
    assert job.run.why("1") == "did not finish: the run was stopped while it waited for telling"


async def test_a_run_that_takes_too_long_tells_which_node_waited_for_what(session: Session):
    somebody(session)
    expected = r"Not begun: telling_async \(node 1\), which waits for telling, next in line\."
    with pytest.raises(nb.RunTimeout, match=expected) as caught:
        await graph_of(telling_async(1)).run(timeout=0.1)
    assert caught.value.not_begun == ["1"] and caught.value.running == []


async def test_a_plain_node_that_another_one_keeps_from_the_thread_says_so():
    job = graph_of(telling_holds_the_thread(1), telling_needs_the_thread(2), telling_needs_the_thread(3)).start()
    event = await told(job.run, "3")
    assert (event.pools, event.ahead) == ((), 1)
    assert event.reason == "waits for the thread of plain nodes, 1 ahead (with thread_safe=True it would not)"
    assert "it waits for the thread of plain nodes, 1 ahead" in job.run.why("3")
    gate.set()
    run = await job
    assert re.fullmatch(r"first run; it waited .* for the thread of plain nodes", run.why("3"))
    assert run.why("1") == "first run"


async def test_so_does_one_that_a_node_of_another_run_keeps_from_it():
    busy = graph_of(telling_holds_the_thread(1)).start()
    while not reported(busy.run, NodeStarted):
        await asyncio.sleep(0.01)
    waits = graph_of(telling_needs_the_thread(2)).start()
    assert (await told(waits.run, "1")).ahead == 0
    gate.set()
    await asyncio.gather(busy, waits)


async def test_nodes_that_take_their_turns_on_the_thread_are_not_said_to_wait():
    run = await graph_of(*(telling_needs_the_thread(value) for value in range(200))).run()
    assert reported(run, NodeQueued) == []
