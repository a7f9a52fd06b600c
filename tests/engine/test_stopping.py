"""Stopping a run: who may, what ends at once, what stays, and what no run may leave behind.

The rules are in docs/semantics.md, "Stopping".
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

import comfy_nb as nb
from comfy_nb.engine.execution.interrupt import interrupt_watch
from tests.engine.signs import PATIENCE_S, Sign, others, sleeper

# Who stops a run ------------------------------------------------------------------------------------------------------


async def test_a_cancelled_job_gives_its_run_and_leaves_no_task():
    begun, ended = Sign(), Sign()
    job = sleeper(begun, ended).graph.start()
    await begun.seen()
    job.cancel()
    run = await job
    assert (run.state, job.done(), ended.is_set()) == ("cancelled", True, True)
    assert not others()


async def test_a_job_cancelled_before_it_began_gives_its_run_too():
    job = sleeper(Sign(), Sign()).graph.start()
    job.cancel()
    assert (await job).state == "cancelled"
    assert not others()


async def test_the_value_of_a_cancelled_job_is_stopped():
    begun = Sign()
    job = sleeper(begun, Sign()).start()
    await begun.seen()
    job.cancel()
    with pytest.raises(nb.Stopped, match="cancelled before node 1") as caught:
        await job
    assert caught.value.run is job.run
    assert caught.value._render_traceback_() == [f"Stopped: {caught.value}"]


async def test_stop_all_stops_the_runs_of_the_session_and_no_others():
    signs = [(Sign(), Sign()) for _ in range(3)]
    jobs = [sleeper(*pair).fresh().graph.start() for pair in signs[:2]]
    with nb.use_session(nb.Session()):
        apart = sleeper(*signs[2]).graph.start()
    for begun, _ in signs:
        await begun.seen()
    assert nb.stop_all() == 2
    assert [(await job).state for job in jobs] == ["stopped", "stopped"]
    assert not apart.done()
    apart.cancel()
    await apart
    assert nb.stop_all() == 0


@pytest.mark.parametrize("turns", range(16))
async def test_stop_all_stops_a_run_whose_node_has_just_begun_another(turns: int):
    @nb.node(cache="off")
    async def inner() -> int:
        await asyncio.sleep(60)
        return 1

    @nb.node(cache="off")
    async def outer() -> int:
        return await inner()

    job = outer().graph.start()
    for _ in range(turns):
        await asyncio.sleep(0)
    assert nb.stop_all() >= 1
    assert (await job).state == "stopped"
    assert not others()


async def test_a_run_is_stopped_from_another_thread():
    begun, ended = Sign(), Sign()
    graph = sleeper(begun, ended).graph
    runs: list[nb.Run] = []
    nb.default_session().on_run(runs.append)

    def stop() -> None:
        begun.wait(PATIENCE_S)
        runs[0].stop()

    helper = asyncio.create_task(asyncio.to_thread(stop))
    run = await graph.run()
    assert (run.state, ended.is_set()) == ("stopped", True)
    await helper
    assert not others()


async def test_stopping_one_run_leaves_the_others():
    begun, other_begun, finish = Sign(), Sign(), asyncio.Event()

    @nb.node(cache="off")
    async def other() -> str:
        other_begun.set()
        await finish.wait()
        return "went on"

    first, second = sleeper(begun, Sign()).start(), other().start()
    await begun.seen()
    await other_begun.seen()
    first.cancel()
    with pytest.raises(nb.Stopped):
        await first
    finish.set()
    assert await second == "went on"


async def test_a_run_whose_preparation_hangs_is_stopped():
    begun, release = Sign(), Sign()

    def slow_fingerprint() -> int:
        begun.set()
        release.wait(PATIENCE_S)
        begun.clear()
        return 1

    @nb.node(fingerprint=slow_fingerprint)
    def marked() -> int:
        return 1

    @nb.node(fingerprint=lambda: 2)
    def quick() -> int:
        return 2

    job = marked().graph.start()
    await begun.seen()
    job.cancel()
    assert (await job).state == "cancelled"
    assert await quick() == 2
    assert begun.is_set()
    release.set()


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("turns", range(14))
async def test_a_stop_at_any_turn_of_the_loop_leaves_no_call_of_a_list_behind(
    turns: int, recwarn: pytest.WarningsRecorder
):
    @nb.node(list_output=True)
    def two() -> int:
        return [1, 2]

    @nb.node(cache="off")
    async def each(n: int) -> int:
        await asyncio.sleep(60)
        return n

    await two()
    job = each(two()).graph.start()
    for _ in range(turns):
        await asyncio.sleep(0)
    job.run.stop()
    assert (await job).state == "stopped"
    assert not others()
    assert [str(warning.message) for warning in recwarn] == []


SCRIPT = """
import asyncio, threading, time
from concurrent.futures import ThreadPoolExecutor
import comfy_nb as nb

