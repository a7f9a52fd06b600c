"""What runs inside a node, in its expansion or in a run that it starts, counts for its result (docs/semantics.md)."""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine.cache.disk import DiskCache
from tests.engine.cache.making import on_disk
from tests.engine.support import Outside, Pack, made, node, ran
from tests.reference.classes import INT, LAZY_INT

pytestmark = pytest.mark.usefixtures("plain")


def expands(self: Any, n: int) -> dict[str, Any]:
    graph = nb.GraphBuilder()
    return {"result": (graph.node("Inner", n=n).out(0),), "expand": graph.finalize()}


def factor(times: int, **traits: Any) -> type:
    """The class Inner, which multiplies."""
    return node("Inner", lambda self, n, _times=times: (_times * n,), {"n": INT}, **traits)


@pytest.fixture
def plain(pack: Pack) -> None:
    """Inner doubles, Expand becomes an Inner, Start runs a graph with one, Next adds 1, Sink wants it."""
    inside = pack.graph({"inner": made("Inner", n=3)})

    async def starts(self: Any, n: int) -> tuple[int]:
        return (n + (await inside.run())["inner"],)

    pack.add(factor(2))
    pack.node("Expand", expands, {"n": INT})
    pack.node("Start", starts, {"n": INT})
    pack.node("Next", lambda self, n: (n + 1,), {"n": INT})


def graph_of(pack: Pack, class_type: str) -> nb.Graph:
    return pack.graph({"1": made(class_type, n=3), "2": made("Next", n=["1", 0])})


BOTH = pytest.mark.parametrize(("class_type", "before", "after"), [("Expand", 7, 31), ("Start", 10, 34)])


@BOTH
async def test_an_edit_of_a_class_that_runs_inside_a_node_runs_it_again(pack: Pack, class_type, before, after):
    graph = graph_of(pack, class_type)
    assert (await graph.run())["2"] == before
    assert ran(await graph.run()) == []
    pack.add(factor(10))
    run = await graph.run()
    assert run["2"] == after
    assert {"1", "2"} <= set(ran(run))
    assert run.why("1") == "Inner, which runs inside it, changed"
    assert run.why("2") == "input `n` changed: node 1 above has a different result"
    assert ran(await graph.run()) == []


@BOTH
async def test_an_edit_is_noticed_in_another_graph_too(pack: Pack, class_type, before, after):
    await graph_of(pack, class_type).run()
    assert ran(await graph_of(pack, class_type).run()) == []
    pack.add(factor(10))
    assert (await graph_of(pack, class_type).run())["2"] == after


@BOTH
async def test_defining_an_equal_class_again_runs_nothing_again(pack: Pack, class_type, before, after):
    graph = graph_of(pack, class_type)
    await graph.run()
    pack.add(factor(2))
    assert ran(await graph.run()) == []


@BOTH
async def test_going_back_to_a_class_finds_what_was_computed_below(pack: Pack, class_type, before, after):
    graph = graph_of(pack, class_type)
    await graph.run()
    pack.add(factor(10))
    await graph.run()
    pack.add(factor(2))
    run = await graph.run()
    assert run["2"] == before
    assert "2" not in ran(run)


@BOTH
async def test_a_class_that_is_gone_is_missed(pack: Pack, class_type, before, after):
    graph = graph_of(pack, class_type)
    await graph.run()
    pack.registry.remove("Inner")
    with pytest.raises((nb.NodeError, nb.ValidationError), match="Inner"):
        await graph.run()


@BOTH
async def test_what_reads_a_file_inside_is_asked_each_time_and_found_where_it_is_the_same(
    pack: Pack, class_type, before, after
):
    outside = Outside(times=2)
    reads = {"IS_CHANGED": lambda n: outside.times}
    pack.add(node("Inner", lambda self, n: (outside.times * n,), {"n": INT}, **reads))
    graph = graph_of(pack, class_type)
    assert (await graph.run())["2"] == before
    run = await graph.run()
    assert "1" in ran(run) and "2" not in ran(run)
    assert "may read something else by now" in run.why("1")
    outside.times = 10
    assert (await graph.run())["2"] == after


