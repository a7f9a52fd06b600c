"""A run in a notebook as stock widgets."""

from __future__ import annotations

import ipywidgets
import pytest

from comfy_nb.ui.run.bars import Bars
from comfy_nb.ui.run.model import RunModel
from tests.ui.scripted import done, finished, jpeg, node, preview, progress, started


@pytest.fixture
def presses() -> list[str]:
    return []


@pytest.fixture
def bars(presses) -> Bars:
    return Bars(lambda: presses.append("stop"))


def widgets_of(bars, kind) -> list:
    def below(box) -> list:
        found = [box] if isinstance(box, kind) else []
        return found + [each for child in getattr(box, "children", ()) for each in below(child)]

    return below(bars.open())


def draw(bars, model, *events) -> None:
    model.apply(events)
    bars.draw(model.snapshot(), now=1.0)


def words_of(bars) -> str:
    return " ".join(each.value for each in widgets_of(bars, ipywidgets.Label))


def test_each_node_at_work_has_a_bar_and_its_newest_preview(bars):
    picture = jpeg()
    said = (node("1", title="Soften"), progress("1", 5, 20), preview("1", picture), node("2"))
    draw(bars, RunModel(), started(3), *said)
    assert [each.value for each in widgets_of(bars, ipywidgets.FloatProgress)] == [0.25, 0.0]
    assert widgets_of(bars, ipywidgets.Image)[0].value == picture
    assert "Soften (ImageBlur)" in words_of(bars)
    assert "5/20" in words_of(bars) and "0 of 3 nodes" in words_of(bars)


def test_bars_move_and_rows_come_and_go(bars):
    model = RunModel()
    draw(bars, model, started(2), node("1"))
    (bar,) = widgets_of(bars, ipywidgets.FloatProgress)
    draw(bars, model, progress("1", 1, 2))
    assert bar.value == 0.5
    draw(bars, model, done("1"), node("2"))
    assert [each.bar_style for each in widgets_of(bars, ipywidgets.FloatProgress)] == ["success", ""]


def test_a_row_that_moves_up_is_not_sent_again(bars):
    model = RunModel()
    draw(bars, model, started(20), *(node(str(number)) for number in range(13)))
    _, second, *_ = widgets_of(bars, ipywidgets.FloatProgress)
    sent: list = []
    second.observe(sent.append)
    draw(bars, model, done("0"))
    assert widgets_of(bars, ipywidgets.FloatProgress)[0] is second and sent == []


def test_there_are_never_more_than_twelve_bars(bars):
    draw(bars, RunModel(), started(20), *(node(str(number)) for number in range(20)))
    assert len(widgets_of(bars, ipywidgets.FloatProgress)) == 12
    assert "8 more running" in [each.value for each in widgets_of(bars, ipywidgets.Label)]


def test_the_button_asks_for_a_stop(bars, presses):
    (button,) = widgets_of(bars, ipywidgets.Button)
    button.click()
    assert presses == ["stop"]


def test_the_button_is_not_touched_while_the_run_goes_on(bars):
    model = RunModel()
    draw(bars, model, started(1), node("1"))
    (button,) = widgets_of(bars, ipywidgets.Button)
    changes = []
    button.observe(changes.append)
    draw(bars, model, progress("1", 1, 1))
    draw(bars, model, done("1"), finished("stopped"))
    assert changes == []


def test_the_widgets_are_given_back():
    before = set(ipywidgets.widgets.widget._instances)
    bars = Bars(lambda: None)
    draw(bars, RunModel(), started(2), node("1"), preview("1", jpeg()), node("2"))
    bars.close()
    assert set(ipywidgets.widgets.widget._instances) == before
