"""One object per node of a graph, for as long as the graph has it (docs/semantics.md, "Node objects")."""

from __future__ import annotations

from typing import Any

import pytest

import comfy_nb as nb
from tests.engine.support import Pack, listed, made
from tests.reference.classes import INT

pytestmark = pytest.mark.usefixtures("zoo")


def counting(pack: Pack) -> None:
    """Add a class whose objects count their calls."""

    def count(self: Any, n: int) -> tuple[int]:
        self.count = getattr(self, "count", 0) + 1
        return (self.count,)

    pack.node("Count", count, {"n": INT})


async def test_one_object_per_node_lives_across_runs(pack: Pack) -> None:
    counting(pack)
    graph = pack.graph({"1": made("Count", n=0), "2": made("Count", n=100)})
    for n in (1, 2, 3):
        graph["1"].inputs["n"] = n
        assert (await graph.run())["1"] == n
    assert (await graph.run())["2"] == 1


async def test_the_list_calls_of_a_node_share_its_object(pack: Pack) -> None:
    counting(pack)
    assert (await pack.graph({"1": listed(5, 6), "2": made("Count", n=["1", 0])}).run()).outputs("2") == ([1, 2],)


async def test_the_object_goes_when_a_run_of_the_graph_no_longer_has_the_node(pack: Pack) -> None:
    counting(pack)
    graph = pack.graph({"1": made("Count", n=1), "2": made("Number", value=1)})
    await graph.run()
    graph.remove("1")
    await graph.run()
    graph.node("Count", id="1", n=2)
    assert (await graph.run(["1"]))["1"] == 1


async def test_the_object_stays_while_the_node_is_there_though_not_needed(pack: Pack) -> None:
    counting(pack)
    graph = pack.graph({"1": made("Count", n=1), "2": made("Number", value=1)})
    await graph.run()
    await graph.run(["2"])
    graph["1"].inputs["n"] = 2
    assert (await graph.run())["1"] == 2


async def test_there_is_a_new_object_each_time_where_nothing_is_cached(pack: Pack, session: nb.Session) -> None:
    counting(pack)
    session.store.set_policy("none")
    graph = pack.graph({"1": made("Count", n=1), "2": listed(5, 6), "3": made("Count", n=["2", 0])})
    for _ in range(2):
        run = await graph.run()
        assert run["1"] == 1
        assert run["3"] == [1, 2]


async def test_an_object_does_not_come_back_after_another_class_was_there(pack: Pack) -> None:
    counting(pack)
    pack.node("Other", lambda self, n: (n,), {"n": INT})
    graph = pack.graph({"1": made("Count", n=1)})
    await graph.run()
    graph.replace("1", "Other")
    await graph.run()
    graph.replace("1", "Count", n=2)
    assert (await graph.run())["1"] == 1


async def test_another_class_under_the_same_id_has_another_object(pack: Pack) -> None:
    counting(pack)
    pack.node("Other", lambda self, n: (getattr(self, "count", 0),), {"n": INT})
    graph = pack.graph({"1": made("Count", n=1)})
    await graph.run()
    graph.replace("1", "Other")
    assert (await graph.run())["1"] == 0


async def test_nodes_of_two_graphs_with_the_same_id_are_two_objects(pack: Pack) -> None:
    counting(pack)
    one, other = pack.graph({"5": made("Count", n=1)}), pack.graph({"5": made("Count", n=2)})
    assert (await one.run())["5"] == 1
    assert (await other.run())["5"] == 1


def growing(pack: Pack) -> None:
    """Add Grow(n, kind), which expands into a Grow or a Count of n."""

    def grow(self: Any, n: int, kind: str) -> dict[str, Any]:
        graph = nb.GraphBuilder()
        into = graph.node("Grow", n=n, kind="Count") if kind == "Grow" else graph.node(kind, n=n)
        return {"result": (into.out(0),), "expand": graph.finalize()}

    pack.node("Grow", grow, {"n": INT, "kind": ("STRING", {})})


@pytest.mark.parametrize("kind", ["Count", "Grow"], ids=["one level", "two levels"])
async def test_the_objects_of_an_expansion_stay_while_the_node_is_there(pack: Pack, kind: str) -> None:
    counting(pack)
    growing(pack)
    graph = pack.graph({"1": made("Grow", n=1, kind=kind), "2": made("Number", value=1)})
    assert (await graph.run())["1"] == 1
    await graph.run()  # takes node 1 from the cache, so it does not expand
    await graph.run(["2"])
    graph["1"].inputs["n"] = 2
    assert (await graph.run())["1"] == 2


async def test_the_objects_of_an_expansion_go_with_the_node_and_with_its_next_expansion(pack: Pack) -> None:
    counting(pack)
    growing(pack)
    graph = pack.graph({"1": made("Grow", n=1, kind="Count"), "2": made("Number", value=1)})
    await graph.run()
    graph["1"].inputs["kind"] = "Show"
    await graph.run()
    graph["1"].inputs["kind"] = "Count"
    graph["1"].inputs["n"] = 2
    assert (await graph.run())["1"] == 1
    graph.remove("1")
    await graph.run()
    assert graph.scope.expanded == {}
    assert {class_type for _, class_type in graph.scope.objects} <= {"Number"}
