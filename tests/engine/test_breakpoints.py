"""Breakpoints: a run pauses where a value is there, and goes on with it or with another one."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.pause import Pause
from tests.engine.support import Pack, made, ran, reported
from tests.reference.classes import INT, LAZY_INT, RAW_INT

PATIENCE_S = 10.0


async def following(pauses: asyncio.Queue[Pause]) -> Pause:
    """The next pause; one that does not come fails the test."""
    return await asyncio.wait_for(pauses.get(), PATIENCE_S)


@pytest.fixture
def pauses(session: nb.Session) -> asyncio.Queue[Pause]:
    """The pauses of the session's runs, as they come."""
    found: asyncio.Queue[Pause] = asyncio.Queue()
    session.breakpoints.on_pause = found.put_nowait
    return found


@pytest.fixture
def chain() -> tuple[nb.Handle, nb.Handle, nb.Handle]:
    """one(x) = x + 1, then two(x) = 10 x on a lane, then three(x, y) = x + y on the loop: 22 of 1."""

    @nb.node
    def one(x: int) -> int:
        return x + 1

    @nb.node
    def two(x: int) -> int:
        return x * 10

    @nb.node
    async def three(x: int, y: int) -> int:
        return x + y

    first = one(1)
    second = two(first)
    return first, second, three(second, first)


async def test_a_run_pauses_where_the_value_is_and_goes_on_when_it_is_told_to(chain, pauses):
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


async def test_a_number_is_no_text(chain, pauses):
    first, _, last = chain
    nb.breakpoint(first)
    job = last.start()
    pause = await following(pauses)
    with pytest.raises(nb.LayoutError, match=r"one \(node 1\), output 0: INT is expected here, and str came: 'five'"):
        pause.resume("five")
    pause.resume()
    assert await job == 22


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
    with pytest.raises(nb.GraphError, match="not at int"):
        nb.breakpoint(3)


# What a replaced value may not do -----------------------------------------------------------------------------------


async def test_a_replaced_value_is_not_kept_by_an_expansion_that_links_to_its_node_by_id(pack: Pack, pauses):
    def expands(self, n):
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Number", n=["1", 0]).out(0),), "expand": graph.finalize()}

    pack.node("Number", lambda self, n: (n,), {"n": INT})
    pack.node("Expand", expands, {"n": INT})
    graph = pack.graph({"1": made("Number", n=1), "2": made("Expand", n=3), "4": made("Expand", n=4)})
    with nb.breakpoint(graph["1"]):
        job = graph.start(outputs=["1", "2"])
        (await following(pauses)).resume(50)
        assert (await job)["2"] == 50
    assert (await graph.run(outputs=["4", "2"])).value("4") == 1


async def test_nodes_that_take_a_replaced_value_by_need_and_by_wish_take_the_same(pack: Pack, pauses):
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    pack.node("Double", lambda self, n: (2 * n,), {"n": INT})
    pack.node("Wish", lambda self, n=None: (n,), {"n": LAZY_INT}, check_lazy_status=lambda self, n=None: ["n"])
    graph = pack.graph({"1": made("Number", n=1), "2": made("Double", n=["1", 0]), "3": made("Wish", n=["1", 0])})
    await graph.run(outputs=["2", "3"])
    with nb.breakpoint(graph["1"]):
        job = graph.start(outputs=["3", "2"])
        (await following(pauses)).resume(50)
        run = await job
    assert (run["2"], run["3"]) == (100, 50)


async def test_what_awaits_a_run_with_a_replaced_value_is_not_kept_either(pauses):
    @nb.node
    def inner(x: int) -> int:
        return x + 1

    @nb.node
    async def outer(x: int) -> int:
        return 2 * await inner(x)

    with nb.breakpoint(inner(3)):
        job = outer(3).start()
        (await following(pauses)).resume(10)
        assert await job == 20
    assert await outer(3) == 8


async def test_a_value_that_was_written_to_at_its_breakpoint_is_not_kept(pauses):
    grey = nb.nodes.EmptyImage(width=8, height=8, color=0x808080)
    white = nb.nodes.ImageInvert(grey)
    with nb.breakpoint(grey):
        job = white.start()
        pause = await following(pauses)
        pause.value.zero_()
        pause.resume()
        assert (await job).mean() == 1.0
    assert 0.4 < (await white).mean() < 0.6


