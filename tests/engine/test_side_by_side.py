"""What goes on at the same time, in a run and in several (docs/semantics.md, "Side by side")."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.execution import abandon
from comfy_nb.engine.execution.executor import SLICE_S
from comfy_nb.engine.execution.node_run import NodeState
from comfy_nb.engine.node_api.context import get_executing_context
from comfy_nb.engine.node_api.graph_builder import GraphBuilder
from comfy_nb.engine.node_api.progress import ProgressBar
from tests.engine.signs import PATIENCE_S, Sign, others, sleeper
from tests.engine.support import Pack, listed, made, ran, reported
from tests.reference.classes import INT

pytestmark = pytest.mark.usefixtures("zoo")


class Meeting:
    """Opens when `count` calls have arrived; a call that stays alone times out."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.arrived = 0
        self.all_here = asyncio.Event()

    async def come(self) -> None:
        self.arrived += 1
        if self.arrived == self.count:
            self.all_here.set()
        await asyncio.wait_for(self.all_here.wait(), 20)

    def __comfy_nb_key__(self) -> bytes:
        return b"meeting"


def meeting_class(pack: Pack, meeting: Meeting, seen: list[Any]) -> None:
    """Add a class `Meet` whose calls wait for each other and then note their context."""

    async def meet(self: Any, n: int, me: str) -> tuple[int]:
        before = get_executing_context()
        await meeting.come()
        bar = ProgressBar(10)
        bar.update_absolute(n)
        context = get_executing_context()
        assert before == context
        seen.append((me, context.node_id, context.list_index, n) if context else None)
        return (n,)

    pack.node("Meet", meet, {"n": INT}, hidden={"me": "UNIQUE_ID"})


# Async nodes


async def test_independent_async_nodes_overlap_and_each_knows_who_it_is(pack: Pack) -> None:
    seen: list[Any] = []
    meeting_class(pack, Meeting(3), seen)
    prompt = {str(i): made("Meet", n=i) for i in (1, 2, 3)}
    run = await pack.graph(prompt).run()
    assert sorted(seen) == [("1", "1", 0, 1), ("2", "2", 0, 2), ("3", "3", 0, 3)]
    assert run["2"] == 2


async def test_the_calls_of_one_nodes_list_overlap_and_each_knows_its_index(pack: Pack) -> None:
    seen: list[Any] = []
    meeting_class(pack, Meeting(3), seen)
    run = await pack.graph({"1": listed(4, 5, 6), "2": made("Meet", n=["1", 0])}).run()
    assert sorted(seen) == [("2", "2", 0, 4), ("2", "2", 1, 5), ("2", "2", 2, 6)]
    assert run.outputs("2") == ([4, 5, 6],)


async def test_the_async_nodes_of_an_expansion_overlap(pack: Pack) -> None:
    seen: list[Any] = []
    meeting_class(pack, Meeting(2), seen)

    def make(self: Any) -> dict[str, Any]:
        graph = GraphBuilder()
        links = [graph.node("Meet", n=n).out(0) for n in (7, 8)]
        return {"result": tuple(links), "expand": graph.finalize()}

    pack.node("Make", make, None, ("INT", "INT"))
    run = await pack.graph({"5": made("Make")}).run()
    assert run["5"] == (7, 8)
    assert sorted(each[:3] for each in seen) == [("5.0.0.1", "5.0.0.1", 0), ("5.0.0.2", "5.0.0.2", 0)]


async def test_progress_goes_to_the_node_and_the_call_that_reports_it(pack: Pack) -> None:
    meeting_class(pack, Meeting(3), [])
    graph = pack.graph({"1": listed(4, 5), "2": made("Meet", n=["1", 0]), "3": made("Meet", n=6)})
    got: list[events.Event] = []
    job = graph.start()
    job.run.subscribe(got.extend)
    await job
    reported = {
        (each.node_id, each.call, each.value, each.total) for each in got if isinstance(each, events.NodeProgress)
    }
    assert reported == {("2", 0, 4, 10), ("2", 1, 5, 10), ("3", 0, 6, 10)}


async def test_runs_at_the_same_time_each_have_their_own_context(pack: Pack) -> None:
    seen: list[Any] = []
    meeting = Meeting(2)

    async def meet(self: Any, n: int) -> tuple[str]:
        await meeting.come()
        context = get_executing_context()
        seen.append(context.prompt_id if context else None)
        return (context.prompt_id if context else "",)

    pack.node("Meet", meet, {"n": INT}, ("STRING",))
    runs = await asyncio.gather(*(pack.graph({"1": made("Meet", n=n)}).run() for n in (1, 2)))
    assert [run["1"] for run in runs] == [run.id for run in runs]


