"""Controls and sweeps in a real kernel: messages as a browser sends them, on whichever thread the kernel takes them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kernel.harness import Kernel, Reply

pytestmark = pytest.mark.kernel

WIDGET = "application/vnd.jupyter.widget-view+json"
PREPARE = """
import asyncio, threading
from typing import Annotated
import torch
import comfy_nb as nb

@nb.node
async def paint(radius: Annotated[int, nb.Range(0, 20)] = 3, seconds: float = 0.0) -> nb.Image:
    await asyncio.sleep(seconds)
    return torch.full((1, 8, 8 + radius, 3), 0.5)

@nb.node
async def waits(number: int) -> int:
    print("node begun")
    await asyncio.sleep(60)
    return number
"""

UNTIL_SHOWN = """
from ipywidgets import HTML
from ipywidgets.widgets.widget import _instances
def shown():
    return [each.value for each in _instances.values() if isinstance(each, HTML) and "{}" in each.value]
async with asyncio.timeout(20):
    while not shown():
        await asyncio.sleep(0.01)
shown()[0]
"""


def widget(reply: Reply, model: str) -> str:
    """The id of the only widget of a kind that a cell made."""
    (found,) = {each["comm_id"] for each in reply.comms if each["data"].get("state", {}).get("_model_name") == model}
    return found


def static(reply: Reply) -> list[dict[str, Any]]:
    return [bundle for bundle in reply.displays if "text/html" in bundle]


def wait_for_static(lesson: Kernel, reply: Reply, words: str) -> None:
    lesson.wait_until(lambda: any(words in bundle["text/html"] for bundle in static(reply)), failure=str(reply))


def test_a_slider_moved_in_the_browser_runs_the_node_again_and_shows_it(lesson: Kernel):
    shown = lesson.run("controls = nb.interact(paint(), radius=(0, 20))\n_ = await controls\ncontrols")
    assert shown.error is None, shown.error
    assert "IMAGE [1, 8, 11, 3]" in static(shown)[0]["text/html"]
    lesson.change_widget(widget(shown, "IntSliderModel"), value=12)
    lesson.wait_until(lambda: "IMAGE [1, 8, 20, 3]" in static(shown)[-1]["text/html"])
    assert "radius = <b>12</b>" in static(shown)[-1]["text/html"]
    assert static(shown)[-1]["text/plain"].startswith("<Controls of paint(radius=12): done")
    assert lesson.run("controls.value.shape[2], controls.error").results == ["(20, None)"]


def test_a_slider_moved_while_a_cell_is_awaited_is_taken_in_the_end(lesson: Kernel):
    shown = lesson.run("controls = nb.interact(paint(), radius=(0, 20))\n_ = await controls\ncontrols")
    slider = widget(shown, "IntSliderModel")
    busy = lesson.send("print('begun')\nawait asyncio.sleep(1)")
    lesson.wait_for_text(busy, "begun")
    for value in (4, 5, 6):
        lesson.change_widget(slider, value=value)
    lesson.wait(busy)
    wait_for_static(lesson, shown, "radius = <b>6</b>")


def test_runs_of_controls_and_sweeps_show_no_panel_of_their_own(lesson: Kernel):
    shown = lesson.run("controls = nb.interact(paint(seconds=0.4))\n_ = await controls")
    assert shown.displays == [], shown.displays
    swept = lesson.run("_ = await nb.sweep(paint(seconds=0.4), {'radius': [1, 2]})")
    assert not [bundle for bundle in swept.displays if WIDGET in bundle]
    assert all("comfy-nb-sweep" in bundle["text/html"] for bundle in static(swept))


def test_a_sweep_leaves_its_grid_as_html_and_a_click_looks_into_a_cell(lesson: Kernel):
    swept = lesson.run("sweep = await nb.sweep(paint(), {'radius': [1, 2, 4]})\nsweep")
    assert swept.error is None, swept.error
    assert static(swept)[-1]["text/plain"].startswith("<Sweep of paint over radius: done: 3 of 3 cells")
    assert static(swept)[-1]["text/html"].count("<img") == 3
    grid = next(each["comm_id"] for each in swept.comms if "table" in each["data"].get("state", {}))
    lesson.send_to_widget(grid, {"cell": 2})
    looked = lesson.run(UNTIL_SHOWN.format("1.radius = 4"))
    assert looked.error is None, looked
    assert "paint(radius=4)" in looked.results[0]
    seen = "from comfy_nb.ui.inspect.view import InspectorWidget\n"
    seen += "[each.message['parts'][0]['shape'] for each in _instances.values() if isinstance(each, InspectorWidget)]"
    assert lesson.run(seen).results == ["[[1, 8, 12, 3]]"]


def test_a_sweep_at_the_end_of_a_cell_shows_its_grid_once(lesson: Kernel):
    began = lesson.run("sweep = await nb.sweep(paint(), {'radius': [1, 2, 4]})\nsweep")
    again = lesson.run("sweep")
    for reply in (began, again):
        assert reply.error is None and reply.results == []
        assert sum(WIDGET in bundle or "text/html" in bundle for bundle in reply.displays) >= 1
        assert len({bundle["text/html"].split('"')[1] for bundle in static(reply)}) == 1
        assert static(reply)[-1]["text/html"].count("<img") == 3


def test_controls_give_a_line_of_code_that_makes_the_handle(lesson: Kernel):
    shown = lesson.run("controls = nb.interact(paint(), radius=(0, 20))\n_ = await controls\ncontrols")
    lesson.change_widget(widget(shown, "IntSliderModel"), value=12)
    lesson.wait_until(lambda: "paint(radius=12)" in static(shown)[-1]["text/html"])
    assert lesson.run("controls.code").results == ["'paint(radius=12)'"]


def test_an_interrupt_ends_a_sweep_as_one_and_the_cell_in_one_line(lesson: Kernel):
    reply = lesson.send("sweep = nb.sweep(waits(0), {'number': range(20)})\nawait sweep")
    lesson.wait_for_text(reply, "node begun")
    lesson.interrupt_to_idle(reply)
    assert reply.error is not None and reply.error.traceback == (
        "Interrupted: The sweep was interrupted; what had finished stays in its cells and in the cache."
    )
    assert lesson.run("sweep.state, {cell.state for cell in sweep}").results == ["('stopped', {'stopped'})"]


def test_its_stop_button_ends_a_sweep_in_the_background(lesson: Kernel):
    began = lesson.run("sweep = nb.sweep(waits(0), {'number': range(20)})")
    lesson.send_to_widget(lesson.stop_button(began), "stop")
    wait_for_static(lesson, began, "stopped: 0 of 20 cells")


def test_an_interrupt_stops_what_awaited_controls_run_in_one_line(lesson: Kernel):
    reply = lesson.send("controls = nb.interact(waits(0))\nawait controls")
    lesson.wait_for_text(reply, "node begun")
    lesson.interrupt_to_idle(reply)
    assert reply.error is not None and reply.error.ename == "Interrupted" and "\n" not in reply.error.traceback
    assert lesson.run("controls.state, nb.default_session().live_runs()").results == ["('stopped', [])"]
    closed = lesson.run("controls.close()\ncontrols")
    assert closed.error is None and "stopped" in closed.displays[-1]["text/html"]