@nb.node
async def sleeper(number: int = 0) -> int:
    try:
        print("begun", flush=True)
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)

@nb.node
def worker(*, progress: nb.Progress) -> int:
    print("begun", flush=True)
    while True:
        time.sleep(0.005)
        progress(1, 2)

@nb.node
def one() -> int:
    return 1

async def main():
    run = await sleeper().graph.run()
    print("state", run.state)
    print("then", await one())
"""


CATCHES = """
try:
    {call}
except Exception:
    print("an Exception")
except KeyboardInterrupt as interrupt:
    print(interrupt.run.state)
print("then", one().run_sync())
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("sleeper().run_sync()", ["cleaned up", "stopped", "then 1"]),
        ("worker().graph.run_sync()", ["stopped", "then 1"]),
    ],
)
def test_ctrl_c_in_a_script_ends_run_sync_by_a_keyboard_interrupt_with_the_run(call: str, shown: list[str]):
    assert interrupted_script(SCRIPT + CATCHES.format(call=call)) == (0, shown, "")


@pytest.mark.process
@pytest.mark.parametrize("body", ["await sleeper()", "sleeper().run_sync()", "await sleeper().start()"])
def test_ctrl_c_ends_a_task_group_in_a_script_by_the_signal(body: str):
    main = f"""
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(60))
        {body}
asyncio.run(main())
"""
    code, out, err = interrupted_script(SCRIPT + main)
    assert (code, out) == (-signal.SIGINT, ["cleaned up"]), err


@pytest.mark.process
@pytest.mark.parametrize("call", ["sleeper().run_sync()", "asyncio.run(main())"])
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_a_script_by_the_signal(call: str, presses: int):
    loop = f"\nwhile True:\n    try: {call}\n    except Exception: continue"
    code, out, err = interrupted_script(SCRIPT + loop, presses)
    assert (code, out) == (-signal.SIGINT, ["cleaned up"])
    if presses == 1:  # a second one may meet Python as it shuts down
        assert err.endswith("KeyboardInterrupt\n")
        assert err.count("Traceback") == (2 if "asyncio" in call else 1)  # asyncio.run shows the cancellation too


COMPUTES = """
import torch
@nb.node
{kind} computes() -> int:
    print("begun", flush=True)
    matrix = torch.randn(1500, 1500)
    while True:
        for _ in range(20): torch.mm(matrix, matrix)
computes().run_sync()
"""


@pytest.mark.process
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_ctrl_c_while_torch_computes_ends_a_script_by_the_signal(kind: str):
    code, out, err = interrupted_script(SCRIPT + COMPUTES.format(kind=kind))
    assert (code, out) == (-signal.SIGINT, [])
    assert err.count("KeyboardInterrupt") and "terminate called" not in err


@pytest.mark.process
def test_a_script_that_ends_while_torch_computes_has_the_status_of_its_end():
    ends = (
        "import os, sys\nthreading.Thread(target=computes().run_sync, daemon=True).start()\ntime.sleep(1)\nsys.exit(3)"
    )
    script = SCRIPT + COMPUTES.format(kind="def").replace("computes().run_sync()", ends)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (ended.returncode, ended.stdout) == (3, "begun\n"), ended.stderr


