"""A run in a notebook as stock widgets, and what it leaves in the saved file."""

from __future__ import annotations

import asyncio
import threading

import ipywidgets
import pytest

from comfy_nb.library.folders import Folders, use_folders
from comfy_nb.ui import bars
from comfy_nb.ui.bars import Bars
from comfy_nb.ui.board import Board
from comfy_nb.ui.lines import Line, Lines
from comfy_nb.ui.page import to_html
from tests.ui.scripted import (
    ScriptedOutput,
    ScriptedRun,
    all_cached,
    done,
    failed,
    finished,
    jpeg,
    node,
    preview,
    progress,
    started,
)


@pytest.fixture
def run() -> ScriptedRun:
    return ScriptedRun()


@pytest.fixture
def output() -> ScriptedOutput:
    return ScriptedOutput()


@pytest.fixture
def line() -> ScriptedOutput:
    return ScriptedOutput()


@pytest.fixture
def show(run, output, line, monkeypatch):
    """Follow the run; `show()` is called on the loop, and its widgets come at the next tick."""
    monkeypatch.setattr(bars, "SHOW_AFTER_S", 0.0)
    monkeypatch.setattr(bars, "TICK_S", 0.0)
    return lambda: Bars(run, output, Line(line))


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def widgets_of(box, kind) -> list:
    found = [box] if isinstance(box, kind) else []
    return found + [each for child in getattr(box, "children", ()) for each in widgets_of(child, kind)]


async def test_each_node_at_work_has_a_bar_and_its_newest_preview(run, output, show):
    show()
    picture = jpeg()
    run.say(started(3), node("1", title="Soften"), progress("1", 5, 20), preview("1", picture), node("2"))
    await until(lambda: output.shown)
    (box,) = output.shown
    assert [each.value for each in widgets_of(box, ipywidgets.FloatProgress)] == [0.25, 0.0]
    assert widgets_of(box, ipywidgets.Image)[0].value == picture
    words = " ".join(each.value for each in widgets_of(box, ipywidgets.Label))
    assert "Soften (ImageBlur)" in words and "5/20" in words and "0 of 3 nodes" in words
    run.say(finished())


async def test_bars_move_while_the_run_goes_on_and_rows_come_and_go(run, output, show):
    show()
    run.say(started(2), node("1"))
    await until(lambda: output.shown)
    (box,) = output.shown
    run.say(progress("1", 1, 2))
    await until(lambda: widgets_of(box, ipywidgets.FloatProgress)[0].value == 0.5)
    run.say(done("1"), node("2"))
    await until(lambda: len(widgets_of(box, ipywidgets.FloatProgress)) == 2)
    assert [each.bar_style for each in widgets_of(box, ipywidgets.FloatProgress)] == ["", "success"]
    run.say(finished())


async def test_there_are_never_more_than_twelve_bars(run, output, show):
    show()
    run.say(started(20), *(node(str(number)) for number in range(20)))
    await until(lambda: output.shown)
    (box,) = output.shown
    assert len(widgets_of(box, ipywidgets.FloatProgress)) == 12
    assert "8 more running" in [each.value for each in widgets_of(box, ipywidgets.Label)]
    run.say(finished())


async def test_stop_pressed_on_any_thread_stops_the_run_on_its_own_loop(run, output, show):
    seen_on = []
    run.stop = lambda: seen_on.append(threading.get_ident())
    view = show()
    run.say(started(1), node("1"))
    await until(lambda: output.shown)
    (button,) = widgets_of(output.shown[0], ipywidgets.Button)
    await asyncio.to_thread(button.click)
    assert view.stop_pressed.is_set()
    await until(lambda: seen_on)
    assert seen_on == [threading.get_ident()]
    headline = widgets_of(output.shown[0], ipywidgets.Label)[0]
    await until(lambda: "stopping" in headline.value)
    run.say(finished("stopped"))


async def test_the_button_is_not_touched_while_the_run_goes_on(run, output, show):
    show()
    run.say(started(1), node("1"))
    await until(lambda: output.shown)
    (button,) = widgets_of(output.shown[0], ipywidgets.Button)
    changes = []
    button.observe(changes.append)
    (bar,) = widgets_of(output.shown[0], ipywidgets.FloatProgress)
    run.say(progress("1", 1, 1))
    await until(lambda: bar.value == 1.0)
    assert changes == []
    run.say(finished())