async def test_what_is_below_a_replaced_value_is_called_once_though_it_is_wished_for_late(pack: Pack, pauses):
    def expands(self, n):
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Minus", n=n).out(0),), "expand": graph.finalize()}

    pack.node("Number", lambda self, n: (n,), {"n": INT})
    pack.node("Minus", lambda self, n: (-n,), {"n": INT})
    pack.node("Expand", expands, {"n": INT})
    pack.node(
        "Pick",
        lambda self, w, n=None: (n,),
        {"w": INT, "n": LAZY_INT},
        check_lazy_status=lambda self, w, n=None: ["n"],
    )
    prompt = {"1": made("Number", n=1), "2": made("Expand", n=["1", 0]), "3": made("Minus", n=["2", 0])}
    graph = pack.graph({**prompt, "4": made("Pick", w=["3", 0], n=["2", 0])})
    with nb.breakpoint(graph["1"]):
        job = graph.start(outputs=["4"])
        (await following(pauses)).resume(5)
        assert (await job)["4"] == -5 and pauses.empty()


# What else may go wrong ----------------------------------------------------------------------------------------------


async def test_an_expansion_whose_outputs_do_not_fit_fails_the_run_after_its_breakpoint_too(pack: Pack, pauses):
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    pack.node("Pass", lambda self, n: {"result": (n,), "expand": {}}, {"n": RAW_INT}, OUTPUT_IS_LIST=(True,))
    graph = pack.graph({"1": made("Number", n=1), "2": made("Pass", n=["1", 0])})
    nb.breakpoint(graph["1"])
    job = graph.start(outputs=["2"])
    (await following(pauses)).resume()
    with pytest.raises(nb.NodeError):
        await asyncio.wait_for(job, PATIENCE_S)


@pytest.mark.parametrize("end", ["resume", "stop"])
async def test_a_display_that_fails_at_the_end_of_a_pause_leaves_the_run_going(chain, pauses, end):
    first, _, last = chain
    nb.breakpoint(first)
    job = last.start()
    pause = await following(pauses)
    pause.on_end = lambda: 1 / 0
    with pytest.warns(nb.ComfyNBWarning, match="ZeroDivisionError"):
        getattr(pause, end)()
        await asyncio.wait_for(asyncio.gather(job, return_exceptions=True), PATIENCE_S)
    assert job.run.state == {"resume": "done", "stop": "stopped"}[end]


async def test_a_when_may_raise_anything(chain, pauses):
    first, _, last = chain

    def cancels(value: int) -> bool:
        raise asyncio.CancelledError

    nb.breakpoint(first, when=cancels)
    with pytest.raises(nb.NodeError, match="CancelledError"):
        await asyncio.wait_for(last.run(), PATIENCE_S)


async def test_a_breakpoint_that_is_removed_before_a_run_comes_to_it_does_not_pause_it(pauses):
    begun, may_end = asyncio.Event(), asyncio.Event()

    @nb.node
    async def waits() -> int:
        begun.set()
        await may_end.wait()
        return 1

    with nb.breakpoint(waits()):
        job = waits().start()
        await begun.wait()
    may_end.set()
    assert await asyncio.wait_for(job, PATIENCE_S) == 1 and pauses.empty()


async def test_a_breakpoint_that_is_removed_while_its_when_is_asked_pauses_nothing(chain, pauses):
    first, _, last = chain

    def removes(value: int) -> bool:
        point.remove()
        return True

    point = nb.breakpoint(first, when=removes)
    assert await asyncio.wait_for(last.run(), PATIENCE_S) == 22 and pauses.empty()


async def test_what_comes_too_late_is_passed_over(chain, pauses):
    first, _, last = chain
    nb.breakpoint(first)
    job = last.start()
    pause = await following(pauses)
    pause.resume(5)
    pause.resume(6)
    assert await job == 55
    pause.resume(7)
    pause.stop()
    assert pause.state == "replaced"


async def test_a_blocked_node_has_no_value_to_pause_at(pack: Pack, pauses):
    pack.node("Block", lambda self: (nb.ExecutionBlocker(None),), {})
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    graph = pack.graph({"1": made("Block"), "2": made("Number", n=["1", 0])})
    nb.breakpoint(graph["1"], when=lambda value: value > 2)
    assert (await asyncio.wait_for(graph.run(outputs=["2"]), PATIENCE_S)).state == "done"


@pytest.mark.parametrize("slot", [1, -2, "IMAGE", 0.5])
def test_an_output_that_a_node_does_not_have_is_refused_with_those_that_it_has(chain, slot):
    with pytest.raises(nb.GraphError, match=r"one has no output .* to pause at. It has: 0 \(INT\)"):
        nb.breakpoint(chain[0], slot=slot)


async def judges(value: int) -> bool:
    return True


@pytest.mark.parametrize("when", [True, judges])
def test_a_when_is_a_plain_function(chain, when):
    with pytest.raises(nb.GraphError, match="`when` is a plain function"):
        nb.breakpoint(chain[0], when=when)


async def test_numbers_of_numpy_are_numbers(chain, pauses):
    first, _, last = chain
    nb.breakpoint(first)
    job = last.start()
    (await following(pauses)).resume(np.int64(5))
    assert await job == 55
