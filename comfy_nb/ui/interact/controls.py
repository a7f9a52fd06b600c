"""Which control a constant gets: from what the person asked for, or else from how the input is declared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from comfy_nb.errors import GraphError
from comfy_nb.graph.model import Graph
from comfy_nb.parameters.parameter import Parameter, find_parameter, parameters_of, same_constant
from comfy_nb.parameters.shown_output import ShownOutput
from comfy_nb.wording import short

Kind = Literal["slider", "number", "choice", "check", "text", "lines", "seed"]

SLIDER_STEPS_MAX = 1000
SLIDER_ERROR = 1e-6
SCALAR_SOCKETS = ("INT", "FLOAT", "BOOLEAN", "STRING")


@dataclass(frozen=True)
class ControlSpec:
    """The control of one parameter: its kind, the value it starts with, and for numbers low, high and step."""

    parameter: Parameter
    kind: Kind
    value: Any
    low: float | None = None
    high: float | None = None
    step: float | None = None
    options: tuple[Any, ...] = ()
    label: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole."""
        return self.parameter.input_spec.socket == "INT" or isinstance(self.value, int)

    def read(self, value: Any) -> Any:
        """Return what came back from its widget as the constant that was meant: a page's slider computes in percent."""
        if self.kind != "slider" or self.step is None or not isinstance(value, float):
            return value
        if self.value is not None and abs(value - self.value) < SLIDER_ERROR * self.step:
            return self.value
        return round(value, _places(SLIDER_ERROR * self.step))


def controls_for(graph: Graph, output: ShownOutput, wishes: Mapping[str, Any]) -> list[ControlSpec]:
    """Return a control for each wish, by input name; without wishes, for all constants of the shown node.

    A wish is (low, high) or (low, high, step), a list of choices, a value to start with, or True or `...` for what the
    input declares. Raises UnknownName, GraphError.
    """
    if wishes:
        found = [(find_parameter(graph, key, output.node_id), wish) for key, wish in wishes.items()]
        controls = [control_for(parameter, wish) for parameter, wish in found]
    else:
        controls = [control_for(each, ...) for each in parameters_of(graph[output.node_id]) if _is_scalar(each)]
    if not controls:
        known = [each.key for node in graph for each in parameters_of(node) if _is_scalar(each)]
        raise GraphError(f"{output.title} has no constants to vary. Name some: {', '.join(known[:12]) or 'none'}.")
    names = [control.parameter.name for control in controls]
    return [_labelled(control, names) for control in controls]


def _labelled(control: ControlSpec, names: Sequence[str]) -> ControlSpec:
    parameter = control.parameter
    label = parameter.key if names.count(parameter.name) > 1 else parameter.name
    return replace(control, label=label)


def control_for(parameter: Parameter, wish: Any) -> ControlSpec:
    """Return the control for one wish; raises GraphError for one that the input cannot have."""
    if isinstance(wish, tuple):
        return _slider(parameter, wish)
    if isinstance(wish, list | range):
        options = tuple(parameter.checked(value) for value in wish)
        if not options:
            raise GraphError(f"{parameter.where}: the list of choices is empty.")
        start = next((each for each in options if same_constant(each, parameter.value)), options[0])
        return ControlSpec(parameter, "choice", start, options=options)
    is_as_declared = wish is ... or (wish is True and parameter.input_spec.socket != "BOOLEAN")
    return _as_declared(parameter, parameter.value if is_as_declared else parameter.checked(wish))


def _slider(parameter: Parameter, wish: tuple[Any, ...]) -> ControlSpec:
    input_spec, where = parameter.input_spec, parameter.where
    is_range = len(wish) in (2, 3) and all(isinstance(each, int | float) for each in wish)
    if input_spec.socket not in ("INT", "FLOAT", "*") or not is_range:
        raise GraphError(
            f"{where}: {short(wish, 60)} is not a (low, high) or (low, high, step) of numbers for this input."
        )
    low, high = (parameter.checked(each) for each in wish[:2])
    if not low < high:
        raise GraphError(f"{where}: the range {low} to {high} is empty; write (low, high).")
    is_whole = input_spec.socket == "INT" or (input_spec.socket == "*" and all(type(each) is int for each in wish))
    start = min(max(parameter.value if isinstance(parameter.value, int | float) else low, low), high)
    step = wish[2] if len(wish) == 3 else input_spec.options.get("step") or (1 if is_whole else _fine_step(high - low))
    if not 0 < step < math.inf or (is_whole and step != int(step)):
        raise GraphError(f"{where}: the step must be above 0{' and whole' if is_whole else ''}, got {step!r}.")
    if len(wish) == 2:
        step = _step_through(start - low, step, is_whole)
    return ControlSpec(parameter, "slider", start, low, high, step)


def _fine_step(span: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that makes at least a hundred steps of a span."""
    power = 10.0 ** math.floor(math.log10(span / 100))
    times = span / 100 / power
    return float(f"{(5 if times >= 5 else 2 if times >= 2 else 1) * power:.1g}")


def _step_through(way: float, step: float, is_whole: bool) -> float:
    """Return a step that comes by the start, `way` above the low end: a slider moves any other to its nearest place."""
    if is_whole:
        return math.gcd(int(step), int(way))
    steps = next((parts for parts in range(1, 11) if _is_whole_number(way / step * parts)), None)
    return step / steps if steps is not None else way / math.ceil(way / step)


def _is_whole_number(value: float) -> bool:
    return math.isclose(value, round(value), rel_tol=1e-9, abs_tol=1e-9)


def _as_declared(parameter: Parameter, value: Any) -> ControlSpec:
    input_spec = parameter.input_spec
    if input_spec.choices is not None:
        options = tuple(input_spec.choices)
        if not any(same_constant(each, value) for each in options):  # such as a file that is gone
            options = (value, *options)
        return ControlSpec(parameter, "choice", value, options=options)
    if input_spec.socket == "BOOLEAN" or isinstance(value, bool):
        return ControlSpec(parameter, "check", bool(value))
    if input_spec.socket == "STRING" or isinstance(value, str):
        text = "" if value is None else str(value)
        return ControlSpec(parameter, "lines" if input_spec.options.get("multiline") else "text", text)
    if input_spec.socket in ("INT", "FLOAT") or isinstance(value, int | float):
        return _number(parameter, value)
    raise GraphError(f"{parameter.where}: {input_spec.socket} has no control; give a list of values to choose from.")


def _number(parameter: Parameter, value: Any) -> ControlSpec:
    input_spec, is_whole = parameter.input_spec, parameter.input_spec.socket == "INT"
    low: float | None = input_spec.options.get("min")
    high: float | None = input_spec.options.get("max")
    step = input_spec.options.get("step") or (1 if is_whole else 0.01)
    start = value if isinstance(value, int | float) else low or 0
    if is_whole and input_spec.is_controlled_after_generate:
        return ControlSpec(parameter, "seed", start, low, high, step)
    is_short = low is not None and high is not None and low < high and (high - low) / step <= SLIDER_STEPS_MAX
    return ControlSpec(parameter, "slider" if is_short else "number", start, low, high, step)


def _is_scalar(parameter: Parameter) -> bool:
    is_declared = parameter.input_spec.socket in SCALAR_SOCKETS or parameter.input_spec.choices is not None
    return is_declared or isinstance(parameter.value, bool | int | float | str)


def decimals(step: float) -> str:
    """Return the format for numbers that move by this step: ".2f" or finer."""
    return f".{max(2, _places(step))}f"


def _places(step: float) -> int:
    return -math.floor(math.log10(step))
