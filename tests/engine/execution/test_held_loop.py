"""A stop that no loop hears, because an async node keeps it to itself."""

from __future__ import annotations

import signal
import threading
import time

import pytest

import comfy_nb as nb
from comfy_nb.engine.execution.held_loop import SIGNAL, HeldLoop
from comfy_nb.engine.session import default_session

pytestmark = pytest.mark.skipif(SIGNAL is None, reason="this system has no such signal")

PATIENCE_S = 20.0


@nb.node
async def holds_the_loop(value: float) -> float:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        value *= 1.0
    return value


@nb.node
async def sleeps_on_the_loop(value: float) -> float:
    time.sleep(PATIENCE_S)
    return value


@nb.node
async def swallows_it_once(value: float) -> float:
    try:
        time.sleep(PATIENCE_S)
    except Exception:
        time.sleep(PATIENCE_S)
    return value


@nb.node
async def calls_our_code_all_the_time(value: float, *, progress: nb.Progress) -> float:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        nb.nodes.PrimitiveFloat(value=value)
    return value


def stop_soon(run) -> None:
    threading.Timer(0.2, run.stop).start()


@pytest.mark.parametrize("node", [holds_the_loop, sleeps_on_the_loop, swallows_it_once, calls_our_code_all_the_time])
async def test_a_node_that_keeps_the_loop_is_ended_in_place(node):
    stop_listening = default_session().on_run(stop_soon)
    run = await nb.Graph(node(1.0).fresh()).run()
    stop_listening()
    assert run.state == "stopped" and run.seconds < PATIENCE_S / 2


async def test_a_job_in_the_background_too():
    job = nb.Graph(sleeps_on_the_loop(2.0).fresh()).start()
    stop_soon(job.run)
    run = await job
    assert run.state == "stopped" and run.seconds < PATIENCE_S / 2


async def test_a_node_of_a_run_inside_the_one_that_is_stopped_too():
    @nb.node
    async def asks_one_that_sleeps(value: float) -> float:
        return await sleeps_on_the_loop(value).fresh()

    job = nb.Graph(asks_one_that_sleeps(3.0)).start()
    stop_soon(job.run)
    run = await job
    assert run.state == "stopped" and run.seconds < PATIENCE_S / 2


async def test_nothing_is_raised_where_no_run_is_to_stop():
    @nb.node
    async def is_signalled() -> str:
        signal.raise_signal(SIGNAL)
        return "went on"

    await nb.nodes.PrimitiveInt(value=1)
    assert await is_signalled() == "went on"
    signal.raise_signal(SIGNAL)


TRACER = """
import time

def lock_data():
    try:
        time.sleep(1.2)
    except BaseException as error:
        return error
    return None
"""


async def test_nothing_is_raised_in_the_code_of_a_tracer_which_would_keep_its_lock_for_ever():
    globals_of_coverage = {"__name__": "coverage.collector"}
    exec(TRACER, globals_of_coverage)
    raised = []

    @nb.node
    async def is_traced(value: float) -> float:
        raised.append(globals_of_coverage["lock_data"]())
        time.sleep(PATIENCE_S)
        return value

    stop_listening = default_session().on_run(stop_soon)
    run = await nb.Graph(is_traced(4.0).fresh()).run()
    stop_listening()
    assert raised == [None] and run.state == "stopped" and run.seconds < PATIENCE_S / 2


def test_the_signal_is_left_to_whom_it_belongs():
    before = signal.signal(SIGNAL, lambda number, frame: None)
    try:
        held = HeldLoop()
        held.prepare()
        assert signal.getsignal(SIGNAL) is not held._on_signal
    finally:
        signal.signal(SIGNAL, before)
