"""Edits written as text: what a value may be written as, and what is refused."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest

import comfy_nb as nb
from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.graph.model import Graph
from comfy_nb.parameters.edits import apply_edit
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.registry import Registry
from tests.reference.classes import node


def paint(
    radius: Annotated[int, nb.Range(0, 31)] = 3,
    strength: float = 0.5,
    smooth: bool = True,
    style: Literal["plain", "7"] = "plain",
    title: str = "",
) -> str:
    return title


@pytest.fixture
def graph() -> Graph:
    registry = Registry()
    registry.register(spec_from_function(paint))
    graph = Graph(registry=registry)
    graph.node("paint", title=graph.node("paint"))
    return graph


@pytest.mark.parametrize(
    ("edit", "value"),
    [
        ("1.radius=7", 7),
        ("1.radius=7.0", 7),
        ("1.strength=2", 2.0),
        ("1.smooth=False", False),
        ("1.style=7", "7"),
        ("1.title=33", "33"),
        ('1.title="quoted"', "quoted"),
        ("2.title=not linked any more", "not linked any more"),
        ('2.title=["1", 0]', ["1", 0]),
    ],
)
def test_a_value_is_read_as_its_input_is_declared(graph, edit, value):
    apply_edit(graph, edit)
    node_id, _, rest = edit.partition(".")
    found = graph[node_id].inputs[rest.partition("=")[0]]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("edit", "error", "text"),
    [
        ("1.radius", GraphError, "cannot be read as NODE.INPUT=VALUE"),
        ("1.radius=99", GraphError, r"paint \(node 1\), input 'radius': 99 is out of range"),
        ("1.radius=wide", GraphError, r"expected a whole number \(INT\), got 'wide'"),
        ("1.style=loud", GraphError, "'loud' is not one of the choices"),
        ('1.title=["9", 0]', GraphError, "there is no node '9' to link to"),
        ("1.radios=3", UnknownName, "Did you mean 'radius'"),
        ("9.radius=3", UnknownName, "no node '9'"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(graph, edit, error, text):
    before = graph.to_prompt()
    with pytest.raises(error, match=text):
        apply_edit(graph, edit)
    assert graph.to_prompt() == before


def test_a_node_is_named_by_a_title_or_class_that_it_has_alone(graph):
    graph["2"].title = "v1.5"
    apply_edit(graph, "v1.5.radius=7")
    assert graph["2"].inputs["radius"] == 7
    with pytest.raises(UnknownName, match=r"2 nodes in the graph are called 'paint': 1 \(paint\), 2 \(v1.5\)"):
        apply_edit(graph, "paint.radius=7")


def test_what_a_class_checks_itself_is_left_to_it():
    made = node("Own", lambda self, pick: (pick,), {"pick": (["a"], {})}, returns=("STRING",))
    made.VALIDATE_INPUTS = classmethod(lambda cls, pick: True)
    registry = Registry()
    nb.register(made, registry=registry)
    graph = Graph(registry=registry)
    graph.node("Own", pick="a")
    apply_edit(graph, "1.pick=b")
    assert graph["1"].inputs["pick"] == "b"