THREADS = {
    "a pool": """
with ThreadPoolExecutor(2) as pool: list(pool.map(lambda each: sleeper(each).run_sync(), range(8)))
""",
    "a pool of sync nodes": """
with ThreadPoolExecutor(2) as pool: list(pool.map(lambda each: worker().run_sync(), range(8)))
""",
    "what a pool has queued": """
with ThreadPoolExecutor(2) as pool:
    for task in [pool.submit(sleeper(each).graph.run_sync) for each in range(8)]: task.result()
""",
    "what a pool has queued when the script ends": """
pool = ThreadPoolExecutor(2)
for task in [pool.submit(sleeper(each).graph.run_sync) for each in range(8)]: task.result()
""",
    "a loop": """
with ThreadPoolExecutor(2) as pool: pool.submit(lambda: asyncio.run(sleeper().graph.run())).result()
""",
    "beside a run of the main thread": """
with ThreadPoolExecutor(2) as pool:
    pool.submit(sleeper().run_sync)
    sleeper(1).run_sync()
""",
    "asyncio.to_thread": """
async def main(): await asyncio.to_thread(sleeper().run_sync)
asyncio.run(main())
""",
    "a pool in a coroutine": """
async def main():
    with ThreadPoolExecutor(2) as pool:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(pool, sleeper(each).run_sync) for each in range(8)))
asyncio.run(main())
""",
}


@pytest.mark.process
@pytest.mark.parametrize("form", THREADS)
def test_ctrl_c_ends_what_a_script_runs_on_other_threads(form: str):
    code, out, err = interrupted_script(SCRIPT + THREADS[form])
    assert code == -signal.SIGINT, err
    assert out.count("begun") < 2 and ("cleaned up" in out or "sync nodes" in form)


@pytest.mark.process
@pytest.mark.parametrize("interrupted", [THREADS["a pool"].strip(), "sleeper().run_sync()"])
def test_a_pool_works_in_a_script_that_goes_on_after_ctrl_c(interrupted: str):
    code = f"""
try:
    {interrupted}
except KeyboardInterrupt:
    with ThreadPoolExecutor(2) as pool: print(list(pool.map(lambda each: one().run_sync(), range(4))))
"""
    status, out, err = interrupted_script(SCRIPT + code)
    assert (status, out[-1], err) == (0, "[1, 1, 1, 1]", "")


@pytest.mark.process
def test_a_cancellation_of_another_kind_after_ctrl_c_ends_nothing_on_threads_that_were_there():
    code = """
pool = ThreadPoolExecutor(1)
try:
    pool.submit(one().run_sync).result()
    sleeper().run_sync()
except KeyboardInterrupt:
    pass
time.sleep(1)  # the interrupt is long gone
try:
    raise asyncio.CancelledError
except asyncio.CancelledError:
    print(pool.submit(lambda: [one().fresh().run_sync() for _ in range(3)]).result())
"""
    assert interrupted_script(SCRIPT + code) == (0, ["cleaned up", "[1, 1, 1]"], "")


def interrupted_script(code: str, presses: int = 1) -> tuple[int, list[str], str]:
    """Run a script, interrupt it when it says "begun", and return its status and what it printed then."""
    script = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert script.stdout is not None
    assert script.stdout.readline() == "begun\n"
    for _ in range(presses):
        script.send_signal(signal.SIGINT)
    out, err = script.communicate(timeout=PATIENCE_S)
    return script.returncode, out.splitlines(), err


# What a node raises that would end a program --------------------------------------------------------------------------


def raising(error: type[BaseException], is_async: bool, is_listed: bool) -> nb.Handle:
    """A node that raises this exception, called once or for each item of a list."""

    @nb.node(list_output=True)
    def two() -> int:
        return [1, 2]

    if is_async:

        @nb.node(cache="off")
        async def acts(n: int) -> int:
            await asyncio.sleep(0)
            raise error("so it is")
    else:

        @nb.node(cache="off")
        def acts(n: int) -> int:
            raise error("so it is")

    return acts(two() if is_listed else 1)


