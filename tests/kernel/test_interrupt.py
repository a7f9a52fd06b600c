"""The kernel's interrupt: what it ends, what it leaves alone, and what a person sees of it.

One kernel of each version serves all tests in their order, as one does a notebook; those that patch its loop are last.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.kernel.harness import INSTALLED, OTHER_KERNELS, CellError, Kernel, Reply

pytestmark = pytest.mark.kernel
INTERRUPTED = True

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
from concurrent.futures import ThreadPoolExecutor
signs = {}
nb.configure(display="none")  # a display's own ticking would keep the loop awake

@nb.node(cache="off")
async def sleeper(name: str = "sleeper") -> int:
    signs[name] = "sleeps"
    try:
        print("begun", flush=True)
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
async def holds() -> int:
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        signs["holds"] = "ended"
    return 1

@nb.node(cache="off")
async def outer() -> int:
    return await holds()

@nb.node(cache="off")
def one() -> int:
    return 1

@nb.node
def quick() -> int:
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


def interrupted(kernel: Kernel, code: str, *, at_rest: bool = False) -> Reply:
    """Run a cell, and interrupt it when it has printed "begun"; `at_rest` where it then waits for other threads.

    ipykernel 6 shows what a thread prints below any cell.
    """
    before = kernel.count_printed("begun")
    cell = kernel.send(code)
    kernel.wait_until(lambda: kernel.count_printed("begun") > before, PATIENCE_S, "'begun' was not printed")
    if at_rest:
        kernel.wait_until_at_rest()
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
    return error.ename == "Interrupted" and error.traceback.strip() == f"Interrupted: {error.evalue}"


def is_plain(error: CellError) -> bool:
    """Whether it is a KeyboardInterrupt in a person's own code, of which alone the traceback tells."""
    return error.ename == "KeyboardInterrupt" and "comfy_nb" not in error.traceback and "Cell In" in error.traceback


def test_the_import_alone_patches_nothing(lesson: Kernel):
    assert value_of(lesson, "[(x, y) for x, y in zip(before, after, strict=True) if x is not y and x != y]") == "[]"


# Whatever awaits a run ---------------------------------------------------------------------------------------------

FORMS = {
    "a value": "await sleeper()",
    "a value that is shown": "await sleeper().show()",
    "a run": "await sleeper().graph.run()",
    "a job": "await sleeper().start()",
    "a job of a graph": "await sleeper().graph.start()",
    "a loop": "for each in range(10): await sleeper().graph.run()",
    "a loop that goes on after an Exception": """
for each in range(10):
    try: await sleeper().graph.run()
    except Exception: continue
""",
    "a sweep": "await nb.sweep(sleeper(), {'name': ['sleeper', 'b', 'c', 'd', 'e', 'f']})",
    "controls": "await nb.interact(sleeper())",
    "gather": "await asyncio.gather(sleeper().run(), sleeper('b').graph.run())",
    "gather that returns exceptions": """
await asyncio.gather(sleeper().run(), sleeper("b").run(), return_exceptions=True)
""",
    "wait_for": "await asyncio.wait_for(sleeper().run(), 60)",
    "a timeout": "async with asyncio.timeout(60): await sleeper()",
    "wait": "await asyncio.wait([asyncio.create_task(sleeper().run()), asyncio.create_task(sleeper('b').run())])",
    "as_completed": "for each in asyncio.as_completed([sleeper().run(), sleeper('b').run()]): await each",
    "shield": "await asyncio.shield(sleeper().run())",
    "a task group": """
async with asyncio.TaskGroup() as group:
    group.create_task(sleeper().run())
    group.create_task(sleeper("b").graph.run())
""",
    "the body of a task group": """
async with asyncio.TaskGroup() as group:
    group.create_task(sleeper("b").run())
    await sleeper()
""",
    "a task": "await asyncio.create_task(sleeper().run())",
    "an async for": """
async def runs():
    while True: yield await sleeper().graph.run()
async for run in runs(): pass
""",
    "something else beside a task": """
task = asyncio.create_task(sleeper().run())
await asyncio.sleep(60)
""",
    "run_sync in a thread": "await asyncio.to_thread(lambda: sleeper().run_sync())",
    "run_sync in the pool of the loop": """
await asyncio.get_running_loop().run_in_executor(None, sleeper().graph.run_sync)
""",
    "run_sync in a pool": """
with ThreadPoolExecutor(2) as pool:
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.run_in_executor(pool, sleeper(str(each)).run_sync) for each in range(8)))
""",
    "run_sync in a pool that holds the loop": """
await asyncio.sleep(0)
with ThreadPoolExecutor(2) as pool:
    tasks = [pool.submit(sleeper(str(each)).graph.run_sync) for each in range(8)]
    for task in tasks: task.result()
""",
    "another loop in a thread": "await asyncio.to_thread(lambda: asyncio.run(sleeper().graph.run()))",
}


