"""Replaced values never reach the cache, and what else may go wrong at a breakpoint."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine.execution.node_run import NodeState
from tests.engine.support import PATIENCE_S, Pack, following, made
from tests.reference.classes import INT, LAZY_INT, RAW_INT

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


async def test_nodes_that_take_a_replaced_value_at_once_and_lazily_take_the_same(pack: Pack, pauses):
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


class Nested:
    """A graph whose node 1 runs each time and gives what a graph of its own computes: `n`, unless that is replaced.

    What is below it is cached all the same: only a file that it wrote is gone.
    """

    def __init__(self, pack: Pack) -> None:
        @nb.node
        def within(n: int) -> int:
            return n

        async def runs(self, n):
            return {"result": (await within(n),), "ui": {"files": []}}

        def expands(self, n, m):
            graph = nb.GraphBuilder()
            return {"result": (graph.node("Double", n=n).out(0),), "expand": graph.finalize()}

        pack.node("Runs", runs, {"n": INT}, STILL_THERE=lambda ui: False)
        pack.node("Double", lambda self, n: (2 * n,), {"n": INT})
        pack.node("Sum", lambda self, a, b: (a + b,), {"a": INT, "b": INT})
        wish = {"check_lazy_status": lambda self, m, n=None: ["n"]}
        pack.node("Wish", lambda self, m, n=None: (n,), {"n": LAZY_INT, "m": INT}, **wish)
        pack.node("Expand", expands, {"n": RAW_INT, "m": INT})
        self.breakpoint = lambda: nb.breakpoint(within(3))
        self.prompt = {
            "1": made("Runs", n=3),
            "2": made("Double", n=["1", 0]),
            "3": made("Sum", a=["2", 0], b=["1", 0]),
            "wish": made("Wish", n=["2", 0], m=1),
            "expand": made("Expand", n=["1", 0], m=1),
        }


@pytest.mark.parametrize(
    ("wanted", "value"),
    [("2", 100), ("3", 150), ("wish", 100), ("expand", 100)],
    ids=["below", "2 below", "late", "in"],
)
async def test_a_value_replaced_in_a_nested_run_reaches_what_is_cached_below(pack: Pack, pauses, wanted, value):
    nested = Nested(pack)
    graph = pack.graph(nested.prompt)
    await graph.run(outputs=["1", "3", "wish", "expand"])
    for each in ("wish", "expand"):
        graph[each].inputs["m"] = 2  # so that it runs, and what it asks for or expands into was cached
    with nested.breakpoint():
        job = graph.start(outputs=["1", wanted])
        (await following(pauses)).resume(50)
        run = await job
    assert (run["1"], run[wanted]) == (50, value)
    again = await graph.run(outputs=["1", wanted])
    assert again[wanted] == {"2": 6, "3": 9, "wish": 6, "expand": 6}[wanted]


async def test_a_node_that_runs_with_a_cached_value_meanwhile_is_called_again(pack: Pack, pauses):
    nested = Nested(pack)
    begun, sign = asyncio.Event(), asyncio.Event()
    seen = []

    async def wait(self, n):
        seen.append(n)
        begun.set()
        await sign.wait()
        return (n,)

    pack.node("Wait", wait, {"n": INT})
    graph = pack.graph({**nested.prompt, "4": made("Wait", n=["2", 0])})
    await graph.run(outputs=["1", "2"])
    with nested.breakpoint():
        job = graph.start(outputs=["1", "4"])
        pause = await following(pauses)
        await begun.wait()
        pause.resume(50)
        while job.run.node_run("1").state is not NodeState.DONE:
            await asyncio.sleep(0)
        sign.set()
        assert (await job)["4"] == 100
    assert seen == [6, 100]


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


async def test_what_is_below_a_replaced_value_is_called_once_though_it_is_asked_for_late(pack: Pack, pauses):
    pack.add_late_wish()
    pack.node("Number", lambda self, n: (n,), {"n": INT})
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
    with pytest.raises(nb.GraphError, match="`when` must be a plain function"):
        nb.breakpoint(chain[0], when=when)


async def test_numbers_of_numpy_are_numbers(chain, pauses):
    first, _, last = chain
    nb.breakpoint(first)
    job = last.start()
    (await following(pauses)).resume(np.int64(5))
    assert await job == 55


async def test_of_several_values_each_may_be_what_one_of_them_was(pack: Pack, pauses):
    values = [None, torch.zeros(1, 8, 8, 3)]
    pack.node("Two", lambda self: (values,), {}, returns=("IMAGE",), OUTPUT_IS_LIST=(True,))
    graph = pack.graph({"1": made("Two")})
    nb.breakpoint(graph["1"])
    job = graph.start(outputs=["1"])
    (await following(pauses)).resume([torch.ones(1, 4, 4, 3), None])
    assert [each if each is None else each.shape for each in (await job)["1"]] == [(1, 4, 4, 3), None]


async def test_a_waiter_that_gave_up_is_forgotten(chain):
    point = nb.breakpoint(chain[0])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(point.reached(), 0.01)
    assert point._waiting == []
