"""The kernel's interrupt: what it ends, what it leaves alone, and what a person sees of it.

One kernel of each version serves all tests in their order, as one does a notebook; those that patch its loop are last.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.harness import INSTALLED, OTHER_KERNELS, CellError, Kernel, Reply

pytestmark = pytest.mark.kernel

PATIENCE_S = 15.0
"""How long the end of an interrupted cell is waited for: far below what its nodes would take."""

WHAT_AN_IMPORT_MIGHT_PATCH = """
import asyncio, signal, sys, threading, warnings
def patchable():
    loop = asyncio.get_running_loop() if asyncio._get_running_loop() else asyncio.get_event_loop()
    return [asyncio.run, asyncio.Task, asyncio.Future, asyncio.tasks.Task.__init__, type(loop).run_until_complete,
            type(loop)._run_once, asyncio.get_event_loop, asyncio.get_event_loop_policy(),
            signal.getsignal(signal.SIGINT), sys.excepthook, sys.displayhook, sys.getswitchinterval(),
            threading.excepthook, warnings.showwarning,
            sorted(thread.name for thread in threading.enumerate())]
import torch
before = patchable()
import comfy_nb as nb
after = patchable()
"""

NODES = """
import time
signs = {}
nb.configure(display="none")  # a display's own ticking would keep the loop awake

@nb.node(cache="off")
async def sleeper(name: str = "sleeper") -> int:
    print("begun", flush=True)
    signs[name] = "sleeps"
    try:
        await asyncio.sleep(60)
    finally:
        signs[name] = "ended"
    return 1

@nb.node(cache="off")
async def waits(name: str) -> str:
    signs[name] = event = asyncio.Event()
    await event.wait()
    return "went on"

@nb.node(cache="off")
def reports(*, progress: nb.Progress) -> int:
    print("begun", flush=True)
    try:
        while True:
            time.sleep(0.01)
            progress(1, 2)
    finally:
        signs["reports"] = "ended"

@nb.node(cache="off")
def spins() -> int:
    print("begun", flush=True)
    signs["spins"] = "spins"
    try:
        while True:
            pass
    finally:
        signs["spins"] = "ended"

@nb.node(cache="off")
def blocks(seconds: float) -> int:
    print("begun", flush=True)
    signs["blocks"] = "blocks"
    time.sleep(seconds)
    signs["blocks"] = "ended"
    return 1

@nb.node(cache="off")
def one() -> int:
    return 1

def left():
    return [str(task) for task in asyncio.all_tasks(asyncio.get_event_loop()) if "comfy_nb" in str(task)]
"""


@pytest.fixture(scope="module", params=[INSTALLED, *OTHER_KERNELS])
def lesson(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(request.param, cwd=tmp_path_factory.mktemp("notebook")) as kernel:
        for cell in (WHAT_AN_IMPORT_MIGHT_PATCH, NODES):
            assert kernel.run(cell).error is None
        yield kernel


def interrupted(kernel: Kernel, code: str) -> Reply:
    """Run a cell, and interrupt it when it has printed "begun"."""
    cell = kernel.send(code)
    kernel.wait_for_text(cell, "begun")
    kernel.interrupt()
    return kernel.wait(cell, PATIENCE_S)


def error_of(reply: Reply) -> CellError:
    assert reply.error is not None, reply
    return reply.error


def value_of(kernel: Kernel, code: str) -> str:
    """The text of a cell's value."""
    reply = kernel.run(code)
    assert reply.error is None, reply.error
    return reply.results[0]


def is_one_line(error: CellError) -> bool:
    return "\n" not in error.traceback.strip() and error.traceback.startswith("Stopped: ")


def test_the_import_alone_patches_nothing(lesson: Kernel):
    assert value_of(lesson, "[(x, y) for x, y in zip(before, after, strict=True) if x is not y and x != y]") == "[]"


# On an idle loop ---------------------------------------------------------------------------------------------------


