"""A blocker's message belongs to what came out, and is reported from the cache too (docs/semantics.md, "Blockers")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.events import Event
from comfy_nb.ui.graph.cached_values import blocked_nodes, blocked_outputs, cached_nodes
from comfy_nb.ui.graph.states import States
from comfy_nb.ui.run.model import RunModel, names_in
from comfy_nb.ui.run.snapshot import RunSnapshot
from comfy_nb.ui.timeline.live import Timeline
from tests.engine.support import Pack, listed, made, ran, reported, run_of
from tests.reference.classes import INT

pytestmark = pytest.mark.usefixtures("zoo")

CHAIN = {
    "1": made("Gate", message="not allowed"),
    "2": made("Add", a=["1", 0]),
    "3": made("Add", a=["2", 0]),
    "4": made("Keep", n=["3", 0]),
}


@pytest.fixture(autouse=True)
def gate(pack: Pack) -> None:
    """Add a class that blocks what is below it, with a message unless that is empty."""
    pack.node("Gate", lambda self, message: (nb.ExecutionBlocker(message or None),), {"message": ("STRING", {})})


def shown(run: nb.Run) -> RunSnapshot:
    model = RunModel(names_in(run))
    run.subscribe(model.apply)
    return model.snapshot()


def finished(run: nb.Run) -> dict[str, str]:
    """Why the nodes that a run finished were not called, by id."""
    return {event.node_id: event.blocked for event in reported(run, events.NodeFinished) if event.blocked}


async def test_a_run_from_the_cache_reports_what_the_first_one_reported(pack: Pack) -> None:
    first, second = await run_of(pack, CHAIN), await run_of(pack, CHAIN)
    assert ran(second) == []
    assert first.blocked == second.blocked == [("2", "not allowed")]
    assert [event.message for event in reported(second, events.NodeBlocked)] == ["not allowed"]


async def test_a_node_that_was_never_called_is_blocked_and_says_why(pack: Pack) -> None:
    first, second = await run_of(pack, CHAIN), await run_of(pack, CHAIN)
    above = "a node above it is blocked: not allowed"
    assert finished(first) == {"2": "not allowed", "3": above, "4": above}
    assert finished(second) == {"4": above}
    assert first.why("4") == second.why("4") == f"it was not called: {above}"
    assert pack.calls["Keep"] == 0


async def test_every_view_shows_the_node_as_blocked_both_times(pack: Pack) -> None:
    for _ in range(2):
        run, states = await run_of(pack, CHAIN), States()
        rows = {row.node_id: (row.state, row.note) for row in shown(run).rows}
        assert rows["2"] == ("blocked", "not allowed")
        assert rows["4"] == ("blocked", "a node above it is blocked: not allowed")
        text = shown(run).as_text(0.0)
        assert "⊘ Add  blocked  not allowed" in text
        run.subscribe(lambda batch, states=states: states.take(batch))
        assert (states.of("2").state, states.of("4").state) == ("blocked", "blocked")
        assert {"2", "4"} <= {each.node_id for each in Timeline(run).spans.blocked}


async def test_a_graph_that_is_drawn_later_shows_them_as_blocked_too(pack: Pack, session: nb.Session) -> None:
    graph, states = pack.graph(CHAIN), States()
    await graph.run()
    states.add_cached(cached_nodes(graph, session), blocked_nodes(graph, session))
    assert {node_id: state.state for node_id, state in states.nodes.items()} == {
        "1": "cached",
        "2": "blocked",
        "3": "blocked",
        "4": "blocked",
    }
    assert states.of("2").note == "not allowed"


async def test_a_cached_run_with_blocked_nodes_is_more_than_a_line(pack: Pack) -> None:
    await run_of(pack, CHAIN)
    snapshot = shown(await run_of(pack, CHAIN))
    assert not snapshot.is_all_cached
    assert snapshot.headline(0.0).startswith("done: 1 of 1 node, 1 from cache, 2 blocked")


async def test_a_silent_blocker_names_the_input_and_is_no_message(pack: Pack) -> None:
    prompt = {"1": made("Gate", message=""), "2": made("Keep", n=["1", 0])}
    for _ in range(2):
        run = await run_of(pack, prompt)
        assert finished(run) == {"2": "its input 'n' is blocked"}
        assert run.blocked == []
        assert reported(run, events.NodeBlocked) == []


async def test_each_of_several_blockers_is_reported_again(pack: Pack) -> None:
    prompt = {
        "1": made("Gate", message="no image"),
        "2": made("Gate", message="no mask"),
        "3": made("Add", a=["1", 0]),
        "4": made("Add", a=["2", 0]),
        "5": made("Add", a=["3", 0], b=["4", 0]),
        "6": made("Keep", n=["5", 0]),
    }
    first, second = await run_of(pack, prompt), await run_of(pack, prompt)
    assert sorted(first.blocked) == sorted(second.blocked) == [("3", "no image"), ("4", "no mask")]


async def test_two_nodes_below_one_blocked_node_report_it_once(pack: Pack) -> None:
    prompt = {**CHAIN, "5": made("Keep", n=["2", 0])}
    first, second = await run_of(pack, prompt), await run_of(pack, prompt)
    assert first.blocked == second.blocked == [("2", "not allowed")]


async def test_a_list_of_which_some_items_are_blocked_reports_each_again(pack: Pack) -> None:
    prompt = {
        "1": listed(1, 2, 3),
        "2": made("BlockOdd", n=["1", 0], message="odd"),
        "3": made("Add", a=["2", 0]),
        "4": made("Keep", n=["3", 0]),
    }
    first, second = await run_of(pack, prompt), await run_of(pack, prompt)
    assert first.blocked == second.blocked == [("3", "odd"), ("3", "odd")]
    assert finished(first) == finished(second) == {}


async def test_what_is_new_below_a_cached_blocked_node_runs_and_the_message_comes_once(pack: Pack) -> None:
    await run_of(pack, CHAIN)
    run = await run_of(pack, {**CHAIN, "5": made("Add", a=["2", 0], b=7)}, "4", "5")
    assert run.blocked == [("2", "not allowed")]


async def test_another_graph_reports_its_own_ids(pack: Pack) -> None:
    await run_of(pack, CHAIN)
    prompt = {
        "a": made("Gate", message="not allowed"),
        "b": made("Add", a=["a", 0]),
        "c": made("Add", a=["b", 0]),
        "d": made("Keep", n=["c", 0]),
    }
    assert (await run_of(pack, prompt)).blocked == [("b", "not allowed")]


async def test_the_message_survives_the_results_above(pack: Pack, session: nb.Session) -> None:
    nb.configure(cache_policy=1)
    await run_of(pack, CHAIN)
    run = await run_of(pack, CHAIN)
    assert ran(run) == []
    assert run.blocked == [("2", "not allowed")]


async def test_the_message_of_a_node_in_an_expansion_is_reported_again_with_its_id(pack: Pack) -> None:
    prompt = {"1": made("Gate", message="stop"), "2": made("Expand", n=1, link=["1", 0]), "3": made("Keep", n=["2", 0])}
    graph = pack.graph(prompt)  # a raw link binds the result to its graph
    first, second = await graph.run(), await graph.run()
    assert first.blocked == second.blocked == [("2.0.0.sum", "stop")]
    assert [event.display_id for event in reported(second, events.NodeBlocked)] == ["2"]


def add_blocking_expansion(pack: Pack) -> None:
    """Add a class that expands into a gate and two nodes below it, and one that expands into that class."""

    def expands(self: Any) -> dict[str, Any]:
        graph = nb.GraphBuilder()
        gate = graph.node("Gate", id="gate", message="inside")
        first = graph.node("Add", id="first", a=gate.out(0))
        return {"result": (graph.node("Add", id="second", a=first.out(0)).out(0),), "expand": graph.finalize()}

    def nests(self: Any) -> dict[str, Any]:
        graph = nb.GraphBuilder()
        return {"result": (graph.node("Make", id="make").out(0),), "expand": graph.finalize()}

    pack.node("Make", expands)
    pack.node("Nest", nests)


@pytest.mark.parametrize("wanted", [("3",), ("1", "3"), ("1",)])
async def test_a_message_within_an_expansion_whose_output_is_used_below_comes_once(
    pack: Pack, wanted: tuple[str, ...]
) -> None:
    add_blocking_expansion(pack)
    prompt = {"1": made("Make"), "2": made("Add", a=["1", 0]), "3": made("Keep", n=["2", 0])}
    first, second = await run_of(pack, prompt, "3"), await run_of(pack, prompt, *wanted)
    assert first.blocked == second.blocked == [("1.0.0.first", "inside")]
    assert [event.display_id for event in reported(second, events.NodeBlocked)] == ["1"]


@pytest.mark.parametrize("wanted", ["1", "3"])
async def test_a_message_within_nested_expansions_has_the_id_of_its_node_in_every_graph(
    pack: Pack, wanted: str
) -> None:
    add_blocking_expansion(pack)
    prompt = {"1": made("Nest"), "2": made("Add", a=["1", 0]), "3": made("Keep", n=["2", 0])}
    first, second = await run_of(pack, prompt), await run_of(pack, prompt, wanted)
    assert first.blocked == second.blocked == [("1.0.0.make.0.0.first", "inside")]
    renamed = {"a": made("Nest"), "2": made("Add", a=["a", 0]), "3": made("Keep", n=["2", 0])}
    third = await run_of(pack, renamed, "a" if wanted == "1" else wanted)
    assert ran(third) == []
    assert third.blocked == [("a.0.0.make.0.0.first", "inside")]


async def test_a_message_above_an_expansion_has_the_id_of_the_node_above(pack: Pack) -> None:
    prompt = {
        "1": made("Gate", message="stop"),
        "2": made("Add", a=["1", 0]),
        "3": made("Expand", n=1, link=["2", 0]),
        "4": made("Keep", n=["3", 0]),
    }
    graph = pack.graph(prompt)  # a raw link binds the result to its graph
    first, second = await graph.run(), await graph.run()
    assert first.blocked == second.blocked == [("2", "stop")]


async def test_a_node_of_an_expansion_that_is_blocked_is_shown_below_the_one_that_expanded(pack: Pack) -> None:
    add_blocking_expansion(pack)
    prompt = {"1": made("Make"), "3": made("Keep", n=["1", 0])}
    for _ in range(2):
        run, states = await run_of(pack, prompt), States()
        run.subscribe(lambda batch, states=states: states.take(batch))
        row = next(row for row in shown(run).rows if row.node_id == "1.0.0.first")
        assert (row.state, row.note, row.class_type, row.under) == ("blocked", "inside", "Add", "1")
        assert states.of("1").state == "blocked"


async def test_a_shared_result_reports_its_messages_too(pack: Pack) -> None:
    prompt = {
        "1": made("Gate", message="not allowed"),
        "2": made("AsyncAdd", a=["1", 0]),
        "3": made("AsyncAdd", a=["1", 0]),
    }
    run = await run_of(pack, prompt, "2", "3")
    assert sorted(run.blocked) == [("2", "not allowed"), ("3", "not allowed")]


async def test_a_deep_chain_of_blocked_nodes_takes_no_recursion(pack: Pack, session: nb.Session) -> None:
    prompt = {"0": made("Gate", message="not allowed"), "1": made("Add", a=["0", 0])}
    prompt |= {str(number): made("Add", a=[str(number - 1), 0]) for number in range(2, 3_000)}
    first, second = await run_of(pack, prompt), await run_of(pack, prompt)
    assert first.blocked == second.blocked == [("1", "not allowed")]
    assert len({entry.size for entry in session.cache.entries() if entry.class_type == "Add"}) == 1


async def test_nodes_of_the_notebook_are_kept_however_far_below_the_blocker() -> None:
    @nb.node
    def gate() -> object:
        return nb.ExecutionBlocker("not allowed")

    @nb.node
    def passes(value: object) -> object:
        return value

    handle = gate()
    for _ in range(300):
        handle = passes(handle)
    graph = nb.Graph(handle)
    first, second = await graph.run(), await graph.run()
    assert ran(second) == []
    assert first.blocked == second.blocked == [("2", "not allowed")]
    every_node = await graph.run([*graph.nodes])
    assert (every_node.counts, every_node.blocked) == ({"memory": 301}, [("2", "not allowed")])


async def test_a_blocked_result_is_not_kept_on_disk(pack: Pack, session: nb.Session, tmp_path: Path) -> None:
    nb.configure(cache_dir=tmp_path)
    pack.node("Drop", lambda self, n: (), {"n": INT}, ())
    prompt = {"1": made("Gate", message="not allowed"), "2": made("Drop", n=["1", 0])}
    first = await run_of(pack, prompt)
    session.cache.clear()
    assert (await run_of(pack, prompt)).blocked == first.blocked == [("2", "not allowed")]


def test_a_subscriber_from_the_start_hears_of_a_blocked_node_before_it_ends(pack: Pack) -> None:
    heard: list[Event] = []
    nb.default_session().on_run(lambda run: run.subscribe(heard.extend) and None)
    pack.graph(CHAIN).run_sync()
    pack.graph(CHAIN).run_sync()
    kinds = [type(event).__name__ for event in heard if getattr(event, "node_id", "") == "2"]
    assert kinds[:3] == ["NodeStarted", "NodeBlocked", "NodeFinished"]


# What a node gives that is blocked ------------------------------------------------------------------------------------

GAVE = "what it gave is blocked: not allowed"


async def test_a_node_that_gives_nothing_but_a_blocker_says_so_in_every_view(pack: Pack) -> None:
    for _ in range(2):
        run, states = await run_of(pack, CHAIN, "1"), States()
        (row,) = shown(run).rows
        assert (row.state in ("done", "cached"), row.note) == (True, GAVE)
        assert GAVE in shown(run).as_text(0.0)
        assert f"Gate (node 1): {GAVE}" in run.summary()
        run.subscribe(lambda batch, states=states: states.take(batch))
        assert states.of("1").note.endswith(GAVE)
        timeline = Timeline(run)
        assert GAVE in repr(timeline)
        assert "what 1 node gave is blocked (not allowed)" in timeline._repr_html_()
        instants = [each for each in timeline.to_trace()["traceEvents"] if each["name"] == "blocked output"]
        assert [each["args"]["reason"] for each in instants] == [GAVE]
    assert run.blocked == []  # it has reached no node


async def test_a_graph_that_is_drawn_later_says_so_too(pack: Pack, session: nb.Session) -> None:
    graph, states = pack.graph(CHAIN), States()
    await graph.run()
    states.add_cached(cached_nodes(graph, session), blocked_nodes(graph, session), blocked_outputs(graph, session))
    assert (states.of("1").state, states.of("1").note) == ("cached", GAVE)
    assert states.of("2").note == "not allowed"


def given(run: nb.Run) -> dict[str, str]:
    """What is said of the outputs of a run's nodes, by id."""
    finished = reported(run, events.NodeFinished)
    return {event.node_id: event.blocked_output for event in finished if event.blocked_output}


async def test_a_silent_blocker_is_said_without_a_message_and_partly_blocked_outputs_are_not(pack: Pack) -> None:
    pack.node("Either", lambda self: (nb.ExecutionBlocker("no"), 1), None, ("INT", "INT"))
    pack.node("Neither", lambda self: nb.ExecutionBlocker("no"), None, ("INT", "INT"))
    prompt = {
        "1": made("Gate", message=""),
        "2": made("Either"),
        "3": made("Neither"),
        "4": listed(1, 2),
        "5": made("BlockOdd", n=["4", 0], message="odd"),
    }
    for _ in range(2):
        run = await run_of(pack, prompt, *prompt)
        assert given(run) == {"1": "what it gave is blocked", "3": "what it gave is blocked: no"}


async def test_an_expansion_that_comes_to_a_blocker_and_a_shared_one_say_so(pack: Pack) -> None:
    add_blocking_expansion(pack)
    prompt = {"1": made("Make"), "2": made("Make")}
    for _ in range(2):
        run = await run_of(pack, prompt, *prompt)
        words = "what it gave is blocked: a node above it is blocked: inside"
        assert [given(run)[node_id] for node_id in prompt] == [words] * 2
