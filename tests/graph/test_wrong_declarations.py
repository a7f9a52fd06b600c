"""Classes that are declared wrongly are refused when they are registered, as far as that can be known then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.spec.registry import Registry


def node_class(inputs: Any, **traits: Any) -> type:
    """A class that declares these inputs; those that can be called are called."""
    declare = classmethod(lambda cls: inputs() if callable(inputs) else inputs)
    body = {"INPUT_TYPES": declare, "RETURN_TYPES": ("INT",), "FUNCTION": "run", "run": lambda self, **_: (1,)}
    return type("Odd", (), {**body, **traits})


def refusal(cls: type) -> str:
    registry = Registry()
    with pytest.raises(nb.SpecError) as caught:
        nb.register(cls, registry=registry)
    assert "Odd" not in registry
    return str(caught.value)


def test_a_type_with_its_options_inside_is_not_taken_for_two_choices():
    text = refusal(node_class({"required": {"text": (("STRING", {"multiline": True}), {"lazy": True})}}))
    assert text == (
        "Odd: the input 'text' is declared as (('STRING', {'multiline': True}), {'lazy': True}), "
        "a list of two choices. Put the type and all its options side by side: "
        "('STRING', {'multiline': True, 'lazy': True})."
    )


def test_inputs_that_cannot_be_computed_name_the_class_and_the_reason():
    text = refusal(node_class(lambda: {"required": {"n": CHOICES}}))  # noqa: F821
    assert text == "Odd.INPUT_TYPES() failed: NameError: name 'CHOICES' is not defined."


def test_a_forgotten_classmethod_is_named():
    text = refusal(node_class({}, INPUT_TYPES=lambda cls: {}))
    assert text.startswith("Odd.INPUT_TYPES() failed: TypeError")
    assert text.endswith("Write @classmethod above it.")


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ([("n", "INT")], "INPUT_TYPES() must return a dict, not list"),
        ({"required": ["n"]}, "its required inputs are declared as ['n']"),
        ({"required": {"n": ()}}, "the input 'n' is declared as ()"),
        ({"optional": {"n": 5}}, "the input 'n' is declared as 5"),
    ],
)
def test_what_is_no_declaration_is_named(inputs, named):
    assert named in refusal(node_class(inputs))


def test_return_types_that_are_no_list_are_named():
    assert "Odd.RETURN_TYPES must be a tuple, not 5" in refusal(node_class({}, RETURN_TYPES=5))


def test_the_other_classes_of_a_pack_are_registered_and_all_faults_are_told():
    registry, bad = Registry(), node_class({"required": 5})
    with pytest.raises(nb.SpecError) as caught:
        nb.register({"First": bad, "Good": node_class({}), "Second": bad}, registry=registry)
    assert list(registry) == ["Good"]
    assert str(caught.value).startswith("2 classes cannot be registered:\n  - First: its required inputs")
    assert "\n  - Second: its required inputs" in str(caught.value)


def test_choices_that_a_folder_lacks_may_come_later(tmp_path: Path):
    registry = Registry()
    listed = node_class(lambda: {"required": {"name": ([each.name for each in (tmp_path / "models").iterdir()],)}})
    nb.register(listed, registry=registry)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.bin").touch()
    assert registry["Odd"].interface().declared["name"].choices == ["a.bin"]


@pytest.mark.parametrize(
    "inputs",
    [
        {"required": {"mode": (("fast", "good"), {"default": "fast"})}},
        {"required": {"mode": (["fast", {"a": 1}],)}},
        {"required": {"n": ["INT", {"min": 0}]}},
        {"required": {"n": ("INT", "an int")}},
        {"required": {"n": "INT"}, "other": {"x": 5}},
        {},
    ],
)
def test_what_comfyui_runs_is_not_refused(inputs):
    registry = Registry()
    nb.register(node_class(inputs), registry=registry)
    assert "Odd" in registry
