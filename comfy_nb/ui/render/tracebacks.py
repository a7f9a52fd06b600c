"""A node's error for a person to read: which node failed, what it raised, and where in the node's own code."""

from __future__ import annotations

import traceback
from typing import NamedTuple

from comfy_nb.errors import NodeError
from comfy_nb.wording import cut_middle, describe_error, name_node

MESSAGE_MAX = 4_000
TRACEBACK_MAX = 16_000


class ErrorReport(NamedTuple):
    """An error as text. `node` is empty for an error outside nodes; `traceback` ends with the node's inputs."""

    node: str
    message: str
    traceback: str


def report_error(error: Exception) -> ErrorReport:
    """Return an error as text; parts that are too long lose their middle."""
    if not isinstance(error, NodeError):
        message, trace = describe_error(error), "".join(traceback.format_exception(error))
        return ErrorReport("", cut_middle(message, MESSAGE_MAX), cut_middle(trace, TRACEBACK_MAX))
    node = name_node(error.node_id, error.class_type, error.title)
    inputs = [f"  {name} = {value}" for name, value in error.inputs.items()]
    trace = "".join(error.node_traceback)
    if inputs:
        trace += "\n".join(["\nIts inputs:" if trace else "Its inputs:", *inputs])
    return ErrorReport(node, cut_middle(str(error.args[0]), MESSAGE_MAX), cut_middle(trace.rstrip(), TRACEBACK_MAX))
