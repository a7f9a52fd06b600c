"""Breakpoints: a run pauses when a value is computed, and goes on with it or with another one."""

from __future__ import annotations

import asyncio

import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.execution.breakpoints import Pause
from tests.engine.support import PATIENCE_S, Pack, following, made, ran, reported
from tests.reference.classes import INT, LAZY_INT


async def test_a_run_pauses_at_the_value_and_goes_on_when_it_is_resumed(chain, pauses):
    first, _, last = chain
    point = nb.breakpoint(first)
    job = last.start()
    pause = await following(pauses)
    assert (pause.value, ran(job.run), job.done()) == (2, [], False)
    assert point.paused == [pause] and "1 paused" in repr(point)
    point.resume()
    assert await job == 22 and point.paused == []
    assert job.run.counts == {"ran": 3}


async def test_what_does_not_need_the_value_goes_on_meanwhile(pauses):
    @nb.node
    def held() -> int:
        return 1

    @nb.node
    def free() -> int:
        return 2

    @nb.node
    async def both(x: int, y: int) -> int:
        return x + y

    with nb.breakpoint(held()):
        job = both(held(), free()).start()
        pause = await following(pauses)
        while not ran(job.run):
            await asyncio.sleep(0)
        pause.resume()
        assert await job == 3


async def test_a_cached_value_pauses_too_and_all_below_comes_from_the_cache_then(chain, pauses):
    first, _, last = chain
    await last
    nb.breakpoint(first)
    job = last.start()
    (await following(pauses)).resume()
    assert await job == 22
    assert job.run.counts == {"memory": 3}


async def test_another_value_goes_on_in_its_place_and_is_never_cached(chain, pauses):
    first, _, last = chain
    with nb.breakpoint(first):
        job = last.start()
        (await following(pauses)).resume(5)
        assert await job == 55
    assert job.run.value(job.run.graph.id_of(first)) == 5
    assert job.run.why(job.run.graph.id_of(first)) == "its value was replaced at a breakpoint"
    assert job.run.counts == {"ran": 2, "replaced": 1} and "1 replaced" in job.run.summary()
    again = await last.graph.run()
    assert again[again.graph.id_of(last)] == 22 and again.counts == {"ran": 2, "memory": 1}


async def test_a_cached_value_can_be_replaced(chain, pauses):
    first, _, last = chain
    await last
    with nb.breakpoint(first):
        job = last.start()
        (await following(pauses)).resume(7)
        assert await job == 77
    assert await last == 22


async def test_the_value_that_was_asked_for_itself_can_be_replaced(chain, pauses):
    first, _, _ = chain
    nb.breakpoint(first)
    job = first.start()
    (await following(pauses)).resume(7)
    assert await job == 7


async def test_a_replaced_value_does_not_reach_the_cache_by_a_lazy_input(pack: Pack, pauses):
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    pack.node("Double", lambda self, n: (2 * n,), {"n": INT})
    pack.node(
        "Choose",
        lambda self, which, a=None, b=None: (a if which else b,),
        {"which": ("BOOLEAN", {}), "a": LAZY_INT, "b": LAZY_INT},
        check_lazy_status=lambda self, which, a=None, b=None: ["a" if which else "b"],
    )
    number, double = made("Number", n=1), made("Double", n=["1", 0])
    graph = pack.graph({"1": number, "2": double, "3": made("Choose", which=True, a=["2", 0], b=["1", 0])})
    assert (await graph.run(outputs=["3"]))["3"] == 2
    with nb.breakpoint(graph["1"]):
        job = graph.start(outputs=["3"])
        (await following(pauses)).resume(50)
        assert (await job)["3"] == 100
    assert (await graph.run(outputs=["3"]))["3"] == 2


async def test_a_replaced_value_does_not_reach_the_cache_by_an_expansion(pauses):
    @nb.node
    def number(n: int) -> int:
        return n

    @nb.node
    def twice(n: int) -> int:
        graph = nb.GraphBuilder()
        inner = graph.node("number", n=n)
        return {"result": (inner.out(0),), "expand": graph.finalize()}

    last = number(twice(number(1)))
    assert await last == 1
    with nb.breakpoint(number(1)):
        job = last.start()
        (await following(pauses)).resume(9)
        assert await job == 9
    assert await last == 1


async def test_only_values_that_when_is_true_of_pause(chain, pauses):
    first, second, last = chain
    nb.breakpoint(first, when=lambda value: value > 2)
    nb.breakpoint(second, when=lambda value: value > 2)
    job = last.start()
    pause = await following(pauses)
    assert pause.value == 20
    pause.resume()
    assert await job == 22 and pauses.empty()


async def test_a_when_that_fails_names_the_node(chain, pauses):
    first, _, last = chain
    nb.breakpoint(first, when=lambda value: value.isnan())
    with pytest.raises(nb.NodeError, match=r"one \(node 1\).*`when` of its breakpoint failed: AttributeError"):
        await last


async def test_stopping_at_a_breakpoint_keeps_what_is_computed(chain, pauses):
    first, _, last = chain
    point = nb.breakpoint(first)
    job = last.start()
    await following(pauses)
    point.stop()
    with pytest.raises(nb.Stopped):
        await job
    assert point.paused == [] and job.run.state == "stopped"
    point.remove()
    again = await last.graph.run()
    assert again.counts == {"ran": 2, "memory": 1}


async def test_a_cancelled_job_leaves_no_pause(chain, pauses):
    first, _, last = chain
    point = nb.breakpoint(first)
    job = last.start()
    pause = await following(pauses)
    job.cancel()
    with pytest.raises(nb.Stopped):
        await job
    assert point.paused == [] and pause.state == "stopped"
    pause.resume()
    assert pause.state == "stopped"


