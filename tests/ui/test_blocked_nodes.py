"""Nodes that did not run because of another: the panel, the text, the timeline and the graph view agree on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import comfy_nb as nb
from comfy_nb.engine.events import Event, NodeFailed, NodeGivenUp, NodeStarted, RunFinished
from comfy_nb.ui.graph.states import States
from comfy_nb.ui.run.messages import MessageEncoder
from comfy_nb.ui.run.model import RunModel, names_in
from comfy_nb.ui.run.snapshot import ROWS_MAX, RunSnapshot
from comfy_nb.ui.timeline.live import Timeline
from tests.ui.scripted import RUN, failed, finished, node, started

ERROR = ValueError("no")
REASON = "waits for bad (node 2), which failed"


@pytest.fixture(autouse=True)
def session() -> Iterator[nb.Session]:
    with nb.use_session(nb.Session(budget=64 << 20)) as session:
        yield session


@nb.node
def fine(x: int) -> int:
    return x + 1


@nb.node
def bad(x: int) -> int:
    raise ValueError("no")


@nb.node(output=True)
def keep(x: int) -> None:
    pass


async def failing_run() -> nb.Run:
    """fine (1) -> bad (2) -> fine (3) -> keep (4), and fine (1) -> keep (5)."""
    first = fine(1)
    with pytest.raises(nb.NodeErrors) as caught:
        await nb.Graph(keep(fine(bad(first))), keep(first)).run(on_error="continue")
    run: nb.Run = caught.value.run
    return run


def snapshot_of(run: nb.Run) -> RunSnapshot:
    model = RunModel(names_in(run))
    run.subscribe(model.apply)
    return model.snapshot()


async def test_the_rows_say_what_blocked_nodes_wait_for_and_the_head_counts_them():
    snapshot = snapshot_of(await failing_run())
    states = {row.node_id: (row.state, row.note) for row in snapshot.rows}
    assert states["3"] == states["4"] == ("blocked", REASON)
    assert (states["1"][0], states["2"][0], states["5"][0]) == ("done", "failed", "done")
    assert (snapshot.failed, snapshot.blocked_nodes, snapshot.done, snapshot.total) == (1, 2, 2, 5)
    head = MessageEncoder().encode(snapshot, 0.0, is_asked=True)["head"]
    assert (head["state"], head["failed"]) == ("failed", "1 failed, 2 blocked")


async def test_the_text_says_the_same():
    text = snapshot_of(await failing_run()).as_text(0.0)
    assert text.splitlines()[0].startswith("✗ failed: 2 of 5 nodes, 1 failed, 2 blocked, ")
    assert f"  ⊘ keep  blocked  {REASON}" in text


async def test_the_graph_view_says_the_same():
    run, states = await failing_run(), States()
    run.subscribe(lambda batch: states.take(batch, lambda: run.plan.above(run.wanted), goes_on=True))
    assert (states.of("3").state, states.of("3").note) == ("blocked", REASON)
    assert {node_id: state.state for node_id, state in states.nodes.items()} == {
        "1": "done",
        "2": "failed",
        "3": "blocked",
        "4": "blocked",
        "5": "done",
    }


async def test_the_timeline_says_the_same():
    timeline = Timeline(await failing_run())
    assert [(each.node_id, each.reason) for each in timeline.spans.blocked] == [("3", REASON), ("4", REASON)]
    assert f"2 nodes blocked: {REASON}" in repr(timeline)
    assert f"failed; 2 nodes blocked ({REASON}); critical path" in timeline._repr_html_()
    assert [event for event in timeline.to_trace()["traceEvents"] if event["name"] == "blocked"]


def given_up(node_id: str) -> Event:
    return NodeGivenUp(RUN, 0.0, node_id, node_id, "2", REASON)


def test_what_was_not_needed_is_skipped_in_the_graph_view_though_the_run_failed():
    states = States()
    states.take([started(2), failed("2", ERROR), finished(state="failed")], lambda: ("2", "7"), goes_on=True)
    assert states.of("7").state == "skipped"
    states.take([started(2), failed("2", ERROR), finished(state="failed")], lambda: ("2", "7"))
    assert states.of("7").state == "stopped"


def test_a_node_whose_expansion_failed_stays_failed_while_the_rest_of_that_goes_on():
    states = States()
    states.take([NodeFailed(RUN, 0.0, "1.a", "1", ERROR), NodeFailed(RUN, 0.0, "1", "1", ERROR)])
    states.take([NodeStarted(RUN, 0.0, "1.b", "1", "A", "A", "loop"), RunFinished(RUN, 1.0, "failed", 1.0)])
    assert states.of("1").state == "failed"


def test_many_blocked_nodes_leave_room_for_the_failed_one_and_for_what_has_a_result_to_show():
    model = RunModel()
    model.apply([started(50), node("ok"), *(given_up(str(number)) for number in range(10, 40)), node("bad")])
    model.apply([failed("bad", ERROR), finished(state="failed")])
    rows = model.snapshot().rows
    assert len(rows) == ROWS_MAX
    assert "bad" in {row.node_id for row in rows}
    assert model.snapshot().describe_hidden() == "20 more finished"


def test_a_node_and_the_node_in_its_expansion_that_failed_count_as_one_failure():
    model = RunModel()
    model.apply([started(2), NodeFailed(RUN, 0.0, "1.a", "1", ERROR), NodeFailed(RUN, 0.0, "1", "1", ERROR)])
    assert model.snapshot().failed == 1
