"""Which events a run reports, and in which order (docs/semantics.md, "Events")."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.events import Event
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.node_api.graph_builder import GraphBuilder
from comfy_nb.engine.node_api.progress import Progress, ProgressBar
from comfy_nb.errors import ComfyNBWarning, NodeError
from tests.engine.support import Pack, all_of, kinds, listed, made
from tests.reference.classes import INT

pytestmark = pytest.mark.usefixtures("zoo")


# Order


async def test_a_run_reports_its_start_each_node_and_its_end_in_order(pack: Pack) -> None:
    run, reported = await all_of(pack.graph({"1": made("Number", value=1), "2": made("Show", n=["1", 0])}))
    assert kinds(reported) == [
        ("RunQueued", None),
        ("RunStarted", None),
        ("NodeStarted", "1"),
        ("NodeFinished", "1"),
        ("NodeStarted", "2"),
        ("NodeFinished", "2"),
        ("RunFinished", None),
    ]
    assert {event.run_id for event in reported} == {run.id}
    assert [event.time for event in reported] == sorted(event.time for event in reported)


async def test_the_start_says_how_much_there_is_to_do_and_the_end_how_it_ended(pack: Pack) -> None:
    graph = pack.graph({"1": made("Number", value=1), "2": made("Add", a=["1", 0]), "3": made("Add", a=5)})
    await graph.run(["2"])
    run, reported = await all_of(graph)
    start, end = reported[1], reported[-1]
    assert isinstance(reported[0], events.RunQueued)
    assert isinstance(start, events.RunStarted)
    assert (start.total, start.cached) == (1, 1)
    assert isinstance(end, events.RunFinished)
    assert (end.state, end.seconds) == ("done", run.seconds)


async def test_a_node_says_where_its_result_came_from_and_what_it_shows(pack: Pack) -> None:
    graph = pack.graph({"1": made("Keep", n=1), "2": made("AsyncNumber", value=2), "3": made("AsyncNumber", value=2)})
    _, first = await all_of(graph, ["1", "2", "3"])
    _, again = await all_of(graph, ["1", "2", "3"])
    sources = {event.node_id: event.source for event in first if isinstance(event, events.NodeFinished)}
    assert sources == {"1": "ran", "2": "ran", "3": "shared"}
    assert {event.source for event in again if isinstance(event, events.NodeFinished)} == {"memory"}
    shown = [event.ui for event in again if isinstance(event, events.NodeFinished) and event.node_id == "1"]
    assert shown == [{"kept": [1]}]
    assert not any(isinstance(event, events.NodeStarted) for event in again)


async def test_a_failed_run_reports_the_failed_node_and_ends_as_failed(pack: Pack) -> None:
    graph = pack.graph({"1": made("ExpandWithOutput", n=4)})
    reported: list[Event] = []
    job = graph.start()
    job.run.subscribe(reported.extend)
    with pytest.raises(NodeError) as caught:
        await job
    failed = [event for event in reported if isinstance(event, events.NodeFailed)]
    assert [(event.node_id, event.display_id) for event in failed] == [("1.0.number", "1")]
    assert failed[0].error is caught.value
    assert isinstance(reported[-1], events.RunFinished)
    assert reported[-1].state == "failed"


async def test_a_stopped_run_ends_as_stopped_and_reports_that_last(pack: Pack) -> None:
    begun = asyncio.Event()

    async def hang(self: Any) -> tuple[int]:
        begun.set()
        await asyncio.Event().wait()
        return (1,)

    pack.node("Hang", hang)
    reported: list[Event] = []
    job = pack.graph({"1": made("Hang")}).start()
    job.run.subscribe(reported.extend)
    await begun.wait()
    job.run.stop()
    await job
    assert kinds(reported) == [("RunQueued", None), ("RunStarted", None), ("NodeStarted", "1"), ("RunFinished", None)]
    assert isinstance(reported[-1], events.RunFinished)
    assert reported[-1].state == "stopped"


# Waiting and growing


async def test_a_node_that_asks_waits_and_the_nodes_that_this_adds_are_reported(pack: Pack) -> None:
    prompt = {
        "1": made("Number", value=1),
        "2": made("Number", value=2),
        "3": made("Switch", which=1, even=["1", 0], odd=["2", 0]),
    }
    _, reported = await all_of(pack.graph(prompt))
    assert kinds(reported)[2:6] == [
        ("NodeStarted", "3"),
        ("NodeWaiting", "3"),
        ("NodesAdded", None),
        ("NodeStarted", "2"),
    ]
    waiting = [event for event in reported if isinstance(event, events.NodeWaiting)]
    assert "odd" in waiting[0].reason
    assert [event.added for event in reported if isinstance(event, events.NodesAdded)] == [1]
    assert [name for kind, name in kinds(reported) if kind == "NodeStarted"] == ["3", "2", "3"]


async def test_an_expanding_node_waits_and_its_children_are_shown_under_it(pack: Pack) -> None:
    _, reported = await all_of(pack.graph({"5": made("ExpandPair", n=1)}))
    assert ("NodeWaiting", "5") in kinds(reported)
    assert sum(event.added for event in reported if isinstance(event, events.NodesAdded)) == 2
    shown = {event.node_id: event.display_id for event in reported if isinstance(event, events.NodeStarted)}
    assert shown == {"5": "5", "5.0.pair": "5", "5.0.where": "5"}
    finished = [name for kind, name in kinds(reported) if kind == "NodeFinished"]
    assert finished[-1] == "5"


async def test_a_child_may_be_shown_under_another_node(pack: Pack) -> None:
    def make(self: Any, n: int) -> dict[str, Any]:
        graph = GraphBuilder()
        inner = graph.node("ExpandOdd", id="inner", n=1)
        inner.set_override_display_id("1")
        return {"result": (inner.out(0),), "expand": graph.finalize()}

    pack.node("Make", make, {"n": INT})
    _, reported = await all_of(pack.graph({"1": made("Number", value=1), "2": made("Make", n=["1", 0])}))
    shown = {event.node_id: event.display_id for event in reported if isinstance(event, events.NodeStarted)}
    assert shown["2.0.0.inner"] == shown["2.0.0.inner.0.pair"] == "1"


async def test_a_skipped_call_is_reported_with_its_message(pack: Pack) -> None:
    prompt = {"1": made("BlockOdd", n=1, message="stop"), "2": made("Expand", n=1, link=["1", 0])}
    _, reported = await all_of(pack.graph(prompt))
    blocked = [event for event in reported if isinstance(event, events.NodeBlocked)]
    assert [(event.node_id, event.display_id, event.message) for event in blocked] == [("2.0.0.sum", "2", "stop")]


async def test_a_retry_is_reported_with_its_reason(pack: Pack) -> None:
    tries: list[int] = []

    @nb.node(retries=1, backoff=0.0, cache="off")
    def shaky() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the line is down")
        return len(tries)

    run, reported = await all_of(nb.Graph(shaky()))
    waiting = [event for event in reported if isinstance(event, events.NodeWaiting)]
    assert len(waiting) == 1
    assert "OSError: the line is down" in waiting[0].reason
    assert run.state == "done"


async def test_the_seconds_of_a_node_do_not_count_the_wait_before_a_retry() -> None:
    tries: list[int] = []

    @nb.node(retries=1, backoff=0.3, cache="off")
    def fails_once() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")
        return 1

    run, reported = await all_of(nb.Graph(fails_once()))
    (finished,) = [event for event in reported if isinstance(event, events.NodeFinished)]
    assert len(tries) == 2 and run.seconds - finished.seconds >= 0.29


# What nodes report


async def test_progress_previews_and_text_are_reported_with_their_node_and_call(pack: Pack) -> None:
    def work(self: Any, n: int) -> tuple[int]:
        bar = ProgressBar(4)
        bar.update(1)
        bar.update_absolute(3, preview=("JPEG", torch.zeros(1, 8, 6, 3), 512))
        call = current_call.get()
        assert call is not None
        progress = Progress(call)
        progress.text("hello")
        progress.text(" more", append=True)
        return (n,)

    pack.node("Work", work, {"n": INT})
    _, reported = await all_of(pack.graph({"1": listed(5, 6), "2": made("Work", n=["1", 0])}))
    progress = [event for event in reported if isinstance(event, events.NodeProgress)]
    assert [(event.value, event.total, event.call, event.calls) for event in progress] == [
        (1, 4, 0, 2),
        (3, 4, 0, 2),
        (1, 4, 1, 2),
        (3, 4, 1, 2),
    ]
    previews = [event for event in reported if isinstance(event, events.NodePreview)]
    assert [(event.node_id, event.format, event.width, event.height) for event in previews] == [("2", "jpeg", 6, 8)] * 2
    assert previews[0].data[:2] == b"\xff\xd8"
    texts = [event for event in reported if isinstance(event, events.NodeText)]
    assert [(event.text, event.append) for event in texts[:2]] == [("hello", False), (" more", True)]


async def test_an_async_node_that_keeps_the_loop_is_reported_and_warned_about() -> None:
    @nb.node
    async def greedy() -> int:
        time.sleep(1.2)
        return 1

    with pytest.warns(ComfyNBWarning, match="kept the event loop busy"):
        _, reported = await all_of(nb.Graph(greedy()))
    stalls = [event for event in reported if isinstance(event, events.LoopHeld)]
    assert [event.node_id for event in stalls] == ["1"]
    assert stalls[0].seconds >= 1.2


async def test_each_step_of_an_async_node_of_two_milliseconds_or_more_is_reported_without_a_warning() -> None:
    @nb.node
    async def reads() -> int:
        time.sleep(0.02)
        await asyncio.sleep(0)
        time.sleep(0.01)
        return 1

    _, reported = await all_of(nb.Graph(reads()))
    held = [event.seconds for event in reported if isinstance(event, events.LoopHeld)]
    assert len(held) == 2 and held[0] >= 0.02 and held[1] >= 0.01


async def test_the_node_whose_step_has_the_loop_is_known_meanwhile() -> None:
    seen: list[Any] = []

    def look(run: Any) -> str | None:
        step = run.holding_loop
        return step.id if step is not None else None

    @nb.node
    async def looks() -> int:
        (run,) = nb.default_session().live_runs()
        seen.append(look(run))
        asyncio.get_running_loop().call_soon(lambda: seen.append(look(run)))
        await asyncio.sleep(0.01)
        seen.append(look(run))
        return 1

    await looks()
    assert seen == ["1", None, "1"]


async def test_a_node_says_where_it_runs() -> None:
    @nb.node
    def plain() -> int:
        return 1

    @nb.node
    async def waits(value: int) -> int:
        return value

    _, reported = await all_of(nb.Graph(waits(plain())))
    lanes = [event.lane for event in reported if isinstance(event, events.NodeStarted)]
    assert lanes[0].startswith("comfy-nb-lane") and lanes[1] == "loop"


@pytest.mark.parametrize("is_async", [False, True])
async def test_each_call_over_a_list_is_reported_with_its_time(pack: Pack, is_async: bool) -> None:
    def halve(self: Any, value: int) -> tuple[int]:
        time.sleep(0.001)
        return (value // 2,)

    async def halve_async(self: Any, value: int) -> tuple[int]:
        await asyncio.sleep(0.001)
        return (value // 2,)

    pack.node("Half", halve_async if is_async else halve, {"value": INT})
    _, reported = await all_of(pack.graph({"1": listed(2, 4, 6), "2": made("Half", value=["1", 0])}), ["2"])
    calls = [event for event in reported if isinstance(event, events.CallFinished)]
    assert sorted((event.node_id, event.call, event.calls) for event in calls) == [("2", each, 3) for each in range(3)]
    assert all(event.seconds >= 0.001 for event in calls)
