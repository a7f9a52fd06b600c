"""Scenes that several tests draw."""

from __future__ import annotations

from typing import Any

from comfy_nb.graph.model import Graph
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.scene import Scene


def scene_of_prompt(prompt: Any, registry: Registry | None = None) -> Scene:
    """The scene of a prompt that has been loaded."""
    return scene_of(Graph.from_prompt(prompt, registry))


WORKFLOW = {
    "nodes": [
        {"id": 1, "type": "picture", "pos": [0, 30], "size": [200, 90], "widgets_values": [7, "fixed", "plain", "hi"],
         "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]},
        {"id": 2, "type": "Reroute", "pos": [300, 30], "size": [75, 26],
         "inputs": [{"name": "", "type": "*", "link": 1}], "outputs": [{"name": "", "type": "IMAGE", "links": [2]}]},
        {"id": 3, "type": "abc-def", "pos": [500, 30], "size": [200, 90], "mode": 4,
         "inputs": [{"name": "image", "type": "IMAGE", "link": 2}]},
        {"id": 4, "type": "PrimitiveNode", "pos": [0, 300], "size": [200, 90], "widgets_values": [3, "fixed"]},
        {"id": 6, "type": "MarkdownNote", "pos": [300, 300], "size": [200, 90], "widgets_values": ["# Read me"]},
        {"id": 7, "type": "blur", "pos": [500, 300], "size": [200, 90], "widgets_values": [2.5, True],
         "inputs": [{"name": "radius", "type": "FLOAT", "widget": {"name": "radius"}, "link": None},
                    {"name": "image", "type": "IMAGE", "link": 3},
                    {"name": "is_wide", "type": "BOOLEAN", "widget": {"name": "is_wide"}, "link": 4}]},
        {"id": 5, "type": "Stranger", "pos": [0, 500], "size": [200, 90], "widgets_values_named": {"a": 1}},
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"], {"id": 2, "origin_id": 2, "origin_slot": 0, "target_id": 3, "target_slot": 0},
              [3, 1, 0, 7, 1, "IMAGE"], [4, 4, 0, 7, 2, "BOOLEAN"]],
    "groups": [{"title": "All", "bounding": [-10, -10, 800, 700], "color": "#3f789e"}],
    "definitions": {"subgraphs": [{"id": "abc-def", "name": "Refine", "nodes": [], "links": []}]},
}  # fmt: skip