@pytest.mark.parametrize("form", FORMS)
def test_one_interrupt_ends_the_cell_in_one_line_and_the_runs_it_awaits(lesson: Kernel, form: str):
    error = error_of(interrupted(lesson, "signs.clear()\n" + FORMS[form] + "\nprint('went on')"))
    assert is_one_line(error), error.traceback
    assert value_of(lesson, RUNS_END) == "(['ended'], [], True)"


RUNS_END = """
async with asyncio.timeout(10):
    while nb.default_session().live_runs() or left(): await asyncio.sleep(0.01)
sorted(set(signs.values())), left(), nb.last.state in ('stopped', 'cancelled')
"""


def test_the_cells_after_it_do_not_run(lesson: Kernel):
    first = lesson.send("ran = []\nfor each in range(10): await sleeper().graph.run()", stop_on_error=True)
    others = [lesson.send(f"ran.append({each})", stop_on_error=True) for each in range(2)]
    lesson.wait_for_text(first, "begun")
    lesson.interrupt()
    assert lesson.wait(first, PATIENCE_S).status == "error"
    assert [lesson.wait(each).status for each in others] == ["aborted", "aborted"]
    assert value_of(lesson, "ran") == "[]"


def test_the_error_has_the_run_and_what_finished_stays_cached(lesson: Kernel):
    code = """
@nb.node
def first() -> int: return time.time_ns()
@nb.node(cache="off")
async def after(it: int) -> int:
    print("begun", flush=True)
    await asyncio.sleep(60)
try: await after(first())
except nb.Interrupted as error: run = error.run
value = run[run.graph.find(first())]
run is nb.last, run.state, value == await first(), asyncio.current_task().cancelling()
"""
    reply = interrupted(lesson, code)
    assert (reply.error, reply.results) == (None, ["(True, 'stopped', True, 0)"])


def test_a_stop_ends_that_run_and_the_cell_goes_on(lesson: Kernel):
    code = """
asyncio.get_running_loop().call_later(0.2, nb.stop_all)
run = await sleeper().graph.run()
asyncio.get_running_loop().call_later(0.2, nb.stop_all)
try: await sleeper()
except nb.Stopped as error: stopped = error.run.state
run.state, stopped, await one()
"""
    assert value_of(lesson, code) == "('stopped', 'stopped', 1)"


@pytest.mark.parametrize("code", ["await sleeper()", "await reports()", FORMS["gather"], FORMS["wait"]])
@pytest.mark.parametrize("milliseconds", [0, 1, 2, 3, 5])
def test_a_second_interrupt_adds_nothing(lesson: Kernel, code: str, milliseconds: int):
    presses_again(lesson, code, milliseconds)


def presses_again(kernel: Kernel, code: str, milliseconds: int) -> None:
    """Interrupt a cell twice; it ends in one line, without anything else that it or the kernel tells of it."""
    cell = kernel.send(code)
    kernel.wait_for_text(cell, "begun")
    kernel.interrupt()
    time.sleep(milliseconds / 1000)
    kernel.interrupt()
    assert is_one_line(error_of(kernel.wait(cell, PATIENCE_S)))
    assert "Traceback" not in cell.stderr and "KeyboardInterrupt" not in cell.stderr
    assert value_of(kernel, "await one()") == "1"


