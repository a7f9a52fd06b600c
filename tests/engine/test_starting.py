"""How runs are started, with which options, and that a run uses the graph as it was then."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.execution.interrupt import interrupt_watch
from tests.engine.support import PATIENCE_S, Pack, made, reported
from tests.reference.classes import INT


@pytest.fixture
def graph(pack: Pack) -> nb.Graph:
    """A graph of one node, which returns its number."""
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    return pack.graph({"1": made("Number", n=1)})


async def test_an_option_that_runs_do_not_have_is_refused_and_the_nearest_offered(graph: nb.Graph) -> None:
    with pytest.raises(nb.UnknownName, match="no option 'output' of a run. Did you mean 'outputs'"):
        await graph.run(output=["1"])
    assert (await graph.run(run_id="mine")).id == "mine"


def test_starting_where_no_loop_runs_says_what_to_use_and_begins_nothing(graph: nb.Graph, session: nb.Session) -> None:
    with pytest.raises(nb.GraphError, match=r"run_sync\(\)"):
        graph.start()
    assert session.stop_all() == 0


async def test_a_node_is_reported_under_the_title_it_has_when_the_run_starts(graph: nb.Graph) -> None:
    await graph.run()
    graph["1"].title = "My number"
    graph["1"].inputs["n"] = 2
    run = await graph.run()
    assert [event.title for event in reported(run, events.NodeStarted)] == ["My number"]
    assert run.prompt["1"]["_meta"] == {"title": "My number"}


async def test_a_new_title_alone_computes_nothing_again(graph: nb.Graph) -> None:
    await graph.run()
    graph["1"].title = "My number"
    assert (await graph.run()).counts == {"memory": 1}


async def test_an_interrupt_from_before_a_run_is_not_taken_for_one_during_it(graph: nb.Graph) -> None:
    interrupt_watch.is_arriving = True
    assert (await graph.run()).state == "done"
    assert not interrupt_watch.is_arriving


def test_a_disk_budget_may_be_changed_later_and_changes_nothing_where_it_cannot_be(
    session: nb.Session, tmp_path: Path
) -> None:
    budget = session.cache.budget
    with pytest.raises(nb.ComfyNBError, match="needs a cache_dir"):
        nb.configure(cache_budget="1 MB", disk_budget="1 GB")
    assert session.cache.budget == budget
    nb.configure(cache_dir=tmp_path, disk_budget="1 GB")
    nb.configure(disk_budget="2 GB")
    assert session.disk is not None
    assert session.disk.budget == 2 * 10**9


async def test_a_job_that_cannot_run_is_reported_unless_somebody_awaits_it(pack: Pack, session: nb.Session) -> None:
    refused: list[tuple[nb.Run, BaseException]] = []
    session.presenter.show_refusal = lambda run, error: refused.append((run, error))
    graph = pack.graph({"1": made("Nowhere")})
    with pytest.raises(nb.ValidationError):
        await graph.start()
    assert refused == []
    job = graph.start()
    async with asyncio.timeout(PATIENCE_S):
        while not refused:
            await asyncio.sleep(0)
    ((run, error),) = refused
    assert run is job.run and run.error is error and "failed" in repr(job)
    with pytest.raises(nb.ValidationError, match="not registered here: Nowhere"):
        await job


async def test_without_a_display_a_warning_reports_it(pack: Pack) -> None:
    job = pack.graph({"1": made("Nowhere")}).start()
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    job._task.add_done_callback(lambda task: ended.set_result(None))  # called after the job's own
    with pytest.warns(nb.ComfyNBWarning, match="cannot run: ValidationError: "):
        await asyncio.wait_for(ended, PATIENCE_S)


async def test_a_job_that_is_cancelled_at_once_is_not_reported(graph: nb.Graph, session: nb.Session) -> None:
    refused: list[nb.Run] = []
    session.presenter.show_refusal = lambda run, error: refused.append(run)
    job = nb.nodes.EmptyImage(width=8, height=8).start()
    job.cancel()
    with pytest.raises(nb.Stopped):
        await asyncio.shield(job._task)
    assert refused == []


async def test_a_listener_that_fails_hurts_no_run_even_where_warnings_are_errors(
    graph: nb.Graph, session: nb.Session
) -> None:
    session.on_run(lambda run: 1 / 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = await asyncio.wait_for(graph.run(outputs=["1"]), PATIENCE_S)
    assert run["1"] == 1 and session.live_runs() == []


async def test_a_run_that_goes_on_says_how_long_it_and_its_node_have_taken_so_far() -> None:
    go_on = asyncio.Event()

    @nb.node
    async def waits_to_go_on() -> int:
        await go_on.wait()
        return 1

    job = nb.Graph(waits_to_go_on()).start()
    await asyncio.sleep(0.05)
    run = job.run
    assert run.seconds >= 0.05 and "under 1 ms" not in repr(job) + run.summary()
    assert run.summary().startswith("Run running for ")
    go_on.set()
    await job
    took = run.seconds
    await asyncio.sleep(0.01)
    assert run.seconds == took


async def test_a_node_of_a_stopped_run_that_only_waited_has_no_time() -> None:
    begun = asyncio.Event()

    @nb.node
    async def waits_for_ever() -> int:
        begun.set()
        await asyncio.Event().wait()
        return 1

    @nb.node
    def adds_one(n: int) -> int:
        return n + 1

    job = nb.Graph(adds_one(waits_for_ever())).start()
    await begun.wait()
    job.run.stop()
    await job
    assert "adds_one (node 2): did not finish: the run was stopped" in job.run.summary()
