"""Walks over graphs: above, below, in order, and which nodes a run wants by default."""

from __future__ import annotations

import networkx
from hypothesis import given
from hypothesis import strategies as st

import comfy_nb as nb
from comfy_nb.engine.planning.inside import KnownInside
from comfy_nb.engine.planning.planned import plan_of
from comfy_nb.graph import topology

IDS = tuple("abcdefgh")
arrows = st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), max_size=20)


def parents_by(arrows) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {node_id: [] for node_id in IDS}
    for origin, taker in arrows:
        found[taker].append(origin)
    return found


def sort(parents) -> tuple[list[str], list[list[str]]]:
    cycles: list[list[str]] = []
    return topology.sort(parents, parents.__getitem__, cycles.append), cycles


@given(arrows)
def test_what_is_reached_is_what_another_library_calls_descendants(arrows):
    graph = networkx.DiGraph()
    graph.add_nodes_from(IDS)
    graph.add_edges_from(arrows)
    children = topology.children_of(parents_by(arrows))
    for node_id in IDS:
        below = topology.reach([node_id], lambda each: children.get(each, ()))
        assert below == networkx.descendants(graph, node_id) | {node_id}


@given(arrows)
def test_sorting_puts_parents_first_and_names_a_cycle_where_there_is_one(arrows):
    parents = parents_by(arrows)
    order, cycles = sort(parents)
    assert sorted(order) == sorted(IDS)
    assert bool(cycles) != networkx.is_directed_acyclic_graph(networkx.DiGraph(arrows))
    dropped = {(cycle[0], cycle[-1]) for cycle in cycles}
    for taker, above in parents.items():
        assert all(order.index(origin) < order.index(taker) for origin in above if (origin, taker) not in dropped)


@given(arrows)
def test_each_cycle_is_a_path_of_arrows(arrows):
    for cycle in sort(parents_by(arrows))[1]:
        taken = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        assert all((origin, taker) in arrows for taker, origin in taken)


def test_an_order_that_is_right_already_stays():
    assert sort({"c": [], "a": ["c"], "b": ["c"]}) == (["c", "a", "b"], [])


def blurred() -> nb.Graph:
    """An image, blurred, inverted, and saved twice: node 4 saves the blurred one, node 5 the inverted one."""
    graph = nb.Graph()
    image = graph.node("EmptyImage", width=8, height=8, batch_size=1, color=0)
    blur = graph.node("ImageBlur", image=image, blur_radius=1, sigma=1.0)
    invert = graph.node("ImageInvert", image=blur)
    graph.node("PreviewImage", images=blur)
    graph.node("PreviewImage", images=invert)
    return graph


def test_what_is_above_and_below_a_node():
    graph = blurred()
    assert topology.ancestors(graph, "4") == {"1", "2", "4"}
    assert topology.descendants(graph, "3") == {"3", "5"}


def test_a_link_to_a_node_that_is_not_there_leads_nowhere():
    graph = nb.load({"2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}})
    assert topology.ancestors(graph, "2") == {"2"}


def test_a_run_wants_the_output_nodes_that_take_part_in_it():
    graph = blurred()
    assert topology.default_outputs(graph) == ["4", "5"] == plan_of(graph, KnownInside()).default_outputs()
    graph["4"].mute()
    assert topology.default_outputs(graph) == ["5"] == plan_of(graph, KnownInside()).default_outputs()


def test_without_output_nodes_a_run_wants_the_leaves():
    graph = blurred()
    del graph["4"], graph["5"]
    assert topology.default_outputs(graph) == ["3"] == plan_of(graph, KnownInside()).default_outputs()
    graph["3"].mute()
    assert topology.default_outputs(graph) == ["2"] == plan_of(graph, KnownInside()).default_outputs()