async def test_removing_a_breakpoint_lets_go_on_what_is_paused_there(chain, pauses):
    first, _, last = chain
    with nb.breakpoint(first):
        job = last.start()
        await following(pauses)
    assert await job == 22
    assert await last == 22 and pauses.empty()


async def test_several_runs_pause_each_for_itself(chain, pauses):
    first, second, last = chain
    point = nb.breakpoint(first)
    jobs = [second.start(), last.start()]
    found = [await following(pauses), await following(pauses)]
    assert {pause.run for pause in found} == {job.run for job in jobs}
    point.resume()
    assert [await job for job in jobs] == [20, 22]


async def test_a_value_that_does_not_fit_is_refused_and_the_run_stays_paused(pauses):
    picture = nb.nodes.EmptyImage(width=8, height=8)
    nb.breakpoint(picture)
    job = nb.nodes.ImageInvert(picture).start()
    pause = await following(pauses)
    with pytest.raises(nb.LayoutError, match=r"EmptyImage \(node 1\), output 0: .*\[B,H,W,C\]"):
        pause.resume(torch.rand(1, 3, 8, 8))
    assert pause.state == "paused"
    pause.resume(torch.ones(1, 4, 4, 3))
    assert (await job).shape == (1, 4, 4, 3)


async def test_a_number_does_not_take_the_place_of_text(chain, pauses):
    first, _, last = chain
    nb.breakpoint(first)
    job = last.start()
    pause = await following(pauses)
    with pytest.raises(nb.LayoutError, match=r"one \(node 1\), output 0: expected INT, got str: 'five'"):
        pause.resume("five")
    pause.resume()
    assert await job == 22


@pytest.mark.parametrize("typed", [3, "text", [1, 2], {"n": 1}, print])
async def test_only_a_picture_takes_the_place_of_a_picture(pauses, typed):
    picture = nb.nodes.EmptyImage(width=8, height=8)
    nb.breakpoint(picture)
    job = picture.start()
    pause = await following(pauses)
    with pytest.raises(nb.LayoutError, match=f"expected IMAGE, got {type(typed).__name__}"):
        pause.resume(typed)
    pause.resume()
    assert (await job).shape == (1, 8, 8, 3)


async def test_one_of_several_outputs_is_replaced(pack: Pack, pauses):
    pack.node("Two", lambda self: (1, 2), {}, returns=("INT", "INT"))
    pack.node("Sum", lambda self, a, b: (a + b,), {"a": INT, "b": INT})
    graph = pack.graph({"1": made("Two"), "2": made("Sum", a=["1", 0], b=["1", 1])})
    nb.breakpoint(graph["1"], slot=1)
    job = graph.start(outputs=["2"])
    pause = await following(pauses)
    assert pause.value == 2
    pause.resume(20)
    assert (await job)["2"] == 21


async def test_two_breakpoints_of_a_node_are_come_to_one_after_the_other(pack: Pack, pauses):
    pack.node("Two", lambda self: (1, 2), {}, returns=("INT", "INT"))
    pack.node("Sum", lambda self, a, b: (a + b,), {"a": INT, "b": INT})
    graph = pack.graph({"1": made("Two"), "2": made("Sum", a=["1", 0], b=["1", 1])})
    for slot in range(2):
        nb.breakpoint(graph["1"], slot=slot)
    job = graph.start(outputs=["2"])
    (await following(pauses)).resume(10)
    pause = await following(pauses)
    assert pause.value == 2
    pause.resume(20)
    assert (await job)["2"] == 30


async def test_code_can_wait_for_a_pause(chain, pauses):
    first, second, last = chain
    passed, point = nb.breakpoint(first, when=lambda value: False), nb.breakpoint(second)
    job = last.start()
    pause = await asyncio.wait_for(point.reached(), PATIENCE_S)
    assert pause is await point.reached() and pause.value == 20 and passed.paused == []
    point.resume()
    assert await job == 22


async def test_the_events_of_a_paused_node_say_that_it_waits(chain, pauses):
    first, _, last = chain
    nb.breakpoint(first)
    job = last.start()
    (await following(pauses)).resume()
    await job
    (waits,) = reported(job.run, events.NodeWaiting)
    assert waits.reason == "paused at a breakpoint"
    (ended,) = [each for each in reported(job.run, events.NodeFinished) if each.node_id == waits.node_id]
    assert ended.time > waits.time


async def test_a_display_that_fails_leaves_the_run_paused_with_a_warning(chain, session):
    first, _, last = chain

    def broken(pause: Pause) -> None:
        raise OSError("no screen")

    session.breakpoints.on_pause = broken
    point = nb.breakpoint(first)
    with pytest.warns(nb.ComfyNBWarning, match="no screen"):
        job = last.start()
        while not point.paused:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    point.resume()
    assert await job == 22


def test_without_a_display_a_warning_says_how_to_go_on(chain, session):
    first, _, last = chain
    point = nb.breakpoint(first)

    async def goes_on() -> int:
        job = last.start()
        while not point.paused:
            await asyncio.sleep(0)
        point.resume()
        return await job

    with pytest.warns(nb.ComfyNBWarning, match=r"paused at one \(node 1\): .*resume\(value\)"):
        assert asyncio.run(goes_on()) == 22


def test_a_breakpoint_is_at_a_node():
    with pytest.raises(nb.GraphError, match="got int"):
        nb.breakpoint(3)
