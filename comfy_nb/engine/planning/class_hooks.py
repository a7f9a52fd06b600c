"""The hooks of node classes that are called before a run: VALIDATE_INPUTS and fingerprints (IS_CHANGED)."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from comfy_nb.engine.node_api.context import is_blocker
from comfy_nb.engine.planning.hidden_inputs import hidden_for_hooks
from comfy_nb.engine.planning.keys import never_equal
from comfy_nb.engine.planning.plan import Plan
from comfy_nb.engine.planning.step import Step, as_lists
from comfy_nb.errors import Problem, warn_each_time
from comfy_nb.graph.check import validate_traits
from comfy_nb.spec.fingerprint import digest_of
from comfy_nb.wording import describe_error, error_message, short

NAN = float("nan")
ANSWER_MAX = 200


class HookCall(Protocol):
    """Calls a function of a node class: off the loop if it is sync, awaited if it is async."""

    def __call__(self, function: Callable[..., Any], inputs: dict[str, Any]) -> Awaitable[Any]:
        """Call the function with these inputs."""
        ...


async def call_validators(plan: Plan, wanted: Iterable[str], call_hook: HookCall) -> dict[str, list[Problem]]:
    """Call VALIDATE_INPUTS of the nodes that are checked for the wanted ones; return the problems found, by node id.

    None is called where a class is unknown: then nothing can run.
    """
    found: dict[str, list[Problem]] = {}
    if not plan.validating or plan.unknown:
        return found
    checked = plan.checked_for(wanted)
    for step in plan.validating:
        if step.id in checked:
            problems = await _validate(step, call_hook)
            if problems:
                found[step.id] = problems
    return found


async def _validate(step: Step, call_hook: HookCall) -> list[Problem]:
    function = step.spec.validate
    assert function is not None
    traits = validate_traits(function)
    given = {name: value for name, value in step.template.items() if traits.covers(name)}
    given |= {name: value for name, value in hidden_for_hooks(step).items() if traits.covers(name)}
    if traits.takes_types:
        given["input_types"] = dict(step.received or {})
    inputs = _as_called(step, given)
    try:
        answer = await call_hook(function, inputs)
    except Exception as error:  # whatever a class's own validation raises is reported as a problem
        return [_validation_failed(step, error, links_as_none(step, inputs, "validating"))]
    if answer is True or is_blocker(answer):
        return []
    return [_rejected(step, name, answer) for name in inputs or ("",)]


def _rejected(step: Step, name: str, answer: Any) -> Problem:
    """Report an answer for an input; without a name, that of a function that was given no inputs."""
    details = " - ".join(part for part in (name, "" if answer is False else _in_words(answer)) if part)
    extra = {"input_name": name, "received_value": step.template.get(name)} if name else {}
    return Problem(
        "custom_validation_failed",
        "Custom validation failed for node",
        details,
        step.id,
        step.class_type,
        step.title,
        extra,
    )


def _in_words(answer: Any) -> str:
    if issubclass(type(answer), str):
        return str.__str__(answer)
    return error_message(answer) if issubclass(type(answer), BaseException) else short(answer, ANSWER_MAX)


def links_as_none(step: Step, inputs: Mapping[str, Any], while_doing: str) -> str:
    """Say which of the inputs that a hook was given are linked, and so None; nothing where none is."""
    names = [link.name for link in step.links if link.name in inputs]
    if not names:
        return ""
    are, they_are = ("is", "it is") if len(names) == 1 else ("are", "they are")
    return f"{' and '.join(names)} {are} linked, so {they_are} None while {while_doing}."


def _validation_failed(step: Step, error: Exception, advice: str) -> Problem:
    kind = "exception_during_validation" if step.spec.is_output else "exception_during_inner_validation"
    extra = {
        "exception_message": error_message(error),
        "exception_type": type(error).__qualname__,
        "traceback": traceback.format_exception(error),
    }
    message = "Exception when validating node" if step.spec.is_output else "Exception when validating inner node"
    details = f"{type(error).__name__}: {error_message(error)}"
    return Problem(kind, message, details, step.id, step.class_type, step.title, extra, advice)


async def call_fingerprints(steps: Sequence[Step], call_hook: HookCall) -> list[Step]:
    """Take the fingerprints of these nodes from their constants (links as None); return those that changed."""
    changed = []
    for step in steps:
        value = await _fingerprint(step, call_hook)
        mark = digest_of(value)
        if mark != step.mark or not mark.reusable or never_equal(value):
            step.fingerprint, step.mark = value, mark
            changed.append(step)
    return changed


async def _fingerprint(step: Step, call_hook: HookCall) -> Any:
    function = step.spec.fingerprint
    assert function is not None
    inputs = {**step.template, **hidden_for_hooks(step)}
    try:
        answer = await call_hook(function, _as_called(step, inputs))
    except Exception as error:  # whatever it raised, a node without a fingerprint runs
        what = f"taking its fingerprint failed ({describe_error(error)}), so it runs every time."
        hint = links_as_none(step, inputs, "its fingerprint is taken")
        warn_each_time(f"{step.named}: {what} {hint}".rstrip(), step.spec.function_code)
        return [NAN]
    return [None if is_blocker(answer) else answer]


def _as_called(step: Step, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return as_lists(step, inputs) if step.spec.input_is_list else dict(inputs)