@BOTH
async def test_what_is_not_cached_inside_runs_each_time_with_all_that_is_below(pack: Pack, class_type, before, after):
    outside = Outside(times=2)
    off = made("Inner", n=3) | {"no_cache": True}

    def expands_off(self: Any, n: int) -> dict[str, Any]:
        return {"result": (["off", 0],), "expand": {"off": off}}

    async def starts_off(self: Any, n: int) -> tuple[int]:
        return (n + (await pack.graph({"inner": off}).run())["inner"],)

    pack.add(node("Inner", lambda self, n: (outside.times * n,), {"n": INT}))
    pack.node("Expand", expands_off, {"n": INT})
    pack.node("Start", starts_off, {"n": INT})
    graph = graph_of(pack, class_type)
    assert (await graph.run())["2"] == before
    outside.times = 10
    run = await graph.run()
    assert run["2"] == after
    assert run.why("1").endswith("runs inside it, whose cache is off")


async def test_what_runs_inside_what_runs_inside_counts(pack: Pack):
    outer = pack.graph({"1": made("Expand", n=3)})

    def expands_twice(self: Any, n: int) -> dict[str, Any]:
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Expand", n=n).out(0),), "expand": graph.finalize()}

    async def starts_outer(self: Any, n: int) -> tuple[int]:
        return (n + (await outer.run())["1"],)

    pack.node("Twice", expands_twice, {"n": INT})
    pack.node("Outer", starts_outer, {"n": INT})
    graph = pack.graph({"1": made("Twice", n=3), "2": made("Outer", n=["1", 0])})
    assert (await graph.run())["2"] == 12
    assert ran(await graph.run()) == []
    pack.add(factor(10))
    assert (await graph.run())["2"] == 60
    assert ran(await graph.run()) == []


async def test_a_run_inside_that_failed_is_not_taken_for_one_that_would_fail_again(pack: Pack):
    outside = Outside(is_there=False)

    def looks(self: Any, n: int) -> tuple[int]:
        if not outside.is_there:
            raise FileNotFoundError("no file")
        return (n,)

    async def starts(self: Any, n: int) -> tuple[int]:
        try:
            return ((await pack.graph({"look": made("Look", n=n)}).run())["look"],)
        except nb.NodeError:
            return (0,)

    pack.node("Look", looks, {"n": INT})
    pack.node("Start", starts, {"n": INT})
    graph = graph_of(pack, "Start")
    assert (await graph.run())["2"] == 1
    outside.is_there = True
    run = await graph.run()
    assert run["2"] == 4
    assert run.why("1") == "a run inside it failed"
    assert ran(await graph.run()) == []


async def test_equal_nodes_with_something_inside_share_one_computation(pack: Pack):
    prompt = {
        "1": made("Start", n=3),
        "2": made("Start", n=3),
        "3": made("Next", n=["1", 0]),
        "4": made("Next", n=["2", 0]),
    }
    run = await pack.graph(prompt).run(outputs=["3", "4"])
    assert (run["3"], run["4"], pack.calls["Start"], pack.calls["Next"]) == (10, 10, 1, 1)
    pack.add(factor(10))
    run = await pack.graph(prompt).run(outputs=["4", "3"])
    assert (run["3"], run["4"], pack.calls["Start"]) == (34, 34, 2)


async def test_runs_side_by_side_inside_count_in_no_order(pack: Pack):
    async def starts(self: Any, n: int) -> tuple[int]:
        runs = [pack.graph({"inner": made("Inner", n=each)}).run() for each in range(n)]
        return (sum([run["inner"] for run in await asyncio.gather(*runs)]),)

    pack.node("Start", starts, {"n": INT})
    graph = graph_of(pack, "Start")
    assert (await graph.run())["2"] == 7
    pack.add(factor(10))
    assert (await graph.run())["2"] == 31
    assert ran(await graph.run()) == []


async def test_a_lazy_node_with_something_inside(pack: Pack):
    pack.node("Expand", expands, {"n": LAZY_INT}, check_lazy_status=lambda self, n=None: ["n"] if n is None else [])
    graph = pack.graph({"1": made("Next", n=2), "2": made("Expand", n=["1", 0]), "3": made("Next", n=["2", 0])})
    assert (await graph.run())["3"] == 7
    assert ran(await graph.run()) == []
    pack.add(factor(10))
    run = await graph.run()
    assert run["3"] == 31
    assert "1" not in ran(run)
    assert run.why("2") == "Inner, which runs inside it, changed"
    assert ran(await graph.run()) == []


