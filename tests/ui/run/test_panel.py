"""The kernel side of the live panel: what it sends, and how it handles messages."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from dataclasses import replace

import pytest
from ipywidgets import Label
from ipywidgets.widgets.widget import _instances

import comfy_nb as nb
from comfy_nb.ui.jupyter import cell_output as cell
from comfy_nb.ui.run import panel as panel_module
from comfy_nb.ui.run.model import RunModel
from comfy_nb.ui.run.panel import Panel
from comfy_nb.ui.run.snapshot import RunSnapshot
from tests.ui.scripted import ScriptedRun, jpeg, node, preview, started, until


def snapshot_with_picture() -> RunSnapshot:
    model = RunModel()
    model.apply([started(), node("1"), preview("1", jpeg())])
    return model.snapshot()


class ScriptedGraphView:
    """A view of a graph that remembers where it was made."""

    def __init__(self, run: ScriptedRun, loop: asyncio.AbstractEventLoop) -> None:
        self.run, self.loop = run, loop
        self.widget = Label()
        self.is_closed = False

    def leave(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True


def no_graph(run) -> None:
    raise AssertionError("nobody asked for the graph")


class ScriptedRuns:
    """The runs that a panel shows: one, which notes on which thread it is stopped."""

    def __init__(self, run: ScriptedRun | None = None) -> None:
        self.run = run
        self.views = self
        self.presses: list[int] = []
        self.asked = 0

    def press_stop(self) -> None:
        self.presses.append(threading.get_ident())

    def newest_run(self) -> ScriptedRun | None:
        return self.run

    def live_runs(self) -> list[ScriptedRun]:
        return [self.run] if self.run is not None else []

    def timeline(self, live) -> str:
        self.asked += 1
        return f"{len(live)} bars, {self.asked}"

    def why(self, live) -> str:
        return "first run"


@pytest.fixture
def runs() -> ScriptedRuns:
    return ScriptedRuns()


@pytest.fixture
def panel(runs):
    made = Panel(runs, no_graph)
    yield made
    made.close()


@pytest.fixture
def sent(panel, monkeypatch) -> list:
    """Every message that the panel sends from now on, with its buffers."""
    messages: list = []
    _, rows = panel.open().children
    monkeypatch.setattr(rows.comm, "send", lambda data, buffers, **_: messages.append((data["content"], buffers)))
    return messages


def send_from_page(widget, message: str | dict) -> None:
    """Send a message from the front end."""
    widget._handle_custom_msg(message, [])


def test_a_draw_is_one_message(panel, sent):
    panel.draw(snapshot_with_picture(), 1.0)
    ((message, buffers),) = sent
    assert [row["title"] for row in message["rows"]] == ["ImageBlur"]
    assert message["pictures"] == [message["rows"][0]["picture"]] and buffers == [jpeg()]


def test_a_front_end_that_begins_to_show_it_gets_all_at_once(panel, sent):
    _, rows = panel.open().children
    panel.draw(snapshot_with_picture(), 1.0)
    panel.draw(snapshot_with_picture(), 1.1)
    send_from_page(rows, "shown")
    assert [len(message["pictures"]) for message, _ in sent] == [1, 0, 1]


def test_only_a_press_stops_and_it_is_acknowledged(panel, runs):
    stop, _ = panel.open().children
    send_from_page(stop, "ready")
    assert not runs.presses and not stop.acknowledged
    send_from_page(stop, "stop")
    assert runs.presses == [threading.get_ident()] and stop.acknowledged


async def test_the_view_of_the_graph_is_made_on_the_loop_of_the_newest_run_and_closed_when_unwanted():
    run = ScriptedRun(loop=asyncio.get_running_loop())
    made: list[ScriptedGraphView] = []

    def make(run: ScriptedRun) -> ScriptedGraphView:
        made.append(ScriptedGraphView(run, asyncio.get_running_loop()))
        return made[-1]

    panel = Panel(ScriptedRuns(run), make)
    _, rows = panel.open().children
    await asyncio.to_thread(send_from_page, rows, {"view": "graph", "isOpen": True})
    await asyncio.sleep(0)
    assert [(each.run, each.loop) for each in made] == [(run, run.loop)]
    assert panel.open().children[2:] == (made[0].widget,)
    await asyncio.to_thread(send_from_page, rows, {"view": "graph", "isOpen": False})
    await asyncio.sleep(0)
    assert made[0].is_closed and panel.open().children[2:] == ()
    panel.close()


async def test_what_is_unfolded_is_sent_until_it_is_folded(monkeypatch):
    monkeypatch.setattr(panel_module, "VIEW_EVERY_S", 0.01)
    panel = Panel(ScriptedRuns(ScriptedRun(loop=asyncio.get_running_loop())), no_graph)
    _, rows = panel.open().children
    sent: list = []
    monkeypatch.setattr(rows.comm, "send", lambda data, **_: sent.append(data["content"]))
    send_from_page(rows, {"view": "timeline", "isOpen": True})
    await until(lambda: len(sent) == 2)
    assert sent == [{"view": "timeline", "html": f"1 bars, {number}"} for number in (1, 2)]
    send_from_page(rows, {"view": "why", "isOpen": True})
    send_from_page(rows, {"view": "timeline", "isOpen": False})
    await until(lambda: sent[-1]["view"] == "why")
    seen = len(sent)
    await asyncio.sleep(0.1)
    assert len(sent) == seen and sent[-1]["html"] == "first run"
    panel.close()


async def test_a_view_that_fails_can_be_unfolded_again(monkeypatch):
    runs = ScriptedRuns(ScriptedRun(loop=asyncio.get_running_loop()))
    panel = Panel(runs, no_graph)
    _, rows = panel.open().children
    sent: list = []
    monkeypatch.setattr(rows.comm, "send", lambda data, **_: sent.append(data["content"]))
    monkeypatch.setattr(runs, "why", lambda live: 1 / 0)
    with pytest.warns(nb.ComfyNBWarning, match="ZeroDivisionError"):
        send_from_page(rows, {"view": "why", "isOpen": True})
        await asyncio.sleep(0)
    monkeypatch.setattr(runs, "why", lambda live: "first run")
    send_from_page(rows, {"view": "why", "isOpen": True})
    await asyncio.sleep(0)
    assert sent == [{"view": "why", "html": "first run"}]
    panel.close()


def test_stop_is_for_the_runs_that_go_on_now(panel):
    stop, _ = panel.open().children
    send_from_page(stop, "stop")
    stopped = replace(snapshot_with_picture(), stopping=True)
    panel.draw(stopped, 1.0)
    assert stop.acknowledged
    panel.draw(replace(stopped, stopping=False, seconds=1.0, state="stopped"), 1.1)
    assert stop.acknowledged
    panel.draw(snapshot_with_picture(), 1.2)
    assert not stop.acknowledged


def test_a_page_that_was_loaded_again_keeps_the_panel_as_it_was_at_the_end(panel, sent):
    _, rows = panel.open().children
    panel.draw(snapshot_with_picture(), 1.0)
    send_from_page(rows, "shown")  # by the page that was left, which does not say so
    panel.close()
    send_from_page(rows, "shown")  # a kernel hears of it when the cell has ended
    assert len(sent[-1][0]["pictures"]) == 1
    assert rows.comm is not None and panel.open().comm is not None


def test_it_is_closed_when_the_last_page_has_removed_it(panel):
    _, rows = panel.open().children
    for _ in range(2):
        send_from_page(rows, "shown")
    panel.close()
    send_from_page(rows, "removed")
    assert rows.comm is not None
    send_from_page(rows, "removed")
    assert rows.comm is None


def test_it_knows_what_is_unfolded(panel):
    _, rows = panel.open().children
    send_from_page(rows, {"view": "why", "isOpen": True})
    send_from_page(rows, {"view": "timeline", "isOpen": True})
    send_from_page(rows, {"view": "timeline", "isOpen": False})
    assert list(panel.unfolded) == ["Why"]


def test_drawing_leaves_the_stop_button_alone(panel):
    stop, _ = panel.open().children
    touched: list = []
    stop.observe(touched.append)
    panel.draw(snapshot_with_picture(), 1.0)
    assert touched == []


def test_closing_closes_every_model():
    before = set(_instances)
    panel = Panel(ScriptedRuns(), no_graph)
    panel.draw(snapshot_with_picture(), 1.0)
    assert set(_instances) - before
    panel.close()
    assert set(_instances) == before


def test_a_closed_panel_is_kept_by_nothing(monkeypatch):
    monkeypatch.setattr(cell, "LOADING_S", 0.0)
    panel = Panel(ScriptedRuns(), no_graph)
    panel.draw(snapshot_with_picture(), 0.0)
    widgets = [weakref.ref(widget) for widget in (panel.open(), *panel.open().children)]
    panel.close()
    del panel
    gc.collect()
    assert [widget() for widget in widgets] == [None, None, None]


def test_a_panel_that_has_just_opened_is_closed_when_a_front_end_has_loaded_it(monkeypatch):
    monkeypatch.setattr(cell, "LOADING_S", 0.1)
    panel = Panel(ScriptedRuns(), no_graph)
    model_id = panel.open().model_id
    panel.close()
    assert model_id in _instances
    deadline = time.monotonic() + 10.0
    while model_id in _instances:
        assert time.monotonic() < deadline
        time.sleep(0.01)
