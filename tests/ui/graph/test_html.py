"""The still picture of a graph: small, safe, and readable as a list."""

from __future__ import annotations

import pytest

from comfy_nb.graph.model import Graph
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.html import as_lines, bounds, to_html
from comfy_nb.ui.graph.layout import lay_out
from comfy_nb.ui.graph.scene import Scene, SceneGroup, SceneLink, SceneNode, Slot
from tests.ui.graph.scenes import scene_of_prompt


def test_titles_and_values_are_escaped():
    bad = "<script>alert(1)</script>"
    prompt = {"1": {"class_type": bad, "inputs": {bad: bad}, "_meta": {"title": bad + "\ud800"}}}
    shown = to_html(lay_out(scene_of_prompt(prompt)), {})
    assert "<script" not in shown and "&lt;script" in shown
    shown.encode()


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_a_large_graph_stays_small(count):
    prompt = {
        str(each): {
            "class_type": "A" * 60,
            "inputs": {"words": "é" * 3_000, **({"x": [str(each - 1), 0]} if each else {})},
        }
        for each in range(count)
    }
    assert len(to_html(lay_out(scene_of_prompt(prompt)), {}).encode()) < 300_000


def test_the_list_shows_links_and_states():
    prompt = {"1": {"class_type": "Make", "inputs": {"n": 3}}, "2": {"class_type": "Use", "inputs": {"x": ["1", 0]}}}
    assert as_lines(scene_of_prompt(prompt), {"1": "done"}) == ["#1 Make (done): n = 3", "#2 Use: x from Make"]


def test_a_note_is_listed_by_its_words():
    note = {"id": 7, "type": "Note", "widgets_values": ["# Models\nare not here"]}
    assert as_lines(scene_of({"nodes": [note]}), {}) == ["#7 Note: # Models are not here"]


def test_all_classes_that_are_missing_are_named():
    prompt = {str(each): {"class_type": f"CustomPackNode{each}", "inputs": {}} for each in range(40)}
    shown = to_html(lay_out(scene_of_prompt(prompt)), {})
    assert all(f"CustomPackNode{each} (#{each})" in shown for each in range(40))


def test_an_empty_graph_says_so():
    assert "an empty graph" in to_html(lay_out(scene_of(Graph())), {})


def test_links_that_pass_above_all_nodes_are_in_the_picture():
    slots = (Slot("x", "INT"),)
    places = {"1": 0.0, "2": 640.0}
    nodes = {name: SceneNode(name, name, "A", slots, slots, box=(x, 0.0, 230.0, 60.0)) for name, x in places.items()}
    scene = Scene(nodes, (SceneLink("1", 0, "2", 0, "INT", via=((320.0, -50.0),)),))
    assert bounds(scene) == (-20.0, -70.0, 910.0, 150.0)
    assert "320 -50h230" in to_html(scene, {})


def test_titles_and_faults_of_many_bytes_stay_small_too():
    inputs = {f"é&{each}" * 9: "é&" * 80 for each in range(6)}
    prompt = {
        str(each): {"class_type": f"&é{each}" * 20, "inputs": inputs, "_meta": {"title": "&é" * 80}}
        for each in range(400)
    }
    shown = to_html(lay_out(scene_of_prompt(prompt)), {})
    assert len(shown.encode()) < 300_000 and "400 nodes" in shown


def test_a_scene_too_large_for_a_picture_is_reported_as_such():
    slots = tuple(Slot("x", f"T{each}" * 40) for each in range(1_500))
    node = SceneNode("1", "A", "A", slots, slots, box=(-9e8, -9e8, 9e8, 9e8))
    links = tuple(SceneLink("1", at, "1", at, slot.type) for at, slot in enumerate(slots))
    groups = tuple(SceneGroup("<&" * 60, (-9e8, -9e8, 9e8, 9e8)) for _ in range(100))
    shown = to_html(Scene({"1": node}, links, groups), {})
    assert len(shown.encode()) < 300_000 and "1 node" in shown
