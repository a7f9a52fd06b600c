"""Builds the graph that a node expands into, with ids that no other node has; method names are ComfyUI's."""

from __future__ import annotations

from typing import Any

from comfy_nb.engine.node_api.context import current_call
from comfy_nb.graph.link import is_link


class _BuilderNode:
    """A node that a GraphBuilder makes."""

    def __init__(self, node_id: str, class_type: str, inputs: dict[str, Any]) -> None:
        self.id = node_id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """Return the link to an output."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input; None removes it."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        """Return an input, or None."""
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str) -> None:
        """Show the node under another node than its parent."""
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        """Return the node's entry in a prompt; it shares its inputs with the node, as in ComfyUI."""
        entry: dict[str, Any] = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            entry["override_display_id"] = self.override_display_id
        return entry


class GraphBuilder:
    """Builds the prompt that a node expands into, with ids that are the same each time the node runs.

    Without a prefix ids are `"<node id>.<list index>.<builder number in this call>."` and the given id or 1, 2, 3 ...
    """

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = self.alloc_prefix() if prefix is None else prefix
        self.nodes: dict[str, _BuilderNode] = {}
        self.id_gen = 1

    @classmethod
    def alloc_prefix(
        cls, root: str | None = None, call_index: int | None = None, graph_index: int | None = None
    ) -> str:
        """Return the prefix for the next builder of the running call."""
        call = current_call.get()
        root = root if root is not None else call.node_id if call is not None else ""
        call_index = call_index if call_index is not None else call.index if call is not None else 0
        graph_index = graph_index if graph_index is not None else call.builders if call is not None else 0
        if call is not None:
            call.builders += 1
        return f"{root}.{call_index}.{graph_index}."

    def node(self, class_type: str, id: str | None = None, **inputs: Any) -> _BuilderNode:
        """Add a node, or return the one that already has this id."""
        if id is None:
            id = str(self.id_gen)
            self.id_gen += 1
        node_id = self.prefix + id
        if node_id not in self.nodes:
            self.nodes[node_id] = _BuilderNode(node_id, class_type, inputs)
        return self.nodes[node_id]

    def lookup_node(self, id: str) -> _BuilderNode | None:
        """Return the node of this id, or None."""
        return self.nodes.get(self.prefix + id)

    def finalize(self) -> dict[str, dict[str, Any]]:
        """Return the prompt; inputs that are set later are set in it too."""
        return {node_id: node.serialize() for node_id, node in self.nodes.items()}

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """Replace every link to an output by a value; None removes the linked inputs."""
        target = self.prefix + node_id
        for node in self.nodes.values():
            for name, value in list(node.inputs.items()):
                if is_link(value) and value[0] == target and value[1] == index:
                    node.set_input(name, new_value)

    def remove_node(self, id: str) -> None:
        """Remove a node."""
        self.nodes.pop(self.prefix + id, None)