def test_an_awaited_value_is_stopped_in_one_line(lesson: Kernel):
    error = error_of(interrupted(lesson, "await sleeper()"))
    assert error.ename == "Stopped" and is_one_line(error)
    assert "node 1" in error.evalue
    assert value_of(lesson, "signs['sleeper'], left()") == "('ended', [])"


def test_an_awaited_run_is_returned_and_the_cell_goes_on(lesson: Kernel):
    reply = interrupted(
        lesson, "run = await sleeper().graph.run()\nprint(run.state)\nawait asyncio.sleep(0.01)\nawait one()"
    )
    assert (reply.status, reply.stdout, reply.results) == ("ok", "begun\nstopped\n", ["1"])


def test_an_awaited_job_is_stopped_too(lesson: Kernel):
    reply = interrupted(lesson, "run = await sleeper().graph.start()\nrun.state")
    assert (reply.status, reply.results) == ("ok", ["'stopped'"])


def test_jobs_of_earlier_cells_go_on(lesson: Kernel):
    lesson.run("job = waits('job').start()\nwhile 'job' not in signs: await asyncio.sleep(0.01)")
    assert error_of(interrupted(lesson, "await sleeper()")).ename == "Stopped"
    assert value_of(lesson, "job.done()") == "False"
    assert value_of(lesson, "signs['job'].set()\nawait job") == "'went on'"


def test_each_of_several_interrupts_stops_its_cell(lesson: Kernel):
    for _ in range(3):
        assert error_of(interrupted(lesson, "await sleeper()")).ename == "Stopped"
        assert value_of(lesson, "await one()") == "1"


# Sync nodes --------------------------------------------------------------------------------------------------------


def test_a_node_that_reports_progress_is_stopped(lesson: Kernel):
    assert error_of(interrupted(lesson, "await reports()")).ename == "Stopped"
    assert value_of(lesson, "while 'reports' not in signs: await asyncio.sleep(0.01)\nsigns['reports']") == "'ended'"


def test_a_node_that_spins_leaves_the_cell_at_once_and_ends_later(lesson: Kernel):
    assert error_of(interrupted(lesson, "await spins()")).ename == "Stopped"
    assert value_of(lesson, "signs['spins'], await one()") == "('spins', 1)"
    assert value_of(lesson, "while signs['spins'] != 'ended': await asyncio.sleep(0.05)\nsigns['spins']") == "'ended'"


def test_a_node_that_cannot_be_stopped_is_left_behind(lesson: Kernel):
    assert error_of(interrupted(lesson, "await blocks(20)")).ename == "Stopped"
    assert value_of(lesson, "await one(), signs['blocks']") == "(1, 'blocks')"


# What asyncio means stays so ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "async with asyncio.timeout(0.1):\n    await sleeper()",
        "await asyncio.wait_for(sleeper().graph.run(), 0.1)",
        "await asyncio.wait_for(sleeper().run(), 0.1)",
    ],
)
def test_a_timeout_is_a_timeout(lesson: Kernel, code: str):
    assert error_of(lesson.run(code)).ename == "TimeoutError"
    assert value_of(lesson, "left()") == "[]"


def test_a_cell_that_goes_on_after_an_interrupt_is_not_cancelled_any_more(lesson: Kernel):
    reply = interrupted(lesson, "run = await sleeper().graph.run()\nasyncio.current_task().cancelling()")
    assert reply.results == ["0"]


def test_a_timeout_after_an_interrupt_is_a_timeout(lesson: Kernel):
    code = "run = await sleeper().graph.run()\nasync with asyncio.timeout(0.1):\n    await asyncio.sleep(60)"
    assert error_of(interrupted(lesson, code)).ename == "TimeoutError"


def test_an_interrupt_stops_all_that_is_gathered(lesson: Kernel):
    reply = interrupted(lesson, "await asyncio.gather(sleeper('a').run(), sleeper('b').run())")
    error = error_of(reply)
    assert error.ename == "Stopped" and is_one_line(error)
    assert value_of(lesson, "signs['a'], signs['b'], left()") == "('ended', 'ended', [])"