def test_an_interrupt_that_the_code_swallows_is_followed_by_another(lesson: Kernel):
    code = """
for each in range(2):
    try: await sleeper()
    except BaseException as error: print(type(error).__name__, flush=True)
"""
    cell = lesson.send(code)
    lesson.wait_for_text(cell, "begun")
    lesson.interrupt()
    lesson.wait_for_text(cell, "Interrupted\nbegun")
    lesson.interrupt()
    assert lesson.wait(cell, PATIENCE_S).stdout == "begun\nInterrupted\n" * 2


def test_an_interrupt_that_follows_a_swallowed_one_ends_a_loop_of_quick_runs(lesson: Kernel):
    code = """
try: await sleeper()
except nb.Interrupted: print("swallowed", flush=True)
while True: await quick()
"""
    cell = lesson.send(code)
    lesson.wait_for_text(cell, "begun")
    lesson.interrupt()
    lesson.wait_for_text(cell, "swallowed")
    time.sleep(0.5)  # so that it is another press
    lesson.interrupt()
    assert is_one_line(error_of(lesson.wait(cell, PATIENCE_S)))
    assert value_of(lesson, "await quick()") == "1"


def test_an_interrupt_between_two_runs_ends_the_loop_too(lesson: Kernel):
    code = "for each in range(10):\n    await one()\n    print('begun', flush=True)\n    time.sleep(0.5)"
    reply = interrupted(lesson, code)
    assert is_one_line(error_of(reply)) and reply.stdout == "begun\n"


def test_errors_beside_the_interrupt_are_shown(lesson: Kernel):
    code = """
async def fails():
    try: await asyncio.sleep(60)
    finally: raise ValueError("an error of mine")
async with asyncio.TaskGroup() as group:
    group.create_task(sleeper().run())
    group.create_task(fails())
"""
    reply = interrupted(lesson, code)
    assert reply.status == "error" and "an error of mine" in reply.stderr


def test_jobs_of_earlier_cells_go_on(lesson: Kernel):
    lesson.run("job = waits('job').start()\nwhile 'job' not in signs: await asyncio.sleep(0.01)")
    assert is_one_line(error_of(interrupted(lesson, "await sleeper()")))
    assert value_of(lesson, "job.done()") == "False"
    assert value_of(lesson, "signs['job'].set()\nawait job") == "'went on'"


def test_a_press_just_before_the_first_run_of_a_cell_ends_it_in_one_line(lesson: Kernel):
    code = "signal.raise_signal(signal.SIGINT)\nasync with asyncio.TaskGroup(): await quick()\nprint('went on')"
    reply = lesson.run(code)
    assert is_one_line(error_of(reply)) and reply.stdout == ""


@pytest.mark.parametrize("first", ["await quick()", "await nb.sweep(quick(), {'n': [1, 2]})", "quick().run_sync()"])
def test_a_press_just_before_the_first_run_of_a_notebook_ends_its_cell_in_one_line(kernel: Kernel, first: str):
    code = f"""
    import asyncio, signal, comfy_nb as nb
    @nb.node
    def quick(n: int = 0) -> int: return n
    signal.raise_signal(signal.SIGINT)
    {first}
    await asyncio.sleep(0)
    print("went on")
    """
    reply = kernel.run(code)
    assert is_one_line(error_of(reply)) and reply.stdout == ""


def test_each_of_several_interrupts_stops_its_cell(lesson: Kernel):
    for _ in range(3):
        assert error_of(interrupted(lesson, "await sleeper()")).ename == "Interrupted"
        assert value_of(lesson, "await one()") == "1"


# Other threads, while the cell does not await -----------------------------------------------------------------------

