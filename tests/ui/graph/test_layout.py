"""Where nodes go: nothing overlaps, links lead to the right, and equal scenes look equal."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb.graph.model import Graph
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.layout import lay_out
from comfy_nb.ui.graph.scene import WIDTH, Scene
from tests.ui.graph.scenes import scene_of_prompt


def prompt(links: list[tuple[int, int]], count: int) -> dict:
    nodes = {str(each): {"class_type": "Any", "inputs": {}} for each in range(count)}
    for source, target in links:
        inputs = nodes[str(target)]["inputs"]
        inputs[f"in{len(inputs)}"] = [str(source), 0]
    return nodes


@st.composite
def links(draw):
    count = draw(st.integers(1, 14))
    ends = st.integers(0, count - 1)
    return draw(st.lists(st.tuples(ends, ends), max_size=30)), count


def overlapping(scene: Scene) -> list[tuple[str, str]]:
    found = []
    for one, other in combinations(scene.nodes.values(), 2):
        (ax, ay, aw, ah), (bx, by, bw, bh) = one.box, other.box
        if ax < bx + bw - 1e-6 and bx < ax + aw - 1e-6 and ay < by + bh - 1e-6 and by < ay + ah - 1e-6:
            found.append((one.id, other.id))
    return found


@given(links())
def test_no_two_nodes_overlap_whatever_the_links(drawn):
    assert overlapping(lay_out(scene_of_prompt(prompt(*drawn)))) == []


@given(links())
def test_links_of_a_graph_without_rings_lead_to_the_right(drawn):
    pairs, count = drawn
    scene = lay_out(scene_of_prompt(prompt([(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]], count)))
    for link in scene.links:
        source, target = scene.nodes[link.source].box, scene.nodes[link.target].box
        assert source[0] + source[2] < target[0]


@given(links())
def test_links_pass_between_nodes_and_each_other(drawn):
    pairs, count = drawn
    scene = lay_out(scene_of_prompt(prompt(pairs, count)))
    lanes = {(link.source, *point) for link in scene.links for point in link.via}
    for _, left, top in lanes:
        for x, y, width, height in (node.box for node in scene.nodes.values()):
            assert not (left < x + width and x < left + WIDTH and y < top < y + height)
    for (one, left, top), (other, x, y) in combinations(lanes, 2):
        assert one == other or (left, top) != (x, y)


def test_a_link_has_a_point_in_each_column_that_it_passes_and_shares_it_with_others_of_its_output():
    scene = lay_out(scene_of_prompt(prompt([(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)], 4)))
    columns = [node.box[0] for node in scene.nodes.values()]
    via = {(link.source, link.target): link.via for link in scene.links}
    assert [x for x, _ in via["0", "3"]] == columns[1:3] and via["0", "2"] == via["0", "3"][:1]
    assert via["0", "1"] == via["1", "2"] == via["2", "3"] == ()


FAR = [(0, each) for each in range(1, 700)] + [(each, each + 1) for each in range(699)]
FANS = [(9 * fan, 9 * fan + each) for fan in range(300) for each in (1, 8)]
STEPS = [(9 * fan + each, 9 * fan + each + 1) for fan in range(300) for each in range(1, 8)]


@pytest.mark.parametrize(("pairs", "count"), [(FAR, 700), (FANS + STEPS, 2_700)])
def test_where_too_many_links_pass_others_they_go_straight(pairs, count):
    assert {link.via for link in lay_out(scene_of_prompt(prompt(pairs, count))).links} == {()}


@given(links())
def test_equal_scenes_are_laid_out_alike(drawn):
    assert lay_out(scene_of_prompt(prompt(*drawn))) == lay_out(scene_of_prompt(prompt(*drawn)))


def test_a_chain_is_a_straight_line():
    scene = lay_out(scene_of_prompt(prompt([(0, 1), (1, 2), (2, 3)], 4)))
    assert len({node.box[1] for node in scene.nodes.values()}) == 1


def test_two_rows_of_links_do_not_cross():
    scene = lay_out(scene_of_prompt(prompt([(0, 3), (1, 2), (3, 5), (2, 4), (5, 6), (4, 6)], 7)))
    top = {node_id: node.box[1] for node_id, node in scene.nodes.items()}
    assert (top["0"] < top["1"]) == (top["3"] < top["2"]) == (top["5"] < top["4"])


def test_a_source_stands_beside_what_it_feeds():
    scene = lay_out(scene_of_prompt(prompt([(0, 1), (1, 2), (2, 3), (4, 3)], 5)))
    assert scene.nodes["4"].box[0] == scene.nodes["2"].box[0]


def test_many_nodes_without_links_fill_a_page_and_not_a_column():
    scene = lay_out(scene_of_prompt(prompt([], 60)))
    assert len({node.box[0] for node in scene.nodes.values()}) > 4


def test_a_deep_chain_is_laid_out():
    scene = lay_out(scene_of_prompt(prompt([(each, each + 1) for each in range(2_999)], 3_000)))
    assert scene.nodes["2999"].box[0] == max(node.box[0] for node in scene.nodes.values())


def test_nothing_is_laid_out_as_nothing():
    assert lay_out(scene_of(Graph())).nodes == {}
