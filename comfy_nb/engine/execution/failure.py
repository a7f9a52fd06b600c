"""From an exception that a node raised to the error that is reported."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from typing import Any

from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.errors import DependencyCycleError, NodeError, NodeErrors, NodeTimeout
from comfy_nb.tracebacks import own_frames
from comfy_nb.wording import describe_error, printable

NO_GRADIENTS = (
    "does not require grad",
    "doesn't require grad",
    "requires_grad=False",
    "not require gradient",
    "doesn't require gradient",
)
RESUMABLE = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR
LOOP_RUNS = ("from a running event loop", "event loop is already running", "another loop is running")


class TookTooLong(TimeoutError):
    """A call took longer than its node's `timeout`; a TimeoutError of the node's own is another matter."""


def failure_of(scheduler: Scheduler, node_run: NodeRun, error: BaseException) -> NodeError:
    """Make the error of a failed node, with the node of the submitted graph and, as its cause, the node's own error."""
    submitted = [node_run, *node_run.parents()][-1]
    step = submitted.step
    timed_out = isinstance(error, TookTooLong)
    kind = NodeTimeout if timed_out else NodeError
    failure = kind(
        _message(node_run, submitted, error, timed_out),
        node_id=step.id,
        class_type=step.class_type,
        title=step.title,
        real_node_id=node_run.step.id,
        inputs={name: printable(value) for name, value in inputs_of(node_run, scheduler).items()},
    )
    failure.__cause__ = error
    return failure


def release_frames(error: BaseException | None) -> None:
    """Let the frames that an error went through, and those of its causes, go of their variables: a node's tensors.

    The first is of the code that caught it. A coroutine may go on from there, and Python would close it.
    """
    stack, seen = [error], set[int]()
    while stack:
        error = stack.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        trace = error.__traceback__
        if trace is not None and trace.tb_frame.f_code.co_flags & RESUMABLE:
            trace = trace.tb_next
        traceback.clear_frames(trace)
        for frame, _ in traceback.walk_tb(trace):
            _ = frame.f_locals  # a copy that IPython has asked for: Python before 3.13 keeps it until it is asked again
        stack += (error.__cause__, error.__context__)
        if isinstance(error, BaseExceptionGroup):
            stack += error.exceptions


def group_of(failures: Sequence[NodeError]) -> NodeErrors:
    """Make the one error of a run that went on after failures."""
    for failure in failures:  # Python and IPython show all frames of each error in a group
        cause = failure.__cause__
        if cause is not None and (own := own_frames(cause.__traceback__)) is not None:
            cause.__traceback__ = own
    return NodeErrors(failures)


def blame_cycle(cycle: Sequence[NodeRun]) -> tuple[NodeRun, DependencyCycleError]:
    """Return the node that expanded into a cycle, and the error to report."""
    names = " -> ".join(node_run.step.id for node_run in [*cycle, cycle[0]])
    blamed = next((node_run.parent for node_run in cycle if node_run.parent is not None), cycle[0])
    return blamed, DependencyCycleError(f"its expansion made nodes wait for each other: {names}")


def _message(node_run: NodeRun, submitted: NodeRun, error: BaseException, timed_out: bool) -> str:
    spec = node_run.step.spec
    inside = ""
    if node_run is not submitted:
        inside = f"in its expansion, {node_run.step.named}: "
    if timed_out:
        tries = f" {spec.retries + 1} times" if spec.retries else ""
        return f"{inside}it took longer than its timeout of {spec.timeout:g} s{tries}."
    text = describe_error(error)
    if spec.is_async and any(sign in text for sign in LOOP_RUNS):
        text += ". The node is async and runs on that loop: `await` the coroutine there."
    if isinstance(error, RuntimeError) and not spec.grad and any(sign in text for sign in NO_GRADIENTS):
        remedy = "@nb.node(grad=True)" if spec.make_object is None else "`with torch.enable_grad():` around that code"
        text += f" (nodes run without gradients; write {remedy} to have them)"
    return f"{inside}{text}"


def inputs_of(node_run: NodeRun, scheduler: Scheduler) -> dict[str, Any]:
    """Return a node's inputs, as far as they are known."""
    inputs = dict(node_run.step.template)
    for link in node_run.step.links:
        above = scheduler.node_runs.get(link.origin)
        outputs = above.outputs if above is not None else None
        if outputs is not None and -len(outputs) <= link.slot < len(outputs):
            items = outputs[link.slot]
            inputs[link.name] = items[0] if len(items) == 1 else items
    return inputs
