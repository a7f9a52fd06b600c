"""Packs' open-ended declarations: optional dicts that answer every name, outputs that answer any index."""

from __future__ import annotations

import pytest

import comfy_nb as nb
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.v1 import spec_from_v1


class AnyType(str):
    __slots__ = ()

    def __ne__(self, other):
        return False


ANY = AnyType("*")


class FlexibleOptionalInputType(dict):
    """Contains every name, and answers each with the same declaration."""

    def __init__(self, kind, data=None):
        super().__init__(data or {})
        self.kind = kind

    def __getitem__(self, key):
        return super().__getitem__(key) if dict.__contains__(self, key) else (self.kind,)

    def __contains__(self, key):
        return True


class ByPassTypeTuple(tuple):
    """Every further slot is like the first."""

    __slots__ = ()

    def __getitem__(self, index):
        return super().__getitem__(0 if index > 0 else index)


class Join:
    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}, "optional": FlexibleOptionalInputType(ANY, {"sep": ("STRING", {"default": "-"})})}

    def run(self, sep="-", **values):
        return (sep.join(str(values[name]) for name in sorted(values)),)


class Split:
    RETURN_TYPES = ByPassTypeTuple((ANY,))
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING",)}}

    def run(self, text):
        return tuple(text)


@pytest.fixture
def registry():
    registry = Registry()
    nb.register({"Join": Join, "Split": Split}, registry=registry)
    return registry


def test_an_open_dict_answers_names_that_it_does_not_list():
    interface = spec_from_v1(Join).interface()
    assert interface.is_open and list(interface.declared) == ["sep"]
    assert interface.lookup("any_07").type == "*" and not interface.lookup("any_07").required
    assert interface.lookup("sep").options == {"default": "-"}


def test_a_plain_dict_answers_only_what_it_lists():
    interface = spec_from_v1(Split).interface()
    assert not interface.is_open and interface.lookup("any_07") is None


def test_inputs_of_any_name_reach_an_open_class(registry):
    graph = nb.load({"1": {"class_type": "Join", "inputs": {"b": "y", "a": "x", "sep": "+"}}}, registry)
    with nb.use_session(nb.Session()):
        assert graph.run_sync()["1"] == "x+y"


def test_a_call_takes_inputs_of_any_name_in_the_order_given(registry):
    join = type(nb.nodes)(lambda: registry).Join
    handle = join(z=1, y=2, x=3)
    assert list(handle.call.inputs) == ["sep", "z", "y", "x"]


def test_outputs_of_any_index_can_be_linked(registry):
    graph = nb.load(
        {
            "1": {"class_type": "Split", "inputs": {"text": "abc"}},
            "2": {"class_type": "Join", "inputs": {"a": ["1", 2], "b": ["1", 0]}},
        },
        registry,
    )
    with nb.use_session(nb.Session()):
        assert graph.run_sync()["2"] == "c-a"


def test_a_handle_of_an_open_class_is_taken_and_shown_by_index(registry):
    nodes = type(nb.nodes)(lambda: registry)
    third = nodes.Split(text="abc")[2]
    assert third.slot == 2
    assert repr(third).startswith("<Split(text='abc').2: ")
