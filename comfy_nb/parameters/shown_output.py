"""The output of a graph that is computed and shown while its constants are varied."""

from __future__ import annotations

from dataclasses import dataclass

from comfy_nb.errors import GraphError
from comfy_nb.graph.handle import Handle
from comfy_nb.graph.model import Graph
from comfy_nb.graph.names_of_nodes import unknown_node
from comfy_nb.graph.node import Node
from comfy_nb.graph.topology import default_outputs
from comfy_nb.wording import name_node, short


@dataclass(frozen=True)
class ShownOutput:
    """An output slot of a node; `kind` is its socket type, None where that is a list of choices."""

    node_id: str
    slot: int
    kind: str | None
    title: str


def copy_with_output(
    source: Graph | Handle, output: str | int | Node | Handle | None = None
) -> tuple[Graph, ShownOutput]:
    """Return a copy of a graph, or of a handle's graph, with fixed seeds, and the output of it to show.

    For a node without outputs (SaveImage) that is what it takes in; nothing is saved. Of several outputs it is the
    first. Raises GraphError if it is not clear what to show.
    """
    if isinstance(source, Handle):
        graph = source.call.pristine_graph.copy()
        shown = shown_output(graph, source if output is None else output)
    elif isinstance(source, Graph):
        graph = source.copy()
        shown = _only_output(graph) if output is None else shown_output(graph, output)
    else:
        raise GraphError(f"Expected a handle or a graph, got {short(source, 80)}.")
    graph.controlled.clear()
    return graph, shown


def shown_output(graph: Graph, output: str | int | Node | Handle) -> ShownOutput:
    """Return what to show of a node, given as a handle, a node or its id; raises GraphError if there is nothing."""
    node = _node_by_id(graph, output.id) if isinstance(output, Node) else graph[output]
    slot = (output.slot if isinstance(output, Handle) else None) or 0
    spec = node.graph.registry[node.class_type]
    if not spec.output_names:
        link = next(iter(node.links().values()), None)
        if link is None:
            raise GraphError(f"{name_node(node.id, node.class_type, node.title)} has no output that can be shown.")
        node, slot = graph[link.origin], link.slot
        spec = node.graph.registry[node.class_type]
    kind = spec.output_type(slot)
    return ShownOutput(node.id, slot, kind if isinstance(kind, str) else None, node.title)


def _node_by_id(graph: Graph, node_id: str) -> Node:
    """Return the node of a copied graph that has the id of one of the original."""
    node = graph.nodes.get(node_id)
    if node is None:
        raise unknown_node(node_id, graph.nodes, "in the graph")
    return node


def _only_output(graph: Graph) -> ShownOutput:
    ends = default_outputs(graph)
    if not ends:
        raise GraphError("The graph is empty, so there is nothing to show.")
    outputs = {shown_output(graph, node_id): node_id for node_id in ends}
    if len(outputs) > 1:
        which = ", ".join(f'output="{node_id}" ({shown.title})' for shown, node_id in outputs.items())
        raise GraphError(f"The graph has {len(outputs)} outputs; choose one: {which}.")
    return next(iter(outputs))
