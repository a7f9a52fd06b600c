"""The model of a run: what there is to show, from its events alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch

from comfy_nb.engine.events import (
    CallFinished,
    LoopHeld,
    NodeBlocked,
    NodeLog,
    NodeOverdue,
    NodeQueued,
    NodesAdded,
    NodeText,
    NodeWaiting,
    PlacesGivenBack,
    PlacesTaken,
)
from comfy_nb.ui.run.model import LOG_MAX, TEXT_MAX, RunModel
from comfy_nb.ui.run.snapshot import ROWS_MAX, RunSnapshot
from tests.ui.scripted import RUN, all_cached, done, failed, finished, node, preview, progress, started


def snapshot_of(*events, name_of=None) -> RunSnapshot:
    model = RunModel(name_of)
    model.apply(events)
    return model.snapshot()


def only_row(*events):
    (row,) = snapshot_of(started(), *events).rows
    return row


def test_a_node_that_started_is_a_running_row_without_a_fraction():
    row = only_row(node("3", title="Soften", class_type="ImageBlur"))
    assert (row.state, row.name, row.fraction, row.steps) == ("running", "Soften (ImageBlur)", None, "")


def test_a_title_that_is_the_class_is_shown_once():
    assert only_row(node("3", class_type="ImageBlur")).name == "ImageBlur"


def test_progress_is_a_fraction_and_steps_in_words():
    row = only_row(node("3"), progress("3", 5, 20))
    assert (row.fraction, row.steps) == (0.25, "5/20")


def test_progress_over_a_list_counts_the_calls():
    row = only_row(node("3"), progress("3", 1, 2, index=2, calls=8))
    assert (row.fraction, row.steps) == (2.5 / 8, "1/2, 3 of 8")


@pytest.mark.parametrize(
    ("value", "total", "fraction"),
    [(30, 20, 1.0), (-1, 20, 0.0), (3, 0, None), (3, math.inf, None), (math.nan, 20, None)],
)
def test_nonsense_progress_stays_within_the_bar(value, total, fraction):
    assert only_row(node("3"), progress("3", value, total)).fraction == fraction


@pytest.mark.parametrize("nonsense", ["a", "", None, [1], 1j, 10**400, object(), torch.ones(3)])
def test_progress_that_is_not_a_number_is_ignored(nonsense):
    model = RunModel()
    model.apply([started(), node("3"), progress("3", 1, 4)])
    model.apply([progress("3", nonsense, 4, time=2.0)])
    (row,) = model.snapshot().rows
    assert (row.value, row.fraction) == (1.0, 0.25)
    assert only_row(node("3"), progress("3", 1, nonsense)).fraction is None


def test_of_the_steps_of_a_node_that_come_at_once_the_newest_is_shown():
    model = RunModel()
    model.apply([started(), node("3"), node("4"), *(progress("3", step, 9) for step in range(9)), progress("4", 2, 9)])
    assert [row.value for row in model.snapshot().rows] == [8.0, 2.0]


def test_progress_may_be_any_kind_of_number():
    row = only_row(node("3"), progress("3", torch.tensor(5), torch.tensor(20), time=2.0))
    assert (row.fraction, row.steps, type(row.value), type(row.rate)) == (0.25, "5/20", float, float)


def test_the_newest_preview_wins():
    row = only_row(node("3"), preview("3", b"old"), preview("3", b"new", "png"))
    assert (row.preview, row.preview_format) == (b"new", "png")


def test_text_is_replaced_or_appended_and_its_end_is_kept():
    def text(words: str, append: bool) -> NodeText:
        return NodeText(RUN, 0, "3", words, append)

    assert only_row(node("3"), text("first", False), text("second", False)).text == "second"
    assert only_row(node("3"), text("one ", True), text("two", True)).text == "one two"
    long = only_row(node("3"), text("x" * TEXT_MAX, True), text("end", True)).text
    assert len(long) == TEXT_MAX and long.endswith("xend")


def test_a_waiting_node_says_why_until_it_goes_on():
    waiting = [node("3"), NodeWaiting(RUN, 0, "3", "retry 1 of 3")]
    assert (only_row(*waiting).state, only_row(*waiting).note) == ("waiting", "retry 1 of 3")
    again = only_row(*waiting, node("3", time=2.0))
    assert (again.state, again.note, again.started) == ("running", "", 0.0)


def queued(node_id, ahead, *pools, time=0.0):
    return NodeQueued(RUN, time, node_id, node_id, "Ask", "Ask", pools, ahead)


def test_a_node_that_waits_for_a_pool_says_behind_how_many_and_its_time_begins_with_its_work():
    row = only_row(queued("3", 2, "gpu", time=1.0))
    assert (row.state, row.note) == ("waiting", "waits for gpu, 2 ahead")
    assert only_row(queued("3", 2, "gpu"), queued("3", 0, "gpu")).note == "waits for gpu, next in line"
    row = only_row(queued("3", 0, "gpu", time=1.0), PlacesTaken(RUN, 4.0, "3", ("gpu",), 3.0), node("3", 4.0))
    assert (row.state, row.note, row.started) == ("running", "", 4.0)


def test_a_node_that_waits_for_the_thread_of_plain_nodes_names_what_would_help():
    note = only_row(queued("3", 0)).note
    assert note == "waits for the thread of plain nodes, next in line (with thread_safe=True it would not)"


def test_a_node_one_of_whose_calls_is_at_work_does_not_wait():
    taken, given_back = PlacesTaken(RUN, 0.0, "3", ("gpu",), 0.0), PlacesGivenBack(RUN, 1.0, "3", ("gpu",))
    events = (taken, node("3"), queued("3", 0, "gpu"))
    assert only_row(*events).state == "running"
    assert only_row(*events, given_back, queued("3", 0, "gpu")).state == "waiting"


def test_the_time_left_is_unknown_while_nodes_wait_for_a_pool():
    steps = (progress("3", 0, 100, time=0.0), progress("3", 50, 100, time=5.0))
    assert snapshot_of(started(2), node("3"), *steps, queued("4", 0, "gpu")).eta is None


def test_a_finished_node_keeps_its_own_seconds():
    row = only_row(node("3"), progress("3", 1, 20), done("3", 0.25))
    assert (row.state, row.seconds, row.fraction, row.elapsed(99.0)) == ("done", 0.25, 1.0, 0.25)


def test_a_running_node_takes_as_long_as_the_clock_says():
    assert only_row(node("3", time=2.0)).elapsed(5.0) == 3.0


def test_a_node_from_the_cache_is_named_by_the_graph():
    snapshot = snapshot_of(
        started(2), done("3", 0, "memory"), name_of=lambda node_id: (f"Photo {node_id}", "LoadImage")
    )
    assert (snapshot.rows[0].name, snapshot.rows[0].state, snapshot.cached) == ("Photo 3 (LoadImage)", "cached", 1)


def test_a_blocked_node_stays_blocked_when_its_calls_are_over():
    blocked = NodeBlocked(RUN, 0, "3", "3", "no picture")
    assert (only_row(blocked).state, only_row(blocked).note) == ("blocked", "no picture")
    assert only_row(node("3"), blocked, done("3")).state == "blocked"


def test_a_failed_node_says_what_was_raised():
    row = only_row(node("3"), failed("3", ValueError("bad size"), time=0.7))
    assert (row.state, row.note, row.seconds) == ("failed", "bad size", 0.7)


def test_a_node_that_blocks_the_event_loop_is_named():
    note = only_row(node("3"), LoopHeld(RUN, 0, "3", 1.5)).note
    assert note == "kept the event loop busy for 1.50 s"


def test_a_node_that_goes_on_after_its_timeout_says_so():
    row = only_row(node("3"), NodeOverdue(RUN, 2, "3", 2.0))
    assert (row.state, row.note) == ("running", "timed out after 2.00 s, still running")


def test_a_short_hold_of_the_loop_is_not_worth_a_note():
    assert only_row(node("3"), LoopHeld(RUN, 0, "3", 0.01)).note == ""


def test_finished_list_calls_count_also_where_the_node_reports_no_steps():
    row = only_row(node("3"), CallFinished(RUN, 1.0, "3", 0, 8, 0.5), CallFinished(RUN, 2.0, "3", 4, 8, 0.5))
    assert (row.fraction, row.steps) == (2 / 8, "2 of 8")


def test_what_a_node_prints_is_kept_and_of_much_the_end():
    def printed(text: str) -> NodeLog:
        return NodeLog(RUN, 0, "3", "stdout", text)

    assert only_row(node("3"), printed("one\n"), printed("two\n")).log == "one\ntwo\n"
    assert only_row(node("3"), printed("x" * LOG_MAX), printed("end")).log.endswith("xend")
    assert only_row(node("3"), printed("no newline, "), done("3"), printed("so it came late")).log.endswith("came late")


def test_the_pace_is_that_of_the_last_second_or_so_and_gives_the_time_left():
    steps = [progress("3", number, 100, time=number / 10) for number in range(51)]
    snapshot = snapshot_of(started(1), node("3"), *steps)
    assert snapshot.rows[0].rate == pytest.approx(10.0)
    assert (snapshot.rows[0].pace, snapshot.eta) == ("10 it/s", pytest.approx(5.0))
    assert "5.00 s left" in snapshot.headline(now=5.0)
    slow = only_row(node("3"), progress("3", 1, 10, time=4.0))
    assert slow.pace == "4 s/it"


def test_the_time_left_is_unknown_while_nodes_wait_that_have_not_begun():
    steps = [progress("3", number, 100, time=number / 10) for number in range(51)]
    assert snapshot_of(started(2), node("3"), *steps).eta is None
    assert snapshot_of(started(2), node("3"), *steps, node("4")).eta is None


def test_the_nodes_of_an_expansion_stand_below_the_one_they_belong_to():
    snapshot = snapshot_of(
        started(4),
        node("1"),
        NodeWaiting(RUN, 0, "1", "expanded into 2 nodes"),
        node("2"),
        node("1.a", under="1"),
        node("1.b", under="1"),
    )
    assert [(row.node_id, row.under) for row in snapshot.rows] == [("1", ""), ("1.a", "1"), ("1.b", "1"), ("2", "")]


def test_a_node_that_is_shown_under_a_child_of_another_is_not_lost():
    snapshot = snapshot_of(started(3), node("1"), node("1.a", under="1"), node("1.a.x", under="1.a"))
    assert [row.node_id for row in snapshot.rows] == ["1", "1.a", "1.a.x"]


def test_a_text_that_is_not_unicode_can_be_saved():
    snapshot = snapshot_of(started(), node("3", title="\ud800"), NodeText(RUN, 0, "3", "a file \udcff", False))
    assert "a file ?" in snapshot.as_text(now=1.0).encode().decode()


def test_failures_are_counted_and_carry_their_error():
    error = ValueError("bad size")
    snapshot = snapshot_of(started(2), node("3"), failed("3", error))
    assert (snapshot.failed, snapshot.rows[0].error) == (1, error)


def test_what_runs_when_a_run_ends_was_stopped():
    snapshot = snapshot_of(started(2), node("3"), finished("stopped", 2.0))
    assert (snapshot.state, snapshot.rows[0].state, snapshot.rows[0].seconds) == ("stopped", "stopped", 2.0)


def test_news_of_a_node_that_is_over_changes_nothing():
    before = snapshot_of(started(), node("3"), done("3"))
    after = snapshot_of(started(), node("3"), done("3"), progress("3", 1, 2), preview("3", b"late"))
    assert after == before


def test_an_event_of_an_unknown_kind_changes_nothing():
    class Novelty(NamedTuple):
        run_id: str
        time: float

    assert snapshot_of(started(), node("3"), Novelty(RUN, 1.0)) == snapshot_of(started(), node("3"))


def test_rows_stay_in_the_order_in_which_they_began():
    snapshot = snapshot_of(started(), node("1", 0), node("2", 1), node("3", 2), done("2", 5))
    assert [row.node_id for row in snapshot.rows] == ["1", "2", "3"]


def test_no_more_than_twelve_rows_are_shown_and_the_rest_is_counted():
    ran = [event for number in range(50) for event in (node(str(number)), done(str(number), number / 100))]
    snapshot = snapshot_of(started(50), *ran)
    assert len(snapshot.rows) == ROWS_MAX
    assert snapshot.describe_hidden() == "38 more finished"
    assert [row.node_id for row in snapshot.rows] == [str(number) for number in range(38, 50)], "the slowest stay"


def test_rows_at_work_beyond_twelve_are_counted_too():
    snapshot = snapshot_of(started(20), done("0"), *(node(str(number)) for number in range(1, 16)))
    assert snapshot.describe_hidden() == "3 more running, 1 more finished"


def test_what_went_wrong_or_has_a_picture_is_not_hidden():
    quick = [
        node("ok"),
        preview("ok", b"picture"),
        done("ok", 0.0),
        NodeBlocked(RUN, 0, "bad", "bad", "no"),
        done("bad", 0),
    ]
    slow = [event for number in range(30) for event in (node(str(number)), done(str(number), 9.0))]
    assert {"ok", "bad"} <= {row.node_id for row in snapshot_of(started(40), *quick, *slow).rows}


def test_apply_returns_every_row_that_ended_hidden_ones_too():
    model = RunModel()
    many = [str(number) for number in range(30)]
    ended = model.apply([started(30), *(event for each in many for event in (node(each), done(each)))])
    assert [row.node_id for row in ended] == many
    assert model.apply([node("x")]) == []


def test_a_snapshot_does_not_change_with_later_events():
    model = RunModel()
    model.apply([started(), node("3")])
    before = model.snapshot()
    model.apply([progress("3", 1, 2)])
    assert before.rows[0].total == 0


def test_the_headline_counts_what_is_done():
    events = [*all_cached(1), started(3, cached=1), node("2"), done("2"), node("3")]
    assert snapshot_of(*events).headline(now=3.0) == "running: 2 of 4 nodes, 1 from cache, 3.00 s"
    added = snapshot_of(*events, NodesAdded(RUN, 0, 2))
    assert added.headline(now=3.0) == "running: 2 of 6 nodes, 1 from cache, 3.00 s"


def test_a_run_all_from_the_cache_is_one_line():
    snapshot = snapshot_of(*all_cached(4), finished("done", 0.002))
    assert snapshot.headline(now=99.0) == "4 nodes from cache, 2 ms"
    assert snapshot.as_text(now=99.0) == "✓ 4 nodes from cache, 2 ms"


def test_a_node_from_the_cache_has_no_time_of_its_own():
    snapshot = snapshot_of(*all_cached(1), started(2, cached=1), node("2"), done("2", 0.5))
    assert {row.state: row.describe_duration(now=9.0) for row in snapshot.rows} == {"cached": "", "done": "0.50 s"}


def test_thousands_of_cached_nodes_are_counted_and_not_listed():
    model = RunModel(name_of=lambda node_id: (node_id, ""))
    listed = model.apply([*all_cached(5_000), started(1, cached=5_000), node("x"), done("x")])
    assert len(listed) == ROWS_MAX + 1
    assert (model.snapshot().cached, model.snapshot().describe_hidden()) == (5_000, "4,989 more finished")
    assert model.snapshot().rows[-1].node_id == "x"


def test_the_text_has_a_line_for_each_row():
    snapshot = snapshot_of(
        started(2), node("1"), done("1", 0.31), node("2", class_type="Sum"), finished("stopped", 0.5)
    )
    assert snapshot.as_text(now=0.5).splitlines() == [
        "■ stopped: 1 of 2 nodes, 0.50 s",
        "  ✓ ImageBlur  done  0.31 s",
        "  ■ Sum  stopped  0.50 s",
    ]
