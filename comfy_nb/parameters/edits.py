"""Edits of a graph written as text: `3.seed=7`."""

from __future__ import annotations

import json
from typing import Any

from comfy_nb.errors import GraphError
from comfy_nb.graph.constant_check import EXPECTED
from comfy_nb.graph.link import Link, is_link, link_of
from comfy_nb.graph.model import Graph
from comfy_nb.parameters.parameter import Parameter, any_input_of, split_key
from comfy_nb.spec.node_spec import InputSpec
from comfy_nb.spec.sockets import SOCKETS
from comfy_nb.wording import suggest


def apply_edit(graph: Graph, edit: str) -> None:
    """Set one input from `NODE.INPUT=VALUE`. The value is JSON or plain text, or a link: ["3",0].

    Raises GraphError for text that is not an edit and for a value that does not fit the input, UnknownName for a
    node or input that does not exist.
    """
    key, equals, text = edit.partition("=")
    node_id, dot, name = split_key(graph, key)
    if not equals or not dot or not name:
        raise GraphError(f"{edit!r} cannot be read as NODE.INPUT=VALUE. Write for instance 3.seed=7.")
    node = graph[node_id]
    node.inputs[name] = parse_value(text, any_input_of(node, name), graph)


def parse_value(text: str, parameter: Parameter, graph: Graph) -> Any:
    """Return the constant or link that `text` stands for on an input; raises GraphError if it does not fit."""
    input_spec = parameter.input_spec
    value = _with_quotes(_json_or_text(text), input_spec, graph)
    link = link_of(value)
    if link is not None:
        _check_link(link, parameter.where, graph)
        return value
    if _is_linked_only(parameter):
        raise GraphError(
            f"{parameter.where}: it takes {input_spec.socket}, which cannot be written as text, so not {text!r}. "
            f"""Link it to an output: {parameter.name}=["1",0]."""
        )
    if input_spec.socket == "STRING" or (input_spec.choices is not None and text in input_spec.choices):
        value = value if isinstance(value, str) else text
    elif input_spec.socket == "BOOLEAN" and text.lower() in ("true", "false"):
        value = text.lower() == "true"
    return parameter.checked(value)


def _is_linked_only(parameter: Parameter) -> bool:
    """Whether an input takes no constants: its type is one of tensors, or unknown here and the input is linked now."""
    input_spec = parameter.input_spec
    kinds = input_spec.socket.split(",")
    if input_spec.choices is not None or any(kind in (*EXPECTED, "*", "COMBO") for kind in kinds):
        return False
    has_layout = all(kind in SOCKETS and SOCKETS[kind].layout is not None for kind in kinds)
    return has_layout or is_link(parameter.value)


def _with_quotes(value: Any, input_spec: InputSpec, graph: Graph) -> Any:
    """Return the link ["1",0] for [1,0], which has lost its quotes to the shell; any other value as it is."""
    if input_spec.choices is not None or input_spec.socket in (*EXPECTED, "*"):
        return value
    link = [str(value[0]), value[1]] if isinstance(value, list) and len(value) == 2 else value
    return link if is_link(link) and str(link[0]) in graph.nodes else value


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check_link(link: Link, where: str, graph: Graph) -> None:
    origin = link.origin
    if origin not in graph.nodes:
        raise GraphError(f"{where}: there is no node {origin!r} to link to. {suggest(origin, graph.nodes)}")