def test_an_interrupt_stops_all_of_a_task_group(lesson: Kernel):
    code = """
try:
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("c").run())
        group.create_task(sleeper("d").run())
except* nb.Stopped as stopped:
    print(len(stopped.exceptions))
"""
    reply = interrupted(lesson, code)
    assert (reply.status, reply.stdout.split()) == ("ok", ["begun", "begun", "2"])
    assert value_of(lesson, "signs['c'], signs['d'], left()") == "('ended', 'ended', [])"


# Where no run is awaited -------------------------------------------------------------------------------------------


def test_a_cell_without_a_run_is_interrupted_as_ever(lesson: Kernel):
    lesson.run("job = waits('beside').start()")
    asleep = interrupted(lesson, "print('begun', flush=True)\ntime.sleep(60)")
    assert error_of(asleep).ename == "KeyboardInterrupt"
    awaiting = interrupted(lesson, "print('begun', flush=True)\nwhile True: await asyncio.sleep(0.02)")
    assert error_of(awaiting).ename == "CancelledError"
    assert value_of(lesson, "job.done()") == "False"
    assert value_of(lesson, "job.cancel()\ntry: await job\nexcept nb.Stopped: 'cancelled'\nleft()") == "[]"


def test_the_handler_is_put_back(lesson: Kernel):
    code = """
kept = signal.getsignal(signal.SIGINT)
seen = []
task = asyncio.create_task(sleeper("e").run())
while signs.get("e") != "sleeps": await asyncio.sleep(0.01)
seen.append(signal.getsignal(signal.SIGINT) is kept)
task.cancel()
try: await task
except asyncio.CancelledError: seen.append(signal.getsignal(signal.SIGINT) is kept)
await one()
seen.append(signal.getsignal(signal.SIGINT) is kept)
run = await sleeper().graph.run()
seen.append(signal.getsignal(signal.SIGINT) is kept)
"""
    between = value_of(lesson, "signal.getsignal(signal.SIGINT)")
    reply = interrupted(lesson, code.replace('sleeper("e")', 'waits("e")').replace(' != "sleeps"', " is None"))
    assert reply.error is None, reply.error
    assert value_of(lesson, "seen") == "[False, True, True, True]"
    assert value_of(lesson, "signal.getsignal(signal.SIGINT)").split(" at ")[0] == between.split(" at ")[0]


def test_a_run_that_outlives_its_cell_leaves_a_working_handler(lesson: Kernel):
    lesson.run("task = asyncio.get_event_loop().create_task(waits('over').run())")
    assert error_of(interrupted(lesson, "await sleeper()")).ename == "Stopped"
    lesson.run("signs['over'].set()\nawait task")
    assert error_of(interrupted(lesson, "print('begun', flush=True)\ntime.sleep(60)")).ename == "KeyboardInterrupt"
    assert error_of(interrupted(lesson, "await sleeper()")).ename == "Stopped"


# Nested in a cell: these patch the loop ----------------------------------------------------------------------------


def test_run_sync_nests_in_a_cell(lesson: Kernel):
    assert value_of(lesson, "one().run_sync(), sleeper.spec.class_type") == "(1, 'sleeper')"
    assert value_of(lesson, "one().run_sync() + await one()") == "2"
    assert value_of(lesson, "left()") == "[]"


@pytest.mark.parametrize("awaits", ["", "await asyncio.sleep(0)\n"])
def test_an_interrupted_run_sync_is_stopped_and_leaves_nothing(lesson: Kernel, awaits: str):
    error = error_of(interrupted(lesson, awaits + "sleeper('nested').run_sync()"))
    assert error.ename == "Stopped" and is_one_line(error)
    assert value_of(lesson, "signs['nested'], left()") == "('ended', [])"
    assert error_of(interrupted(lesson, awaits + "reports().run_sync()")).ename == "Stopped"
    assert value_of(lesson, "await one(), one().run_sync()") == "(1, 1)"


def test_an_awaited_run_is_stopped_on_a_patched_loop_too(lesson: Kernel):
    error = error_of(interrupted(lesson, "await sleeper()"))
    assert error.ename == "Stopped" and is_one_line(error)
