"""A scene as it goes to the front end."""

from __future__ import annotations

import json

import pytest

from comfy_nb.ui.graph_view.layout import lay_out
from comfy_nb.ui.graph_view.scene import scene_of
from comfy_nb.ui.graph_view.wire import scene_message


@pytest.mark.parametrize(("colour", "sent"), [("#3f789e", "#3f789e"), ("#A88", "#A88"), ("url(x)", ""), (None, "")])
def test_the_colours_of_a_workflow_are_sent_where_they_are_colours(colour, sent):
    node = {"id": 1, "type": "Note", "pos": [0, 0], "size": [200, 100], "color": colour}
    workflow = {
        "nodes": [node],
        "links": [],
        "groups": [{"title": "all", "bounding": [0, 0, 300, 200], "color": colour}],
    }
    message = scene_message(lay_out(scene_of(workflow)), can_edit=False)
    assert [message["nodes"][0]["colour"], message["groups"][0]["colour"]] == [sent, sent]
    json.dumps(message)
