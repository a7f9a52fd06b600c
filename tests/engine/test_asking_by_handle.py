"""A run is asked by the handles that made its graph, as by the ids of its nodes, and by names of only one of them."""

from __future__ import annotations

import pytest

import comfy_nb as nb


@nb.node
def asked_pair(start: int = 1) -> tuple[int, str]:
    return start, "one"


@nb.node
def asked_sum(left: int, right: int = 10) -> int:
    return left + right


async def test_a_handle_stands_for_its_node_and_the_slot_that_it_names() -> None:
    pair = asked_pair(1)
    total = asked_sum(pair[0])
    run = await total.graph.run()
    assert run[total] == 11
    assert run[pair] == run[pair.graph.id_of(pair)] == (1, "one")
    assert run[pair[1]] == "one"
    assert total in run and pair[0] in run
    assert run.why(total) == run.why(total.graph.id_of(total))


async def test_an_equal_handle_asks_for_the_same_node_in_any_run() -> None:
    run = await asked_sum(3, 4).graph.run()
    assert run[asked_sum(3, 4)] == 7
    assert nb.last is not None and nb.last[asked_sum(3, 4)] == 7


async def test_a_view_of_an_output_is_opened_by_its_handle() -> None:
    pair = asked_pair(5)
    run = await pair.graph.run()
    text, number = run.inspect(pair[1]), run.inspect(pair, 0)
    assert "one" in repr(text) and "5" in repr(number)


async def test_the_handle_of_another_graph_is_refused_by_name() -> None:
    run = await asked_sum(1).graph.run()
    assert asked_sum(2) not in run
    with pytest.raises(nb.UnknownName, match=r"No node of this graph is the one of <asked_sum\(left=2"):
        run[asked_sum(2)]
    with pytest.raises(nb.UnknownName, match="No node of this graph"):
        run.why(asked_sum(2))


@pytest.fixture
def titled() -> nb.Graph:
    graph = nb.Graph()
    for title, value in (("gain", 3), ("offset", 4)):
        graph.node("PrimitiveInt", value=value, title=title)
    graph.node("PrimitiveFloat", value=0.5)
    return graph


async def test_a_title_or_class_that_one_node_has_alone_names_it(titled: nb.Graph) -> None:
    run = await titled.run()
    assert (run["gain"], run["PrimitiveFloat"], titled["offset"].id) == (3, 0.5, "2")
    assert run.why("gain") == "first run" and "gain" in run
    assert repr(run.inspect("gain")) == repr(run.inspect("1"))
    assert "3" in await titled.run(outputs=["PrimitiveFloat"])


async def test_what_several_nodes_are_called_or_none_is_answered_by_their_ids_and_titles(titled: nb.Graph) -> None:
    run = await titled.run()
    with pytest.raises(nb.UnknownName, match=r"2 nodes .* are called 'PrimitiveInt': 1 \(gain\), 2 \(offset\)\."):
        run["PrimitiveInt"]
    with pytest.raises(nb.UnknownName, match=r"There are: 1 \(gain\), 2 \(offset\), 3 \(PrimitiveFloat\)\."):
        run.why("7")
    with pytest.raises(nb.UnknownName, match=r"Did you mean 'gain'"):
        titled["gian"]
    assert "PrimitiveInt" not in run and "7" not in run


async def test_an_id_comes_before_a_title(titled: nb.Graph) -> None:
    titled["gain"].title = "2"
    assert (await titled.run())["2"] == 4
