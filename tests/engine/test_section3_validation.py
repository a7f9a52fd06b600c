"""Validation, before anything runs: each line of what ComfyUI checks, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.errors import Problem
from tests.engine.support import Pack, made, ran

INT = ("INT", {})
ANY_TYPE = type("Any", (str,), {"__ne__": lambda self, other: False, "__hash__": str.__hash__})("*")


def echo(self: Any, **inputs: Any) -> tuple[Any]:
    return (inputs,)


def taking(pack: Pack, kind: Any, options: dict[str, Any] | None = None, **traits: Any) -> None:
    """Register `Take`, an output node with one required input `value` of this type, which returns its inputs."""
    declared = (kind, options) if options is not None else (kind,)
    pack.node("Take", echo, {"value": declared}, ("*",), **{"OUTPUT_NODE": True, **traits})


async def refused(graph: nb.Graph, **options: Any) -> nb.ValidationError:
    with pytest.raises(nb.ValidationError) as caught:
        await graph.run(**options)
    return caught.value


async def received(pack: Pack, **inputs: Any) -> Any:
    """What `Take` receives for these inputs."""
    run = await pack.graph({"1": made("Take", **inputs)}).run()
    return run["1"]


async def problem(pack: Pack, **inputs: Any) -> Problem:
    """The only thing that is wrong with `Take` for these inputs."""
    (found,) = (await refused(pack.graph({"1": made("Take", **inputs)}))).problems
    return found


def checking(pack: Pack, validate: Any, *, required: dict[str, Any] | None = None, **traits: Any) -> None:
    """Register `Checked`, an output node with its own validation of `a` and `b`."""
    inputs = required or {"a": INT, "b": INT}
    optional = {"c": INT}
    more = {"OUTPUT_NODE": True, **traits, "VALIDATE_INPUTS": validate}
    pack.node("Checked", echo, inputs, ("*",), optional=optional, **more)


# Classes and outputs


async def test_every_class_must_be_known_even_of_a_node_that_is_not_needed(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take", value=1), "7": made("Tak")}))
    assert error.type == "invalid_prompt"
    assert error.problems[0].as_comfy()["details"] == "Node ID '#7'"
    assert "Did you mean 'Take'?" in str(error)
    assert pack.calls.total() == 0


async def test_an_unknown_class_is_told_with_everything_else_that_is_wrong(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take", value="x"), "7": made("Nope")}))
    assert [each.type for each in error.problems] == ["invalid_prompt", "invalid_input_type"]


async def test_an_input_types_that_raises_is_told_of_its_class(pack: Pack) -> None:
    def broken(cls: Any) -> dict[str, Any]:
        raise OSError("no folder")

    cls = pack.node("Broken", echo, {}, ("*",))
    cls.INPUT_TYPES = classmethod(broken)
    error = await refused(pack.graph({"1": made("Broken")}))
    assert error.type == "invalid_prompt"
    assert "OSError: no folder" in str(error)
    assert "INPUT_TYPES" in str(error)


async def test_all_output_nodes_are_wanted_and_only_what_they_need_runs(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Number", lambda self: (1,))
    run = await pack.graph({"1": made("Number"), "2": made("Take", value=1), "3": made("Take", value=2)}).run()
    assert sorted(ran(run)) == ["2", "3"]


async def test_targets_choose_among_the_output_nodes_and_any_other_node_too(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Number", lambda self: (1,))
    graph = pack.graph({"1": made("Number"), "2": made("Take", value=1), "3": made("Take", value=2)})
    assert ran(await graph.run(outputs=["3"])) == ["3"]
    assert ran(await graph.run(outputs=["1"])) == ["1"]


async def test_an_empty_target_list_is_prompt_no_outputs(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take", value=1)}), outputs=[])
    assert error.type == "prompt_no_outputs"


async def test_a_graph_of_no_nodes_is_prompt_no_outputs(pack: Pack) -> None:
    assert (await refused(nb.Graph(registry=pack.registry))).type == "prompt_no_outputs"


async def test_a_graph_without_output_nodes_runs_its_leaves(pack: Pack) -> None:
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    prompt = {"1": made("Number", n=1), "2": made("Number", n=["1", 0]), "3": made("Number", n=4)}
    run = await pack.graph(prompt).run()
    assert run.wanted == ["2", "3"]


# Each error has ComfyUI's type and shape


async def test_a_required_input_that_is_missing(pack: Pack) -> None:
    taking(pack, "INT", {"default": 3})
    found = await problem(pack)
    assert found.type == "required_input_missing"
    assert found.as_comfy() == {
        "type": "required_input_missing",
        "message": "Required input is missing",
        "details": "value",
        "extra_info": {"input_name": "value"},
    }


async def test_an_optional_input_that_is_missing_is_not_passed_even_with_a_default(pack: Pack) -> None:
    pack.node("Take", echo, {}, ("*",), optional={"value": ("INT", {"default": 3})})
    assert await received(pack) == {}


@pytest.mark.parametrize("value", [[], ["1"], ["1", 0, 0], ["1", "0"], [1, 0], ["1", 0.5], ["1", True]])
async def test_a_list_that_is_no_link_is_bad_linked_input(pack: Pack, value: list[Any]) -> None:
    taking(pack, "INT", {"min": 0})
    found = await problem(pack, value=value)
    assert found.type == "bad_linked_input"
    extra = found.as_comfy()["extra_info"]
    assert extra == {"input_name": "value", "input_config": ["INT", {"min": 0}], "received_value": value}


async def test_a_slot_that_is_a_whole_float_is_taken_for_a_link(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Number", lambda self: (5,))
    run = await pack.graph({"1": made("Number"), "2": made("Take", value=["1", 0.0])}).run()
    assert run["2"] == {"value": 5}


async def test_a_slot_of_minus_one_is_the_last_output(pack: Pack) -> None:
    taking(pack, "STRING")
    pack.node("Pair", lambda self: (5, "last"), {}, ("INT", "STRING"))
    run = await pack.graph({"1": made("Pair"), "2": made("Take", value=["1", -1])}).run()
    assert run["2"] == {"value": "last"}


async def test_linked_types_that_do_not_match_are_return_type_mismatch(pack: Pack) -> None:
    taking(pack, "IMAGE")
    pack.node("Number", lambda self: (5,))
    error = await refused(pack.graph({"1": made("Number"), "2": made("Take", value=["1", 0])}))
    (found,) = error.problems
    assert found.as_comfy() == {
        "type": "return_type_mismatch",
        "message": "Return type mismatch between linked nodes",
        "details": "value, received_type(INT) mismatch input_type(IMAGE)",
        "extra_info": {
            "input_name": "value",
            "input_config": ["IMAGE", {}],
            "received_type": "INT",
            "linked_node": ["1", 0],
        },
    }


@pytest.mark.parametrize(
    ("given", "taken"),
    [("INT", "INT"), ("INT", "FLOAT,INT"), ("FLOAT,INT", "INT"), ("*", "INT"), ("INT", "*"), (ANY_TYPE, "IMAGE")],
)
async def test_types_match_when_equal_or_sharing_a_member_or_a_wildcard(pack: Pack, given: Any, taken: Any) -> None:
    taking(pack, taken)
    pack.node("Source", lambda self: (5,), {}, (given,))
    run = await pack.graph({"1": made("Source"), "2": made("Take", value=["1", 0])}).run()
    assert run["2"] == {"value": 5}


@pytest.mark.parametrize(
    ("kind", "value", "converted"),
    [
        ("INT", "12", 12),
        ("INT", 2.9, 2),
        ("INT", True, 1),
        ("INT", str(2**64), 2**64),
        ("FLOAT", 3, 3.0),
        ("FLOAT", "1e3", 1000.0),
        ("STRING", 7, "7"),
        ("BOOLEAN", 1, True),
        ("BOOLEAN", "", False),
    ],
)
async def test_a_constant_of_a_simple_type_is_converted(pack: Pack, kind: str, value: Any, converted: Any) -> None:
    taking(pack, kind)
    got = (await received(pack, value=value))["value"]
    assert got == converted
    assert type(got) is type(converted)


@pytest.mark.parametrize(("kind", "value"), [("INT", "a few"), ("FLOAT", {}), ("INT", float("nan")), ("INT", None)])
async def test_a_constant_that_cannot_be_converted_is_invalid_input_type(pack: Pack, kind: str, value: Any) -> None:
    taking(pack, kind, {})
    found = await problem(pack, value=value)
    shape = found.as_comfy()
    assert shape["type"] == "invalid_input_type"
    assert shape["message"] == f"Failed to convert an input value to a {kind} value"
    assert shape["details"].startswith("value, ")
    extra = shape["extra_info"]
    assert extra["input_config"] == [kind, {}]
    assert extra["received_value"] is value
    assert extra["exception_message"]


async def test_an_infinite_whole_number_is_invalid_input_type(pack: Pack) -> None:
    taking(pack, "INT")
    assert (await problem(pack, value=float("inf"))).type == "invalid_input_type"


@pytest.mark.parametrize("kind", ["INT,FLOAT", "*", "MODEL", "STRING,INT"])
async def test_a_constant_of_a_union_or_another_type_is_never_converted(pack: Pack, kind: str) -> None:
    taking(pack, kind)
    assert await received(pack, value="12") == {"value": "12"}


async def test_the_bounds_are_held_after_the_conversion(pack: Pack) -> None:
    taking(pack, "INT", {"min": 3, "max": 5})
    assert await received(pack, value="5") == {"value": 5}
    small = await problem(pack, value="2")
    assert (small.type, small.message, small.details) == (
        "value_smaller_than_min",
        "Value 2 smaller than min of 3",
        "value",
    )
    extra = small.as_comfy()["extra_info"]
    assert extra == {"input_name": "value", "input_config": ["INT", {"min": 3, "max": 5}], "received_value": 2}
    big = await problem(pack, value=5.9e1)
    assert (big.type, big.message) == ("value_bigger_than_max", "Value 59 bigger than max of 5")


async def test_the_bounds_hold_for_any_constant_whose_options_have_them(pack: Pack) -> None:
    taking(pack, "INT,FLOAT", {"max": 5})
    assert (await problem(pack, value=5.5)).type == "value_bigger_than_max"


async def test_a_nan_keeps_all_bounds(pack: Pack) -> None:
    taking(pack, "FLOAT", {"min": 0, "max": 1})
    got = (await received(pack, value="nan"))["value"]
    assert got != got


async def test_a_value_outside_a_combo_given_as_a_list(pack: Pack) -> None:
    taking(pack, ["nearest", "bilinear"], {"tooltip": "how"})
    found = await problem(pack, value="bilinaer")
    assert found.as_comfy() == {
        "type": "value_not_in_list",
        "message": "Value not in list",
        "details": "value: 'bilinaer' not in ['nearest', 'bilinear']",
        "extra_info": {
            "input_name": "value",
            "input_config": [["nearest", "bilinear"], {"tooltip": "how"}],
            "received_value": "bilinaer",
        },
    }
    assert "Did you mean 'bilinear'?" in str(found)


async def test_a_combo_of_more_than_twenty_is_not_repeated_in_the_report(pack: Pack) -> None:
    taking(pack, [f"file{n}" for n in range(21)])
    found = await problem(pack, value="other")
    assert found.details == "value: 'other' not in (list of length 21)"
    assert found.as_comfy()["extra_info"]["input_config"] is None


async def test_a_value_outside_a_combo_of_the_newer_form_is_a_warning(pack: Pack) -> None:
    taking(pack, "COMBO", {"options": ["nearest", "bilinear"]})
    assert await received(pack, value="bilinear") == {"value": "bilinear"}
    with pytest.warns(nb.ComfyNBWarning, match=r"Take \(node 1\).*value.*'bilinaer'.*Did you mean 'bilinear'"):
        assert await received(pack, value="bilinaer") == {"value": "bilinaer"}


async def test_several_choices_of_a_combo_of_the_newer_form_are_no_warning(pack: Pack) -> None:
    taking(pack, "COMBO", {"options": ["a", "b"], "multiselect": True})
    assert await received(pack, value={"__value__": ["a", "b"]}) == {"value": ["a", "b"]}


# Undeclared inputs


async def test_an_undeclared_link_is_computed_and_passed_and_an_undeclared_constant_dropped(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Number", lambda self: (5,))
    run = await pack.graph({"1": made("Number"), "2": made("Take", value=1, more=["1", 0], colour="red")}).run()
    assert run["2"] == {"value": 1, "more": 5}


async def test_undeclared_inputs_are_not_validated(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Text", lambda self: ("a",), {}, ("STRING",))
    run = await pack.graph({"1": made("Text"), "2": made("Take", value=1, more=["1", 0], bad=["x"])}).run()
    assert run["2"] == {"value": 1, "more": "a"}


async def test_a_class_that_declares_every_optional_name_gets_them_all(pack: Pack) -> None:
    class Every(dict):
        def __contains__(self, name: object) -> bool:
            return True

        def __getitem__(self, name: str) -> Any:
            return ("INT", {})

    cls = pack.node("Take", echo, {}, ("*",))
    cls.INPUT_TYPES = classmethod(lambda cls: {"required": {}, "optional": Every()})
    assert await received(pack, any="12", other=3) == {"any": 12, "other": 3}


# VALIDATE_INPUTS


async def test_validate_inputs_runs_once_for_each_node_on_the_class(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, a: Any) -> bool:
        seen.append((cls.__name__, a))
        return True

    checking(pack, classmethod(validate))
    pack.node("Sum", lambda self, a, b: (0,), {"a": ("*",), "b": ("*",)}, OUTPUT_NODE=True)
    prompt = {
        "1": made("Checked", a=1, b=2),
        "2": made("Sum", a=["1", 0], b=["1", 0]),
        "3": made("Sum", a=["1", 0], b=0),
    }
    await pack.graph(prompt).run()
    assert seen == [("Checked", 1)]


async def test_validate_inputs_gets_the_inputs_that_it_names_converted_and_links_as_none(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, a: Any, b: Any, c: Any = "not given") -> bool:
        seen.append((a, b, c))
        return True

    checking(pack, classmethod(validate))
    pack.node("Number", lambda self: (5,))
    await pack.graph({"1": made("Checked", a="1", b=["2", 0]), "2": made("Number")}).run()
    assert seen == [(1, None, "not given")]


async def test_validate_inputs_with_kwargs_gets_everything_and_the_hidden_inputs(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, **inputs: Any) -> bool:
        seen.append(inputs)
        return True

    pack.node(
        "Checked", echo, {"a": INT}, ("*",), hidden={"me": "UNIQUE_ID"}, VALIDATE_INPUTS=classmethod(validate),
        OUTPUT_NODE=True,
    )  # fmt: skip
    await pack.graph({"9": made("Checked", a=1)}).run()
    assert seen == [{"a": 1, "me": "9"}]


async def test_keyword_only_names_of_validate_inputs_do_not_count(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, a: Any, *, b: Any = "not given") -> bool:
        seen.append((a, b))
        return True

    checking(pack, classmethod(validate), required={"a": INT, "b": ("INT", {"max": 3})})
    error = await refused(pack.graph({"1": made("Checked", a=1, b=9)}))
    assert [each.type for each in error.problems] == ["value_bigger_than_max"]
    assert seen == [(1, "not given")]


async def test_the_range_and_combo_checks_of_inputs_it_names_are_its_own(pack: Pack) -> None:
    required = {"a": ("INT", {"max": 3}), "b": (["x", "y"],)}
    checking(pack, classmethod(lambda cls, a, b: True), required=required)
    run = await pack.graph({"1": made("Checked", a=99, b="new file")}).run()
    assert run["1"] == {"a": 99, "b": "new file"}


async def test_the_conversion_of_inputs_it_names_stays(pack: Pack) -> None:
    checking(pack, classmethod(lambda cls, a: True))
    error = await refused(pack.graph({"1": made("Checked", a="many", b=1)}))
    assert [each.type for each in error.problems] == ["invalid_input_type"]


async def test_an_input_types_parameter_gets_the_linked_types_and_takes_the_type_check_over(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, input_types: Any) -> bool:
        seen.append(input_types)
        return True

    checking(pack, classmethod(validate))
    pack.node("Text", lambda self: ("a",), {}, ("STRING",))
    run = await pack.graph({"1": made("Checked", a=["2", 0], b=1), "2": made("Text")}).run()
    assert seen == [{"a": "STRING"}]
    assert run["1"] == {"a": "a", "b": 1}


async def test_a_class_that_takes_lists_validates_lists(pack: Pack) -> None:
    seen: list[Any] = []

    def validate(cls: Any, a: Any, input_types: Any) -> bool:
        seen.append((a, input_types))
        return True

    checking(pack, classmethod(validate), INPUT_IS_LIST=True)
    await pack.graph({"1": made("Checked", a=1, b=2)}).run()
    assert seen == [([1], [{}])]


@pytest.mark.parametrize(("answer", "details"), [(False, ["a", "b"]), ("too dark", ["a - too dark", "b - too dark"])])
async def test_a_refusal_is_one_custom_validation_failed_for_each_input_it_was_given(
    pack: Pack, answer: Any, details: list[str]
) -> None:
    checking(pack, classmethod(lambda cls, a, b, c=0: answer))
    error = await refused(pack.graph({"1": made("Checked", a=1, b=2)}))
    assert [each.type for each in error.problems] == ["custom_validation_failed"] * 2
    assert [each.details for each in error.problems] == details
    assert [each.extra["input_name"] for each in error.problems] == ["a", "b"]
    assert pack.calls.total() == 0


async def test_validate_inputs_runs_also_when_earlier_checks_of_the_node_failed(pack: Pack) -> None:
    checking(pack, classmethod(lambda cls, a: "refused"))
    error = await refused(pack.graph({"1": made("Checked", a=1)}))
    assert [each.type for each in error.problems] == ["required_input_missing", "custom_validation_failed"]


async def test_an_exception_in_it_is_exception_during_validation_on_an_output_node(pack: Pack) -> None:
    def validate(cls: Any, a: Any) -> bool:
        raise KeyError("no such model")

    checking(pack, classmethod(validate))
    (found,) = (await refused(pack.graph({"1": made("Checked", a=1, b=2)}))).problems
    assert found.type == "exception_during_validation"
    assert found.extra["exception_type"] == "KeyError"
    assert found.extra["exception_message"] == "'no such model'"
    assert any("no such model" in line for line in found.extra["traceback"])


async def test_an_exception_in_it_elsewhere_is_exception_during_inner_validation_of_that_node(pack: Pack) -> None:
    def validate(cls: Any, a: Any) -> bool:
        raise KeyError("no such model")

    checking(pack, classmethod(validate), OUTPUT_NODE=False)
    taking(pack, "*")
    error = await refused(pack.graph({"1": made("Checked", a=1, b=2), "2": made("Take", value=["1", 0])}))
    assert [each.type for each in error.problems] == ["exception_during_inner_validation"]
    assert set(error.node_errors) == {"1"}
    assert error.node_errors["1"]["dependent_outputs"] == ["2"]


async def test_validate_inputs_may_be_async(pack: Pack) -> None:
    async def validate(cls: Any, a: Any) -> str:
        return "refused"

    checking(pack, classmethod(validate))
    error = await refused(pack.graph({"1": made("Checked", a=1, b=2)}))
    assert [each.details for each in error.problems] == ["a - refused"]


async def test_graph_validate_tells_the_same_without_running(pack: Pack) -> None:
    checking(pack, classmethod(lambda cls, a: "refused"))
    graph = pack.graph({"1": made("Checked", a=1)})
    assert [each.type for each in graph.validate()] == ["required_input_missing", "custom_validation_failed"]
    assert pack.calls.total() == 0


# What validation leaves behind


async def test_what_was_converted_and_unwrapped_is_what_runs_and_is_saved_and_the_callers_dict_stays(
    pack: Pack,
) -> None:
    taking(pack, "INT")
    pack.node("List", echo, {"values": ("*",)}, ("*",), OUTPUT_NODE=True)
    prompt = {"1": made("Take", value="12"), "2": made("List", values={"__value__": [1, 2]})}
    run = await pack.graph(prompt).run()
    assert run["2"] == {"values": [1, 2]}
    assert run.prompt["1"]["inputs"] == {"value": 12}
    assert run.prompt["2"]["inputs"] == {"values": [1, 2]}
    assert prompt == {"1": made("Take", value="12"), "2": made("List", values={"__value__": [1, 2]})}


async def test_what_was_converted_is_what_is_keyed(pack: Pack) -> None:
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    await pack.graph({"1": made("Number", n="12")}).run()
    await pack.graph({"1": made("Number", n=12)}).run()
    assert pack.calls["Number"] == 1


# Good and bad outputs


async def test_one_bad_output_does_not_stop_the_good_ones_and_the_rest_is_raised_with_the_run(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take", value=1), "2": made("Take"), "3": made("Take", value=3)}))
    assert error.type == "prompt_outputs_failed_validation"
    assert error.run.state == "done"
    assert error.run["1"] == {"value": 1}
    assert error.run["3"] == {"value": 3}
    assert set(error.node_errors) == {"2"}


async def test_with_no_valid_output_nothing_runs(pack: Pack) -> None:
    taking(pack, "INT")
    error = await refused(pack.graph({"1": made("Take"), "2": made("Take")}))
    assert error.type == "prompt_outputs_failed_validation"
    assert error.run is None
    assert pack.calls.total() == 0


async def test_node_errors_have_only_nodes_with_errors_of_their_own(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    prompt = {
        "1": made("Number", n="x"),
        "2": made("Number", n=["1", 0]),
        "3": made("Take", value=["2", 0]),
        "4": made("Take", value=["1", 0]),
        "5": made("Take", value=5),
    }
    error = await refused(pack.graph(prompt))
    assert set(error.node_errors) == {"1"}
    entry = error.node_errors["1"]
    assert entry["class_type"] == "Number"
    assert entry["dependent_outputs"] == ["3", "4"]
    assert [each["type"] for each in entry["errors"]] == ["invalid_input_type"]
    assert set(entry["errors"][0]) == {"type", "message", "details", "extra_info"}


async def test_what_is_wrong_beside_the_wanted_outputs_is_not_told(pack: Pack) -> None:
    taking(pack, "INT")
    graph = pack.graph({"1": made("Take", value=1), "2": made("Take")})
    assert (await graph.run(outputs=["1"]))["1"] == {"value": 1}


async def test_everything_that_is_wrong_is_told_at_once(pack: Pack) -> None:
    required = {"a": INT, "b": ("INT", {"max": 3}), "c": (["x"],), "d": ("IMAGE",)}
    pack.node("Many", echo, required, ("*",), OUTPUT_NODE=True)
    pack.node("Number", lambda self: (5,))
    error = await refused(pack.graph({"1": made("Many", b=4, c="z", d=["2", 0]), "2": made("Number")}))
    types = {each.type for each in error.problems}
    assert types == {"required_input_missing", "value_bigger_than_max", "value_not_in_list", "return_type_mismatch"}


# Rings, depth, and links to nothing


async def test_a_node_that_needs_itself_is_an_error(pack: Pack) -> None:
    taking(pack, "*")
    (found,) = (await refused(pack.graph({"1": made("Take", value=["1", 0])}))).problems
    assert found.type == "dependency_cycle"
    assert found.details == "1 -> 1"


async def test_a_ring_is_an_error_that_names_its_nodes(pack: Pack) -> None:
    taking(pack, "*")
    pack.node("Pass", lambda self, v: (v,), {"v": ("*",)}, ("*",))
    prompt = {
        "1": made("Pass", v=["3", 0]),
        "2": made("Pass", v=["1", 0]),
        "3": made("Pass", v=["2", 0]),
        "4": made("Take", value=["3", 0]),
        "5": made("Take", value="fine"),
    }
    error = await refused(pack.graph(prompt))
    (found,) = error.problems
    assert found.type == "dependency_cycle"
    assert set(found.extra["nodes"]) == {"1", "2", "3"}
    assert error.run["5"] == {"value": "fine"}


@pytest.mark.long
async def test_a_chain_of_a_hundred_thousand_nodes_is_validated_and_planned_without_recursion(pack: Pack) -> None:
    pack.node("Pass", lambda self, v: (v,), {"v": ("*",)}, ("*",))
    taking(pack, "INT")
    count = 100_000
    prompt = {str(n): made("Pass", v=[str(n + 1), 0]) for n in range(count)}
    prompt[str(count)] = made("Take", value="x")
    (found,) = pack.graph(prompt).validate()
    assert (found.type, found.node_id) == ("invalid_input_type", str(count))


@pytest.mark.long
async def test_a_ring_of_a_hundred_thousand_nodes_is_told_in_a_line(pack: Pack) -> None:
    pack.node("Pass", lambda self, v: (v,), {"v": ("*",)}, ("*",))
    count = 100_000
    prompt = {str(n): made("Pass", v=[str((n + 1) % count), 0]) for n in range(count)}
    (found,) = pack.graph(prompt).validate(["0"])
    assert found.type == "dependency_cycle"
    assert len(str(found)) < 400


async def test_a_link_to_a_node_that_does_not_exist_is_its_own_error(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Number", lambda self: (5,))
    error = await refused(pack.graph({"loader": made("Number"), "2": made("Take", value=["laoder", 0])}))
    (found,) = error.problems
    assert found.type == "linked_node_missing"
    assert found.extra["linked_node"] == ["laoder", 0]
    assert "'laoder'" in str(found)
    assert "Did you mean 'loader'?" in str(found)


async def test_a_link_to_a_slot_that_does_not_exist_is_its_own_error(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Pair", lambda self: (5, "a"), {}, ("INT", "STRING"), RETURN_NAMES=("count", "text"))
    (found,) = (await refused(pack.graph({"1": made("Pair"), "2": made("Take", value=["1", 2])}))).problems
    assert found.type == "linked_slot_missing"
    assert "0 count, 1 text" in str(found)


# Expansions


async def test_nodes_of_an_expansion_are_not_validated(pack: Pack) -> None:
    pack.node("Child", echo, {"n": ("INT", {"max": 3}), "m": INT}, ("*",))

    def expand(self: Any) -> dict[str, Any]:
        builder = nb.GraphBuilder()
        child = builder.node("Child", n="99", stray=1)
        return {"expand": builder.finalize(), "result": (child.out(0),)}

    pack.node("Parent", expand, {}, ("*",))
    run = await pack.graph({"1": made("Parent")}).run()
    assert run["1"] == {"n": "99"}


async def test_an_unknown_class_in_an_expansion_raises_in_the_expanding_node(pack: Pack) -> None:
    def expand(self: Any) -> dict[str, Any]:
        return {"expand": {"x.1": {"class_type": "Childs", "inputs": {}}}, "result": (["x.1", 0],)}

    pack.node("Child", echo, {}, ("*",))
    pack.node("Parent", expand, {}, ("*",))
    with pytest.raises(nb.NodeError, match=r"Parent \(node 4\).*'Childs'.*Did you mean 'Child'") as caught:
        await pack.graph({"4": made("Parent")}).run()
    assert caught.value.node_id == "4"


# Words


async def test_a_message_names_title_id_class_input_what_came_what_is_due_and_the_nearest_name(pack: Pack) -> None:
    taking(pack, ["nearest", "bilinear"])
    prompt = {"3": {**made("Take", value="bilinar"), "_meta": {"title": "Scale it"}}}
    text = str(await refused(pack.graph(prompt)))
    for word in (
        '"Scale it"',
        "node 3",
        "Take",
        "value",
        "'bilinar'",
        "'nearest', 'bilinear'",
        "Did you mean 'bilinear'?",
    ):
        assert word in text


@pytest.mark.parametrize(
    ("kind", "options", "inputs", "words"),
    [
        ("INT", {"default": 8}, {}, ["Take (node 1)", "value", "INT", "default is 8"]),
        ("INT", {}, {"valeu": 3}, ["value", "'valeu'", "was that meant"]),
        ("INT", {}, {"value": "many"}, ["value", "'many'", "Expected INT, got str"]),
        ("INT", {"min": 1, "max": 8}, {"value": 9}, ["value", "9", "between 1 and 8"]),
        ("INT", {}, {"value": [1, 2, 3]}, ["value", "[1, 2, 3]", "__value__"]),
    ],
)
async def test_each_message_says_what_to_do(
    pack: Pack, kind: Any, options: dict[str, Any], inputs: dict[str, Any], words: list[str]
) -> None:
    taking(pack, kind, options)
    text = str(await problem(pack, **inputs))
    for word in words:
        assert word in text