THREADS = {
    "map": """
with ThreadPoolExecutor(2) as pool: list(pool.map(lambda each: sleeper(str(each)).run_sync(), range(8)))
""",
    "what a pool has queued": """
with ThreadPoolExecutor(2) as pool:
    tasks = [pool.submit(sleeper(str(each)).graph.run_sync) for each in range(8)]
    for task in tasks: task.result()
""",
    "what goes on after an Exception": """
def patient(name):
    while True:
        try: return sleeper(name).run_sync()
        except Exception: continue
with ThreadPoolExecutor(2) as pool: list(pool.map(patient, "abcd"))
""",
    "sync nodes": """
with ThreadPoolExecutor(2) as pool: list(pool.map(lambda _: reports().run_sync(), range(4)))
""",
    "a pool that was there": "list(warm.map(lambda each: sleeper(str(each)).run_sync(), range(8)))",
    "a loop in a thread": """
async def main(): await asyncio.gather(sleeper("a").run(), sleeper("b").graph.run())
with ThreadPoolExecutor(1) as pool: pool.submit(asyncio.run, main()).result()
""",
    "run_sync on a loop in a thread": """
async def main(): sleeper().run_sync()
with ThreadPoolExecutor(1) as pool: pool.submit(asyncio.run, main()).result()
""",
    "a sweep in a thread": """
async def main(): await nb.sweep(sleeper(), {"name": ["a", "b", "c", "d", "e", "f"]})
with ThreadPoolExecutor(1) as pool: pool.submit(asyncio.run, main()).result()
""",
    "a thread": """
def quiet():
    try: sleeper().run_sync()
    except nb.Interrupted: pass
thread = threading.Thread(target=quiet)
thread.start()
try: time.sleep(60)
finally: thread.join()
""",
}
MAKE_POOL = "warm = ThreadPoolExecutor(2)\nlist(warm.map(lambda each: one().run_sync(), range(4)))"


@pytest.mark.parametrize("form", THREADS)
def test_one_interrupt_ends_the_runs_that_a_cell_has_on_other_threads(lesson: Kernel, form: str):
    lesson.run(MAKE_POOL)
    reply = interrupted(lesson, "signs.clear()\n" + THREADS[form] + "\nprint('went on')", at_rest=True)
    assert error_of(reply).ename == "KeyboardInterrupt" and "went on" not in reply.stdout
    assert value_of(lesson, RUNS_END) == "(['ended'], [], True)"


def test_it_ends_them_also_where_they_are_the_first_of_the_notebook(kernel: Kernel):
    code = WHAT_AN_IMPORT_MIGHT_PATCH + NODES.replace('nb.configure(display="none")', "") + THREADS["map"]
    cell = kernel.send(code)
    kernel.wait_until(lambda: bool(cell.displays), failure="no run was shown")
    kernel.wait_until_at_rest()
    kernel.interrupt()
    assert error_of(kernel.wait(cell, PATIENCE_S)).ename == "KeyboardInterrupt"


def test_a_pool_goes_on_in_the_next_cell(lesson: Kernel):
    lesson.run(MAKE_POOL)
    reply = interrupted(lesson, THREADS["a pool that was there"], at_rest=True)
    assert error_of(reply).ename == "KeyboardInterrupt"
    assert value_of(lesson, "list(warm.map(lambda each: one().run_sync(), range(4)))") == "[1, 1, 1, 1]"


def test_another_pool_works_where_the_interrupt_is_caught(lesson: Kernel):
    code = """
try:
    with ThreadPoolExecutor(2) as pool: list(pool.map(lambda each: sleeper(str(each)).run_sync(), range(8)))
except KeyboardInterrupt:
    with ThreadPoolExecutor(2) as pool: print(list(pool.map(lambda each: one().run_sync(), range(4))))
"""
    reply = interrupted(lesson, code, at_rest=True)
    assert reply.error is None and "[1, 1, 1, 1]" in reply.stdout


# Sync nodes --------------------------------------------------------------------------------------------------------


def test_a_node_that_reports_progress_is_stopped(lesson: Kernel):
    assert error_of(interrupted(lesson, "await reports()")).ename == "Interrupted"
    assert value_of(lesson, "while 'reports' not in signs: await asyncio.sleep(0.01)\nsigns['reports']") == "'ended'"


