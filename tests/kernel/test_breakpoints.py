"""A paused run in a real kernel: what is shown, and what a press in a page does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kernel.harness import INSTALLED, Kernel, Reply

pytestmark = pytest.mark.kernel

WIDGET = "application/vnd.jupyter.widget-view+json"
PREPARE = """
import asyncio
import torch
import comfy_nb as nb

@nb.node
def number(n: int) -> int:
    return n

@nb.node
async def twice(n: int) -> int:
    return 2 * n
"""
PAUSED = "point = nb.breakpoint(number({n}))\njob = twice(number({n})).start()\nawait asyncio.sleep(0.3)"


def controls(reply: Reply) -> list[str]:
    """The ids of the widgets that control a pause."""
    return [each["comm_id"] for each in reply.comms if "place" in each["data"].get("state", {})]


def paused(kernel: Kernel, n: int) -> tuple[Reply, str]:
    """A paused background run, as its cell shows it, and the id of the widget that controls it."""
    reply = kernel.run(PAUSED.format(n=n))
    kernel.wait_until(lambda: bool(controls(reply)))
    return reply, controls(reply)[-1]


def errors(reply: Reply) -> list[str]:
    """The errors that were sent to the controls about what was typed."""
    return [each["data"]["content"]["error"] for each in reply.comms if "error" in each["data"].get("content", {})]


def is_over(reply: Reply) -> bool:
    return any("then" in bundle.get("text/plain", "") for bundle in reply.displays)


def last(reply: Reply) -> dict[str, Any]:
    """What is left of a pause."""
    return next(bundle for bundle in reversed(reply.displays) if "paused for" in bundle["text/plain"])


def test_a_press_goes_on_with_the_value(lesson: Kernel):
    reply, widget = paused(lesson, 1)
    lesson.send_to_widget(widget, {"do": "resume", "with": "x"})
    lesson.wait_until(lambda: is_over(reply))
    assert last(reply).keys() == {"text/html", "text/plain"}
    assert "continued as it was" in last(reply)["text/plain"]
    assert lesson.run("await job").results == ["2"]


def test_what_was_typed_goes_on_in_its_place_and_knows_the_notebooks_names(lesson: Kernel):
    lesson.run("factor = 10")
    reply, widget = paused(lesson, 2)
    lesson.send_to_widget(widget, {"do": "resume", "with": "x * factor"})
    lesson.wait_until(lambda: is_over(reply))
    lines = last(reply)["text/plain"].splitlines()
    assert "continued with another value" in lines[0] and {"2", "20"} < set(lines)
    assert lesson.run("await job").results == ["40"]


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("x +", "SyntaxError"),
        ("x / 0", "ZeroDivisionError: division by zero"),
        ("'five'", "number (node 1), output 0: expected INT, got str: 'five'."),
    ],
)
def test_what_cannot_be_is_reported_and_the_run_stays_paused(lesson: Kernel, typed: str, error: str):
    reply, widget = paused(lesson, 3)
    answer = lesson.send_to_widget(widget, {"do": "resume", "with": typed})
    lesson.wait_until(lambda: bool(errors(answer)))
    assert error in errors(answer)[0] and not is_over(reply)
    lesson.run("point.remove()")


def test_a_press_stops_the_run(lesson: Kernel):
    reply, widget = paused(lesson, 4)
    lesson.send_to_widget(widget, {"do": "stop"})
    lesson.wait_until(lambda: is_over(reply))
    assert "the run was stopped" in last(reply)["text/plain"]
    assert lesson.run("print(job.run.state); point.remove()").stdout == "stopped\n"


@pytest.mark.parametrize("typed", ["exit()", "quit", "[exit(), 1]"])
def test_what_debuggers_are_left_by_stops_the_run_and_not_the_kernel(lesson: Kernel, typed: str):
    reply, widget = paused(lesson, 4)
    lesson.send_to_widget(widget, {"do": "resume", "with": typed})
    lesson.wait_until(lambda: is_over(reply))
    assert "the run was stopped" in last(reply)["text/plain"]
    assert lesson.run("print(job.run.state); point.remove()").stdout == "stopped\n"


def test_an_interrupt_ends_the_wait_for_a_breakpoint_in_one_line(lesson: Kernel):
    reply = lesson.send("point = nb.breakpoint(number(9))\nprint('waits')\nawait point.reached()")
    lesson.wait_for_text(reply, "waits")
    lesson.interrupt_to_idle(reply)
    assert reply.error is not None and reply.error.ename == "Interrupted" and "\n" not in reply.error.traceback
    lesson.run("point.remove()")


def awaited(kernel: Kernel, n: int) -> tuple[Reply, str]:
    """A cell that awaits a run which is paused."""
    reply = kernel.send(f"point = nb.breakpoint(number({n}))\nawait twice(number({n}))")
    kernel.wait_until(lambda: bool(controls(reply)))
    return reply, controls(reply)[-1]


@pytest.mark.parametrize("kernel", [INSTALLED], indirect=True)
def test_a_cell_that_awaits_is_continued_where_the_kernel_reads_messages(kernel: Kernel):
    kernel.run(PREPARE)
    reply, widget = awaited(kernel, 5)
    kernel.send_to_widget(widget, {"do": "hello"})
    kernel.send_to_widget(widget, {"do": "resume", "with": "x + 1"})
    kernel.wait(reply)
    assert reply.results == ["12"]


def test_a_cell_that_nobody_can_continue_fails_and_says_to_run_it_in_the_background(lesson: Kernel):
    lesson.run("import comfy_nb.ui.run.pause_view as view\nview.ANSWER_S = 0.5")
    reply, _ = awaited(lesson, 6)
    lesson.wait(reply)
    assert reply.error is not None and reply.error.ename == "NodeError"
    assert "number (node 1)" in reply.error.evalue and "job = handle.start()" in reply.error.evalue
    lesson.run("point.remove()")
