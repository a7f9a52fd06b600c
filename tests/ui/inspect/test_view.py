"""The widget of a view, without a browser: it answers, scans in the background, and releases the value."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import replace

import pytest
import torch

import comfy_nb as nb
from comfy_nb.ui.inspect import statistics as statistics_module
from comfy_nb.ui.inspect.background import BackgroundThread
from comfy_nb.ui.inspect.inspector import Inspector
from comfy_nb.ui.inspect.view import InspectorWidget, ValueView, view_of

PATIENCE_S = 20.0


@pytest.fixture
def small_limits(monkeypatch):
    monkeypatch.setattr(statistics_module, "EXACT_MAX", 1_000)
    monkeypatch.setattr(statistics_module, "SAMPLE_MAX", 100)
    monkeypatch.setattr(statistics_module, "CHUNK", 500)


def widget_of(x: torch.Tensor) -> InspectorWidget:
    return InspectorWidget(Inspector(x), "")


def test_a_page_that_opens_has_all_values_read(small_limits):
    x = torch.zeros(100, 100)
    x[57, 31] = float("nan")
    widget = widget_of(x)
    assert widget.message["parts"][0]["clear"] == "no NaN, no infinity in the sample"
    is_updated = threading.Event()
    widget.observe(lambda change: is_updated.set(), "message")
    widget._on_message(widget, {"ask": "open", "page": "a"}, [])
    assert is_updated.wait(PATIENCE_S)
    assert widget.message["parts"][0]["alarms"] == ["1 of 10,000 values is NaN; the first is at [57, 31]"]


def test_a_request_is_answered_with_its_key_and_number(monkeypatch):
    widget, answers = widget_of(torch.zeros(4, 4)), []
    is_answered = threading.Event()
    monkeypatch.setattr(widget, "send", lambda *sent: (answers.append(sent), is_answered.set()))
    asked = {"ask": "texts", "rect": [0, 0, 1, 1], "key": "read", "id": 7}
    widget._on_message(widget, asked, [])
    assert is_answered.wait(PATIENCE_S)
    ((answer, pictures),) = answers
    assert (answer["key"], answer["id"], answer["texts"], pictures) == ("read", 7, [[["0"]]], [])


def test_when_the_last_page_closes_the_value_is_let_go(small_limits, monkeypatch):
    x = torch.zeros(100, 100)
    ref, widget = weakref.ref(x), widget_of(x)
    is_released = threading.Event()
    release = widget._inspector.release
    monkeypatch.setattr(widget._inspector, "release", lambda: (release(), is_released.set()))
    for asked in ({"ask": "open", "page": "a"}, {"ask": "open", "page": "b"}, {"ask": "close", "page": "a"}):
        widget._on_message(widget, asked, [])
    assert not is_released.is_set()
    widget._on_message(widget, {"ask": "close", "page": "b"}, [])
    assert is_released.wait(PATIENCE_S)
    del x
    gc.collect()
    assert ref() is None


def test_a_page_that_opens_as_the_last_one_closes_is_answered(monkeypatch):
    x = torch.rand(1, 4, 4, 3)
    widget = widget_of(x)
    answered = threading.Event()
    monkeypatch.setattr(widget, "send", lambda answer, pictures=(): answered.set() if "texts" in answer else None)
    question = {"ask": "texts", "part": 0, "rect": [0, 0, 1, 1], "index": [0, 0, 0, 0], "key": "read", "id": 1}
    widget._on_message(widget, {"ask": "open", "page": "one"}, [])
    closing, go_on = threading.Event(), threading.Event()
    close = widget._close
    monkeypatch.setattr(widget, "_close", lambda page: (closing.set(), go_on.wait(PATIENCE_S), close(page)))
    widget._on_message(widget, {"ask": "close", "page": "one"}, [])
    assert closing.wait(PATIENCE_S)
    widget._on_message(widget, {"ask": "open", "page": "other"}, [])
    widget._on_message(widget, question, [])
    go_on.set()
    assert answered.wait(PATIENCE_S)


def test_the_thread_runs_the_newest_task_of_a_key_and_continues_a_long_one_in_between():
    thread, done, ended = BackgroundThread(), [], threading.Event()
    holds, goes_on = threading.Event(), threading.Event()

    def hold() -> None:
        holds.set()
        goes_on.wait(PATIENCE_S)

    def steps():
        for step in range(3):
            done.append(step)
            yield
        ended.set()

    thread.submit("hold", hold)
    assert holds.wait(PATIENCE_S)
    thread.submit("slice", lambda: done.append("old"))
    thread.submit("slice", lambda: done.append("new"))
    thread.start_long_task(steps())
    goes_on.set()
    assert ended.wait(PATIENCE_S)
    assert done == ["new", 0, 1, 2]


def test_a_value_that_came_from_no_run_has_no_origin():
    assert repr(view_of(torch.zeros(2))).splitlines()[-1] == "no NaN, no infinity"


@pytest.mark.parametrize(
    ("value", "lines"),
    [("half \ud83d", ["half ?"]), ({"\ud83d": 1, "x": ["\ud83d", 2]}, ["?: 1", "x[0]: ?", "x[1]: 2"])],
)
def test_half_characters_are_replaced_so_that_the_page_can_be_saved(value, lines):
    shown = view_of(value)
    assert repr(shown).splitlines() == lines
    html = shown._repr_html_()
    assert html.encode().count(b"?") == "".join(lines).count("?")
    assert all(line in html for line in lines)


def test_a_view_that_was_let_go_is_shown_again_while_the_value_lives():
    x = torch.ones(1, 4, 4, 3)
    seen = view_of(x)
    seen.widget()._inspector.release()
    assert "[1, 4, 4, 3]" in repr(seen) and "<img" in seen._repr_html_()


def test_another_value_that_is_gone_is_reported():
    inspector = Inspector(torch.ones(1, 4, 4, 3), torch.zeros(1, 4, 4, 3))
    inspector.others[0] = replace(inspector.others[0], array=None)
    answer, _ = inspector.answer({"ask": "slice", "which": "other", "rect": [0, 0, 4, 4], "size": [8, 8]})
    assert "no longer held" in answer["error"]


def test_the_values_of_the_other_are_read_where_the_other_is_shown():
    inspector = Inspector(torch.ones(1, 4, 4, 3), torch.zeros(1, 4, 4, 3))
    asked = {"ask": "texts", "rect": [0, 0, 1, 1], "part": 0}
    answers = [inspector.answer({**asked, "which": which})[0] for which in ("one", "other")]
    assert [answer["texts"][0][0][0] for answer in answers] == ["1", "0"]


def test_a_task_that_fails_does_not_end_others():
    thread, answered = BackgroundThread(), threading.Event()
    with pytest.warns(nb.ComfyNBWarning, match="ZeroDivisionError"):
        thread.submit("first", lambda: 1 / 0)
        thread.submit("second", answered.set)
        assert answered.wait(PATIENCE_S)
    thread.start_long_task(1 / each for each in [0])
    again = threading.Event()
    thread.submit("third", again.set)
    assert again.wait(PATIENCE_S)


@pytest.mark.parametrize("asked", [None, 17, [], "x", {}, {"ask": "open"}, {"ask": "close"}, {"ask": []}])
def test_what_is_not_a_request_does_no_harm(asked, monkeypatch):
    x = torch.rand(1, 4, 4, 3)
    widget = widget_of(x)
    answers: list[dict] = []
    is_answered = threading.Event()
    monkeypatch.setattr(widget, "send", lambda answer, pictures=(): (answers.append(answer), is_answered.set()))
    widget._on_message(widget, asked, [])
    question = {"ask": "texts", "part": 0, "rect": [0, 0, 1, 1], "index": [0, 0, 0, 0], "key": "read", "id": 5}
    deadline = time.monotonic() + PATIENCE_S
    widget._on_message(widget, question, [])
    while not any(answer.get("id") == 5 for answer in answers) and time.monotonic() < deadline:
        is_answered.wait(PATIENCE_S)
        is_answered.clear()
    assert any(answer.get("id") == 5 for answer in answers)


def test_what_made_a_value_can_be_saved_whatever_its_name():
    view = ValueView(torch.zeros(2, 2), origin="node \udcff")
    assert "node ?" in view._repr_html_() and repr(view).encode()