async def test_an_expansion_that_takes_from_elsewhere_follows_what_it_takes(pack: Pack):
    def takes(self: Any, n: int) -> dict[str, Any]:
        return {"result": (["inner", 0],), "expand": {"inner": made("Inner", n=["elsewhere", 0])}}

    pack.node("Take", takes, {"n": INT})
    graph = graph_of(pack, "Take")
    prompt = graph.to_prompt() | {"elsewhere": made("Next", n=2)}
    graph = pack.graph(prompt)
    wanted = ["2", "elsewhere"]
    assert (await graph.run(outputs=wanted))["2"] == 7
    graph["elsewhere"].inputs["n"] = 4
    assert (await graph.run(outputs=wanted))["2"] == 11


async def test_an_expansion_whose_result_is_a_node_of_the_graph_follows_that(pack: Pack):
    pack.node("Link", lambda self, n: {"result": (["elsewhere", 0],), "expand": {}}, {"n": INT})
    graph = pack.graph(graph_of(pack, "Link").to_prompt() | {"elsewhere": made("Next", n=2)})
    wanted = ["2", "elsewhere"]
    assert (await graph.run(outputs=wanted))["2"] == 4
    graph["elsewhere"].inputs["n"] = 4
    assert (await graph.run(outputs=wanted))["2"] == 6


async def test_nodes_of_an_expansion_that_nothing_needed_do_not_count(pack: Pack):
    def expands_more(self: Any, n: int) -> dict[str, Any]:
        graph = expands(self, n)
        return graph | {"expand": graph["expand"] | {"unneeded": made("Inner", n=1) | {"no_cache": True}}}

    pack.node("Expand", expands_more, {"n": INT})
    graph = graph_of(pack, "Expand")
    await graph.run()
    assert ran(await graph.run()) == []


async def test_a_run_that_was_stopped_inside_a_node_is_not_reused(pack: Pack):
    inside = pack.graph({"inner": made("Inner", n=3)})

    async def stops(self: Any, n: int) -> tuple[int]:
        job = inside.start()
        job.run.stop()
        return (n if (await job).state == "stopped" else -1,)

    pack.node("Start", stops, {"n": INT})
    graph = graph_of(pack, "Start")
    await graph.run()
    run = await graph.run()
    assert run.why("1") == "a run inside it was stopped"


# Several runs at once


seen_inside: contextvars.ContextVar[int] = contextvars.ContextVar("seen_inside", default=1)


async def test_runs_at_once_under_other_context_variables_share_nothing_that_depends_on_them(pack: Pack):
    pack.add(node("Inner", lambda self, n: (n * seen_inside.get(),), {"n": INT}))
    graph = graph_of(pack, "Start")

    async def run_with(number: int) -> int:
        seen_inside.set(number)
        return (await graph.run())["2"]

    for _ in range(2):
        assert await asyncio.gather(*map(run_with, (1, 2, 3, 1))) == [7, 10, 13, 7]


