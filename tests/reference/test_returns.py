"""The rules of execution by examples worked out by hand: returned forms, expansions, errors."""

from __future__ import annotations

from typing import Any

from tests.reference.classes import INT, RAW_INT, made, node
from tests.reference.evaluator import comparable, evaluate
from tests.reference.test_reference import ZOO, listed, number, run

# Forms


def test_a_list_is_taken_for_the_tuple() -> None:
    assert run({"1": made("ListReturned", n=3)}).values == {"1": [[3], [-3]]}


def test_a_bare_value_is_for_the_only_output() -> None:
    prompt = {"1": made("Bare", n=3), "2": made("BareText", n=3), "3": made("Nothing")}
    nothing = node("Nothing", lambda self: None)
    assert run(prompt, nothing).values == {"1": [[4]], "2": [["bare 3"]], "3": [[None]]}


def test_a_bare_none_from_a_node_without_outputs_is_fine() -> None:
    assert run({"1": made("Sink", text="a")}).values == {"1": []}


def test_a_bare_value_from_a_node_with_two_outputs_is_an_error() -> None:
    one_of_two = node("One", lambda self: 1, returns=("INT", "INT"))
    assert run({"1": made("One")}, one_of_two).error == ("1", "TypeError")


def test_a_dict_has_a_result_and_a_ui() -> None:
    outcome = run({"1": made("Labelled", n=3)})
    assert outcome.values == {"1": [[3]]}
    assert outcome.ui == {"1": {"label": ["n=3"]}}


def test_the_ui_of_the_calls_is_merged_by_all_keys_and_needs_no_result() -> None:
    outcome = run({"1": listed(2, 3, 4), "2": made("Show", n=["1", 0])})
    assert outcome.values["2"] == []
    assert outcome.ui == {"2": {"shown": [2, 3, 4], "even": [2, 4], "odd": [3]}}


# Expansions


def expanding(result: Any, expansion: dict[str, Any], returns: tuple[str, ...] = ("INT",)) -> type:
    """Make a class that always expands to the same graph."""
    inputs = {"a": INT, "link": RAW_INT}
    return node("Make", lambda self, **_: {"result": result, "expand": expansion}, None, returns, optional=inputs)


def test_an_expansion_stands_for_the_node() -> None:
    prompt = {"1": listed(1, 2), "2": made("Expand", n=10, link=["1", 0]), "3": made("Add", a=["2", 0], b=1)}
    outcome = run(prompt)
    assert outcome.values == {"1": [[1, 2]], "2": [[13]], "3": [[14]]}


def test_links_in_a_result_are_replaced_and_other_items_used_as_they_are() -> None:
    outcome = run({"1": made("ExpandPair", n=5)})
    assert outcome.values == {"1": [[6], ["Where False 5"], [5]]}


def test_all_items_of_a_linked_slot_stand_in_the_place_of_the_link() -> None:
    make = expanding((["x", 0], 9), {"x": listed_now(1, 2)}, ("INT", "INT"))
    assert run({"1": made("Make")}, make).values == {"1": [[1], [2], [9]]}


def listed_now(*values: Any) -> dict[str, Any]:
    """Make a node of an expansion, where constants are used as they are."""
    return made("Listed", values=list(values))


def test_constants_in_an_expansion_may_be_live_objects() -> None:
    live = object()
    make = expanding((["x", 0],), {"x": listed_now(live)})
    assert run({"1": made("Make")}, make).values == {"1": [[live]]}


def test_a_result_may_link_to_a_node_of_the_submitted_graph() -> None:
    make = node("Make", lambda self, link: {"result": (link,), "expand": {}}, {"link": RAW_INT})
    assert run({"1": number(4), "2": made("Make", link=["1", 0])}, make).values["2"] == [[4]]


def test_each_list_call_may_expand_or_return_plainly() -> None:
    outcome = run({"1": listed(1, 2, 3), "2": made("ExpandOdd", n=["1", 0])})
    assert outcome.values["2"] == [[2, 2, 4], ["<1>", "even 2", "<3>"]]


def test_expansions_nest_and_recurse() -> None:
    outcome = run({"1": listed(3, 1), "2": made("Countdown", n=["1", 0], so_far=10)})
    assert outcome.values["2"] == [[16, 11]]


