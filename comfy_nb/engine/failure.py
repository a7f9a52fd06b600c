"""From what a node raised to the error that a person reads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.schedule import Scheduler, Ticket
from comfy_nb.errors import NodeError, NodeTimeout, name_node

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

LONGEST_VALUE = 200


def failure_of(run: Run, schedule: Scheduler, ticket: Ticket, error: BaseException) -> NodeError:
    """Make the error of a failed node, blamed on the node of the submitted graph, with the node's own as its cause."""
    submitted = ticket
    while submitted.parent is not None:
        submitted = submitted.parent
    step = submitted.step
    timed_out = isinstance(error, (TimeoutError, asyncio.TimeoutError)) and ticket.step.spec.timeout is not None
    kind = NodeTimeout if timed_out else NodeError
    failure = kind(
        _message(ticket, submitted, error, timed_out),
        node_id=step.id,
        class_type=step.class_type,
        title=step.title,
        real_node_id=ticket.step.id,
        inputs={name: printable(value) for name, value in inputs_of(ticket, schedule).items()},
        run=run,
    )
    failure.__cause__ = error
    return failure


def _message(ticket: Ticket, submitted: Ticket, error: BaseException, timed_out: bool) -> str:
    spec = ticket.step.spec
    inside = ""
    if ticket is not submitted:
        inside = f"in its expansion, {name_node(ticket.step.id, ticket.step.class_type, ticket.step.title)}: "
    if timed_out:
        tries = f" {spec.retries + 1} times" if spec.retries else ""
        return f"{inside}it took longer than its timeout of {spec.timeout:g} s{tries}."
    text = str(error) or "(no message)"
    return f"{inside}{type(error).__name__}: {text}"


def inputs_of(ticket: Ticket, schedule: Scheduler) -> dict[str, Any]:
    """Return a node's inputs as far as they are there."""
    inputs = dict(ticket.step.template)
    for link in ticket.step.links:
        above = schedule.tickets.get(link.origin)
        outputs = above.outputs if above is not None else None
        if outputs is not None and -len(outputs) <= link.slot < len(outputs):
            items = outputs[link.slot]
            inputs[link.name] = items[0] if len(items) == 1 else items
    return inputs


def printable(value: Any) -> Any:
    """Return a value as a message or JSON can show it: plain ones as they are, tensors by shape, all else cut short."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} of shape {list(shape)}, {getattr(value, 'dtype', '?')}"
    if isinstance(value, dict):
        return {str(key): printable(item) for key, item in list(value.items())[:20]}
    if isinstance(value, (list, tuple)):
        return [printable(item) for item in value[:20]]
    try:
        text = repr(value)
    except Exception as error:  # a repr of somebody else's class may raise anything
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
