"""Nodes whose values the cache holds: what a graph shows before it runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

import comfy_nb as nb
from comfy_nb.ui.graph.cached_values import cached_nodes, cached_value, describe_values
from comfy_nb.ui.graph.states import NodeState, States
from comfy_nb.ui.graph.view import GraphView
from tests.engine.support import Pack, made


@pytest.fixture
def session() -> Iterator[nb.Session]:
    with nb.use_session(nb.Session()) as made:
        yield made


async def test_only_what_is_in_memory_is_known_and_pictures_are_small(session):
    grey = nb.nodes.EmptyImage(width=800, height=400, color=0x808080)
    graph = nb.nodes.ImageInvert(grey).graph
    assert cached_nodes(graph, session) == {}
    await grey
    ((node_id, picture),) = cached_nodes(graph, session).items()
    assert node_id == graph.id_of(grey) and picture is not None and len(picture.data) < 5_000
    assert [entry.hits for entry in session.cache.entries()] == [0]


async def test_a_value_is_looked_up_or_reported_missing(session):
    grey = nb.nodes.EmptyImage(width=8, height=4, color=0x808080)
    graph = nb.nodes.ImageInvert(grey).graph
    await grey
    assert cached_value(graph, session, graph.id_of(grey), 0).shape == (1, 4, 8, 3)
    with pytest.raises(nb.NotKept, match="press Run"):
        cached_value(graph, session, "no such node", 0)


async def test_a_graph_of_unknown_classes_shows_nothing(session):
    assert cached_nodes(nb.Graph.from_prompt({"1": {"class_type": "Nowhere", "inputs": {}}}), session) == {}


async def test_an_idle_node_becomes_cached_and_a_stale_one_stays_stale(session):
    grey = nb.nodes.EmptyImage(width=8, height=4, color=0x808080)
    await grey
    (picture,) = cached_nodes(grey.graph, session).values()
    assert picture is not None
    states = States()
    states.mark_stale(["2"])
    states.add_cached({"1": picture, "2": picture, "3": None})
    assert states.of("1") == NodeState("cached", picture=picture.data, picture_format=picture.format)
    assert (states.of("2").state, states.of("2").picture, states.of("3").state) == ("stale", b"", "cached")


async def test_values_are_described_from_the_cache_or_the_run_that_holds_them(session):
    @nb.node
    def both(x: int) -> tuple[int, str]:
        return x, "a" * 200

    grey = nb.nodes.EmptyImage(width=8, height=4, color=0x808080)
    graph = nb.Graph(grey, both(7))
    ids = [node.id for node in graph]
    assert [describe_values(graph, session, None, each) for each in ids] == [[], []]
    run = await graph.run()
    for held in (None, run):
        (picture,), (number, text) = [describe_values(graph, session, held, each) for each in ids]
        assert picture == "IMAGE: [1, 4, 8, 3] float32, on cpu, 384 B"
        assert number.endswith(": 7") and len(text) < 100
    assert describe_values(graph, session, None, "no such node") == []


async def test_of_several_values_the_number_and_the_first_are_shown(session):
    pack = Pack()
    pack.node("Three", lambda self: ([4, 5, 6],), {}, OUTPUT_IS_LIST=(True,))
    graph = pack.graph({"1": made("Three")})
    await graph.run(outputs=["1"])
    assert describe_values(graph, session, None, "1") == ["INT: 3 values, the first 4"]


def test_a_graph_that_cannot_run_has_no_values(session):
    graph = nb.Graph.from_prompt({"1": {"class_type": "Nowhere", "inputs": {}}})
    assert describe_values(graph, session, None, "1") == []


async def test_a_class_of_pictures_is_no_picture(session):
    @nb.node
    def kind() -> object:
        return Image.Image

    handle = kind()
    await handle
    assert list(cached_nodes(handle.graph, session).values()) == [None]


async def test_a_still_graph_shows_what_is_cached_without_encoding_pictures(session, monkeypatch):
    grey = nb.nodes.EmptyImage(width=8, height=4, color=0x808080)
    await grey
    monkeypatch.setattr("comfy_nb.ui.graph.cached_values.value_thumbnail", lambda *_: pytest.fail("encoded a picture"))
    assert "#1 EmptyImage (cached)" in repr(GraphView(grey.graph))
