"""The panel of a run as the kernel sends it: what it says of a blocked loop, of several runs, and of one run twice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kernel.harness import INSTALLED, Kernel, Reply

pytestmark = pytest.mark.kernel

WIDGET = "application/vnd.jupyter.widget-view+json"
PREPARE = """
import asyncio, time
import comfy_nb as nb
nb.configure(display="panel")

@nb.node
async def polite(seconds: float, name: str = "") -> str:
    await asyncio.sleep(seconds)
    return "polite"

@nb.node
async def greedy(seconds: float) -> str:
    time.sleep(seconds)
    return "greedy"
"""


def messages(reply: Reply) -> list[dict[str, Any]]:
    """What the panels of a cell were sent."""
    sent = [each["data"].get("content", {}) for each in reply.comms]
    return [content for content in sent if "head" in content]


def blocks(reply: Reply) -> list[str]:
    """What the panels of a cell said of a loop that stands still."""
    return [said for message in messages(reply) if (said := message["head"].get("blocked"))]


def widgets(reply: Reply) -> list[str]:
    return [bundle[WIDGET]["model_id"] for bundle in reply.displays if WIDGET in bundle]


def test_a_node_that_blocks_the_loop_is_named_while_it_does(lesson: Kernel):
    reply = lesson.run("await nb.Graph(polite(2.0), greedy(1.6)).run()")
    assert "greedy" in blocks(reply)[-1]
    assert "kept the event loop busy" in reply.stderr


def test_a_cell_that_blocks_the_loop_is_told_apart_from_a_node(lesson: Kernel):
    lesson.run("job = polite(3.0).fresh().start()\nawait asyncio.sleep(0.5)")
    slept = lesson.run("time.sleep(1.5)")  # what a thread sends counts as the running cell's
    lesson.run("_ = await job")
    assert "a cell or a callback" in blocks(slept)[-1]


def test_what_one_cell_awaits_together_is_one_panel(lesson: Kernel):
    reply = lesson.run("_ = await asyncio.gather(*(polite(1.0, name=str(each)).fresh() for each in range(3)))")
    assert len(widgets(reply)) == 1
    assert max(len(message["rows"]) for message in messages(reply)) == 3
    assert reply.displays[-1]["text/plain"].startswith("✓ done: 3 of 3 nodes")
    assert len(reply.displays) == 2


def test_background_jobs_have_a_panel_each(lesson: Kernel):
    reply = lesson.run("jobs = [polite(1.0).fresh().start() for _ in range(2)]\n_ = await asyncio.gather(*jobs)")
    assert len(widgets(reply)) == 2


def test_a_job_can_be_watched_from_another_cell_too(lesson: Kernel):
    began = lesson.run("job = polite(2.0).fresh().start()\nawait asyncio.sleep(0.4)")
    other = lesson.run("job.panel")
    lesson.run("_ = await job")
    for reply in (began, other):
        lesson.wait_until(lambda reply=reply: reply.displays and WIDGET not in reply.displays[-1])
        assert reply.displays[-1]["text/plain"].startswith("✓ done: 1 of 1 node")
    assert len(widgets(began)) == len(widgets(other)) == 1
    assert widgets(began) != widgets(other)


def test_what_a_background_node_prints_is_in_its_row_and_below_no_later_cell(lesson: Kernel):
    talks = """
@nb.node
def talks(words: str) -> str:
    for _ in range(5):
        print(words)
        time.sleep(0.2)
    return words
"""
    began = lesson.run(f"{talks}\njob = talks('hello').fresh().start()\nawait asyncio.sleep(0.1)")
    later = lesson.run("print('the cell')\n_ = await job")
    assert later.stdout == "the cell\n" and began.stdout == ""
    lesson.wait_until(lambda: WIDGET not in began.displays[-1])
    assert began.displays[-1]["text/plain"].count("| hello") == 5


def test_its_stop_button_stops_a_background_run_and_acknowledges_the_press(lesson: Kernel):
    began = lesson.run("job = polite(60.0).fresh().start()")
    lesson.send_to_widget(lesson.stop_button(began), "stop")
    lesson.wait_until(lambda: WIDGET not in began.displays[-1])
    assert began.displays[-1]["text/plain"].startswith("■ stopped")
    assert lesson.run("print(job.run.state)").stdout == "stopped\n"


def test_the_panel_of_a_run_that_has_ended_is_what_it_ended_as(lesson: Kernel):
    reply = lesson.run("run = await nb.Graph(polite(0.3).fresh()).run()\nrun.panel")
    assert reply.displays[-1]["text/plain"].startswith("✓ done: 1 of 1 node")
    assert "polite" in reply.displays[-1]["text/html"]


def test_no_widget_is_left_when_the_runs_have_ended(lesson: Kernel):
    lesson.run("import gc, ipywidgets\nbefore = len(ipywidgets.widgets.widget._instances)")
    lesson.run("await polite(0.5).fresh()")
    wait = "while len(ipywidgets.widgets.widget._instances) > before: await asyncio.sleep(0.1)"
    assert lesson.run(wait).error is None


def test_messages_of_a_front_end_are_handled_on_the_thread_that_it_asks_for(lesson: Kernel):
    if lesson.version != INSTALLED:
        pytest.skip("ipykernel 6 handles all messages on one thread")
    made = lesson.run("""
import threading
from comfy_nb.ui.jupyter.stop_button import StopButton
heard = []
button = StopButton(lambda: heard.append(threading.current_thread().name))
button.send("the cell is the last to use it")
""")
    subshell = lesson.new_subshell()
    lesson.send_to_widget(made.comms[-1]["comm_id"], "stop", subshell)
    assert lesson.run(
        "async with asyncio.timeout(20):\n    while not heard:\n        await asyncio.sleep(0.01)\nheard"
    ).results == [f"['subshell-{subshell}']"]


def test_a_thread_without_a_loop_can_show_the_panel_and_the_timeline_of_a_run(lesson: Kernel):
    lesson.run("job = polite(1.5).fresh().start()")
    reply = lesson.run(
        "import threading\nfrom IPython.display import display\n"
        "def shows():\n    display(job.panel, job.run.timeline())\n"
        "thread = threading.Thread(target=shows)\nthread.start()\nthread.join()\n_ = await job"
    )
    assert reply.error is None, reply.error
    assert any(bundle["text/plain"].startswith("Timeline: ") for bundle in reply.displays)
    assert len(widgets(reply)) == 1


def test_the_cell_that_began_a_job_shows_its_panel_once(lesson: Kernel):
    reply = lesson.run("job = polite(0.8).fresh().start()\nawait asyncio.sleep(0.4)\ndisplay(job.panel)\n_ = await job")
    assert reply.error is None, reply.error
    assert len(widgets(reply)) == 1