def test_only_what_the_result_needs_and_the_output_nodes_of_an_expansion_run() -> None:
    outcome = run({"1": made("ExpandWithOutput", n=6)})
    assert outcome.error is None
    assert outcome.values == {"1": [[6]]}
    assert outcome.ui == {"1": {"expanding": [6]}, "1.0.show": {"shown": [6], "even": [6]}}


def test_a_blocker_passes_through_an_expansion() -> None:
    prompt = {"1": made("BlockOdd", n=1, message="stop"), "2": made("Expand", n=1, link=["1", 0])}
    outcome = run(prompt)
    assert comparable(outcome.values["2"][0]) == [("blocked", None)]
    assert outcome.blocked == [("2.0.0.sum", "stop")]


def test_the_node_of_an_expansion_takes_the_place_of_another_of_its_id() -> None:
    make = expanding((["1", 0],), {"1": number(7)})
    assert run({"1": number(1), "2": made("Make", a=["1", 0])}, make).values["2"] == [[7]]


def test_an_expansion_may_not_use_the_id_of_the_node_that_made_it() -> None:
    make = expanding((["2", 0],), {"2": number(1)})
    assert run({"1": number(1), "2": made("Make", a=["1", 0])}, make).error == ("2", "DuplicateNodeError")


def test_an_unknown_class_in_an_expansion_fails_the_expanding_node() -> None:
    make = expanding((1,), {"x": made("Unheard")})
    assert run({"7": made("Make")}, make).error == ("7", "UnknownName")


def test_a_link_of_an_expansion_to_no_node_fails_the_expanding_node() -> None:
    make = expanding((["nowhere", 0],), {})
    assert run({"7": made("Make")}, make).error == ("7", "GraphError")


def test_a_cycle_made_by_an_expansion_blames_the_expanding_node() -> None:
    make = expanding((["x", 0],), {"x": made("Add", a=["3", 0])})
    prompt = {"2": made("Make"), "3": made("Add", a=["2", 0])}
    assert run(prompt, make).error == ("2", "DependencyCycleError")
    itself = expanding((["2", 0],), {})
    assert run({"2": made("Make")}, itself).error == ("2", "DependencyCycleError")


def test_a_failure_inside_an_expansion_blames_the_submitted_node() -> None:
    prompt = {"1": made("ExpandWithOutput", n=4), "2": made("Add", a=["1", 0])}
    assert run(prompt).error == ("1", "ValueError")
    inner = expanding((["x", 0],), {"x": made("ExpandWithOutput", n=4)})
    assert run({"5": made("Make")}, inner).error == ("5", "ValueError")


# Async nodes


def test_async_nodes_return_what_their_sync_twins_return() -> None:
    prompt = {
        "1": listed(1, 2),
        "2": made("AsyncNumber", value=["1", 0]),
        "3": made("AsyncAdd", a=["2", 0], b=10),
        "4": made("AsyncSwitch", which=1, even=["2", 0], odd=["3", 0]),
        "5": made("AsyncExpand", n=["3", 0]),
    }
    outcome = run(prompt)
    assert outcome.values["3"] == outcome.values["4"] == [[11, 12]]
    assert outcome.values["5"] == [[12, 12]]


async def test_the_reference_runs_async_nodes_even_when_called_on_a_loop() -> None:
    assert run({"1": made("AsyncAdd", a=1, b=2)}).values == {"1": [[3]]}


# Errors


def test_the_failing_node_is_named_and_what_does_not_need_it_is_computed() -> None:
    prompt = {
        "1": number(4),
        "2": made("Refuse", n=["1", 0]),
        "3": made("Add", a=["2", 0]),
        "4": made("Add", a=["1", 0]),
    }
    outcome = run(prompt)
    assert outcome.error == ("2", "ValueError")
    assert outcome.values == {"1": [[4]], "4": [[4]]}


def test_every_failure_that_could_come_first_is_named() -> None:
    prompt = {
        "1": made("Refuse", n=4),
        "2": made("AsyncRefuse", n=9),
        "3": made("Add", a=["1", 0], b=["2", 0]),
        "4": made("Refuse", n=["3", 0]),
    }
    assert run(prompt).possible_errors == [("1", "ValueError"), ("2", "LookupError")]


def test_a_run_after_a_failed_one_starts_afresh() -> None:
    prompt = {"1": made("Refuse", n=4)}
    assert evaluate(prompt, ZOO).error == ("1", "ValueError")
    assert evaluate({"1": made("Refuse", n=5)}, ZOO).values == {"1": [[5]]}