async def test_the_end_is_html_in_the_same_place_and_the_widgets_are_given_back(run, output, line, show):
    before = set(ipywidgets.widgets.widget._instances)
    show()
    run.say(started(1), node("1", title="Soften"), preview("1", jpeg()))
    await until(lambda: output.shown)
    run.say(done("1", 0.31), finished("done", 0.4))
    await until(lambda: len(output.shown) > 1)
    last = output.shown[-1]
    assert "Soften (ImageBlur)" in last["text/html"] and "data:image/jpeg;base64," in last["text/html"]
    assert last["text/plain"].splitlines()[0] == "✓ done: 1 of 1 node, 0.40 s"
    assert {key for key in set(ipywidgets.widgets.widget._instances) - before if not _is_style(key)} == set()
    assert line.shown == []


def _is_style(key: str) -> bool:
    """Layouts and styles are left by ipywidgets itself when a widget closes."""
    return isinstance(ipywidgets.widgets.widget._instances[key], ipywidgets.Layout | ipywidgets.Style)


async def test_nothing_is_drawn_after_the_end(run, output, show):
    show()
    run.say(started(1), node("1"), done("1", 0.31), finished("done", 0.4))
    await until(lambda: output.shown)
    for _ in range(20):
        await asyncio.sleep(0)
    assert [type(each) for each in output.shown] == [dict]


async def test_a_run_over_at_once_leaves_one_line_and_no_widgets(run, output, line):
    Bars(run, output, Line(line))
    run.say(*all_cached(4), finished("done", 0.002))
    await until(lambda: line.shown)
    assert output.shown == []
    assert [each["text/plain"] for each in line.shown] == ["✓ 4 nodes from cache, 2 ms"]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([node("1"), preview("1", jpeg()), done("1", 0.01), finished("done", 0.02)], id="picture"),
        pytest.param([node("1"), failed("1", ValueError("no")), finished("failed", 0.02)], id="failure"),
        pytest.param([node("1"), done("1", 3.0), finished("done", 3.0)], id="loop was blocked for long"),
    ],
)
async def test_a_quick_run_that_has_something_to_show_shows_it(run, output, line, events):
    Bars(run, output, Line(line))
    run.say(started(1), *events)
    await until(lambda: output.shown or line.shown)
    assert "text/html" in output.shown[0] and line.shown == []


async def test_quick_runs_of_one_cell_share_a_line_that_is_redrawn_seldom(line):
    cells = iter(["a", "a", "b"])
    outputs = [line, ScriptedOutput()]
    lines = Lines(make=iter(outputs).__next__, key=cells.__next__)
    for _ in range(3):
        here = lines.here()
        for _ in range(50):
            board = Board()
            board.take([*all_cached(3), started(1, cached=3), node("1"), done("1"), finished("done", 0.001)])
            here.add(board.view())
    assert [len(output.shown) for output in outputs] == [1, 1]
    await until(lambda: len(line.shown) == 2)
    assert line.shown[-1]["text/plain"] == "✓ 100 runs: 100 nodes ran, 300 from cache, 0.10 s"


def test_titles_texts_and_errors_are_escaped():
    board = Board()
    evil = "<script>alert(1)</script>"
    board.take([started(1), node("1", title=evil), failed("1", ValueError(evil)), finished("failed")])
    html = to_html(board.view(), now=1.0)
    assert "<script" not in html and html.count("&lt;script&gt;") == 2


def test_a_saved_picture_is_shown_in_its_row_however_much_is_in_it(tmp_path):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "busy.jpg").write_bytes(jpeg((1024, 1024), noise=True))
    board = Board()
    saved = {"images": [{"filename": "busy.jpg", "subfolder": "", "type": "output"}]}
    board.take([started(1), node("1"), done("1", ui=saved), finished()])
    with use_folders(Folders(tmp_path)):
        assert to_html(board.view(), now=1.0).count("<img") == 1


def test_the_html_of_the_richest_run_stays_under_300_kb():
    board = Board()
    noise = jpeg((1024, 1024), noise=True)
    board.take([started(100)])
    for number in range(100):
        each = str(number)
        board.take([node(each, title="&" * 500), preview(each, noise), done(each, 1.0)])
    board.take([finished()])
    html = to_html(board.view(), now=1.0)
    assert html.count("<img") == 12
    assert len(html.encode()) < 300_000


def test_a_preview_that_is_no_picture_is_left_out():
    board = Board()
    board.take([started(1), node("1"), preview("1", b"not a picture"), done("1"), finished()])
    assert "<img" not in to_html(board.view(), now=1.0)
