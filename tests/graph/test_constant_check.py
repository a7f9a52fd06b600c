"""Whether a constant fits: what a person may set exactly, and what validation converts as ComfyUI does."""

from __future__ import annotations

import enum

import numpy as np
import pytest
import torch

from comfy_nb.graph.constant_check import Misfit, check_constant, check_exactly
from comfy_nb.spec.node_spec import InputSpec


def entry(type: object, is_list: bool = False, **options: object) -> InputSpec:
    return InputSpec("x", type, options, required=True, is_list=is_list)


@pytest.mark.parametrize(
    ("kind", "value", "exact"),
    [
        ("INT", 7.0, 7),
        ("INT", np.int64(7), 7),
        ("FLOAT", 3, 3.0),
        ("BOOLEAN", False, False),
        ("STRING", "", ""),
        (["a", 2], 2, 2),
    ],
)
def test_a_value_of_the_declared_type_is_taken_exactly(kind, value, exact):
    found = check_exactly(entry(kind), value)
    assert found == exact and type(found) is type(exact)


@pytest.mark.parametrize(
    ("kind", "value", "text", "converted"),
    [
        ("INT", "7", "expected a whole number (INT), got '7'.", 7),
        ("INT", 1.5, "expected a whole number (INT), got 1.5.", 1),
        ("INT", True, "expected a whole number (INT), got True.", 1),
        ("FLOAT", "0.5", "expected a number (FLOAT), got '0.5'.", 0.5),
        ("BOOLEAN", 1, "expected true or false (BOOLEAN), got 1.", True),
        ("STRING", 3, "expected text (STRING), got 3.", "3"),
    ],
)
def test_another_type_is_refused_from_a_person_and_converted_by_validation(kind, value, text, converted):
    with pytest.raises(Misfit) as caught:
        check_exactly(entry(kind), value)
    assert str(caught.value) == text
    assert check_constant(entry(kind), value) == converted


def test_nan_is_not_a_number_for_a_person_and_a_float_too_large_is_none_for_anybody():
    with pytest.raises(Misfit, match="expected a number"):
        check_exactly(entry("FLOAT"), float("nan"))
    for check in (check_exactly, check_constant):
        with pytest.raises(Misfit, match="expected a number"):
            check(entry("FLOAT"), 10**400)


@pytest.mark.parametrize("check", [check_exactly, check_constant])
def test_bounds_and_choices_hold_for_everybody_who_has_limits(check):
    with pytest.raises(Misfit, match="9 is out of range; it must lie between any number and 5") as caught:
        check(entry("INT", max=5), 9)
    assert caught.value.type == "value_bigger_than_max"
    with pytest.raises(Misfit, match="'hiku' is not one of the choices. Did you mean 'haiku'?") as caught:
        check(entry(["haiku", "plain"]), "hiku")
    assert check(entry("INT", max=5), 9, has_limits=False) == 9


@pytest.mark.parametrize("check", [check_exactly, check_constant])
def test_a_choice_of_the_newer_form_is_checked_too(check):
    assert check(entry("COMBO", options=["a"]), "a") == "a"
    with pytest.raises(Misfit):
        check(entry("COMBO", options=["a"]), "b")


@pytest.mark.parametrize("check", [check_exactly, check_constant])
@pytest.mark.parametrize("kind", [["a", "b", "c"], "COMBO"], ids=["list", "COMBO"])
def test_several_choices_are_checked_one_by_one(check, kind):
    several = entry(kind, multiselect=True, options=["a", "b", "c"])
    for value in (["a", "b"], [], "c"):
        assert check(several, value) == value
    with pytest.raises(Misfit) as caught:
        check(several, ["a", "z", "y"])
    assert caught.value.details == f"{several.name}: 'z', 'y' not in ['a', 'b', 'c']"
    assert caught.value.extra["received_value"] == ["a", "z", "y"]
    with pytest.raises(Misfit):
        check(entry(kind, options=["a", "b", "c"]), ["a", "b"])


@pytest.mark.parametrize("check", [check_exactly, check_constant])
def test_without_choices_nothing_is_right_unless_a_server_has_them(check):
    with pytest.raises(Misfit):
        check(entry("COMBO"), "a")
    assert check(entry("COMBO", remote={"route": "/models"}), "a") == "a"


@pytest.mark.parametrize("check", [check_exactly, check_constant])
def test_a_list_is_checked_item_by_item_and_a_member_counts_by_its_name(check):
    colour = enum.Enum("Colour", ["red"])
    assert check(entry("INT", is_list=True), [1, 2.0]) == [1, 2]
    assert check(entry(["red"], is_list=True), (colour.red,)) == ["red"]
    with pytest.raises(Misfit):
        check(entry("INT", is_list=True, max=1), [1, 2])


def test_only_validation_lays_out_pictures():
    picture = np.zeros((4, 6, 3), dtype=np.uint8)
    assert check_constant(entry("IMAGE"), picture).shape == (1, 4, 6, 3)
    assert check_exactly(entry("IMAGE"), picture) is picture
    with pytest.raises(Misfit) as caught:
        check_constant(entry("IMAGE"), torch.zeros(2))
    assert caught.value.type == "invalid_layout"
