"""The rules of execution by examples worked out by hand: lists, lazy inputs, blockers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.reference.classes import INT, LAZY_INT, made, make_classes, node
from tests.reference.evaluator import Outcome, comparable, evaluate

ZOO = make_classes()


def run(prompt: dict[str, Any], *classes: type, wanted: list[str] | None = None) -> Outcome:
    """Evaluate over the zoo and some more classes; the output nodes if there are any, else the leaves."""
    return evaluate(prompt, ZOO | {each.__name__: each for each in classes}, wanted)


def listed(*values: int) -> dict[str, Any]:
    return made("Listed", values={"__value__": list(values)})


def number(value: int) -> dict[str, Any]:
    return made("Number", value=value)


# What runs


def test_only_what_the_wanted_nodes_need_runs() -> None:
    calls: Counter[str] = Counter()
    prompt = {"1": number(1), "2": made("Add", a=["1", 0], b=2), "3": made("Pair", n=["1", 0])}
    assert evaluate(prompt, make_classes(calls), ["2"]).values == {"1": [[1]], "2": [[3]]}
    assert calls == {"Number": 1, "Add": 1}


def test_output_nodes_are_wanted_by_default() -> None:
    prompt = {"1": number(1), "2": made("Keep", n=["1", 0]), "3": made("Add", a=["1", 0])}
    assert run(prompt).values == {"1": [[1]], "2": [[1]]}


def test_leaves_are_wanted_when_there_is_no_output_node() -> None:
    prompt = {"1": number(1), "2": made("Add", a=["1", 0], b=2), "3": made("Pair", n=["1", 0])}
    assert run(prompt).values == {"1": [[1]], "2": [[3]], "3": [[2], ["<1>"]]}


def test_the_callers_prompt_stays_as_it_was() -> None:
    prompt = {"1": listed(1, 2)}
    assert run(prompt).values == {"1": [[1, 2]]}
    assert prompt == {"1": {"class_type": "Listed", "inputs": {"values": {"__value__": [1, 2]}}}}


def test_a_missing_optional_input_is_not_passed() -> None:
    assert run({"1": made("Add", a=3)}).values == {"1": [[3]]}


def test_an_undeclared_link_is_passed_and_an_undeclared_constant_is_dropped() -> None:
    prompt = {"1": number(1), "2": made("Variadic", x=["1", 0], y=["1", 0], z=5)}
    assert run(prompt).values["2"] == [[2]]


def test_a_node_has_one_object_for_all_its_calls() -> None:
    def count(self: Any, n: int) -> tuple[int]:
        self.seen = getattr(self, "seen", 0) + 1
        return (self.seen,)

    prompt = {"1": listed(5, 5, 5), "2": made("Count", n=["1", 0]), "3": made("Count", n=["1", 0])}
    outcome = run(prompt, node("Count", count, {"n": INT}))
    assert outcome.values["2"] == outcome.values["3"] == [[1, 2, 3]]


# Lists


def test_a_node_is_called_per_index_and_a_shorter_list_repeats_its_last_item() -> None:
    prompt = {"1": listed(1, 2, 3), "2": listed(10, 20), "3": made("Add", a=["1", 0], b=["2", 0])}
    assert run(prompt).values["3"] == [[11, 22, 23]]


def test_a_node_without_inputs_is_called_once() -> None:
    assert run({"1": made("Variadic")}).values == {"1": [[0]]}


def test_a_constant_and_a_hidden_input_are_lists_of_one_item() -> None:
    prompt = {"1": listed(1, 2), "2": made("Add", a=["1", 0], b=10), "3": made("WhoAmI", n=["1", 0])}
    outcome = run(prompt)
    assert outcome.values["2"] == [[11, 12]]
    assert outcome.values["3"] == [["3:1", "3:2"]]


def test_input_is_list_makes_one_call_with_all_lists() -> None:
    def see(self: Any, **inputs: Any) -> tuple[Any]:
        return (inputs,)

    see_all = node("See", see, {"a": INT, "b": INT}, hidden={"me": "UNIQUE_ID"}, INPUT_IS_LIST=True)
    prompt = {"1": listed(1, 2), "2": made("See", a=["1", 0], b=3)}
    assert run(prompt, see_all).values["2"] == [[{"a": [1, 2], "b": [3], "me": ["2"]}]]


def test_output_is_list_joins_the_lists_of_the_calls() -> None:
    prompt = {"1": listed(4, 7), "2": made("Span", start=["1", 0], count=1), "3": made("Halves", n=["1", 0])}
    outcome = run(prompt)
    assert outcome.values["2"] == [[4, 5, 7, 8]]
    assert outcome.values["3"] == [[4, 7], [2, 2, 3, 4]]


def test_an_empty_list_is_fine_for_a_node_that_takes_lists_and_an_error_for_one_that_does_not() -> None:
    prompt = {
        "1": listed(1, 3),
        "2": made("Evens", values=["1", 0]),
        "3": made("Total", values=["2", 0]),
        "4": made("Add", a=["2", 0]),
    }
    assert run(prompt, wanted=["3"]).values == {"1": [[1, 3]], "2": [[]], "3": [[0]]}
    assert run(prompt, wanted=["4"]).error == ("4", "ValueError")


# Slots


def test_the_first_call_sets_the_number_of_slots() -> None:
    outcome = run({"1": listed(1, 2), "2": made("Fewer", n=["1", 0])})
    assert outcome.values["2"] == [[1, 2]]


def test_output_is_list_cuts_the_slots() -> None:
    two_for_one = node("Cut", lambda self: ([1, 2], 3), OUTPUT_IS_LIST=(True,))
    assert run({"1": made("Cut")}, two_for_one).values == {"1": [[1, 2]]}


def test_a_link_to_a_slot_that_is_not_there_arrives_as_none() -> None:
    see = node("See", lambda self, n: (n is None,), {"n": INT})
    prompt = {"1": made("Fewer", n=1), "2": made("See", n=["1", 2]), "3": made("See", n=["1", -3])}
    outcome = run(prompt, see)
    assert outcome.values["2"] == outcome.values["3"] == [[True]]


def test_a_negative_slot_counts_from_the_end() -> None:
    prompt = {"1": made("Pair", n=4), "2": made("Length", text=["1", -1]), "3": made("Add", a=["1", -2])}
    outcome = run(prompt)
    assert outcome.values["2"] == [[3]]
    assert outcome.values["3"] == [[5]]


# Raw links and hidden inputs


def test_a_raw_link_is_passed_after_its_source_ran() -> None:
    raw = node("Raw", lambda self, n: (n,), {"n": ("INT", {"rawLink": True})})
    outcome = run({"1": number(1), "2": made("Raw", n=["1", 0])}, raw)
    assert outcome.values == {"1": [[1]], "2": [[["1", 0]]]}


def test_the_source_of_a_lazy_raw_link_does_not_run_even_when_asked_for() -> None:
    raw = node(
        "Raw",
        lambda self, n: (n,),
        {"n": ("INT", {"rawLink": True, "lazy": True})},
        check_lazy_status=lambda self, n: ["n"],
    )
    outcome = run({"1": number(1), "2": made("Raw", n=["1", 0])}, raw)
    assert outcome.values == {"2": [[["1", 0]]]}


def test_hidden_inputs_tell_the_node_about_itself_and_the_graph() -> None:
    prompt = {"1": made("Where", n=1), "2": made("WhoAmI", n=2)}
    assert run(prompt).values == {"1": [["Where True 1"]], "2": [["2:2"]]}


def test_a_hidden_entry_of_another_kind_is_passed_only_when_the_prompt_has_it() -> None:
    see = node("See", lambda self, **inputs: (inputs,), hidden={"note": "NOTE", "info": "EXTRA_PNGINFO"})
    outcome = run({"1": made("See"), "2": made("See", note="hello")}, see)
    assert outcome.values == {"1": [[{"info": None}]], "2": [[{"note": "hello", "info": None}]]}


# Lazy inputs


def test_a_lazy_input_that_is_not_asked_for_is_not_computed() -> None:
    prompt = {"1": number(1), "2": number(2), "3": made("Switch", which=0, even=["1", 0], odd=["2", 0])}
    assert run(prompt).values == {"1": [[1]], "3": [[1]]}


def test_what_the_list_indices_ask_for_is_united() -> None:
    prompt = {
        "1": listed(0, 1, 2),
        "2": number(20),
        "3": number(30),
        "4": made("Switch", which=["1", 0], even=["2", 0], odd=["3", 0]),
    }
    assert run(prompt).values["4"] == [[20, 30, 20]]


def test_a_node_is_asked_again_until_it_wants_nothing_new() -> None:
    def stages(first: int, second: int) -> Outcome:
        inputs: dict[str, Any] = {"first": ["1", 0], "second": ["2", 0], "third": ["3", 0]}
        return run({"1": number(first), "2": number(second), "3": number(100), "4": made("Stages", **inputs)})

    assert stages(1, 5).values == {"1": [[1]], "4": [[1]]}
    assert stages(2, 4).values == {"1": [[2]], "2": [[4]], "4": [[6]]}
    assert stages(2, 5).values == {"1": [[2]], "2": [[5]], "3": [[100]], "4": [[107]]}


def test_the_check_sees_what_is_there_and_none_for_the_rest() -> None:
    seen: list[dict[str, Any]] = []

    def check(self: Any, **inputs: Any) -> list[str]:
        seen.append(inputs)
        return ["a"]

    lazy = node("Lazy", lambda self, a, b, c: (a,), {"a": LAZY_INT, "b": LAZY_INT, "c": INT}, check_lazy_status=check)
    prompt = {"1": number(1), "2": number(2), "3": made("Lazy", a=["1", 0], b=["2", 0], c=3)}
    assert run(prompt, lazy).values == {"1": [[1]], "3": [[1]]}
    assert seen == [{"a": None, "b": None, "c": 3}, {"a": 1, "b": None, "c": 3}]


def test_a_check_with_input_is_list_is_asked_once() -> None:
    asked: list[Any] = []

    def check(self: Any, which: list[int], n: Any) -> list[str]:
        asked.append((which, n))
        return ["n"]

    lazy = node(
        "Lazy",
        lambda self, which, n: (n,),
        {"which": INT, "n": LAZY_INT},
        check_lazy_status=check,
        INPUT_IS_LIST=True,
    )
    prompt = {"1": listed(1, 2), "2": listed(7, 8), "3": made("Lazy", which=["1", 0], n=["2", 0])}
    assert run(prompt, lazy).values["3"] == [[[7, 8]]]
    assert asked == [([1, 2], [None]), ([1, 2], [7, 8])]


def lazy_class(answer: Any) -> type:
    return node(
        "Lazy",
        lambda self, n, m: ((n, m),),
        {"n": LAZY_INT, "m": INT},
        check_lazy_status=lambda self, n, m: answer,
    )


def test_only_a_list_is_an_answer() -> None:
    prompt = {"1": number(1), "2": made("Lazy", n=["1", 0], m=2)}
    for answer in (("n",), {"n"}, "n", None):
        assert run(prompt, lazy_class(answer)).values == {"2": [[(None, 2)]]}


def test_names_of_constants_are_ignored() -> None:
    prompt = {"1": number(1), "2": made("Lazy", n=["1", 0], m=2)}
    assert run(prompt, lazy_class(["m"])).values == {"2": [[(None, 2)]]}


def test_asking_for_an_input_that_the_node_does_not_have_fails() -> None:
    prompt = {"1": number(1), "2": made("Lazy", n=["1", 0], m=2)}
    assert run(prompt, lazy_class(["nonsense"])).error == ("2", "NameError")


def test_without_a_check_a_lazy_input_is_none_though_its_source_is_computed_already() -> None:
    lazy = node("Lazy", lambda self, n: (n,), {"n": LAZY_INT})
    prompt = {"1": number(1), "2": made("Lazy", n=["1", 0])}
    assert run(prompt, lazy, wanted=["2"]).values == {"2": [[None]]}
    assert run(prompt, lazy, wanted=["1", "2"]).values == {"1": [[1]], "2": [[None]]}


def test_a_lazy_input_is_there_where_another_input_takes_from_its_source() -> None:
    lazy = node("Lazy", lambda self, n, m: (n,), {"n": LAZY_INT, "m": INT})
    prompt = {"1": number(1), "2": made("Lazy", n=["1", 0], m=["1", 0])}
    assert run(prompt, lazy, wanted=["2"]).values["2"] == [[1]]


def test_a_blocked_index_asks_for_nothing_and_reports_once() -> None:
    prompt = {
        "1": made("BlockOdd", n=1, message="stop"),
        "2": number(2),
        "3": made("Switch", which=["1", 0], even=["2", 0], odd=["2", 0]),
    }
    outcome = run(prompt)
    assert "2" not in outcome.values
    assert comparable(outcome.values["3"][0]) == [("blocked", None)]
    assert outcome.blocked == [("3", "stop")]


def test_the_check_and_the_call_have_the_same_object() -> None:
    def check(self: Any, n: int | None) -> list[str]:
        self.asked = getattr(self, "asked", 0) + 1
        return ["n"]

    lazy = node("Lazy", lambda self, n: (self.asked,), {"n": LAZY_INT}, check_lazy_status=check)
    assert run({"1": number(1), "2": made("Lazy", n=["1", 0])}, lazy).values["2"] == [[2]]


# Blockers


def test_a_call_that_would_receive_a_blocker_is_skipped_and_blocks_all_its_outputs() -> None:
    calls: Counter[str] = Counter()
    prompt = {
        "1": listed(1, 2),
        "2": made("BlockOne", n=["1", 0], message=""),
        "3": made("Pair", n=["2", 0]),
        "4": made("Pair", n=["2", 1]),
    }
    outcome = evaluate(prompt, make_classes(calls))
    assert comparable(outcome.values["3"]) == [
        [("blocked", None), 3],
        [("blocked", None), "<2>"],
    ]
    assert outcome.values["4"] == [[2, 3], ["<1>", "<2>"]]
    assert calls["Pair"] == 3
    assert outcome.blocked == []
    assert outcome.error is None


def test_a_message_is_reported_by_each_skipped_call_of_a_direct_consumer_and_then_passed_on_silently() -> None:
    prompt = {
        "1": listed(1, 2, 3),
        "2": made("BlockOdd", n=["1", 0], message="stop"),
        "3": made("Add", a=["2", 0]),
        "4": made("Keep", n=["3", 0]),
    }
    outcome = run(prompt)
    assert outcome.blocked == [("3", "stop"), ("3", "stop")]
    assert comparable(outcome.values["2"][0]) == [("blocked", "stop"), 2, ("blocked", "stop")]
    assert comparable(outcome.values["4"][0]) == [("blocked", None), 2, ("blocked", None)]
    assert outcome.ui == {"4": {"kept": [2]}}
    assert outcome.error is None


def test_a_returned_blocker_blocks_every_output() -> None:
    prompt = {"1": made("BlockOdd", n=1, message="a"), "2": made("BlockInDict", n=1, message="b")}
    outcome = run(prompt)
    assert comparable(outcome.values["1"]) == [[("blocked", "a")], [("blocked", "a")]]
    assert comparable(outcome.values["2"]) == [[("blocked", "b")], [("blocked", "b")]]


def test_one_blocker_in_any_list_blocks_a_call_with_lists() -> None:
    prompt = {
        "1": listed(2, 1, 3),
        "2": made("BlockOdd", n=["1", 0], message="stop"),
        "3": made("Total", values=["2", 0]),
    }
    outcome = run(prompt)
    assert comparable(outcome.values["3"][0]) == [("blocked", None)]
    assert outcome.blocked == [("3", "stop")]


def test_a_blocker_in_a_slot_of_lists_counts_as_one_item() -> None:
    prompt = {"1": listed(2, 3, 4), "2": made("BlockItems", n=["1", 0], message="")}
    assert comparable(run(prompt).values["2"][0]) == [2, 4, ("blocked", None), 4, 6]


def test_an_output_node_that_is_blocked_shows_nothing() -> None:
    outcome = run({"1": made("BlockOdd", n=1, message=""), "2": made("Show", n=["1", 0])})
    assert outcome.ui == {}
    assert outcome.values["2"] == []
