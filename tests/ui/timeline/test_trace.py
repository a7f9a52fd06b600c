"""A run in Chrome's trace event format."""

from __future__ import annotations

from collections import Counter

from comfy_nb.engine.events import LoopHeld
from comfy_nb.ui.timeline.trace import to_trace
from tests.ui.scripted import RUN, all_cached, finished, node
from tests.ui.timeline.test_spans import LANE, end, spans_of

NEEDED = {"X": {"dur"}, "b": {"id"}, "e": {"id"}, "i": {"s"}, "M": {"args"}}


def trace_of_a_run() -> list[dict]:
    spans = spans_of(
        *(node("1"), node("2"), LoopHeld(RUN, 0.5, "2", 0.1), end("1", 1.0), end("2", 2.0)),
        *(node("3", 1.0, lane=LANE), end("3", 1.5), *all_cached(1), finished(seconds=2.0)),
    )
    return to_trace(spans)["traceEvents"]


def test_every_event_has_what_its_phase_needs():
    for event in trace_of_a_run():
        assert {"name", "pid", "ph"} | NEEDED[event["ph"]] <= event.keys()
        assert event["ph"] == "M" or {"ts", "tid", "cat"} <= event.keys()


def test_async_nodes_are_pairs_and_what_runs_on_a_thread_is_complete():
    trace = trace_of_a_run()
    begun = Counter(event["id"] for event in trace if event["ph"] == "b")
    assert begun == Counter(event["id"] for event in trace if event["ph"] == "e") and len(begun) == 2
    (work,) = [event for event in trace if event["ph"] == "X" and event["cat"] == "sync"]
    assert (work["ts"], work["dur"], work["args"]["waited_ms"]) == (1e6, 5e5, 1000.0)


def test_lanes_are_named():
    named = {event["args"]["name"] for event in trace_of_a_run() if event["name"] == "thread_name"}
    assert named == {"event loop", LANE}
