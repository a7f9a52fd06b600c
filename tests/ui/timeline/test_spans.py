"""A run's events as spans of time, and its critical path."""

from __future__ import annotations

import pytest

from comfy_nb.engine.events import (
    CallFinished,
    Event,
    LoopHeld,
    NodeFinished,
    NodeQueued,
    NodeStarted,
    NodeWaiting,
    PlacesTaken,
)
from comfy_nb.ui.timeline.spans import Recorder, Spans, side_by_side
from tests.ui.scripted import RUN, all_cached, failed, finished, node, started

LANE = "comfy-nb-lane-0"


def end(node_id: str, at: float) -> Event:
    return NodeFinished(RUN, at, node_id, "ran", 0.1, None)


def spans_of(*events: Event, links: dict[str, list[str]] | None = None, now: float = 99.0) -> Spans:
    recorder = Recorder(lambda node_id: (links or {}).get(node_id, ()))
    recorder.apply([started(3), *events])
    return recorder.spans(now)


def bar_of(spans: Spans, node_id: str = "1"):
    return next(bar for bar in spans.bars if bar.node_id == node_id)


def test_a_node_is_a_bar_from_its_start_to_its_end_on_its_lane():
    bar = bar_of(spans_of(node("1", 1.0, title="Soften", lane=LANE), end("1", 2.5), finished(seconds=3.0)))
    assert (bar.title, bar.lane, bar.start, bar.end, bar.state) == ("Soften", LANE, 1.0, 2.5, "done")


def test_times_count_from_the_first_event():
    recorder = Recorder(lambda _: ())
    recorder.apply([started(1, time=100.0), node("1", 101.0), end("1", 102.0)])
    assert (bar_of(recorder.spans(103.0)).start, recorder.spans(103.0).seconds) == (1.0, 3.0)


def test_a_node_waited_from_when_all_it_needs_was_there():
    links = {"3": ["1", "2"]}
    first = (node("1", 0.0), end("1", 1.0), node("2", 0.0), end("2", 2.0))
    bar = bar_of(spans_of(*first, node("3", 2.75, lane=LANE), end("3", 3.0), links=links), "3")
    assert (bar.ready, bar.waited) == (2.0, 0.75)


def test_a_node_without_parents_could_have_begun_at_once():
    assert bar_of(spans_of(node("1", 0.5, lane=LANE))).waited == 0.5


def test_pauses_for_lazy_inputs_and_other_tries_lie_within_the_bar():
    again = NodeStarted(RUN, 2.0, "1", "1", "C", "C", "loop")
    bar = bar_of(spans_of(node("1", 0.5), NodeWaiting(RUN, 1.0, "1", "retry 1 of 2"), again, end("1", 3.0)))
    assert [(wait.start, wait.end, wait.note) for wait in bar.waits] == [(1.0, 2.0, "retry 1 of 2")]


def test_an_expansion_waits_until_its_nodes_are_done():
    spans = spans_of(
        node("1"), NodeWaiting(RUN, 1.0, "1", "expanded"), node("1.a", 1.5, under="1"), end("1.a", 2.0), end("1", 2.5)
    )
    assert [(wait.start, wait.end) for wait in bar_of(spans).waits] == [(1.0, 2.5)]
    assert bar_of(spans, "1.a").under == "1"


def test_calls_over_a_list_are_spans_of_their_own():
    calls = [CallFinished(RUN, 1.0, "1", 0, 2, 0.5), CallFinished(RUN, 1.5, "1", 1, 2, 0.25)]
    bar = bar_of(spans_of(node("1", 0.5), *calls, end("1", 1.5)))
    assert [(call.start, call.end, call.note) for call in bar.calls] == [(0.5, 1.0, "1 of 2"), (1.25, 1.5, "2 of 2")]


def test_what_kept_the_loop_is_known_and_too_long_is_a_stall():
    bar = bar_of(spans_of(node("1"), LoopHeld(RUN, 1.0, "1", 0.01), LoopHeld(RUN, 2.0, "1", 0.5), end("1", 2.0)))
    assert len(bar.held) == 2
    assert [(stall.start, stall.end) for stall in bar.stalls] == [(1.5, 2.0)]


def test_cached_nodes_are_ticks():
    spans = spans_of(*all_cached(3), finished(seconds=0.1))
    assert spans.bars == () and [tick.source for tick in spans.ticks] == ["memory"] * 3


def test_what_goes_on_ends_now_and_what_was_stopped_at_the_end():
    assert (bar_of(spans_of(node("1"), now=7.0)).state, bar_of(spans_of(node("1"), now=7.0)).end) == ("running", 7.0)
    stopped = spans_of(node("1"), finished("stopped", 4.0))
    assert (bar_of(stopped).state, bar_of(stopped).end, stopped.state) == ("stopped", 4.0, "stopped")
    assert bar_of(spans_of(node("1"), failed("1", ValueError("no"), 2.0))).state == "failed"


def test_lanes_are_the_loop_first_and_then_the_threads():
    spans = spans_of(node("1", lane="b"), node("2", lane="a"), node("3", lane="loop"))
    assert spans.lanes == ["loop", "a", "b"]


