"""Who gets the events of a run, and when (docs/semantics.md, "Events")."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.events import Event
from comfy_nb.engine.node_api.progress import ProgressBar
from comfy_nb.errors import ComfyNBWarning
from tests.engine.support import Pack, all_of, kinds, made
from tests.reference.classes import INT

pytestmark = pytest.mark.usefixtures("zoo")


async def test_events_come_in_batches_on_the_loop(pack: Pack) -> None:
    batches: list[int] = []
    tasks: list[Any] = []

    def note(batch: Sequence[Event]) -> None:
        batches.append(len(batch))
        tasks.append(asyncio.get_running_loop())

    prompt = {"0": made("Number", value=0)} | {str(i): made("Add", a=[str(i - 1), 0], b=1) for i in range(1, 200)}
    job = pack.graph(prompt).start()
    job.run.subscribe(note)
    await job
    assert sum(batches) == 2 * 200 + 3
    assert len(batches) < 200
    assert set(tasks) == {asyncio.get_running_loop()}


async def test_a_late_subscriber_gets_the_earlier_events_first_but_no_passing_ones(pack: Pack) -> None:
    halfway = asyncio.Event()
    go_on = asyncio.Event()

    async def half(self: Any, n: int) -> tuple[int]:
        ProgressBar(2).update(1)
        halfway.set()
        await go_on.wait()
        ProgressBar(2).update(2)
        return (n,)

    pack.node("Half", half, {"n": INT})
    early: list[Event] = []
    late: list[Event] = []
    job = pack.graph({"1": made("Number", value=1), "2": made("Half", n=["1", 0])}).start()
    job.run.subscribe(early.extend)
    await halfway.wait()
    job.run.subscribe(late.extend)
    assert kinds(late) == [
        ("RunQueued", None),
        ("RunStarted", None),
        ("NodeStarted", "1"),
        ("NodeFinished", "1"),
        ("NodeStarted", "2"),
    ]
    go_on.set()
    await job
    assert kinds(late)[5:] == [("NodeProgress", "2"), ("NodeFinished", "2"), ("RunFinished", None)]
    assert [event for event in early if not isinstance(event, events.NodeProgress)] == [
        event for event in late if not isinstance(event, events.NodeProgress)
    ]


async def test_a_subscriber_after_the_end_gets_all_of_it(pack: Pack) -> None:
    run = await pack.graph({"1": made("Number", value=1)}).run()
    late: list[Event] = []
    run.subscribe(late.extend)
    assert [kind for kind, _ in kinds(late)] == [
        "RunQueued",
        "RunStarted",
        "NodeStarted",
        "NodeFinished",
        "RunFinished",
    ]


async def test_a_subscription_that_has_ended_gets_no_more_events(pack: Pack) -> None:
    reported: list[Event] = []
    job = pack.graph({"1": made("Number", value=1)}).start()
    end = job.run.subscribe(reported.extend)
    end()
    end()
    await job
    assert kinds(reported) == [("RunQueued", None)]


async def test_a_failing_subscriber_is_removed_with_a_warning_and_the_run_and_others_go_on(pack: Pack) -> None:
    calls: list[int] = []
    reported: list[Event] = []

    def fail(batch: Sequence[Event]) -> None:
        calls.append(len(batch))
        raise RuntimeError("no screen")

    job = pack.graph({"1": made("Number", value=1), "2": made("AsyncAdd", a=["1", 0])}).start()
    with pytest.warns(ComfyNBWarning, match="no screen"):
        job.run.subscribe(fail)
    job.run.subscribe(reported.extend)
    run = await job
    assert run["2"] == 1
    assert len(calls) == 1
    assert isinstance(reported[-1], events.RunFinished)


async def test_the_end_is_reported_before_the_awaiting_cell_goes_on(pack: Pack) -> None:
    run, reported = await all_of(pack.graph({"1": made("AsyncNumber", value=1)}))
    assert run.state == "done"
    assert isinstance(reported[-1], events.RunFinished)


async def test_a_session_calls_its_listeners_for_each_run_as_it_starts(pack: Pack, session: nb.Session) -> None:
    seen: list[tuple[nb.Run, str]] = []
    end = session.on_run(lambda run: seen.append((run, run.state)))
    run = await pack.graph({"1": made("Number", value=1)}).run()
    end()
    await pack.graph({"1": made("Number", value=2)}).run()
    assert seen == [(run, "running")]


async def test_a_run_of_an_invalid_graph_reports_its_end_too(pack: Pack) -> None:
    graph = pack.graph({"1": made("Add")})
    reported: list[Event] = []
    job = graph.start()
    job.run.subscribe(reported.extend)
    with pytest.raises(nb.ValidationError):
        await job
    assert kinds(reported) == [("RunQueued", None), ("RunRefused", None), ("RunFinished", None)]
    refused, finished = reported[1:]
    assert isinstance(refused, events.RunRefused) and isinstance(refused.error, nb.ValidationError)
    assert isinstance(finished, events.RunFinished) and finished.state == "failed"


async def test_a_listener_for_runs_hears_a_run_that_is_refused(pack: Pack, session: nb.Session) -> None:
    reported: list[Event] = []
    session.on_run(lambda run: run.subscribe(reported.extend) and None)
    with pytest.raises(nb.ValidationError):
        await pack.graph({"1": made("Add")}).run()
    assert kinds(reported) == [("RunQueued", None), ("RunRefused", None), ("RunFinished", None)]


async def test_a_subscription_that_another_subscriber_ends_gets_nothing_more(pack: Pack) -> None:
    reported: list[Event] = []
    job = pack.graph({"1": made("Number", value=1)}).start()
    ends: list[Any] = []
    job.run.subscribe(lambda batch: [end() for end in ends] and None)
    ends.append(job.run.subscribe(reported.extend))
    reported.clear()
    await job
    assert reported == []
