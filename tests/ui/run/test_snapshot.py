"""Several runs merged into one."""

from __future__ import annotations

from dataclasses import replace

import pytest

import comfy_nb as nb
from comfy_nb.ui.run.model import RunModel
from comfy_nb.ui.run.monitor import monitor_of
from comfy_nb.ui.run.snapshot import ROWS_MAX, RunSnapshot, after, labelled, merge, without_repeated
from tests.ui.scripted import all_cached, done, failed, finished, node, progress, started


def snapshot_of(*events) -> RunSnapshot:
    model = RunModel()
    model.apply(events)
    return model.snapshot()


def test_one_run_is_seen_as_it_is():
    snapshot = snapshot_of(started(1), node("1"))
    assert merge([snapshot]) == snapshot


def test_counts_add_up_and_rows_stay_in_their_order_without_the_cached_ones():
    first = snapshot_of(*all_cached(1), started(3, cached=1), node("1"), done("1"), node("2"))
    second = snapshot_of(started(2), node("1"))
    both = merge([first, second])
    assert (both.total, both.done, both.cached, both.ran) == (6, 2, 1, 1)
    assert [row.node_id for row in both.rows] == ["1", "2", "1"]


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        (("done", "failed"), "failed"),
        (("done", "stopped"), "stopped"),
        (("failed", "running"), "running"),
        (("cancelled", "done"), "cancelled"),
    ],
)
def test_the_state_is_running_while_one_runs_and_then_the_gravest(states, shown):
    ends = [[] if state == "running" else [finished(state, 2.0)] for state in states]
    both = merge([snapshot_of(started(1), *end) for end in ends])
    assert both.state == shown
    assert both.is_over == ("running" not in states)


def test_the_time_is_from_the_first_start_to_the_last_end():
    early = snapshot_of(started(1, time=10.0), finished("done", 5.0))
    late = snapshot_of(started(1, time=12.0), finished("done", 9.0))
    assert merge([early, late]).elapsed(now=99.0) == 11.0


def test_of_many_rows_those_at_work_and_those_that_failed_stay():
    quick = [snapshot_of(started(9), *(each for n in "abcdefgh" for each in (node(n), done(n)))) for _ in range(3)]
    bad = snapshot_of(started(1), node("bad"), failed("bad", ValueError("no")))
    live = snapshot_of(started(1), node("live"))
    both = merge([*quick, bad, live])
    assert len(both.rows) == ROWS_MAX and {"bad", "live"} <= {row.node_id for row in both.rows}
    assert both.describe_hidden() == "14 more finished"


@pytest.mark.parametrize(
    ("began", "took", "together"),
    [
        pytest.param(10.0, 2.0, 5.0, id="later"),
        pytest.param(2.0, 4.0, 6.0, id="begun while the others went on"),
        pytest.param(1.0, 1.5, 3.0, id="within their time"),
    ],
)
def test_the_time_of_runs_that_ended_before_others_is_that_in_which_any_went_on(began, took, together):
    ended = snapshot_of(started(1), node("1"), done("1"), finished(seconds=3.0))
    both = after(replace(ended, started=0.0), replace(ended, started=began, seconds=took))
    assert both.elapsed(99.0) == together
    assert after(both, replace(ended, started=20.0)).elapsed(99.0) == together + 3.0


def test_nodes_that_other_runs_have_too_are_neither_counted_nor_hidden():
    shared = [*all_cached(2), started(1, cached=2), node("1"), done("1"), finished()]
    both = merge([snapshot_of(*shared), snapshot_of(*shared)])
    once = without_repeated(both, 2)
    assert (both.total, both.more_finished) == (6, 4)
    assert (once.total, once.done, once.cached, once.more_finished) == (4, 4, 2, 2)


def test_the_time_left_is_the_longest_and_unknown_if_one_is():
    def steps(total: int) -> list:
        return [progress("1", number, total, time=number / 10) for number in range(11)]

    short, long = (snapshot_of(started(1), node("1"), *steps(total)) for total in (20, 50))
    assert merge([short, long]).eta == pytest.approx(4.0)
    assert merge([short, snapshot_of(started(1), node("1"))]).eta is None


def test_rows_of_one_name_say_in_which_constants_they_differ():
    snapshot = snapshot_of(started(4), node("1", title="ask"), node("2", title="ask"), node("3", title="other"))
    for row, service in zip(snapshot.rows, ("caption", "depth", "caption"), strict=True):
        row.constants = {"service": service, "seconds": 1.0, "prompt": "x" * 100}
    assert [row.label for row in labelled(snapshot).rows] == ["service='caption'", "service='depth'", ""]
    assert labelled(snapshot).rows[0].name == "ask (ImageBlur) service='caption'"


def test_rows_that_nothing_else_tells_apart_say_their_ids():
    assert [row.label for row in labelled(snapshot_of(started(2), node("1"), node("2"))).rows] == ["#1", "#2"]


def test_a_long_constant_is_cut_in_the_label():
    snapshot = snapshot_of(started(2), node("1"), node("2"))
    snapshot.rows[0].constants = {"text": "a" * 100}
    assert len(labelled(snapshot).rows[0].label) < 40


async def test_the_nodes_of_an_expansion_are_told_apart_by_their_constants_too():
    @nb.node
    def stage(x: int, passes: int) -> int:
        return x + passes

    @nb.node
    def stages(x: int) -> int:
        graph = nb.GraphBuilder()
        first = graph.node("stage", x=x, passes=1)
        return {"result": (graph.node("stage", x=first.out(0), passes=2).out(0),), "expand": graph.finalize()}

    with nb.use_session(nb.Session()):
        run = await nb.Graph(stages(1)).run()
    labels = [row.label for row in labelled(monitor_of(run).snapshot()).rows if row.title == "stage"]
    assert labels == ["passes=1", "passes=2"]