def test_a_node_that_spins_leaves_the_cell_at_once_and_ends_later(lesson: Kernel):
    assert error_of(interrupted(lesson, "await spins()")).ename == "Interrupted"
    assert value_of(lesson, "signs['spins'], await one()") == "('spins', 1)"
    assert value_of(lesson, "while signs['spins'] != 'ended': await asyncio.sleep(0.05)\nsigns['spins']") == "'ended'"


def test_a_node_that_cannot_be_stopped_is_left_behind(lesson: Kernel):
    assert error_of(interrupted(lesson, "await blocks(20)")).ename == "Interrupted"
    assert value_of(lesson, "await one(), signs['blocks']") == "(1, 'blocks')"


@pytest.mark.parametrize("code", ["await holds()", "await outer()", "holds().run_sync()"])
def test_an_async_node_that_keeps_the_loop_is_interrupted_where_it_is(lesson: Kernel, code: str):
    cell = lesson.send(code)
    lesson.wait_for_text(cell, "begun")
    for _ in range(2):  # the first may come before the node has kept the loop for long
        lesson.interrupt()
        time.sleep(0.2)
    assert is_one_line(error_of(lesson.wait(cell, PATIENCE_S)))
    assert value_of(lesson, "signs['holds'], await one(), left()") == "('ended', 1, [])"


def test_an_async_node_that_keeps_the_loop_and_swallows_the_interrupt_is_ended_where_it_awaits(lesson: Kernel):
    code = """
@nb.node(cache="off")
async def swallows() -> int:
    try:
        print("begun", flush=True)
        time.sleep(60)
    except Exception: pass
    return await sleeper()
signs.clear()
await asyncio.wait([asyncio.create_task(swallows().run())])
"""
    cell = lesson.send(code)
    lesson.wait_for_text(cell, "begun")
    for _ in range(2):
        lesson.interrupt()
        time.sleep(0.2)
    assert is_one_line(error_of(lesson.wait(cell, PATIENCE_S)))
    ended = "async with asyncio.timeout(10):\n    while nb.default_session().live_runs(): await asyncio.sleep(0.01)"
    assert lesson.run(ended).error is None
    assert value_of(lesson, "await one(), left()") == "(1, [])"


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


def test_a_timeout_after_an_interrupt_is_a_timeout(lesson: Kernel):
    code = "try: await sleeper()\nexcept nb.Interrupted: pass\nasync with asyncio.timeout(0.1): await asyncio.sleep(60)"
    assert error_of(interrupted(lesson, code)).ename == "TimeoutError"


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("call", ["await presses()", "presses().run_sync()"])
def test_a_keyboard_interrupt_in_a_node_ends_the_cell_in_one_line(lesson: Kernel, kind: str, call: str):
    lesson.run(f"@nb.node(cache='off')\n{kind} presses() -> int:\n    raise KeyboardInterrupt")
    assert is_one_line(error_of(lesson.run(f"try: {call}\nexcept Exception: pass")))
    assert value_of(lesson, "(nb.last.state, await one(), left())") == "('stopped', 1, [])"


# Where no run is awaited -------------------------------------------------------------------------------------------


