"""A scene as it is sent to the front end."""

from __future__ import annotations

import json

import pytest

import comfy_nb as nb
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.layout import lay_out
from comfy_nb.ui.graph.messages import scene_message, states_message
from comfy_nb.ui.graph.states import States
from tests.reference.classes import node
from tests.ui.graph.scenes import scene_of_prompt


@pytest.mark.parametrize(("colour", "sent"), [("#3f789e", "#3f789e"), ("#A88", "#A88"), ("url(x)", ""), (None, "")])
def test_the_colours_of_a_workflow_are_sent_where_they_are_colours(colour, sent):
    note = {"id": 1, "type": "Note", "pos": [0, 0], "size": [200, 100], "color": colour}
    workflow = {
        "nodes": [note],
        "links": [],
        "groups": [{"title": "all", "bounding": [0, 0, 300, 200], "color": colour}],
    }
    message = scene_message(lay_out(scene_of(workflow)), can_edit=False)
    assert [message["nodes"][0]["colour"], message["groups"][0]["colour"]] == [sent, sent]
    json.dumps(message)


def test_half_characters_never_reach_a_page():
    half = "\udc80"

    half_class = node("Half", lambda self, pick: (pick,), {"pick": (["a", half], {})}, returns=(half,))
    registry = Registry()
    nb.register(half_class, registry=registry)
    prompt = {
        "1": {"class_type": "Half", "inputs": {"pick": "a"}},
        "2": {"class_type": half, "inputs": {half: ["1", 0]}},
    }
    prompt[half] = {"class_type": "Half", "inputs": {"pick": [half + half, 0]}}
    message = scene_message(lay_out(scene_of_prompt(prompt, registry)), can_edit=True)
    json.dumps(message, ensure_ascii=False).encode()
    states = States()
    states.mark_stale([half])
    json.dumps(states_message(states, [half])[0], ensure_ascii=False).encode()
    assert message["nodes"][0]["fields"][0]["options"]["choices"] == ["a"]


def test_names_and_faults_of_any_length_make_a_short_message():
    prompt = {str(each): {"class_type": f"{each}" * 5_000, "inputs": {}} for each in range(100)}
    prompt["0"]["_meta"] = {"title": "t" * 1_000_000}
    assert len(json.dumps(scene_message(lay_out(scene_of_prompt(prompt)), can_edit=False))) < 200_000
