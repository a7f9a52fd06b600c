"""Edits of a graph written as text: `3.seed=7`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from comfy_nb.errors import GraphError
from comfy_nb.graph.prompt import is_link
from comfy_nb.wording import suggest

if TYPE_CHECKING:
    from comfy_nb.graph.model import Graph
    from comfy_nb.spec.node_spec import InputSpec

EXPECTED = {"INT": "a whole number", "FLOAT": "a number", "BOOLEAN": "true or false"}


def apply_edit(graph: Graph, edit: str) -> None:
    """Set one input by `NODE.INPUT=VALUE`. The value is JSON or else text, of the declared type, or a link: ["3",0].

    Raises GraphError for an edit that cannot be read or a value of another type, UnknownName for a node or
    input that is not there.
    """
    target, equals, text = edit.partition("=")
    node_id, dot, name = split_name(graph, target)
    if not equals or not dot or not name:
        raise GraphError(f"{edit!r} is no edit. Write NODE.INPUT=VALUE, such as 3.seed=7.")
    node = graph[node_id]
    spec = graph.registry.find(node.class_type)
    entry = spec.interface().lookup(name) if spec is not None else None
    node.inputs[name] = parse_value(text, entry, f"{node!r}, input {name!r}", graph)


def split_name(graph: Graph, target: str) -> tuple[str, str, str]:
    """Split at the first dot with a node's id before it, for ids and input names may have dots."""
    for place, character in enumerate(target):
        if character == "." and target[:place] in graph.nodes:
            return target[:place], ".", target[place + 1 :]
    return target.partition(".")


def parse_value(text: str, entry: InputSpec | None, where: str, graph: Graph) -> Any:
    """Return the value that `text` stands for on a declared input; raises GraphError where it is none."""
    value = _link(_json_or(text), entry, graph)
    if is_link(value):
        _check_link(value, where, graph)
        return value
    if entry is None:
        return value
    if entry.socket == "STRING" or (entry.choices is not None and text in entry.choices):
        return value if isinstance(value, str) else text
    if entry.socket == "BOOLEAN" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if entry.socket in EXPECTED and not _fits(value, entry.socket):
        raise GraphError(f"{where}: {EXPECTED[entry.socket]} is expected ({entry.socket}), not {text!r}.")
    return value


def _link(value: Any, entry: InputSpec | None, graph: Graph) -> Any:
    """Return the link that has lost its quotes on a command line, [1,0] for ["1",0]; any other value as it is."""
    if entry is None or entry.choices is not None or entry.socket in (*EXPECTED, "STRING", "*"):
        return value
    link = [str(value[0]), value[1]] if isinstance(value, list) and len(value) == 2 else value
    return link if is_link(link) and str(link[0]) in graph.nodes else value


def _json_or(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _fits(value: Any, socket: str) -> bool:
    if socket == "BOOLEAN" or isinstance(value, bool):
        return socket == "BOOLEAN" and isinstance(value, bool)
    return isinstance(value, int) or (isinstance(value, float) and (socket == "FLOAT" or value.is_integer()))


def _check_link(link: list[Any], where: str, graph: Graph) -> None:
    origin = str(link[0])
    if origin not in graph.nodes:
        raise GraphError(f"{where}: there is no node {origin!r} to link to. {suggest(origin, graph.nodes)}")