def test_a_cell_without_a_run_is_interrupted_as_ever(lesson: Kernel):
    lesson.run("job = waits('beside').start()")
    asleep = interrupted(lesson, "print('begun', flush=True)\ntime.sleep(60)")
    assert is_plain(error_of(asleep)), asleep.error
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
try: await sleeper()
except nb.Interrupted: seen.append(signal.getsignal(signal.SIGINT) is kept)
"""
    between = value_of(lesson, "signal.getsignal(signal.SIGINT)")
    reply = interrupted(lesson, code.replace('sleeper("e")', 'waits("e")').replace(' != "sleeps"', " is None"))
    assert reply.error is None, reply.error
    assert value_of(lesson, "seen") == "[True, True, True, True]"
    assert value_of(lesson, "signal.getsignal(signal.SIGINT)").split(" at ")[0] == between.split(" at ")[0]


def test_a_run_that_outlives_its_cell_leaves_a_working_handler(lesson: Kernel):
    lesson.run("task = asyncio.get_event_loop().create_task(waits('over').run())")
    assert error_of(interrupted(lesson, "await sleeper()")).ename == "Interrupted"
    lesson.run("signs['over'].set()\nawait task")
    assert error_of(interrupted(lesson, "print('begun', flush=True)\ntime.sleep(60)")).ename == "KeyboardInterrupt"
    assert error_of(interrupted(lesson, "await sleeper()")).ename == "Interrupted"


# Nested in a cell: these patch the loop ----------------------------------------------------------------------------


def test_run_sync_nests_in_a_cell(lesson: Kernel):
    assert value_of(lesson, "one().run_sync(), sleeper.spec.class_type") == "(1, 'sleeper')"
    assert value_of(lesson, "one().run_sync() + await one()") == "2"
    assert value_of(lesson, "left()") == "[]"


def test_an_interrupt_is_one_line_also_where_the_cell_handles_a_group_of_errors(lesson: Kernel):
    code = """
@nb.node
def fails() -> int: raise ValueError
try: fails().graph.run_sync(on_error="continue")
except nb.NodeErrors: sleeper().run_sync()
"""
    error = error_of(interrupted(lesson, code))
    assert is_one_line(error), error.traceback


def test_an_interrupt_just_as_run_sync_ends_is_not_lost(lesson: Kernel):
    code = """
import signal, weakref
from comfy_nb.engine import blocking
from comfy_nb.engine.execution.held_back import HeldBack
from comfy_nb.engine.execution.interrupt import interrupt_watch
async def pressed_when_its_task_is_gone():
    weakref.finalize(asyncio.current_task(), signal.raise_signal, signal.SIGINT)
message = "it was interrupted"
with HeldBack(message) as held, interrupt_watch.awaiting(message, lambda: None) as awaited:
    blocking.wait_for(pressed_when_its_task_is_gone, awaited, held)
print("went on")
"""
    reply = lesson.run(code)
    assert is_one_line(error_of(reply)) and reply.stdout == ""
    assert value_of(lesson, "one().run_sync()") == "1"


@pytest.mark.parametrize("awaits", ["", "await asyncio.sleep(0)\n"])
def test_a_press_at_any_time_of_a_loop_of_quick_runs_ends_that_cell_alone(lesson: Kernel, awaits: str):
    chance = random.Random(1)
    for _ in range(25):
        # One statement, for IPython compiles each when it is due.
        cell = lesson.send(awaits + "if True:\n    print('begun', flush=True)\n    while True: quick().run_sync()")
        lesson.wait_for_text(cell, "begun")
        time.sleep(chance.random() / 50)
        lesson.interrupt()
        error = error_of(lesson.wait(cell, PATIENCE_S))
        assert is_one_line(error) or is_plain(error), error.traceback
        assert value_of(lesson, "1 + 1, await quick(), quick().run_sync()") == "(2, 1, 1)"


def test_a_press_while_an_async_node_is_in_run_sync_ends_the_cell_in_one_line(lesson: Kernel):
    lesson.run("@nb.node(cache='off')\nasync def nests() -> int: return sleeper().run_sync()")
    error = error_of(interrupted(lesson, "while True:\n    try: await nests()\n    except Exception: pass"))
    assert is_one_line(error), error.traceback
    assert value_of(lesson, "await quick(), quick().run_sync(), left()") == "(1, 1, [])"


HIDING_FORMS = {
    "wait": "while True: await asyncio.wait([asyncio.create_task(nests().run())])",
    "gather that returns exceptions": "while True: await asyncio.gather(nests().run(), return_exceptions=True)",
    "a task of its own": "while True: await asyncio.wait([asyncio.create_task(calls_run_sync())])",
}


@pytest.mark.parametrize("form", HIDING_FORMS)
def test_a_press_while_another_task_is_in_run_sync_ends_a_cell_from_which_its_end_is_hidden(lesson: Kernel, form: str):
    lesson.run("@nb.node(cache='off')\nasync def nests() -> int: return sleeper().run_sync()")
    lesson.run("async def calls_run_sync(): return sleeper().run_sync()")
    assert is_one_line(error_of(interrupted(lesson, "signs.clear()\n" + HIDING_FORMS[form])))
    assert value_of(lesson, RUNS_END) == "(['ended'], [], True)"
    assert value_of(lesson, "await quick(), quick().run_sync()") == "(1, 1)"


@pytest.mark.parametrize("begin", ["patient().start()", "asyncio.create_task(calls_run_sync())"])
def test_what_is_in_run_sync_in_the_background_goes_on_when_a_later_cell_is_interrupted(lesson: Kernel, begin: str):
    code = f"""
