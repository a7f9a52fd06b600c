"""What is called, with what, and what becomes of what it returns (docs/semantics.md, "Running")."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.errors import NodeError
from tests.engine.support import Pack, failure_of, listed, made, messages, number, ran, reported, run_of
from tests.reference.classes import INT, RAW_INT, STRING

pytestmark = pytest.mark.usefixtures("zoo")


# What runs, and in what order


async def test_only_what_the_wanted_outputs_need_runs(pack: Pack) -> None:
    prompt = {"1": number(1), "2": number(2), "3": made("Show", n=["1", 0]), "4": made("Show", n=["2", 0])}
    assert sorted(ran(await run_of(pack, prompt, "3"))) == ["1", "3"]


async def test_among_ready_nodes_what_leads_to_an_output_in_fewer_steps_goes_first(pack: Pack) -> None:
    prompt = {
        "far": made("Add", a=1),
        "less far": made("Add", a=["far", 0]),
        "near": made("Add", a=["less far", 0]),
        "end": made("Show", n=["near", 0]),
        "two steps": made("Add", a=2),
        "one step": made("Add", a=["two steps", 0]),
        "end 2": made("Show", n=["one step", 0]),
        "feeds": made("Add", a=3),
        "end 3": made("Show", n=["feeds", 0]),
        "alone": made("Show", n=4),
    }
    order = ran(await run_of(pack, prompt))
    assert order[:3] == ["alone", "feeds", "end 3"]
    assert order.index("end 2") < order.index("far")


async def test_nodes_of_one_rank_run_in_the_order_in_which_they_were_added(pack: Pack) -> None:
    prompt = {str(i): made("Show", n=i) for i in (5, 3, 9, 1)}
    assert ran(await run_of(pack, prompt)) == ["5", "3", "9", "1"]


# Lists


async def test_a_node_is_called_once_per_index_and_shorter_lists_repeat_their_last_item(pack: Pack) -> None:
    prompt = {"1": listed(1, 2, 3), "2": listed(10, 20), "3": made("Add", a=["1", 0], b=["2", 0])}
    run = await run_of(pack, prompt)
    assert run.outputs("3") == ([11, 22, 23],)
    assert pack.calls["Add"] == 3


async def test_a_node_without_inputs_is_called_once(pack: Pack) -> None:
    pack.node("One", lambda self: (1,))
    assert (await run_of(pack, {"1": made("One")})).outputs("1") == ([1],)


async def test_with_input_is_list_there_is_one_call_with_all_lists_constants_and_hidden_as_lists_of_one(
    pack: Pack,
) -> None:
    pack.node(
        "Whole",
        lambda self, **inputs: (inputs,),
        {"a": INT, "b": INT},
        hidden={"me": "UNIQUE_ID"},
        INPUT_IS_LIST=True,
    )
    run = await run_of(pack, {"1": listed(1, 2), "2": made("Whole", a=["1", 0], b=5)})
    assert run["2"] == {"a": [1, 2], "b": [5], "me": ["2"]}


async def test_an_empty_list_among_the_inputs_of_a_mapped_node_is_an_error_that_names_the_input(pack: Pack) -> None:
    prompt = {"1": listed(1, 3), "2": made("Evens", values=["1", 0]), "3": made("Add", a=1, b=["2", 0])}
    error = await failure_of(pack, prompt)
    assert error.node_id == "3"
    assert "'b' is an empty list" in str(error)


async def test_an_empty_list_is_fine_where_lists_are_taken_whole(pack: Pack) -> None:
    prompt = {"1": listed(1, 3), "2": made("Evens", values=["1", 0]), "3": made("Total", values=["2", 0])}
    assert (await run_of(pack, prompt))["3"] == 0


async def test_results_are_appended_or_concatenated_where_the_slot_is_a_list(pack: Pack) -> None:
    run = await run_of(pack, {"1": listed(4, 7), "2": made("Halves", n=["1", 0])})
    assert run.outputs("2") == ([4, 7], [2, 2, 3, 4])


@pytest.mark.filterwarnings("ignore:.* missing, and None")
async def test_the_number_of_slots_is_what_the_first_call_returned(pack: Pack) -> None:
    assert (await run_of(pack, {"1": made("Fewer", n=1)})).outputs("1") == ([1],)


@pytest.mark.filterwarnings("ignore:.* missing, and None")
async def test_the_number_of_slots_is_cut_to_output_is_list(pack: Pack) -> None:
    pack.node("Many", lambda self: (1, [2, 3], 4), None, ("INT", "INT", "INT"), OUTPUT_IS_LIST=(False, True))
    assert (await run_of(pack, {"1": made("Many")})).outputs("1") == ([1], [2, 3])


# Links


@pytest.mark.filterwarnings("ignore:.* missing, and None")
async def test_a_link_to_a_slot_that_is_not_there_at_run_time_arrives_as_none(pack: Pack) -> None:
    pack.node("See", lambda self, n: ((n,),), {"n": INT})
    run = await run_of(pack, {"1": made("Fewer", n=1), "2": made("See", n=["1", 2]), "3": made("See", n=["1", -1])})
    assert run["2"] == (None,)
    assert run["3"] == (1,)


async def test_raw_link_hands_over_the_link_and_the_source_runs_first(pack: Pack) -> None:
    pack.node("Raw", lambda self, n: (n,), {"n": RAW_INT})
    run = await run_of(pack, {"1": listed(1, 2), "2": made("Raw", n=["1", 0])})
    assert run["2"] == ["1", 0]
    assert ran(run) == ["1", "2"]


async def test_the_source_of_a_raw_link_that_is_lazy_too_does_not_run(pack: Pack) -> None:
    pack.node(
        "Raw",
        lambda self, n: (n,),
        {"n": ("INT", {"rawLink": True, "lazy": True})},
        check_lazy_status=lambda self, n: ["n"],
    )
    run = await run_of(pack, {"1": number(1), "2": made("Raw", n=["1", 0])})
    assert run["2"] == ["1", 0]
    assert ran(run) == ["2"]


# Return values


@pytest.mark.parametrize(
    ("class_type", "outputs"),
    [
        ("Pair", ([4], ["<3>"])),
        ("ListReturned", ([3], [-3])),
        ("Labelled", ([3],)),
        ("Bare", ([4],)),
        ("BareText", (["bare 3"],)),
        ("Keep", ([3],)),
        ("Show", ()),
    ],
)
async def test_what_a_node_returns_is_taken_for_what_was_meant(
    pack: Pack, class_type: str, outputs: tuple[Any, ...]
) -> None:
    assert (await run_of(pack, {"1": made(class_type, n=3)})).outputs("1") == outputs


async def test_a_bare_none_is_nothing_from_a_node_without_outputs_and_none_from_one_with_one(pack: Pack) -> None:
    pack.node("Nothing", lambda self: None)
    run = await run_of(pack, {"1": made("Sink", text="a"), "2": made("Nothing")}, "1", "2")
    assert run.outputs("1") == ()
    assert run.outputs("2") == ([None],)


async def test_a_single_value_from_a_node_with_two_outputs_is_an_error_that_says_what_is_expected(pack: Pack) -> None:
    pack.node("OneOfTwo", lambda self: 1, None, ("INT", "INT"))
    error = await failure_of(pack, {"1": made("OneOfTwo")})
    assert "must return 2 values" in str(error)


@pytest.mark.parametrize("fault", [lambda self, n: (i for i in range(n)), lambda self, n: [][n]])
async def test_an_odd_return_fails_the_node_and_not_the_engine(pack: Pack, fault: Any) -> None:
    pack.node("Odd", fault, {"n": INT})
    assert (await failure_of(pack, {"1": made("Odd", n=1)})).node_id == "1"
    assert (await run_of(pack, {"1": number(1)}))["1"] == 1


async def test_ui_values_are_merged_over_the_calls_by_all_keys(pack: Pack) -> None:
    run = await run_of(pack, {"1": listed(2, 3, 4), "2": made("Show", n=["1", 0])})
    assert run.ui == {"2": {"shown": [2, 3, 4], "even": [2, 4], "odd": [3]}}


async def test_text_is_not_taken_for_a_list_of_characters(pack: Pack) -> None:
    pack.node("Word", lambda self, text: (text,), {"text": STRING}, ("STRING",))
    assert (await run_of(pack, {"1": made("Word", text="abc")})).outputs("1") == (["abc"],)


# Blockers


async def test_a_call_that_would_receive_a_blocker_is_skipped_and_blocks_all_its_outputs(pack: Pack) -> None:
    prompt = {"1": listed(1, 2), "2": made("BlockOne", n=["1", 0], message=""), "3": made("Pair", n=["2", 0])}
    run = await run_of(pack, prompt)
    assert [messages(slot) for slot in run.outputs("3")] == [[("blocked", None), 3], [("blocked", None), "<2>"]]
    assert pack.calls["Pair"] == 1
    assert run.blocked == []


async def test_one_blocker_in_any_list_blocks_a_call_with_lists(pack: Pack) -> None:
    prompt = {
        "1": listed(2, 1, 4),
        "2": made("BlockOdd", n=["1", 0], message="stop"),
        "3": made("Total", values=["2", 0]),
    }
    run = await run_of(pack, prompt)
    assert messages(run.outputs("3")[0]) == [("blocked", None)]
    assert run.blocked == [("3", "stop")]


async def test_each_skipped_call_of_a_direct_consumer_reports_the_message_and_the_run_succeeds(pack: Pack) -> None:
    prompt = {
        "1": listed(1, 2, 3),
        "2": made("BlockOdd", n=["1", 0], message="stop"),
        "3": made("Add", a=["2", 0]),
        "4": made("Keep", n=["3", 0]),
    }
    run = await run_of(pack, prompt)
    assert run.state == "done"
    assert run.blocked == [("3", "stop"), ("3", "stop")]
    assert [(event.node_id, event.message) for event in reported(run, events.NodeBlocked)] == run.blocked
    assert messages(run.outputs("4")[0]) == [("blocked", None), 2, ("blocked", None)]
    assert run.ui["4"] == {"kept": [2]}


async def test_a_blocker_in_a_slot_of_lists_counts_as_one_item(pack: Pack) -> None:
    run = await run_of(pack, {"1": listed(2, 3, 4), "2": made("BlockItems", n=["1", 0], message="")})
    assert messages(run.outputs("2")[0]) == [2, 4, ("blocked", None), 4, 6]


@pytest.mark.parametrize("class_type", ["BlockOdd", "BlockInDict"])
async def test_a_returned_blocker_blocks_every_output(pack: Pack, class_type: str) -> None:
    run = await run_of(pack, {"1": made(class_type, n=1, message="a")})
    assert [messages(slot) for slot in run.outputs("1")] == [[("blocked", "a")], [("blocked", "a")]]


# Errors


async def test_an_error_names_the_node_its_class_the_exception_and_the_inputs(pack: Pack) -> None:
    error = await failure_of(pack, {"1": number(4), "7": made("Refuse", n=["1", 0])})
    assert (error.node_id, error.class_type) == ("7", "Refuse")
    assert isinstance(error.__cause__, ValueError)
    assert error.inputs == {"n": 4}
    assert "4 is not welcome" in "".join(error.node_traceback)


async def test_the_next_run_after_a_failed_one_works(pack: Pack) -> None:
    graph = pack.graph({"1": made("Refuse", n=4), "2": made("Text", text="x")})
    with pytest.raises(NodeError):
        await graph.run()
    graph["1"].inputs["n"] = 5
    assert (await graph.run(["1"]))["1"] == 5


async def test_no_node_is_called_after_one_has_failed(pack: Pack, session: nb.Session) -> None:
    """Not even while the loop is too busy to end the run: here it stands still until the lane is idle."""
    begun, go, idle = threading.Event(), threading.Event(), threading.Event()

    def refuse(self: Any) -> tuple[int]:
        begun.set()
        go.wait(20)
        raise ValueError

    pack.node("Wait", refuse)
    job = pack.graph({"1": made("Wait")} | {str(i): number(i) for i in range(2, 9)}).start()
    await asyncio.to_thread(begun.wait, 20)
    session.lanes.lane.submit(lambda worker: idle.set())
    go.set()
    assert idle.wait(20)
    with pytest.raises(NodeError):
        await job
    assert pack.calls == {"Wait": 1}


@pytest.mark.parametrize("returns", ["as a value", "alone", "as a result", "in a list"])
async def test_a_subclass_of_a_blocker_blocks(pack: Pack, returns: str) -> None:
    class Quiet(nb.ExecutionBlocker):
        __slots__ = ()

    ways = {
        "as a value": lambda self: (Quiet("no"),),
        "alone": lambda self: Quiet("no"),
        "as a result": lambda self: {"result": Quiet("no")},
        "in a list": lambda self: (Quiet("no"),),
    }
    traits = {"OUTPUT_IS_LIST": (True,)} if returns == "in a list" else {}
    pack.node("Block", ways[returns], {}, ("*",), **traits)
    pack.node("Take", lambda self, v: {"ui": {"v": [v]}}, {"v": ("*",)}, OUTPUT_NODE=True)
    run = await run_of(pack, {"1": made("Block"), "2": made("Take", v=["1", 0])})
    assert run.blocked == [("2", "no")]
    assert pack.calls["Take"] == 0
