"""Each input is checked against its declaration (docs/semantics.md, "Checks of inputs")."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.planning.refusals import echo, problem, received, refused, taking
from tests.engine.support import Pack, made

ANY_TYPE = type("Any", (str,), {"__ne__": lambda self, other: False, "__hash__": str.__hash__})("*")


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
async def test_a_list_that_is_not_a_link_is_bad_linked_input(pack: Pack, value: list[Any]) -> None:
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


async def test_a_list_of_choices_is_reported_as_such(pack: Pack) -> None:
    taking(pack, "INT")
    pack.node("Chosen", lambda self: ("a",), {}, (["a", "b"],))
    error = await refused(pack.graph({"1": made("Chosen"), "2": made("Take", value=["1", 0])}))
    (found,) = error.problems
    assert found.details == "value, received_type(['a', 'b']) mismatch input_type(INT)"
    assert found.as_comfy()["extra_info"]["received_type"] == ["a", "b"]


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
    assert shape["details"] == f"value, {value}, {shape['extra_info']['exception_message']}"
    extra = shape["extra_info"]
    assert extra["input_config"] == [kind, {}]
    assert extra["received_value"] is value
    assert extra["exception_message"]


async def test_a_constant_that_cannot_be_converted_is_tried_once(pack: Pack) -> None:
    tries = []

    class Stubborn:
        def __int__(self) -> int:
            tries.append(self)
            raise ValueError("no number")

    taking(pack, "INT", {})
    assert (await problem(pack, value=Stubborn())).type == "invalid_input_type"
    assert len(tries) == 1


async def test_only_the_outermost_wrapping_of_a_constant_is_taken_off(pack: Pack) -> None:
    taking(pack, "INT", {})
    assert await received(pack, value={"__value__": 5}) == {"value": 5}
    assert (await problem(pack, value={"__value__": {"__value__": 5}})).type == "invalid_input_type"


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


async def test_a_value_outside_a_combo_of_the_newer_form(pack: Pack) -> None:
    taking(pack, "COMBO", {"options": ["nearest", "bilinear"]})
    assert await received(pack, value="bilinear") == {"value": "bilinear"}
    found = await problem(pack, value="bilinaer")
    assert (found.type, found.details) == (
        "value_not_in_list",
        "value: 'bilinaer' not in ['nearest', 'bilinear']",
    )
    assert "Did you mean 'bilinear'?" in str(found)


@pytest.mark.parametrize("kind", [["a", "b"], "COMBO"], ids=["list", "COMBO"])
async def test_several_choices_arrive_as_a_list(pack: Pack, kind: Any) -> None:
    taking(pack, kind, {"options": ["a", "b"], "multiselect": True})
    assert await received(pack, value={"__value__": ["a", "b"]}) == {"value": ["a", "b"]}
    assert (await problem(pack, value={"__value__": ["a", "z"]})).type == "value_not_in_list"


# Links that lead nowhere


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


# Messages


async def test_a_message_names_title_id_class_input_value_choices_and_the_nearest_name(pack: Pack) -> None:
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