@nb.node(cache="off")
async def patient() -> str: return waits("patient").run_sync()
async def calls_run_sync(): return waits("patient").run_sync()
signs.clear()
beside = {begin}
while "patient" not in signs: await asyncio.sleep(0.01)
"""
    assert lesson.run(code).error is None
    for cell in ("await sleeper()", "sleeper().run_sync()"):
        assert is_one_line(error_of(interrupted(lesson, cell)))
    assert is_plain(error_of(interrupted(lesson, "print('begun', flush=True)\nwhile True: time.sleep(0.01)")))
    assert value_of(lesson, "beside.done()") == "False"
    after = "signs['patient'].set()\nwent_on = await beside\nprint('begun', flush=True)\nawait asyncio.sleep(60)"
    assert error_of(interrupted(lesson, after)).ename in ("Interrupted", "CancelledError")  # by its own handler
    assert value_of(lesson, "went_on, left()") == "('went on', [])"


@pytest.mark.parametrize("begin", ["begins().start()", "asyncio.create_task(calls_run_sync())"])
def test_a_press_just_as_the_background_begins_a_run_sync_is_for_the_cell(lesson: Kernel, begin: str):
    code = f"""
class Presses:
    @classmethod
    def INPUT_TYPES(cls):
        if told.is_set(): signal.raise_signal(signal.SIGINT)
        return {{}}
    RETURN_TYPES, FUNCTION = ("STRING",), "call"
    def call(self): return ("went on",)
told = asyncio.Event()
nb.register(Presses)
async def calls_run_sync():
    await told.wait()
    return nb.nodes.Presses().run_sync()
@nb.node(cache="off")
async def begins() -> str: return await calls_run_sync()
beside = {begin}
"""
    assert lesson.run(code).error is None
    assert is_one_line(error_of(lesson.run("told.set()\nawait sleeper()")))
    assert value_of(lesson, "await beside") == "'went on'"


def test_a_cell_that_begins_while_the_background_is_in_run_sync_is_interrupted_as_any_other(lesson: Kernel):
    code = """
def is_idle(handler): return handler == signal.SIG_IGN or type(handler).__name__ == "IdleHandler"
def is_kernels_own(handler): return getattr(handler, "__name__", "") == "handle_sigint"
async def runs_as_a_cell_begins():
    while not is_idle(signal.getsignal(signal.SIGINT)): await asyncio.sleep(0)
    while not is_kernels_own(signal.getsignal(signal.SIGINT)): await asyncio.sleep(0)
    return waits("beside").run_sync()
signs.clear()
beside = asyncio.create_task(runs_as_a_cell_begins())
"""
    assert lesson.run(code).error is None
    error = error_of(interrupted(lesson, "await asyncio.wait([asyncio.create_task(sleeper().run())])"))
    assert is_one_line(error), error.traceback
    assert value_of(lesson, "signs['beside'].set()\nawait beside") == "'went on'"


@pytest.mark.parametrize("handled", ["ValueError()", "ExceptionGroup('', [ValueError()])"])
def test_a_press_in_the_midst_of_our_own_code_shows_nothing_of_it(lesson: Kernel, handled: str):
    code = f"""
