"""A node's error as a person reads it: who failed, what was raised, and where in the node's own code."""

from __future__ import annotations

import traceback
from typing import NamedTuple

from comfy_nb.errors import NodeError
from comfy_nb.wording import cut_middle, describe_error, name_node

MESSAGE_MAX = 4_000
TRACE_MAX = 16_000


class Told(NamedTuple):
    """An error in words. `trace` ends with the inputs that the node had, where they are known."""

    who: str
    message: str
    trace: str


def tell(error: Exception) -> Told:
    """Put an error into words; what is too long is cut in its middle."""
    if not isinstance(error, NodeError):
        return Told(
            "",
            cut_middle(describe_error(error), MESSAGE_MAX),
            cut_middle("".join(traceback.format_exception(error)), TRACE_MAX),
        )
    who = name_node(error.node_id, error.class_type, error.title)
    inputs = [f"  {name} = {value}" for name, value in error.inputs.items()]
    trace = "".join(error.node_traceback)
    if inputs:
        trace += "\n".join(["\nIts inputs:" if trace else "Its inputs:", *inputs])
    return Told(who, cut_middle(str(error.args[0]), MESSAGE_MAX), cut_middle(trace.rstrip(), TRACE_MAX))
