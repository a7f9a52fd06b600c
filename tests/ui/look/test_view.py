"""The widget of a view without a browser: it answers, scans in the background, and lets go."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
import torch

from comfy_nb.ui.look import facts as facts_module
from comfy_nb.ui.look.subject import Subject
from comfy_nb.ui.look.view import Viewer, look
from comfy_nb.ui.look.worker import Worker

PATIENCE_S = 20.0


@pytest.fixture
def small_limits(monkeypatch):
    monkeypatch.setattr(facts_module, "EXACT_MAX", 1_000)
    monkeypatch.setattr(facts_module, "SAMPLE_MAX", 100)
    monkeypatch.setattr(facts_module, "CHUNK", 500)


def viewer_of(x: torch.Tensor) -> Viewer:
    return Viewer(Subject(x), "")


def test_a_page_that_opens_has_all_values_looked_at(small_limits):
    x = torch.zeros(100, 100)
    x[57, 31] = float("nan")
    viewer = viewer_of(x)
    assert viewer.message["parts"][0]["clear"] == "no NaN, no infinity in the sample"
    is_told = threading.Event()
    viewer.observe(lambda change: is_told.set(), "message")
    viewer._take(viewer, {"ask": "open", "page": "a"}, [])
    assert is_told.wait(PATIENCE_S)
    assert viewer.message["parts"][0]["alarms"] == ["1 of 10,000 values is NaN; the first is at [57, 31]"]


def test_a_question_is_answered_with_its_key_and_number(monkeypatch):
    viewer, answers = viewer_of(torch.zeros(4, 4)), []
    is_answered = threading.Event()
    monkeypatch.setattr(viewer, "send", lambda *sent: (answers.append(sent), is_answered.set()))
    asked = {"ask": "texts", "rect": [0, 0, 1, 1], "key": "read", "id": 7}
    viewer._take(viewer, asked, [])
    assert is_answered.wait(PATIENCE_S)
    ((answer, pictures),) = answers
    assert (answer["key"], answer["id"], answer["texts"], pictures) == ("read", 7, [[["0"]]], [])


def test_when_the_last_page_closes_the_value_is_let_go(small_limits, monkeypatch):
    x = torch.zeros(100, 100)
    ref, viewer = weakref.ref(x), viewer_of(x)
    is_released = threading.Event()
    release = viewer._subject.release
    monkeypatch.setattr(viewer._subject, "release", lambda: (release(), is_released.set()))
    for asked in ({"ask": "open", "page": "a"}, {"ask": "open", "page": "b"}, {"ask": "close", "page": "a"}):
        viewer._take(viewer, asked, [])
    assert not is_released.is_set()
    viewer._take(viewer, {"ask": "close", "page": "b"}, [])
    assert is_released.wait(PATIENCE_S)
    del x
    gc.collect()
    assert ref() is None


def test_a_worker_takes_the_newest_question_of_a_key_and_goes_on_with_a_long_task_between():
    worker, done, ended = Worker(), [], threading.Event()
    holds, goes_on = threading.Event(), threading.Event()

    def hold() -> None:
        holds.set()
        goes_on.wait(PATIENCE_S)

    def steps():
        for step in range(3):
            done.append(step)
            yield
        ended.set()

    worker.ask("hold", hold)
    assert holds.wait(PATIENCE_S)
    worker.ask("slice", lambda: done.append("old"))
    worker.ask("slice", lambda: done.append("new"))
    worker.go_on_with(steps())
    goes_on.set()
    assert ended.wait(PATIENCE_S)
    assert done == ["new", 0, 1, 2]


def test_a_value_no_run_handed_out_has_no_maker():
    assert repr(look(torch.zeros(2))).splitlines()[-1] == "no NaN, no infinity"