ours = {{"__name__": "comfy_nb.mine", "signal": signal}}
exec("def press():\\n    try: raise {handled}\\n    except Exception: signal.raise_signal(signal.SIGINT)", ours)
"""
    assert lesson.run(code).error is None
    error = error_of(lesson.run("ours['press']()"))
    assert is_plain(error) and "ValueError" not in error.traceback, error.traceback


@pytest.mark.parametrize("awaits", ["", "await asyncio.sleep(0)\n"])
def test_a_press_just_before_run_sync_holds_presses_back_keeps_none_from_later_cells(lesson: Kernel, awaits: str):
    code = """
from comfy_nb.engine.execution import held_back
set_handler = held_back.set_handler
def press_and_set(handler):
    held_back.set_handler = set_handler
    signal.raise_signal(signal.SIGINT)
    return set_handler(handler)
"""
    assert lesson.run(code).error is None
    error = error_of(lesson.run(awaits + "held_back.set_handler = press_and_set\nquick().run_sync()"))
    assert is_one_line(error) or is_plain(error), error.traceback
    assert interrupted(lesson, "await quick()\nprint('begun')\nawait asyncio.sleep(60)").seconds < 60


def test_a_press_while_a_cell_tidies_up_after_another_shows_the_later_one(lesson: Kernel):
    code = "try: sleeper().run_sync()\nfinally:\n    print('tidies', flush=True)\n    time.sleep(60)"
    cell = lesson.send(code)
    lesson.wait_for_text(cell, "begun")
    lesson.interrupt()
    lesson.wait_for_text(cell, "tidies")
    time.sleep(0.5)  # so that it is another press
    lesson.interrupt()
    error = error_of(lesson.wait(cell, PATIENCE_S))
    assert is_plain(error) and "Interrupted" not in error.traceback, error.traceback


def test_a_press_just_before_the_end_of_an_await_ends_a_cell_that_would_go_on_into_run_sync(lesson: Kernel):
    press = "signal.raise_signal(signal.SIGINT)\nawait asyncio.sleep(0)"
    reply = lesson.run(f"await quick()\n{press}\nquick().run_sync()\nprint('went on')")
    assert is_one_line(error_of(reply)) and reply.stdout == ""


def test_a_press_while_the_first_cell_of_a_notebook_is_in_run_sync_ends_it_in_one_line(kernel: Kernel):
    code = WHAT_AN_IMPORT_MIGHT_PATCH + NODES + "await asyncio.sleep(0)\nsleeper().run_sync()"
    assert is_one_line(error_of(interrupted(kernel, code)))
    assert value_of(kernel, "await quick()") == "1"


def test_a_press_before_run_sync_ends_a_cell_that_has_awaited(lesson: Kernel):
    code = "await quick()\nsignal.raise_signal(signal.SIGINT)\nquick().run_sync()\nprint('went on')"
    reply = lesson.run(code)
    assert is_one_line(error_of(reply)) and reply.stdout == ""


@pytest.mark.parametrize("awaits", ["", "await asyncio.sleep(0)\n"])
def test_an_interrupted_run_sync_is_stopped_and_leaves_nothing(lesson: Kernel, awaits: str):
    error = error_of(interrupted(lesson, awaits + "sleeper('nested').run_sync()"))
    assert is_one_line(error)
    assert value_of(lesson, "signs['nested'], left()") == "('ended', [])"
    assert error_of(interrupted(lesson, awaits + "reports().run_sync()")).ename == "Interrupted"
    assert value_of(lesson, "await one(), one().run_sync()") == "(1, 1)"


@pytest.mark.parametrize("awaits", ["", "await asyncio.sleep(0)\n"])
@pytest.mark.parametrize("milliseconds", [0, 1, 2, 3, 5])
def test_a_second_interrupt_of_run_sync_adds_nothing(lesson: Kernel, awaits: str, milliseconds: int):
    presses_again(lesson, awaits + "sleeper().run_sync()", milliseconds)


def test_an_awaited_run_is_stopped_on_a_patched_loop_too(lesson: Kernel):
    error = error_of(interrupted(lesson, "await sleeper()"))
    assert is_one_line(error)
