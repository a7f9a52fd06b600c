"""What is used again and what runs again (docs/semantics.md, "Caching")."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import comfy_nb as nb
from comfy_nb.library import Folders, use_folders
from comfy_nb.library.image_files import PreviewImage
from tests.engine.cache.classes import INT, choosing, one
from tests.engine.support import Outside, Pack, made, ran

pytestmark = pytest.mark.usefixtures("arithmetic")


# By structure


async def test_a_node_is_used_again_by_what_it_is_and_not_by_its_id(pack: Pack) -> None:
    first = {"1": made("Number", n=1), "2": made("Add", a=["1", 0], b=2)}
    renamed = {"sum": made("Add", b=2, a=["x", 0]), "x": made("Number", n=1)}
    await pack.graph(first).run()
    run = await pack.graph(renamed).run()
    assert ran(run) == []
    assert run["sum"] == 3


async def test_another_constant_class_slot_or_input_name_is_another_node(pack: Pack) -> None:
    pack.node("Pair", lambda self: (1, 2), {}, ("INT", "INT"))
    pack.node("Twin", lambda self, n: (n,), {"n": INT})
    prompt = {"1": made("Pair"), "2": made("Number", n=["1", 0])}
    await pack.graph(prompt).run()
    assert ran(await pack.graph({**prompt, "2": made("Number", n=["1", 1])}).run()) == ["2"]
    assert ran(await pack.graph({**prompt, "2": made("Twin", n=["1", 0])}).run()) == ["2"]
    assert ran(await pack.graph({**prompt, "2": made("Number", n=7)}).run()) == ["2"]


async def test_one_and_true_and_one_point_zero_are_different_constants(pack: Pack) -> None:
    pack.node("Any", lambda self, v: (repr(v),), {"v": ("*",)}, ("STRING",))
    values = [(await pack.graph(one("Any", v=value)).run())["1"] for value in (1, True, 1.0, "1")]
    assert values == ["1", "True", "1.0", "'1'"]


async def test_a_changed_ancestor_changes_all_below_it_and_nothing_beside(pack: Pack) -> None:
    graph = pack.graph(
        {
            "1": made("Number", n=1),
            "2": made("Number", n=2),
            "3": made("Add", a=["1", 0], b=1),
            "4": made("Add", a=["2", 0], b=1),
            "5": made("Add", a=["3", 0], b=["4", 0]),
        }
    )
    await graph.run()
    graph["1"].inputs["n"] = 10
    assert ran(await graph.run()) == ["1", "3", "5"]


async def test_entries_are_shared_between_graphs_and_handles(pack: Pack) -> None:
    await pack.graph({"9": made("Number", n=1), "8": made("Add", a=["9", 0], b=2)}).run()
    nodes = nb.graph.namespace.Nodes(lambda: pack.registry)
    assert await nodes.Add(nodes.Number(1), 2) == 3
    assert pack.calls == {"Number": 1, "Add": 1}


# Bound to a node


@pytest.mark.parametrize(
    ("hidden", "traits"),
    [(None, {"NOT_IDEMPOTENT": True}), ({"me": "UNIQUE_ID"}, {})],
    ids=["not idempotent", "unique id"],
)
async def test_an_entry_is_bound_to_the_node_and_its_graph(pack: Pack, hidden: Any, traits: dict[str, Any]) -> None:
    pack.node("Bound", lambda self, n, me=None: (n,), {"n": INT}, hidden=hidden, **traits)
    graph = pack.graph({"1": made("Bound", n=1), "2": made("Bound", n=1)})
    assert sorted(ran(await graph.run())) == ["1", "2"]
    assert ran(await graph.run()) == []
    assert ran(await pack.graph(one("Bound")).run()) == ["1"]


# Lazy inputs


async def test_an_upstream_change_behind_an_unused_lazy_input_does_not_invalidate(pack: Pack) -> None:
    choosing(pack)
    graph = pack.graph(
        {
            "1": made("Number", n=1),
            "2": made("Number", n=2),
            "3": made("Choose", which=0, even=["1", 0], odd=["2", 0]),
            "4": made("Show", n=["3", 0]),
        }
    )
    assert ran(await graph.run()) == ["1", "3", "4"]
    graph["2"].inputs["n"] = 20
    assert ran(await graph.run()) == []
    graph["1"].inputs["n"] = 10
    run = await graph.run()
    assert ran(run) == ["1", "3", "4"]
    assert run["4"] == 10


async def test_a_lazy_choice_of_an_earlier_run_is_found_again(pack: Pack) -> None:
    choosing(pack)
    prompt = {
        "1": made("Number", n=1),
        "2": made("Number", n=2),
        "3": made("Choose", which=0, even=["1", 0], odd=["2", 0]),
    }
    graph = pack.graph(prompt)
    await graph.run()
    graph["3"].inputs["which"] = 1
    run = await graph.run()
    assert ran(run) == ["2", "3"]
    assert run["3"] == 2
    graph["3"].inputs["which"] = 0
    run = await graph.run()
    assert ran(run) == []
    assert run["3"] == 1


async def test_a_result_depends_on_what_a_lazy_link_that_was_passed_as_such_links_to(pack: Pack) -> None:
    def expands(self: Any, n: Any) -> Any:
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Number", n=n).out(0),), "expand": graph.finalize()}

    pack.node("Number", lambda self, n: (n,), {"n": INT})
    pack.node("Expand", expands, {"n": ("INT", {"rawLink": True, "lazy": True})})
    graph = pack.graph({"1": made("Number", n=1), "2": made("Expand", n=["1", 0])})
    assert (await graph.run(outputs=["2"]))["2"] == 1
    graph["1"].inputs["n"] = 5
    assert (await graph.run(outputs=["2"]))["2"] == 5
    assert (await graph.run(outputs=["2"])).counts["ran"] == 0


async def test_a_lazy_link_that_was_passed_as_such_and_not_followed_does_not_count(pack: Pack) -> None:
    choosing(pack)
    lazy = {"n": ("INT", {"rawLink": True, "lazy": True})}
    pack.node("Id", lambda self, n: (n[0],), lazy, ("STRING",))
    prompt = {
        "1": made("Number", n=1),
        "2": made("Choose", which=0, even=["1", 0], odd=["1", 0]),
        "3": made("Id", n=["2", 0]),
        "4": made("Show", n=["3", 0]),
    }
    pack.node("Show", lambda self, n: {"ui": {"shown": [n]}}, {"n": ("*",)}, OUTPUT_NODE=True)
    graph = pack.graph(prompt)
    assert ran(await graph.run()) == ["3", "4"]
    assert ran(await graph.run()) == []
    graph["1"].inputs["n"] = 2
    assert ran(await graph.run()) == []


async def test_a_passed_on_link_counts_though_what_takes_from_it_was_cached(pack: Pack) -> None:
    def expands(self: Any, n: Any, m: int) -> Any:
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Add", a=n, b=0).out(0),), "expand": graph.finalize()}

    pack.node("Expand", expands, {"n": ("INT", {"rawLink": True, "lazy": True}), "m": INT})
    graph = pack.graph({"1": made("Number", n=1), "2": made("Expand", n=["1", 0], m=1)})
    assert (await graph.run(["2"]))["2"] == 1
    graph["2"].inputs["m"] = 2
    run = await graph.run(["2"])
    assert (run["2"], ran(run)) == (1, ["2"])  # nothing needs node 1
    graph["1"].inputs["n"] = 5
    assert (await graph.run(["2"]))["2"] == 5


# Output nodes


async def test_a_cached_output_node_does_not_run_again_and_reports_its_ui_again(pack: Pack) -> None:
    graph = pack.graph(one("Show"))
    first = await graph.run()
    again = await graph.run()
    assert ran(again) == []
    assert first.ui == again.ui == {"1": {"shown": [1]}}


async def test_a_cached_node_reports_its_ui_again_only_where_it_is_wanted(pack: Pack) -> None:
    graph = pack.graph({"1": made("Show", n=1), "2": made("Show", n=["1", 0])})
    assert set((await graph.run()).ui) == {"1", "2"}
    assert set((await graph.run()).ui) == {"1", "2"}
    pack.node("Last", lambda self, n: {"ui": {"shown": [n]}, "result": (n,)}, {"n": INT})
    graph.node("Last", id="3", n=["1", 0])
    run = await graph.run(["3"])
    assert run.counts == {"memory": 1, "ran": 1}
    assert set(run.ui) == {"3"}


async def test_a_cached_output_node_of_an_expansion_reports_again(pack: Pack) -> None:
    def expand(self: Any, m: int) -> dict[str, Any]:
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Show", id="show", n=1).out(0),), "expand": graph.finalize()}

    pack.node("Expand", expand, {"m": INT})
    graph = pack.graph({"1": made("Expand", m=1)})
    await graph.run()
    graph["1"].inputs["m"] = 2
    run = await graph.run()
    assert ran(run) == ["1"]
    assert run.ui == {"1.0.0.show": {"shown": [1]}}


@pytest.mark.parametrize("wanted", [["3"], ["4"]], ids=["needed", "not needed"])
async def test_a_node_with_intermediate_output_reports_again_wherever_it_is_in_the_prompt(
    pack: Pack, wanted: list[str]
) -> None:
    shows = {"HAS_INTERMEDIATE_OUTPUT": True}
    pack.node("Crop", lambda self, n: {"ui": {"crop": [n]}, "result": (n,)}, {"n": INT}, **shows)
    prompt = {
        "1": made("Number", n=1),
        "2": made("Crop", n=["1", 0]),
        "3": made("Add", a=["2", 0], b=1),
        "4": made("Number", n=4),
    }
    graph = pack.graph(prompt)
    assert "2" not in (await graph.run(["4"])).ui
    await graph.run(["3"])
    graph["3"].inputs["b"] = 2
    assert (await graph.run(wanted)).ui == {"2": {"crop": [1]}}


async def test_a_preview_whose_file_has_gone_runs_again(pack: Pack, tmp_path: Path) -> None:
    nb.register(PreviewImage, registry=pack.registry)
    graph = pack.graph({"1": made("PreviewImage", images=torch.zeros(1, 4, 4, 3))})
    with use_folders(Folders(tmp_path)) as folders:
        await graph.run()
        assert ran(await graph.run()) == []
        (written,) = folders.of("temp").rglob("*.png")
        written.unlink()
        run = await graph.run()
        assert ran(run) == ["1"]
        assert "gone" in run.why("1")
        assert len(list(folders.of("temp").rglob("*.png"))) == 1


# Failures and blockers


async def test_a_node_that_raised_is_not_cached_but_what_had_finished_is(pack: Pack) -> None:
    server = Outside(is_up=False)

    def fetch(self: Any, n: int) -> tuple[int]:
        if not server.is_up:
            raise ConnectionError("not now")
        return (n,)

    pack.node("Fetch", fetch, {"n": INT})
    graph = pack.graph({"1": made("Number", n=1), "2": made("Fetch", n=["1", 0])})
    with pytest.raises(nb.NodeError):
        await graph.run()
    server.is_up = True
    run = await graph.run()
    assert ran(run) == ["2"]
    assert pack.calls["Number"] == 1


async def test_two_nodes_that_fail_at_once_both_can_be_tried_again(pack: Pack) -> None:
    server = Outside(is_up=False, both=threading.Barrier(2))

    def fetch(self: Any, n: int) -> tuple[int]:
        if not server.is_up:
            server.both.wait()
            raise ConnectionError("not now")
        return (n,)

    pack.node("Fetch", fetch, {"n": INT}, THREAD_SAFE=True)
    graph = pack.graph({"1": made("Fetch", n=1), "2": made("Fetch", n=2)})
    with pytest.raises(nb.NodeError):
        await graph.run()
    server.is_up = True
    async with asyncio.timeout(30):
        assert sorted(ran(await graph.run())) == ["1", "2"]


async def test_a_node_that_was_blocked_is_cached(pack: Pack) -> None:
    pack.node("Block", lambda self: (nb.ExecutionBlocker(None),))
    graph = pack.graph({"1": made("Block"), "2": made("Add", a=["1", 0], b=1)})
    first = await graph.run()
    assert ran(first) == ["1", "2"]
    assert ran(await graph.run()) == []
    assert pack.calls == {"Block": 1}


# Expansions


async def test_unchanged_children_are_used_again_when_the_parent_runs_again(pack: Pack) -> None:
    def expand(self: Any, base: int, more: int) -> dict[str, Any]:
        builder = nb.GraphBuilder()
        inner = builder.node("Number", n=base)
        total = builder.node("Add", a=inner.out(0), b=more)
        return {"expand": builder.finalize(), "result": (total.out(0),)}

    pack.node("Expand", expand, {"base": INT, "more": INT})
    graph = pack.graph(one("Expand", base=1, more=2))
    assert ran(await graph.run()) == ["1.0.0.1", "1.0.0.2", "1"]
    graph["1"].inputs["more"] = 3
    run = await graph.run()
    assert ran(run) == ["1.0.0.2", "1"]
    assert run["1"] == 4


async def test_children_bound_to_their_node_are_used_again_too(pack: Pack) -> None:
    def expand(self: Any, more: int) -> dict[str, Any]:
        builder = nb.GraphBuilder()
        total = builder.node("Add", a=builder.node("Bound", n=1).out(0), b=more)
        return {"expand": builder.finalize(), "result": (total.out(0),)}

    pack.node("Bound", lambda self, n: (n,), {"n": INT}, NOT_IDEMPOTENT=True)
    pack.node("Expand", expand, {"more": INT})
    graph = pack.graph(one("Expand", more=2))
    await graph.run()
    graph["1"].inputs["more"] = 3
    assert "1.0.0.1" not in ran(await graph.run())


# Room


async def test_what_was_evicted_is_computed_again_and_says_so(pack: Pack, session: nb.Session) -> None:
    graph = pack.graph({"1": made("Number", n=1), "2": made("Add", a=["1", 0], b=1)})
    await graph.run()
    budget, session.cache.budget = session.cache.budget, 0
    session.cache.budget = budget
    run = await graph.run()
    assert ran(run) == ["1", "2"]
    assert run.why("2") == "evicted to make room"
    assert run["2"] == 2


async def test_a_value_larger_than_the_cache_is_handed_on_all_the_same(pack: Pack, session: nb.Session) -> None:
    pack.node("Zeros", lambda self: (torch.ones(1000),), {}, ("TENSOR",))
    pack.node("Total", lambda self, v: (int(v.sum()),), {"v": ("TENSOR",)})
    session.cache.budget = 2000
    graph = pack.graph({"1": made("Zeros"), "2": made("Total", v=["1", 0])})
    assert (await graph.run())["2"] == 1000
    assert ran(await graph.run()) == []


async def test_an_ancestor_that_was_evicted_is_not_computed_when_what_is_below_it_is_held(
    pack: Pack, session: nb.Session
) -> None:
    graph = pack.graph({"1": made("Number", n=1), "2": made("Add", a=["1", 0], b=1)})
    run = await graph.run()
    session.cache.drop(run.node_run("1").key)
    again = await graph.run()
    assert ran(again) == []
    assert again.why("1").startswith("not needed")


async def test_using_a_cached_tensor_once_counts_as_one_hit(pack: Pack, session: nb.Session) -> None:
    pack.node("Zeros", lambda self, n: (torch.zeros(n),), {"n": INT}, ("IMAGE",))
    graph = pack.graph({"1": made("Zeros", n=3)})
    await graph.run()
    await graph.run()
    assert [entry.hits for entry in session.cache.entries()] == [1]


# Switched off


def in_notebook(pack: Pack, function: Callable[..., Any], **options: Any) -> Any:
    """Make a function a node of this pack, as `@nb.node` does."""
    spec = nb.graph.namespace.spec_from_function(function, **options)
    return nb.graph.handle.NodeFactory(pack.registry.register(spec), pack.registry)


async def test_cache_off_runs_each_time_with_what_is_below(pack: Pack) -> None:
    rolled = iter(range(10))

    def roll(n: int) -> int:
        return next(rolled)

    in_notebook(pack, roll, cache="off")
    graph = pack.graph({**one("roll"), "2": made("Number", n=["1", 0])})
    await graph.run()
    run = await graph.run()
    assert ran(run) == ["1", "2"]
    assert run["2"] == 1
    assert run.why("1") == "its cache is off"
    assert run.why("2") == "input `n` may have changed: node 1 above ran again"


async def test_cache_node_binds_to_the_node_of_the_graph(pack: Pack) -> None:
    def roll(n: int) -> int:
        return n

    in_notebook(pack, roll, cache="node")
    graph = pack.graph({"1": made("roll", n=1), "2": made("roll", n=1)})
    assert sorted(ran(await graph.run())) == ["1", "2"]
    assert ran(await graph.run()) == []


async def test_no_cache_in_the_prompt_is_never_kept_beyond_the_run(pack: Pack, session: nb.Session) -> None:
    graph = pack.graph({"1": {**made("Number", n=1), "no_cache": True}, "2": made("Show", n=["1", 0])})
    await graph.run()
    assert "Number" not in {entry.class_type for entry in session.cache.entries()}
    assert ran(await graph.run(outputs=["1"])) == ["1"]
    assert ran(await graph.run(outputs=["2"])) == ["1", "2"]
