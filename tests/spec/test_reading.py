"""The ways to read a node class."""

from __future__ import annotations

import pytest

import comfy_nb as nb
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.reading import READERS, spec_of
from comfy_nb.spec.registry import Registry


class Recipe:
    """Not a ComfyUI class: it holds the function that a node is made of."""

    def __init__(self, function):
        self.function = function


def read_recipe(cls, class_type, display_name):
    if isinstance(cls, Recipe):
        return spec_from_function(cls.function, class_type=class_type, title=display_name)
    return None


def half(x: float) -> float:
    return x / 2


def test_another_way_to_write_a_node_is_read_by_one_more_reader(monkeypatch):
    with pytest.raises(nb.SpecError, match="'Half' is .*, which is not a ComfyUI node class"):
        spec_of(Recipe(half), "Half")
    monkeypatch.setattr("comfy_nb.spec.reading.READERS", [*READERS, read_recipe])
    registry = Registry()
    nb.register({"Half": Recipe(half)}, {"Half": "One half"}, registry)
    assert registry["Half"].display_name == "One half" and list(registry["Half"].return_types) == ["FLOAT"]


def test_a_spec_is_registered_as_it_is():
    spec = spec_from_function(half)
    assert spec_of(spec, "other name") is spec