def waits_inside(pack: Pack, times: int = 1) -> tuple[asyncio.Event, asyncio.Event]:
    """Make Start run an Inner so many times, and before the last time wait for the second of these events."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def starts(self: Any, n: int) -> tuple[int]:
        found = 0
        for each in range(times):
            found += (await pack.graph({"inner": made("Inner", n=n)}).run())["inner"]
            if each == 0:
                begun.set()
                await go_on.wait()
        return (found,)

    pack.node("Start", starts, {"n": INT})
    return begun, go_on


async def test_a_run_that_is_begun_after_an_edit_does_not_join_one_from_before(pack: Pack):
    begun, go_on = waits_inside(pack)
    old = graph_of(pack, "Start").start()
    await begun.wait()
    pack.add(factor(10))
    new = graph_of(pack, "Start").start()
    go_on.set()
    assert ((await old)["2"], (await new)["2"]) == (7, 31)


async def test_a_class_that_is_edited_between_two_runs_inside_a_call_leaves_nothing_to_use_again(pack: Pack):
    begun, go_on = waits_inside(pack, times=2)
    job = graph_of(pack, "Start").start()
    await begun.wait()
    pack.add(factor(10))
    go_on.set()
    assert (await job)["2"] == 37
    run = await graph_of(pack, "Start").run()
    assert run["2"] == 61
    assert run.why("1") == "Inner, which runs inside it, changed while it ran"
    assert ran(await graph_of(pack, "Start").run()) == []


async def test_what_has_been_learnt_anew_meanwhile_is_not_taken_for_what_ran(pack: Pack):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def waits(self: Any, n: int) -> tuple[int]:
        begun.set()
        await go_on.wait()
        return (n,)

    inside = pack.graph({"1": made("Expand", n=3), "2": made("Wait", n=["1", 0])})

    async def starts(self: Any, n: int) -> tuple[int]:
        return (n + (await inside.run())["2"],)

    pack.node("Wait", waits, {"n": INT})
    pack.node("Start", starts, {"n": INT})
    alone = pack.graph({"1": made("Expand", n=3)})
    await alone.run()
    job = graph_of(pack, "Start").start()
    await begun.wait()
    pack.add(factor(10))
    assert (await alone.run())["1"] == 30
    go_on.set()
    assert (await job)["2"] == 10
    assert (await graph_of(pack, "Start").run())["2"] == 34


@pytest.mark.usefixtures("all_worth_disk")
async def test_of_two_runs_on_one_plan_neither_keys_what_is_below_by_what_the_other_learnt(pack: Pack, tmp_path: Path):
    begun, go_on = waits_inside(pack)
    slow, is_over = asyncio.Event(), asyncio.Event()

    async def waits(self: Any, n: int) -> tuple[int]:
        slow.set()
        await is_over.wait()
        return (n,)

    pack.node("Wait", waits, {"n": INT})
    prompt = graph_of(pack, "Start").to_prompt() | {"wait": made("Wait", n=1)}
    graph = pack.graph(prompt)
    disk = DiskCache(tmp_path)
    with nb.use_session(nb.Session(disk=disk)):
        first = graph.start(outputs=["1"])
        await begun.wait()
        second = graph.start(outputs=["wait", "2"])
        await slow.wait()
        go_on.set()
        await first
        is_over.set()
        assert (await second)["2"] == 7
    disk.close()
    pack.add(factor(10))
    assert (await on_disk(tmp_path, pack.graph(prompt)))["2"] == 31


@pytest.mark.parametrize("is_handle", [False, True])
async def test_a_node_that_runs_a_graph_which_its_code_reads_is_used_again_until_an_edit(is_handle: bool):
    @nb.node
    def plus(a: int, b: int) -> int:
        return a + b

    handle = plus(plus(1, 2), 3)
    graph = handle.graph

    @nb.node
    async def from_graph(n: int) -> int:
        return n + (await graph.run())["2"]

    @nb.node
    async def from_handle(n: int) -> int:
        return n + await handle

    outer = nb.Graph(from_handle(10) if is_handle else from_graph(10))
    assert (await outer.run())["1"] == 16
    assert ran(await outer.run()) == []
    graph["2"].inputs["b"] = 4
    assert (await outer.run())["1"] == (16 if is_handle else 17)
    assert ran(await outer.run()) == []


async def test_a_handle_says_whether_its_result_would_be_used(pack: Pack, session: nb.Session):
    graph = graph_of(pack, "Expand")
    await graph.run()
    assert [session.state_of(graph, each) for each in ("1", "2")] == ["cached", "cached"]
    pack.add(factor(10))
    assert session.state_of(graph, "2") != "cached"


@BOTH
@pytest.mark.usefixtures("all_worth_disk")
async def test_what_is_on_disk_follows_what_runs_inside(pack: Pack, tmp_path: Path, class_type, before, after):
    await on_disk(tmp_path, graph_of(pack, class_type))
    run = await on_disk(tmp_path, graph_of(pack, class_type))
    assert run["2"] == before
    assert run.why("2") == "from an earlier run, on disk"
    pack.add(factor(10))
    assert (await on_disk(tmp_path, graph_of(pack, class_type)))["2"] == after


async def test_a_graph_that_two_sessions_run_follows_in_each(pack: Pack):
    graph = graph_of(pack, "Start")
    await graph.run()
    with nb.use_session(nb.Session()):
        assert (await graph.run())["2"] == 10
        pack.add(factor(10))
        assert (await graph.run())["2"] == 34
    assert (await graph.run())["2"] == 34


async def test_a_class_that_runs_inside_many_nodes_is_asked_as_often_as_one_that_runs_inside_few(pack: Pack):
    """Its code is what it is at that moment, for all of them."""
    spec, asked = pack.registry["Inner"], []
    pack.registry.register(replace(spec, code=lambda: asked.append(1) or spec.code()))

    async def times_asked(count: int) -> int:
        graph = pack.graph({str(n): made("Expand", n=n) for n in range(count)})
        await graph.run()
        asked.clear()
        assert ran(await graph.run()) == []
        return len(asked)

    assert await times_asked(50) == await times_asked(2)
