"""The scenes of prompts, of workflows in the editor's format, and of broken files."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import pytest

import comfy_nb as nb
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.handle import NodeFactory
from comfy_nb.graph.model import Graph
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.hints import Image, Range
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.scene import Field, Slot
from tests.ui.graph.scenes import WORKFLOW, scene_of_prompt


def picture(seed: int, kind: Literal["plain", "loud"] = "plain", words: str = "") -> Image: ...


def blur(image: Image, radius: Annotated[float, Range(0, 9)] = 1.0, is_wide: bool = False) -> Image: ...


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    for function in (picture, blur):
        NodeFactory(registry.register(spec_from_function(function)), registry)
    return registry


def test_a_graph_is_drawn_with_typed_slots_fields_and_links(registry):
    graph = Graph(registry=registry)
    made = graph.node("picture", seed=2**60, kind="loud", title="Bild ☂")
    graph.node("blur", image=made, radius=2.5, is_wide=True)
    scene = scene_of(graph)
    first, second = scene.nodes.values()
    assert first.title == "Bild ☂" and first.outputs == (Slot("IMAGE", "IMAGE"),)
    assert first.fields[0] == Field("seed", "int", str(2**60), {"seed": True})
    assert first.fields[1] == Field("kind", "choice", "loud", {"choices": ["plain", "loud"]})
    assert second.inputs == (Slot("image", "IMAGE"),)
    assert second.fields[0] == Field("radius", "float", 2.5, {})
    assert second.fields[1].kind == "bool"
    (link,) = scene.links
    assert (link.source, link.slot, link.target, link.place, link.type) == ("1", 0, "2", 0, "IMAGE")
    assert scene.faults == []


def test_unknown_classes_and_missing_nodes_are_drawn_and_named(registry):
    scene = scene_of_prompt({"1": {"class_type": "Nowhere", "inputs": {"x": ["9", 2], "y": 3}}}, registry)
    assert scene.nodes["1"].inputs == (Slot("x", "*"),)
    assert [slot.name for slot in scene.nodes["9"].outputs] == ["2"]
    assert scene.faults == [
        "Classes not known here: Nowhere (#1)",
        "missing node (#9): a link names it, but it is not there",
    ]


def test_a_ring_and_a_link_to_itself_are_drawn():
    ring = {"class_type": "A", "inputs": {"x": ["2", 0], "y": ["1", 0]}}
    scene = scene_of_prompt({"1": ring, "2": {"class_type": "A", "inputs": {"z": ["1", 0]}}})
    assert len(scene.links) == 3


@pytest.mark.parametrize(
    ("garbage", "titles"),
    [
        (
            {"nodes": [None, {"id": 1, "pos": "here", "inputs": [3]}], "links": [[1], None, [1, 1, 0, 1, 9, "X"]]},
            ["(no class)"],
        ),
        ({"nodes": [], "links": None, "groups": [{"bounding": [1]}]}, []),
    ],
)
def test_garbage_is_drawn_as_far_as_it_goes(garbage, titles):
    scene = scene_of(garbage)
    assert [node.title for node in scene.nodes.values()] == titles
    assert (scene.links, scene.groups, scene.is_placed) == ((), (), not titles)


def test_a_prompt_takes_the_places_of_the_workflow_that_came_with_it(registry):
    graph = Graph(registry=registry)
    graph.node("picture", seed=1)
    node = {"id": 1, "pos": [10, 40], "size": {"0": 200, "1": 100}, "color": "#223"}
    graph.workflow = {"nodes": [node], "groups": [{"title": "G", "bounding": [0, 0, 9, 9], "color": "#abc"}]}
    scene = scene_of(graph)
    assert scene.nodes["1"].box == (10, 10, 200, 130) and scene.nodes["1"].colour == "#223"
    assert scene.groups[0].title == "G"
    graph.node("picture", seed=2)
    assert not scene_of(graph).is_placed, "one node has no place there"


def test_a_workflow_that_came_with_a_prompt_may_hold_nonsense(registry):
    graph = Graph(registry=registry)
    graph.node("picture", seed=1)
    graph.workflow = {"nodes": [{"id": 10**5_000, "color": 10**5_000}, {"id": []}], "links": []}
    assert not scene_of(graph).is_placed


def test_a_large_id_is_an_id():
    nodes = [{"id": 10**15}, {"id": 7, "inputs": [{"name": "x", "type": "X"}]}]
    scene = scene_of({"nodes": nodes, "links": [[1, 10**15, 0, 7, 0, "X"]]})
    assert set(scene.nodes) == {"1000000000000000", "7"} and scene.links[0].source == "1000000000000000"


def test_a_file_of_the_editor_is_drawn_with_groups_reroutes_subgraphs_and_primitives(registry):
    scene = scene_of(WORKFLOW, registry)
    nodes = scene.nodes
    assert [(field.name, field.value) for field in nodes["1"].fields] == [
        ("seed", "7"),
        ("kind", "plain"),
        ("words", "hi"),
    ]
    assert nodes["3"].title == "Refine" and nodes["3"].mode == "bypass"
    assert [field.name for field in nodes["4"].fields] == ["value 1", "value 2"]
    assert nodes["5"].fields[0].name == "a"
    assert nodes["6"].fields == (Field("", "note", "# Read me"),)
    assert scene.faults == ["Classes not known here: Stranger (#5)"]
    assert len(scene.links) == 4 and scene.links[0].type == "IMAGE"
    assert scene.groups[0].title == "All" and scene.is_placed


def test_a_widget_that_newer_editors_list_as_an_input_is_a_slot_only_where_it_is_linked(registry):
    scene = scene_of(WORKFLOW, registry)
    node = scene.nodes["7"]
    assert [slot.name for slot in node.inputs] == ["image", "is_wide"]
    assert [(field.name, field.value) for field in node.fields] == [("radius", 2.5)]
    assert [(link.source, link.place) for link in scene.links if link.target == "7"] == [("1", 0), ("4", 1)]


def test_nodes_that_share_an_id_or_have_none_are_all_drawn():
    nodes = [{"id": 1, "type": "A"}, {"id": "1", "type": "B"}, {"type": "C"}, {"type": "D"}]
    scene = scene_of({"nodes": nodes, "links": [[1, 1, 0, 1, 0, "X"]]})
    assert [node.title for node in scene.nodes.values()] == ["A", "B", "C", "D"]


def test_what_is_neither_text_nor_number_is_left_out():
    deep: list = []
    for _ in range(2_000):
        deep = [deep]
    node = {"id": 10**5_000, "type": deep, "title": deep, "color": {}, "inputs": [{"name": deep, "type": 3}]}
    (drawn,) = scene_of({"nodes": [node], "links": [], "definitions": {"subgraphs": True}}).nodes.values()
    assert (drawn.title, drawn.colour, drawn.inputs) == ("(no class)", "", (Slot("", "3"),))


def test_a_missing_node_has_the_outputs_that_links_name_and_no_others():
    links = [[each, "gone", each * 7, 1, 0, "X"] for each in range(3)]
    scene = scene_of({"nodes": [{"id": 1, "inputs": [{"name": "x", "type": "X"}]}], "links": links})
    assert [slot.name for slot in scene.nodes["gone"].outputs] == ["0", "7", "14"]
    assert [link.slot for link in scene.links] == [0, 1, 2]


def test_a_frame_of_negative_size_lies_the_other_way():
    (group,) = scene_of({"nodes": [], "links": [], "groups": [{"title": "g", "bounding": [10, 0, -50, 30]}]}).groups
    assert group.box == (-40, 0, 50, 30)


def test_no_more_values_are_drawn_than_there_can_be_room_for():
    (node,) = scene_of({"nodes": [{"id": 1, "widgets_values": list(range(10_000))}], "links": []}).nodes.values()
    assert len(node.fields) == 200


def test_what_an_upload_button_saved_is_not_a_value():
    workflow = {"nodes": [{"id": 1, "type": "LoadImage", "widgets_values": ["portrait.jpg", "image"]}]}
    (field,) = scene_of(workflow, default_registry()).nodes["1"].fields
    assert (field.name, field.value) == ("image", "portrait.jpg")


def test_any_value_can_be_shown_and_only_shown(registry):
    prompt = {
        "1": {"class_type": "picture", "inputs": {"seed": float("nan"), "kind": {"a": [1]}, "words": "x" * 9_000}}
    }
    fields = scene_of_prompt(prompt, registry).nodes["1"].fields
    assert [field.kind for field in fields] == ["other", "other", "other"]
    json.dumps([field.value for field in fields], allow_nan=False)


def test_a_class_whose_inputs_cannot_be_read_is_drawn_with_the_reason():
    registry = Registry()

    class Broken:
        RETURN_TYPES = ("INT",)
        FUNCTION = "go"

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {}} if cls.good else 1 / 0

        good = True

        def go(self): ...

    nb_register(registry, Broken)
    Broken.good = False
    assert "ZeroDivisionError" in scene_of_prompt({"1": {"class_type": "Broken", "inputs": {}}}, registry).faults[0]


def nb_register(registry: Registry, cls: type) -> None:
    from comfy_nb.spec.v1 import spec_from_v1

    registry.register(spec_from_v1(cls))


def test_graph_objects_are_what_the_package_gives():
    assert scene_of(nb.Graph()).nodes == {}


def test_nodes_that_lack_the_same_are_named_together():
    prompt = {str(at): {"class_type": "Nowhere", "inputs": {}} for at in range(7)}
    (fault,) = scene_of_prompt(prompt).faults
    assert fault == "Classes not known here: Nowhere (#0, #1, #2, #3 and 3 more)"


def test_numbers_beyond_all_reason_are_drawn_as_words():
    far = scene_of({"nodes": [{"id": 1, "type": "Note", "pos": [10**400, 0], "size": [10, 10]}], "links": []})
    assert list(far.nodes) == ["1"]
    huge = scene_of_prompt({"1": {"class_type": "ImageBlur", "inputs": {"blur_radius": 10**5000}}})
    assert [field.kind for field in huge.nodes["1"].fields if field.name == "blur_radius"] == ["other"]