@nb.node(cache="off")
def good() -> int:
    return 3


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize("on_error", ["stop", "continue"])
async def test_a_keyboard_interrupt_in_a_node_interrupts_its_run(is_async: bool, is_listed: bool, on_error: str):
    graph = nb.Graph(raising(KeyboardInterrupt, is_async, is_listed))
    with pytest.raises(nb.Interrupted) as caught:
        await graph.run(on_error=on_error)
    assert (caught.value.run.state, caught.value.run.failed) == ("stopped", {})
    assert await good() == 3
    assert not others()


async def test_a_keyboard_interrupt_in_a_run_within_a_node_interrupts_the_runs_around_it():
    inner = raising(KeyboardInterrupt, False, False)

    @nb.node(cache="off")
    async def outer() -> int:
        return await inner

    with pytest.raises(nb.Interrupted) as caught:
        await outer()
    assert caught.value.run.graph["1"].class_type == "outer"


async def test_a_keyboard_interrupt_in_a_job_that_nobody_awaits_stops_it():
    job = raising(KeyboardInterrupt, True, False).graph.start()
    while not job.done():
        await asyncio.sleep(0)
    assert job.run.state == "stopped"


def test_a_keyboard_interrupt_in_a_node_of_a_script_is_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interrupt_watch, "has_cells", False)
    with pytest.raises(KeyboardInterrupt) as caught:
        raising(KeyboardInterrupt, False, False).run_sync()
    assert caught.value.run.state == "stopped"


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_listed", [False, True])
async def test_a_node_that_exits_has_failed_and_nothing_else_ends(is_async: bool, is_listed: bool):
    graph = nb.Graph(raising(SystemExit, is_async, is_listed), good())
    with pytest.raises(nb.NodeErrors) as caught:
        await graph.run(on_error="continue")
    run = caught.value.run
    assert [str(error.__cause__) for error in run.failed.values()] == ["so it is"]
    assert [run[node_id] for node_id in run][-1] == 3


@pytest.mark.parametrize("times", range(10))
def test_a_job_that_is_pending_when_its_loop_ends_is_cancelled(times: int):
    @nb.node(cache="off")
    async def sleeps(number: int) -> int:
        await asyncio.sleep(60)
        return number

    async def main() -> list[nb.Job]:
        jobs = [nb.Graph(sleeps(3 * each), sleeps(3 * each + 1)).start() for each in range(4)]
        await asyncio.sleep(0.01)
        return jobs

    assert [job.run.state for job in asyncio.run(main())] == ["cancelled"] * 4


# Every other cancellation passes on -----------------------------------------------------------------------------------


async def test_a_timeout_around_a_run_is_a_timeout():
    for _ in range(2):
        ended = Sign()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await sleeper(Sign(), ended)
        assert ended.is_set()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sleeper(Sign(), Sign()).graph.run(), 0.05)
    assert not others()


async def test_a_cancelled_task_is_cancelled_when_its_run_has_ended():
    begun, ended = Sign(), Sign()
    task = asyncio.create_task(sleeper(begun, ended).run())
    await begun.seen()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled() and ended.is_set()
    assert not others()


async def test_a_task_group_cancels_the_runs_beside_a_failed_one():
    begun, ended = Sign(), Sign()

    @nb.node
    async def fails() -> int:
        await begun.seen()
        raise ValueError("no")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper(begun, ended).run())
            group.create_task(fails().run())
    assert [type(error) for error in caught.value.exceptions] == [nb.NodeError]
    assert ended.is_set()
    assert not others()


async def test_a_cancelled_await_of_a_job_leaves_the_job():
    begun = Sign()
    job = sleeper(begun, Sign()).start()
    await begun.seen()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(job, 0.01)
    assert not job.done() and job.run.state == "running"
    job.cancel()
    with pytest.raises(nb.Stopped):
        await job
