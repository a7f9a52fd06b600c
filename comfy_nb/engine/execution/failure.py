"""From what a node raised to the error that a person reads."""

from __future__ import annotations

import itertools
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.execution.scheduler import Scheduler, Ticket
from comfy_nb.errors import ComfyNBWarning, NodeError, NodeTimeout, name_node

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

LOOP_RUNS = ("from a running event loop", "event loop is already running", "another loop is running")
LONGEST_VALUE = 200
MOST_ITEMS = 20
DEEPEST = 4


class TookTooLong(TimeoutError):
    """A call took longer than its node's `timeout`; not a timeout of the node's own making."""


def failure_of(run: Run, schedule: Scheduler, ticket: Ticket, error: BaseException) -> NodeError:
    """Make the error of a failed node, blamed on the node of the submitted graph, with the node's own as its cause."""
    submitted = ticket
    while submitted.parent is not None:
        submitted = submitted.parent
    step = submitted.step
    timed_out = isinstance(error, TookTooLong)
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
    said = say(error)
    if spec.is_async and any(sign in said for sign in LOOP_RUNS):
        said += ". The node is async and runs on that loop: `await` the coroutine there."
    return f"{inside}{said}"


def say(error: BaseException) -> str:
    """Return an exception's type and message; somebody else's exception may not be able to tell its own."""
    try:
        text = str(error) or "(no message)"
    except BaseException as trouble:  # whatever the exception's own code raises, an exit or interrupt too
        text = f"(it cannot be shown: {type(trouble).__name__})"
    return f"{type(error).__name__}: {text}"


def tell_fault(what: str, error: BaseException) -> None:
    """Warn of a fault that may hurt nobody but whoever made it; not even where warnings are errors."""
    with suppress(ComfyNBWarning):
        warnings.warn(f"{what}: {say(error)}", ComfyNBWarning, stacklevel=3)


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


def printable(value: Any, depth: int = DEEPEST) -> Any:
    """Return a value as a message or JSON can show it: plain ones as they are, tensors by shape, all else cut short."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"
    try:
        return _shown(value, depth)
    except Exception as error:  # an object of somebody else's class may raise anything, whatever it is asked
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def _shown(value: Any, depth: int) -> Any:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__} of shape {list(shape)}, {getattr(value, 'dtype', '?')}"
    if isinstance(value, (dict, list, tuple)) and depth == 0:
        return "…"
    if isinstance(value, dict):
        items = itertools.islice(value.items(), MOST_ITEMS)
        return {str(key): printable(item, depth - 1) for key, item in items}
    if isinstance(value, (list, tuple)):
        return [printable(item, depth - 1) for item in value[:MOST_ITEMS]]
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