DIAMOND = {"2": ["1"], "3": ["1"], "4": ["2", "3"]}


def diamond(slow: str) -> Spans:
    ends = {"2": 2.0, "3": 2.0} | {slow: 4.0}
    return spans_of(
        *(node("1", 0.0), end("1", 1.0), node("2", 1.0), node("3", 1.0)),
        *(end("2", ends["2"]), end("3", ends["3"]), node("4", 4.0), end("4", 5.0), finished(seconds=5.0)),
        links=DIAMOND,
    )


@pytest.mark.parametrize("slow", ["2", "3"])
def test_the_critical_path_goes_by_the_slower_branch(slow):
    spans = diamond(slow)
    assert spans.critical == ("1", slow, "4")
    assert spans.critical_seconds == 5.0


def test_a_node_that_waited_for_its_thread_hangs_on_what_had_it():
    spans = spans_of(
        *(node("1", 0.0, lane=LANE), end("1", 3.0), node("2", 3.0, lane=LANE), end("2", 4.0), finished(seconds=4.0))
    )
    assert spans.critical == ("1", "2")


def test_an_expansion_hangs_on_the_last_of_its_nodes():
    spans = spans_of(
        *(node("0"), end("0", 1.0), node("1", 1.0), NodeWaiting(RUN, 1.1, "1", "expanded")),
        *(node("1.a", 1.1, under="1"), end("1.a", 2.0), node("1.b", 2.0, under="1"), end("1.b", 3.0), end("1", 3.0)),
        links={"1": ["0"], "1.b": ["1.a"]},
    )
    assert spans.critical == ("0", "1.a", "1.b", "1")


def test_a_run_in_which_nothing_ran_hangs_on_nothing():
    assert spans_of(*all_cached(2)).critical == ()


def test_several_runs_stand_side_by_side_as_they_were_in_time():
    runs = []
    for began in (100.0, 105.0):
        recorder = Recorder(lambda _: ())
        recorder.apply([started(1, time=began), node("1", began + 1), end("1", began + 2)])
        recorder.apply([finished(seconds=began + 3)])
        runs.append(recorder.spans(began + 3))
    both = side_by_side(runs)
    assert [(bar.node_id, bar.start, bar.end) for bar in both.bars] == [("0:1", 1.0, 2.0), ("1:1", 6.0, 7.0)]
    assert (both.seconds, both.critical, both.state) == (8.0, ("1:1",), "done")
    assert side_by_side(runs[:1]) is runs[0] and side_by_side([]).bars == ()


def queued(node_id: str, at: float, ahead: int, *pools: str, title: str = "Ask") -> Event:
    return NodeQueued(RUN, at, node_id, node_id, "Ask", title, pools, ahead)


def test_a_node_that_waits_for_a_pool_says_behind_how_many_until_it_begins():
    waiting = (node("1", 0.0), end("1", 1.0), queued("2", 1.0, 2, "gpu"), queued("2", 1.5, 1, "gpu"))
    (bar,) = spans_of(*waiting, links={"2": ["1"]}, now=3.0).queued
    assert (bar.state, bar.ready, bar.waited, bar.waited_for) == ("waiting", 1.0, 2.0, "gpu, 1 ahead")
    spans = spans_of(*waiting, node("2", 4.0), links={"2": ["1"]})
    assert spans.queued == ()
    assert (bar_of(spans, "2").waited, bar_of(spans, "2").waited_for) == (3.0, "gpu")


def test_a_node_that_waited_when_its_run_was_stopped_stays_until_then():
    (bar,) = spans_of(queued("1", 0.5, 0), finished("stopped", seconds=2.0)).queued
    assert (bar.waited, bar.waited_for) == (2.0, "the thread of plain nodes, next in line")


def test_a_pause_for_a_pool_between_two_calls_lies_within_the_bar():
    spans = spans_of(node("1", 0.0), queued("1", 1.0, 0, "gpu"), queued("1", 1.5, 0, "gpu"), node("1", 2.0))
    assert [(wait.start, wait.end, wait.note) for wait in bar_of(spans).waits] == [(1.0, 2.0, "waits for gpu")]


def test_the_critical_path_goes_by_who_had_the_place_in_a_pool():
    spans = spans_of(
        *(PlacesTaken(RUN, 0.0, "1", ("gpu",), 0.0), node("1", 0.0)),
        *(node("2", 0.0), end("2", 3.9)),
        *(queued("3", 0.0, 0, "gpu"), end("1", 4.0), PlacesTaken(RUN, 4.0, "3", ("gpu",), 4.0), node("3", 4.0)),
        end("3", 6.0),
    )
    assert spans.critical == ("1", "3")


def test_side_by_side_those_that_wait_are_placed_like_the_others():
    recorder = Recorder(lambda _: ())
    recorder.apply([started(1, time=1.0), queued("1", 1.0, 3, "gpu")])
    both = side_by_side([spans_of(node("1", 0.0)), recorder.spans(3.0)])
    assert [(bar.node_id, bar.ready, bar.start) for bar in both.queued] == [("1:1", 1.0, 3.0)]