async def test_an_async_node_is_started_at_once_while_sync_nodes_go_on(pack: Pack) -> None:
    order: list[str] = []

    async def wait(self: Any) -> tuple[int]:
        order.append("begun")
        await asyncio.sleep(0)
        return (1,)

    def work(self: Any, n: int) -> tuple[int]:
        order.append("sync")
        return (n,)

    pack.node("Wait", wait)
    pack.node("Work", work, {"n": INT})
    await pack.graph({"1": made("Work", n=1), "2": made("Work", n=["1", 0]), "3": made("Wait")}).run()
    assert "begun" in order
    assert order.count("sync") == 2


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


async def test_an_async_result_starts_the_next_async_node_though_the_lane_is_blocked():
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


# Equal nodes


@pytest.mark.parametrize("class_type", ["Number", "AsyncNumber"])
async def test_equal_nodes_run_once_and_both_report(pack: Pack, class_type: str) -> None:
    run = await pack.graph({"1": made(class_type, value=3), "2": made(class_type, value=3)}).run()
    assert pack.calls[class_type] == 1
    assert run["1"] == run["2"] == 3
    assert sorted(event.node_id for event in reported(run, events.NodeFinished)) == ["1", "2"]


async def test_runs_at_the_same_time_compute_an_equal_node_once(pack: Pack) -> None:
    prompt = {"1": made("AsyncNumber", value=3), "2": made("AsyncAdd", a=["1", 0], b=1)}
    runs = await asyncio.gather(*(pack.graph(prompt).run() for _ in range(4)))
    assert [run["2"] for run in runs] == [4, 4, 4, 4]
    assert pack.calls == {"AsyncNumber": 1, "AsyncAdd": 1}


async def test_a_second_run_takes_everything_from_the_cache(pack: Pack) -> None:
    graph = pack.graph({"1": made("AsyncNumber", value=3), "2": made("Add", a=["1", 0])})
    await graph.run()
    assert ran(await graph.run()) == []


@pytest.mark.filterwarnings("ignore:.* missing, and None")
async def test_a_run_whose_expansion_misuses_a_shared_result_fails_alone(pack: Pack) -> None:
    gate = asyncio.Event()

    async def slow(self: Any, n: int) -> tuple[int]:
        await asyncio.wait_for(gate.wait(), 20)
        return (n,)

    async def make(self: Any, n: int) -> dict[str, Any]:
        graph = {"x": made("Slow", n=1)} if n == 0 else {}
        return {"result": (["x", 0],)[: 1 - n], "expand": graph}

    pack.node("Slow", slow, {"n": INT})
    pack.node("Make", make, {"n": INT})
    computing = pack.graph({"1": made("Slow", n=1)}).start()
    await asyncio.sleep(0)
    misusing = pack.graph({"1": listed(0, 1), "2": made("Make", n=["1", 0])}).start()
    while (child := misusing.run.node_run("x")) is None or child.state is not NodeState.RUNNING:
        await asyncio.sleep(0.001)
    gate.set()
    assert (await computing)["1"] == 1
    with pytest.raises(nb.NodeError, match="one of its calls returned 0 values"):
        await misusing


# Runs


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
    assert sum(one != other for one, other in itertools.pairwise(order)) >= 4


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


async def test_stopping_a_run_stops_what_its_node_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(abandon, "GRACE_S", 10 * PATIENCE_S)
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


async def test_a_run_that_is_done_ends_though_another_run_has_the_lane() -> None:
    begun, is_over = nb.constant(threading.Event()), nb.constant(threading.Event())

    @nb.node(cache="off")
    def short(n: int) -> int:
        begun.set()
        time.sleep(2 * SLICE_S)
        return n

    @nb.node(cache="off")
    def long(n: int) -> bool:
        return is_over.wait(PATIENCE_S)

    first = short(1).start()
    await asyncio.to_thread(begun.wait, PATIENCE_S)
    second = long(1).start()
    await first
    is_over.set()
    assert await second


@pytest.mark.parametrize("is_async", [True, False])
async def test_equal_nodes_whose_expansions_are_done_at_once_both_end(pack: Pack, is_async: bool) -> None:
    def empty(self: Any, a: int) -> dict[str, Any]:
        time.sleep(0.02)
        return {"result": (7,), "expand": {}}

    async def empty_async(self: Any, a: int) -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"result": (7,), "expand": {}}

    pack.node("Empty", empty_async if is_async else empty, {"a": INT}, THREAD_SAFE=True)
    graph = pack.graph({"1": made("Empty", a=1), "2": made("Empty", a=1)})
    run = await asyncio.wait_for(graph.run(), PATIENCE_S)
    assert (run["1"], run["2"]) == (7, 7)
