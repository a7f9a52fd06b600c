"""An async node that keeps a kernel's loop: the panel's Stop and the kernel's interrupt end it all the same."""

from __future__ import annotations

import pytest

from tests.kernel.harness import Kernel, Reply

pytestmark = pytest.mark.kernel
INTERRUPTED = True

PREPARE = """
import asyncio, time
import comfy_nb as nb

@nb.node
async def greedy(value: float) -> float:
    while True:
        value = value * 1.0

@nb.node
async def sleepy(value: float) -> float:
    time.sleep(60)
    return value
"""
WIDGET = "application/vnd.jupyter.widget-view+json"


def ends(kernel: Kernel, reply: Reply) -> str:
    kernel.wait_until(lambda: bool(reply.displays) and WIDGET not in reply.displays[-1], 20.0)
    return str(reply.displays[-1]["text/plain"])


def shown(kernel: Kernel, cell: str) -> tuple[Reply, str]:
    """Begin a cell, and return its reply and the stop button that it shows."""
    reply = kernel.send(cell)
    return reply, kernel.stop_button(reply)


@pytest.mark.parametrize(
    "cell",
    ["run = await greedy(1.0).graph.run()", "run = await sleepy(1.0).graph.run()", "run = greedy(2.0).start().run"],
)
def test_the_stop_button_ends_its_run(lesson: Kernel, cell: str):
    if lesson.version != "installed":
        pytest.skip("ipykernel 6 handles all messages on one thread")
    subshell = lesson.new_subshell()
    reply, stop = shown(lesson, cell)
    lesson.send_to_widget(stop, "stop", subshell)
    assert ends(lesson, reply).startswith("■ stopped")
    lesson.wait(reply)
    assert reply.error is None
    assert lesson.run("run.state, 1 + 1").results == ["('stopped', 2)"]


@pytest.mark.parametrize("begin", ["await greedy(1.0)", "job = greedy(2.0).start()\nawait asyncio.sleep(60)"])
def test_the_interrupt_ends_the_cell_whichever_run_is_in_its_way(lesson: Kernel, begin: str):
    reply, _ = shown(lesson, begin)
    lesson.interrupt_to_idle(reply, 20.0)
    assert reply.error is not None and reply.error.ename == "Interrupted"
    assert lesson.run("1 + 1").results == ["2"]


@pytest.mark.parametrize("before", ["", "    await nb.nodes.PrimitiveInt(value=1)\n"])
def test_the_interrupt_ends_a_job_that_keeps_the_loop_while_no_cell_runs(lesson: Kernel, before: str):
    held = lesson.folder / f"held{len(before)}"
    begin = lesson.run(
        f"@nb.node\nasync def holds_later(value: float) -> float:\n    await asyncio.sleep(0.5)\n{before}"
        f"    open({str(held)!r}, 'w').close()\n    time.sleep(60)\n    return value\njob = holds_later(4.0).start()"
    )
    assert begin.error is None
    lesson.wait_until(held.exists, 20.0)
    lesson.interrupt()
    reply = lesson.run("job.run.state", 20.0)
    assert (reply.error, reply.results) == (None, ["'stopped'"])


def test_the_kernel_has_its_own_handler_back_once_a_job_has_ended_in_a_later_cell(lesson: Kernel):
    looked = lesson.folder / "looked"
    begin = "import signal\ntold = asyncio.Event()\n@nb.node\nasync def waits(value: float) -> float:\n"
    lesson.run(begin + "    await told.wait()\n    return value\njob = waits(5.0).start()")
    look = f"seen = signal.getsignal(signal.SIGINT); open({str(looked)!r}, 'w').close()"
    later = f"asyncio.get_running_loop().call_later(0.5, exec, {look!r}, globals())"
    assert lesson.run(f"told.set()\nawait job\n{later}").error is None
    lesson.wait_until(looked.exists, 20.0)
    assert lesson.run("seen == signal.SIG_IGN").results == ["True"]


def test_a_press_while_a_job_only_waits_and_no_cell_runs_is_for_nobody(lesson: Kernel):
    waits = lesson.folder / "waits"
    lesson.run(
        f"@nb.node\nasync def waits(value: float) -> float:\n    open({str(waits)!r}, 'w').close()\n"
        "    await asyncio.sleep(2)\n    return value\njob = waits(5.0).start()"
    )
    lesson.wait_until(waits.exists, 20.0)
    lesson.interrupt()
    assert lesson.run("await job").results == ["5.0"]


def test_a_job_that_lets_the_loop_turn_again_survives_the_interrupt_of_a_cell(lesson: Kernel):
    reply, _ = shown(
        lesson,
        "@nb.node\nasync def polite(value: float) -> float:\n    time.sleep(1.5)\n    await asyncio.sleep(0.1)\n"
        "    return value\njob = polite(3.0).start()\nawait asyncio.sleep(60)",
    )
    lesson.interrupt_to_idle(reply, 20.0)
    assert reply.error is not None and reply.error.ename == "Interrupted"
    assert lesson.run("await job").results == ["3.0"]
