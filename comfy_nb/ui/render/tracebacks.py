"""A node's error as a person reads it: who failed, what was raised, and where in the node's own code."""

from __future__ import annotations

import traceback
from typing import NamedTuple

from comfy_nb.engine.execution.failure import say
from comfy_nb.errors import NodeError, name_node
from comfy_nb.ui.render.text import cut

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
        return Told("", cut(say(error), MESSAGE_MAX), cut("".join(traceback.format_exception(error)), TRACE_MAX))
    who = name_node(error.node_id, error.class_type, error.title)
    inputs = [f"  {name} = {value}" for name, value in error.inputs.items()]
    trace = "".join(error.node_traceback)
    if inputs:
        trace += "\n".join(["\nIts inputs:" if trace else "Its inputs:", *inputs])
    return Told(who, cut(str(error.args[0]), MESSAGE_MAX), cut(trace.rstrip(), TRACE_MAX))
