"""Edits from the view: what they make stale, and what they may not do."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest

from comfy_nb.engine.session import Session, use_session
from comfy_nb.errors import UnknownName
from comfy_nb.graph.model import Graph
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.types import Range
from comfy_nb.ui.graph_view.view import Stage, downstream, edit


def number(value: Annotated[int, Range(0, 9)] = 1) -> int: ...


def add(a: int, b: int = 0) -> int: ...


@pytest.fixture
def graph() -> Graph:
    registry = Registry()
    registry.register(spec_from_function(number))
    registry.register(spec_from_function(add))
    graph = Graph(registry=registry)
    first = graph.node("number", value=3)
    graph.node("add", a=graph.node("add", a=first))
    graph.node("number")
    return graph


def test_all_that_depends_on_a_node_is_downstream_of_it(graph):
    assert set(downstream(graph, "1")) == {node.id for node in graph} - {list(graph)[-1].id}


def test_an_edit_changes_the_graph(graph):
    edit(graph, "1", "value", 5)
    assert graph["1"].inputs["value"] == 5


def test_a_value_beyond_its_bounds_is_refused_and_changes_nothing(graph):
    with pytest.raises(ValueError, match="value"):
        edit(graph, "1", "value", 50)
    assert graph["1"].inputs["value"] == 3


def test_an_input_that_is_not_there_is_refused(graph):
    with pytest.raises(UnknownName):
        edit(graph, "1", "values", 5)


def test_an_input_that_was_linked_meanwhile_stays_linked(graph):
    link = graph["2"].inputs["a"]
    with pytest.raises(ValueError, match="is linked by now"):
        edit(graph, "2", "a", 5)
    assert graph["2"].inputs["a"] == link


def test_what_is_no_number_is_refused(graph):
    with pytest.raises(ValueError, match="takes a number, not nan"):
        edit(graph, "1", "value", float("nan"))


async def test_what_the_run_button_cannot_run_is_said(graph):
    with use_session(Session()):
        stage = Stage(graph)
        said = asyncio.Queue()
        stage._graph.send = lambda message, pictures=(): said.put_nowait(message)
        graph["1"].inputs["value"] = graph["4"].inputs["value"] = 99
        stage._hear(None, {"type": "run"}, [])
        while (message := await asyncio.wait_for(said.get(), 10))["type"] != "note" or not message["text"]:
            pass
        assert "99 bigger than max of 9" in message["text"]
        stage.close()
