"""A graph as a scene: typed slots and links, placed as in the workflow that came with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comfy_nb.graph.model import Graph
from comfy_nb.graph.prompt import is_workflow
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.graph.declared import declared_by, fields_of, outputs_of, sockets_of, type_of
from comfy_nb.ui.graph.from_workflow import box_of, groups_of, scene_of_workflow, text_of
from comfy_nb.ui.graph.scene import Scene, SceneNode, Slot, connect


def scene_of(source: Graph | Mapping[str, Any], registry: Registry | None = None) -> Scene:
    """Return the scene of a graph, or of a workflow in the format of ComfyUI's editor.

    `registry` has the classes of a workflow; a graph has its own.
    """
    return _scene_of_graph(source) if isinstance(source, Graph) else scene_of_workflow(source, registry)


def _scene_of_graph(graph: Graph) -> Scene:
    nodes, links_wanted = {}, []
    for node in graph:
        spec, interface, fault = declared_by(node.class_type, graph.registry)
        links = node.links()
        sockets = sockets_of(interface)
        inputs = tuple(Slot(name, sockets.get(name) or type_of(interface, name)) for name in {**sockets, **links})
        fields = fields_of(interface, ((name, value) for name, value in node.inputs.items() if name not in links))
        places = {slot.name: place for place, slot in enumerate(inputs)}
        nodes[node.id] = SceneNode(
            node.id, node.title, node.class_type, inputs, outputs_of(spec), fields, fault, node.mode
        )
        links_wanted += [(link.origin, link.slot, node.id, places[name]) for name, link in links.items()]
    return _placed(connect(nodes, links_wanted), graph.workflow)


def _placed(scene: Scene, workflow: Mapping[str, Any] | None) -> Scene:
    """Place the nodes as the workflow does, if it has a place for each."""
    if not workflow or not is_workflow(workflow):
        return scene
    drawn = {text_of(raw.get("id")): raw for raw in workflow["nodes"] if isinstance(raw, Mapping)}
    if not all(node_id in drawn and box_of(drawn[node_id]) for node_id in scene.nodes):
        return scene
    nodes = {
        node_id: replace(node, box=box_of(drawn[node_id]), colour=text_of(drawn[node_id].get("color")))
        for node_id, node in scene.nodes.items()
    }
    return Scene(nodes, scene.links, groups_of(workflow))
