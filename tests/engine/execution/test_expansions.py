"""Nodes that stand for a graph (docs/semantics.md, "Expansions")."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.node_api.context import get_executing_context
from comfy_nb.engine.node_api.graph_builder import GraphBuilder
from comfy_nb.errors import DependencyCycleError, DuplicateNodeError, GraphError, UnknownName
from tests.engine.support import Pack, failure_of, listed, made, number, ran, reported, run_of
from tests.reference.classes import INT, LAZY_INT, RAW_INT

pytestmark = pytest.mark.usefixtures("zoo")


def expanding(pack: Pack, result: Any, graph: dict[str, Any], returns: tuple[str, ...] = ("INT",)) -> None:
    """Add a class `Make` that always expands to the same graph."""
    pack.node(
        "Make",
        lambda self, **_: {"result": result, "expand": graph},
        None,
        returns,
        optional={"a": INT, "link": RAW_INT},
    )


async def test_the_items_of_a_linked_node_stand_in_the_place_of_the_link_and_others_are_used_as_they_are(
    pack: Pack,
) -> None:
    live = object()
    expanding(pack, (["x", 0], live), {"x": made("Listed", values=[1, 2])}, ("INT", "INT", "*"))
    run = await pack.graph({"1": made("Make")}).run()
    assert run.outputs("1") == ([1], [2], [live])


async def test_constants_of_an_expansion_may_be_live_objects(pack: Pack) -> None:
    live = object()
    expanding(pack, (["x", 0],), {"x": made("Listed", values=[live])})
    assert (await pack.graph({"1": made("Make")}).run())["1"] is live


async def test_the_nodes_below_wait_for_the_expansion(pack: Pack) -> None:
    prompt = {"1": number(5), "2": made("Expand", n=1, link=["1", 0]), "3": made("Add", a=["2", 0], b=100)}
    assert (await pack.graph(prompt).run())["3"] == 106


async def test_only_what_the_result_needs_and_the_expansions_output_nodes_run(pack: Pack) -> None:
    run = await pack.graph({"1": made("ExpandWithOutput", n=6)}).run()
    assert run.state == "done"
    assert "1.0.unneeded" not in ran(run)
    assert run.ui["1.0.show"] == {"shown": [6], "even": [6]}


async def test_the_ui_of_an_expanding_node_is_reported_at_once(pack: Pack) -> None:
    run = await pack.graph({"1": made("ExpandWithOutput", n=6)}).run()
    assert run.ui["1"] == {"expanding": [6]}


async def test_some_list_calls_may_expand_while_others_return_plainly(pack: Pack) -> None:
    run = await pack.graph({"1": listed(1, 2, 3), "2": made("ExpandOdd", n=["1", 0])}).run()
    assert run.outputs("2") == ([2, 2, 4], ["<1>", "even 2", "<3>"])


async def test_expansions_nest_and_recurse(pack: Pack) -> None:
    run = await pack.graph({"1": listed(3, 1), "2": made("Countdown", n=["1", 0], so_far=10)}).run()
    assert run.outputs("2") == ([16, 11],)


async def test_a_loop_of_a_thousand_turns_does_not_recurse(pack: Pack) -> None:
    def again(self: Any, left: int, so_far: int) -> Any:
        if left == 0:
            return (so_far,)
        graph = GraphBuilder()
        total = graph.node("Add", a=so_far, b=1)
        return {"result": (graph.node("Loop", left=left - 1, so_far=total.out(0)).out(0),), "expand": graph.finalize()}

    pack.node("Loop", again, {"left": INT, "so_far": INT})
    assert (await pack.graph({"1": made("Loop", left=1000, so_far=0)}).run())["1"] == 1000


async def test_a_result_may_link_to_the_submitted_graph(pack: Pack) -> None:
    pack.node("Make", lambda self, link: {"result": (link,), "expand": {}}, {"link": RAW_INT})
    assert (await pack.graph({"1": number(4), "2": made("Make", link=["1", 0])}).run())["2"] == 4


async def test_an_expanding_node_gives_the_same_again_from_the_cache(pack: Pack) -> None:
    graph = pack.graph({"1": number(5), "2": made("Expand", n=1, link=["1", 0])})
    assert (await graph.run())["2"] == 6
    again = await graph.run()
    assert ran(again) == []
    assert again["2"] == 6


# Ids


async def test_graph_builder_makes_ids_of_node_list_index_and_builder_number(pack: Pack) -> None:
    seen: list[list[str]] = []

    def make(self: Any, n: int) -> dict[str, Any]:
        first, second = GraphBuilder(), GraphBuilder()
        first.node("Number", value=n)
        first.node("Number", value=n)
        link = second.node("Number", id="named", value=n).out(0)
        seen.append([*first.finalize(), *second.finalize()])
        return {"result": (link,), "expand": first.finalize() | second.finalize()}

    pack.node("Make", make, {"n": INT})
    await pack.graph({"1": listed(5, 6), "9": made("Make", n=["1", 0])}).run()
    assert seen == [["9.0.0.1", "9.0.0.2", "9.0.1.named"], ["9.1.0.1", "9.1.0.2", "9.1.1.named"]]


async def test_the_ids_are_the_same_after_an_await_and_with_several_runs_at_once(pack: Pack) -> None:
    seen: list[str] = []

    async def make(self: Any, n: int, me: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        graph = GraphBuilder()
        await asyncio.sleep(0)
        link = graph.node("Number", value=n).out(0)
        seen.extend(graph.finalize())
        return {"result": (link,), "expand": graph.finalize()}

    pack.node("Make", make, {"n": INT}, hidden={"me": "UNIQUE_ID"})
    prompt = {"1": listed(5, 6), "9": made("Make", n=["1", 0])}
    await asyncio.gather(*(pack.graph(prompt).run() for _ in range(3)))
    assert sorted(seen) == ["9.0.0.1"] * 3 + ["9.1.0.1"] * 3


async def test_graph_builder_has_comfyuis_methods() -> None:
    graph = GraphBuilder("p.")
    first = graph.node("Number", id="a", value=1)
    second = graph.node("Add", a=first.out(0))
    assert graph.node("Number", id="a") is first
    assert graph.lookup_node("a") is first
    second.set_override_display_id("7")
    graph.replace_node_output("a", 0, 5)
    assert second.get_input("a") == 5
    graph.remove_node("a")
    assert graph.finalize() == {"p.1": {"class_type": "Add", "inputs": {"a": 5}, "override_display_id": "7"}}


async def test_an_id_that_exists_already_is_the_new_node_from_then_on_with_a_warning(pack: Pack) -> None:
    expanding(pack, (["1", 0],), {"1": number(7)})
    prompt = {"1": number(1), "2": made("Make", a=["1", 0]), "3": made("Add", a=["1", 0], b=["2", 0])}
    graph = pack.graph(prompt)
    with pytest.warns(nb.ComfyNBWarning, match=r"Make \(node 2\) expands into a node '1', which exists already"):
        run = await graph.run(["1", "3"])
    assert (run["1"], run["2"], run["3"]) == (7, 7, 14)
    graph.replace("2", "Add", a=["1", 0], b=0)
    run = await graph.run(["1", "3"])
    assert (run["1"], run["2"], run["3"]) == (1, 1, 2)  # what was computed with the other node is not taken for it


async def test_of_two_list_calls_that_use_one_id_the_later_node_counts(pack: Pack) -> None:
    pack.node("Make", lambda self, a: {"result": (["x", 0],), "expand": {"x": number(a)}}, {"a": INT})
    with pytest.warns(nb.ComfyNBWarning, match="'x', which exists already"):
        run = await run_of(pack, {"1": listed(1, 2), "2": made("Make", a=["1", 0])})
    assert run.outputs("2") == ([2, 2],)


async def test_a_node_that_was_never_needed_may_be_replaced_too(pack: Pack) -> None:
    expanding(pack, (["x", 0],), {"x": made("Add", a=["9", 0], b=1), "9": number(7)})
    with pytest.warns(nb.ComfyNBWarning, match="exists already"):
        assert (await run_of(pack, {"2": made("Make"), "9": number(1)}, "2"))["2"] == 8


@pytest.mark.parametrize(
    "node",
    [made("Slow", n=1), made("Add", a=["4", 0], b=1), number(1)],
    ids=["while it runs", "while it waits", "when it is done"],
)
async def test_those_who_wait_for_a_node_that_is_replaced_wait_for_the_new_one(pack: Pack, node: Any) -> None:
    begun, sign = asyncio.Event(), asyncio.Event()

    async def slow(self: Any, n: int) -> tuple[int]:
        begun.set()
        await sign.wait()
        return (n,)

    async def make(self: Any) -> dict[str, Any]:
        await begun.wait()
        asyncio.get_running_loop().call_later(0.01, sign.set)
        return {"result": (["1", 0],), "expand": {"1": number(7)}}

    pack.node("Slow", slow, {"n": INT})
    pack.node("Replace", make, {})
    prompt = {"1": node, "4": made("Slow", n=4), "2": made("Replace"), "3": made("Add", a=["1", 0], b=["4", 0])}
    with pytest.warns(nb.ComfyNBWarning, match="exists already"):
        run = await run_of(pack, prompt, "2", "3")
    assert (run["2"], run["3"]) == (7, 11)


async def test_a_node_may_not_replace_itself_or_what_it_came_from(pack: Pack) -> None:
    pack.node("Inner", lambda self: {"result": (["2", 0],), "expand": {"2": number(1)}})
    expanding(pack, (["x", 0],), {"x": made("Inner")})
    error = await failure_of(pack, {"2": made("Make")})
    assert (error.node_id, error.real_node_id) == ("2", "x")
    assert isinstance(error.__cause__, DuplicateNodeError)


async def test_a_node_of_another_expansion_may_be_replaced(pack: Pack) -> None:
    """A loop of a pack that gives its nodes the same ids in each turn."""

    def turn(self: Any, n: int, me: str) -> dict[str, Any]:
        if n == 0:
            return {"result": (0,)}
        graph = {"one": number(n), f"turn{n}": made("Turn", n=n - 1), f"sum{n}": made("Add", a=[f"turn{n}", 0], b=n)}
        return {"result": ([f"sum{n}", 0],), "expand": {**graph, "show": made("Show", n=["one", 0])}}

    pack.node("Turn", turn, {"n": INT}, hidden={"me": "UNIQUE_ID"})
    with pytest.warns(nb.ComfyNBWarning, match="exists already"):
        run = await run_of(pack, {"1": made("Turn", n=4)})
    assert run["1"] == 10
    assert run.ui["show"] == {"shown": [1], "odd": [1]}


# What can be wrong


async def test_an_unknown_class_raises_in_the_expanding_node(pack: Pack) -> None:
    expanding(pack, (1,), {"x": made("Nummer")})
    error = await failure_of(pack, {"7": made("Make")})
    assert error.node_id == "7"
    assert isinstance(error.__cause__, UnknownName)
    assert "'Number'" in str(error)


@pytest.mark.parametrize(("result", "graph"), [((["nowhere", 0],), {}), ((1,), {"x": made("Add", a=["nowhere", 0])})])
async def test_a_link_to_no_node_raises_in_the_expanding_node(
    pack: Pack, result: tuple[Any, ...], graph: dict[str, Any]
) -> None:
    expanding(pack, result, graph)
    error = await failure_of(pack, {"7": made("Make")})
    assert isinstance(error.__cause__, GraphError)
    assert "'nowhere'" in str(error)


@pytest.mark.parametrize(
    ("result", "graph"),
    [
        ((["x", 0],), {"x": made("Add", a=["3", 0])}),
        ((["2", 0],), {}),
        ((["x", 0],), {"x": made("Add", a=["y", 0]), "y": made("Add", a=["x", 0])}),
    ],
    ids=["through the node below", "itself", "inside"],
)
async def test_a_cycle_made_by_an_expansion_blames_the_expanding_node(
    pack: Pack, result: tuple[Any, ...], graph: dict[str, Any]
) -> None:
    expanding(pack, result, graph)
    error = await failure_of(pack, {"2": made("Make"), "3": made("Add", a=["2", 0])})
    assert error.node_id == "2"
    assert isinstance(error.__cause__, DependencyCycleError)


async def test_a_failure_inside_blames_the_submitted_node_and_names_the_inner_one(pack: Pack) -> None:
    expanding(pack, (["x", 0],), {"x": made("ExpandWithOutput", n=4)})
    error = await failure_of(pack, {"5": made("Make")})
    assert (error.node_id, error.class_type) == ("5", "Make")
    assert error.real_node_id == "x.0.number"
    assert "Refuse" in str(error)


async def test_a_failure_of_a_lazy_input_inside_blames_the_submitted_node_too(pack: Pack) -> None:
    check = {"check_lazy_status": lambda self, n=None: ["n"]}
    pack.node("Late", lambda self, n=None: (n,), {"n": LAZY_INT}, **check)
    expanding(pack, (["x", 0],), {"x": made("Late", n=["y", 0]), "y": made("Refuse", n=4)})
    error = await failure_of(pack, {"5": made("Make")})
    assert (error.node_id, error.class_type, error.real_node_id) == ("5", "Make", "y")


async def test_a_node_of_an_expansion_belongs_to_what_made_it_whoever_needs_it(pack: Pack) -> None:
    """The inner expansion takes from a node of the outer one, which nothing has needed before."""

    def outer(self: Any) -> dict[str, Any]:
        graph = {"in": made("Inner", n=["late", 0]), "late": made("Refuse", n=4)}
        return {"result": (["in", 0],), "expand": graph}

    def inner(self: Any, n: Any) -> dict[str, Any]:
        return {"result": (["add", 0],), "expand": {"add": made("Add", a=n, b=1)}}

    pack.node("Outer", outer, {})
    pack.node("Inner", inner, {"n": ("INT", {"lazy": True, "rawLink": True})})
    with pytest.raises(nb.NodeError) as caught:
        await pack.graph({"5": made("Outer")}).run()
    assert (caught.value.node_id, caught.value.real_node_id) == ("5", "late")
    assert caught.value.run.dynamic_prompt.get_parent_node_id("late") == "5"


# How it is shown


async def test_a_node_shows_under_its_parent_unless_it_says_otherwise(pack: Pack) -> None:
    graph = {
        "a": made("ExpandOdd", n=1),
        "b": {**made("Add", a=["a", 0]), "override_display_id": "1"},
    }
    expanding(pack, (["b", 0],), graph)
    run = await pack.graph({"1": number(1), "2": made("Make", a=["1", 0])}).run()
    shown = {event.node_id: event.display_id for event in reported(run, events.NodeStarted)}
    assert shown == {"1": "1", "2": "2", "a": "2", "a.0.pair": "2", "b": "1"}


async def test_dynprompt_knows_the_nodes_of_expansions_and_where_they_come_from(pack: Pack) -> None:
    seen: dict[str, Any] = {}

    def look(self: Any, live: Any, prompt: Any, me: str) -> tuple[int]:
        seen.update(
            node=live.get_node(me),
            has=(live.has_node(me), live.has_node("nowhere")),
            parent=live.get_parent_node_id(me),
            real=live.get_real_node_id(me),
            display=live.get_display_node_id(me),
            ids=live.all_node_ids(),
            same=live.get_original_prompt() == prompt,
            submitted=sorted(prompt),
        )
        with pytest.raises(KeyError):
            live.get_node("nowhere")
        return (1,)

    pack.node("Look", look, hidden={"live": "DYNPROMPT", "prompt": "PROMPT", "me": "UNIQUE_ID"})
    expanding(pack, (["x", 0],), {"x": made("Look")})
    await pack.graph({"5": made("Make")}).run()
    assert seen == {
        "node": {"class_type": "Look", "inputs": {}},
        "has": (True, False),
        "parent": "5",
        "real": "5",
        "display": "5",
        "ids": {"5", "x"},
        "same": True,
        "submitted": ["5"],
    }


async def test_the_nodes_of_an_expansion_know_who_they_are(pack: Pack, session: nb.Session) -> None:
    seen: list[Any] = []

    async def who(self: Any, n: int) -> tuple[int]:
        await asyncio.sleep(0)
        seen.append(get_executing_context())
        return (n,)

    pack.node("Who", who, {"n": INT})
    expanding(pack, (["x", 0], ["y", 0]), {"x": made("Who", n=1), "y": made("Who", n=2)}, ("INT", "INT"))
    run = await pack.graph({"5": made("Make")}).run()
    assert sorted(seen) == [(run.id, "x", 0), (run.id, "y", 0)]


async def test_a_node_may_pass_on_a_node_of_the_graph_that_others_use_too(pack: Pack) -> None:
    pack.node("Pass", lambda self, link: {"result": (link,), "expand": {}}, {"link": RAW_INT})
    prompt = {"1": number(5), "2": made("Pass", link=["1", 0]), "3": made("Add", a=["1", 0], b=["2", 0])}
    run = await pack.graph(prompt).run(outputs=["1", "3"])
    assert (run["1"], run["3"]) == (5, 10)


async def test_a_node_whose_outputs_were_released_expands_again_when_they_are_asked_for_late(
    pack: Pack, session: nb.Session
) -> None:
    session.store.set_policy("none")
    pack.add_late_wish()
    prompt = {"2": made("Expand", n=7), "3": made("Minus", n=["2", 0]), "4": made("Pick", w=["3", 0], n=["2", 0])}
    run = await pack.graph(prompt).run(outputs=["4"])
    assert run["4"] == -7 and pack.calls["Expand"] == 2
