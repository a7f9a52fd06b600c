"""The picture of a run over time."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfy_nb.engine.events import LoopHeld, NodeQueued
from comfy_nb.ui.timeline.lines import LINES_MAX, arrange_lanes
from comfy_nb.ui.timeline.spans import Recorder, Spans
from comfy_nb.ui.timeline.svg import summary, to_html, to_svg
from tests.ui.scripted import RUN, all_cached, finished, node, started
from tests.ui.timeline.test_spans import LANE, diamond, end

PX = 0.01


def spans_of(*events) -> Spans:
    recorder = Recorder(lambda _: ())
    recorder.apply([started(3), *events])
    return recorder.spans(99.0)


def overlapping(number: int) -> Spans:
    each = [str(number) for number in range(number)]
    return spans_of(
        *(node(name, 0.0, title=f"ask {name}") for name in each), *(end(name, 1.0) for name in each), finished()
    )


def kinds(svg: str) -> set[str]:
    root = ElementTree.fromstring(svg)
    return {element.get("class", "") for element in root.iter() if element.tag.endswith("rect")}


def test_bars_that_overlap_stand_below_each_other_and_others_share_a_line():
    spans = spans_of(
        *(node("1"), node("2"), end("1", 1.0), end("2", 2.0), node("3", 3.0), end("3", 4.0), finished(seconds=4.0))
    )
    loop, _ = arrange_lanes(spans, PX, 1.0)
    assert [[block.bar.node_id for block in line] for line in loop.lines] == [["2"], ["1", "3"]]


def test_of_very_many_at_once_the_rest_is_counted():
    loop, *_ = arrange_lanes(overlapping(LINES_MAX + 38), PX, 1.0)
    assert (len(loop.lines), loop.left_out) == (LINES_MAX, 38)
    assert "38 more at the same time" in to_svg(overlapping(LINES_MAX + 38))


def test_bars_too_narrow_to_be_told_apart_are_drawn_as_one():
    bars = [event for n in range(1_000) for event in (node(str(n), n / 1e5, lane=LANE), end(str(n), (n + 1) / 1e5))]
    (lane,) = [each for each in arrange_lanes(spans_of(*bars, finished()), PX, 1.0) if each.name == "thread-0"]
    assert len(lane.lines) == 1 and len(lane.lines[0]) < 20
    assert sum(block.count for block in lane.lines[0]) == 1_000


def test_waiting_awaiting_and_stalls_are_told_apart():
    svg = to_svg(
        spans_of(
            *(node("1"), LoopHeld(RUN, 0.5, "1", 0.4), LoopHeld(RUN, 0.9, "1", 0.05), end("1", 1.0)),
            *(node("2", 1.0, lane=LANE), end("2", 2.0), finished(seconds=2.0)),
        )
    )
    assert {"loop", "held", "stall", "thread", "waiting", "path"} <= kinds(svg)


def test_a_node_that_waits_for_a_pool_is_drawn_with_what_for():
    waits = NodeQueued(RUN, 0.5, "2", "2", "Ask", "Ask", ("gpu",), 2)
    begun = spans_of(node("1"), waits, end("1", 4.0), node("2", 4.0, title="Ask"), end("2", 9.0))
    for spans, words in ((spans_of(node("1"), waits), "Ask for gpu, 2 ahead"), (begun, "Ask for gpu")):
        root = ElementTree.fromstring(to_svg(spans))
        assert words in [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "waiting" in kinds(to_svg(spans_of(waits)))


def test_titles_are_escaped():
    svg = to_svg(spans_of(node("1", title="<script>&"), end("1", 1.0), finished()))
    assert "<script>" not in svg and "&lt;script&gt;&amp;" in svg


def test_the_summary_names_the_critical_path():
    assert summary(diamond("3")) == "5.00 s; critical path, 5.00 s: ImageBlur → ImageBlur → ImageBlur"


def test_a_run_from_the_cache_needs_no_picture():
    html = to_html(spans_of(*all_cached(4), finished(seconds=0.002)))
    assert "all from the cache" in html and "<img" not in html


@pytest.mark.parametrize("number", [10_000])
def test_the_picture_of_a_large_run_stays_small(number):
    wide = [event for n in range(number) for event in (node(str(n), n / 1e3), end(str(n), n / 1e3 + 5.0))]
    assert len(to_html(spans_of(*wide, finished(seconds=15.0)))) < 300_000


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.booleans(), st.text(max_size=80)), max_size=30))
@settings(max_examples=50, deadline=None)
def test_whatever_ran_the_picture_is_a_proper_document(bars):
    events = []
    for number, (start, seconds, is_async, title) in enumerate(bars):
        events.append(node(str(number), start, title=title, lane="loop" if is_async else LANE))
        events.append(end(str(number), start + seconds))
    spans = spans_of(*events, finished(seconds=10.0))
    ElementTree.fromstring(to_svg(spans))
    (data,) = re.findall(r"base64,([^\"]+)\"", to_html(spans)) or [""]
    assert base64.b64decode(data).decode() in ("", to_svg(spans))
