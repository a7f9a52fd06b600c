"""Which control an input gets: by what a person asked for, else by how the input is declared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from comfy_nb.errors import GraphError
from comfy_nb.graph.model import Graph
from comfy_nb.parameters.parameter import Setting, Target, find_setting, settings_of

Kind = Literal["slider", "number", "choice", "check", "text", "lines", "seed"]

SLIDER_STEPS_MAX = 1000


@dataclass(frozen=True)
class Control:
    """A control of one setting: its kind, the value it starts with, and for numbers low, high and step."""

    setting: Setting
    kind: Kind
    value: Any
    low: float | None = None
    high: float | None = None
    step: float | None = None
    options: tuple[Any, ...] = ()
    label: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it gives whole numbers."""
        return self.setting.entry.socket == "INT" or isinstance(self.value, int)


def controls_for(graph: Graph, target: Target, wishes: Mapping[str, Any]) -> list[Control]:
    """Return a control for each wish by input name, or for all constants of the shown node where there are none.

    A wish is (low, high) or (low, high, step), a list of choices, a value to begin with, or True or `...` for what
    the input declares. Raises UnknownName and GraphError.
    """
    if wishes:
        found = [(find_setting(graph, key, target.node_id), wish) for key, wish in wishes.items()]
        controls = [control_for(setting, wish) for setting, wish in found]
    else:
        controls = [control_for(setting, ...) for setting in settings_of(graph[target.node_id]) if _is_easy(setting)]
    if not controls:
        known = [setting.key for node in graph for setting in settings_of(node) if _is_easy(setting)]
        raise GraphError(f"{target.title} has no constants to vary. Name some: {', '.join(known[:12]) or 'none'}.")
    names = [control.setting.name for control in controls]
    return [_labelled(control, names) for control in controls]


def _labelled(control: Control, names: Sequence[str]) -> Control:
    setting = control.setting
    label = setting.key if names.count(setting.name) > 1 else setting.name
    return replace(control, label=label)


def control_for(setting: Setting, wish: Any) -> Control:
    """Return the control for one wish; raises GraphError for one that the input cannot have."""
    if isinstance(wish, tuple):
        return _slider(setting, wish)
    if isinstance(wish, list | range):
        options = tuple(setting.checked(value) for value in wish)
        if not options:
            raise GraphError(f"{setting.where}: the list of choices is empty.")
        start = next((each for each in options if _same(each, setting.value)), options[0])
        return Control(setting, "choice", start, options=options)
    is_natural = wish is ... or (wish is True and setting.entry.socket != "BOOLEAN")
    return _natural(setting, setting.value if is_natural else setting.checked(wish))


def _slider(setting: Setting, wish: tuple[Any, ...]) -> Control:
    is_range = len(wish) in (2, 3) and all(isinstance(each, int | float) for each in wish)
    if setting.entry.socket not in ("INT", "FLOAT", "*") or not is_range:
        raise GraphError(f"{setting.where}: {wish!r:.60} is no (low, high) or (low, high, step) of numbers for it.")
    low, high = (setting.checked(each) for each in wish[:2])
    if not low < high:
        raise GraphError(f"{setting.where}: the range {low} to {high} is empty; write (low, high).")
    is_whole = setting.entry.socket == "INT" or (
        setting.entry.socket == "*" and all(type(each) is int for each in wish)
    )
    step = wish[2] if len(wish) == 3 else setting.entry.options.get("step") or (1 if is_whole else (high - low) / 100)
    if not 0 < step < math.inf or (is_whole and step != int(step)):
        raise GraphError(f"{setting.where}: a step must be above 0{', and whole' if is_whole else ''}, not {step!r}.")
    start = setting.value if isinstance(setting.value, int | float) else low
    return Control(setting, "slider", min(max(start, low), high), low, high, step)


def _natural(setting: Setting, value: Any) -> Control:
    entry = setting.entry
    if entry.choices is not None:
        options = tuple(entry.choices)
        if not any(_same(each, value) for each in options):  # a file that is gone, say
            options = (value, *options)
        return Control(setting, "choice", value, options=options)
    if entry.socket == "BOOLEAN" or isinstance(value, bool):
        return Control(setting, "check", bool(value))
    if entry.socket == "STRING" or isinstance(value, str):
        text = "" if value is None else str(value)
        return Control(setting, "lines" if entry.options.get("multiline") else "text", text)
    if entry.socket in ("INT", "FLOAT") or isinstance(value, int | float):
        return _number(setting, value)
    raise GraphError(f"{setting.where}: there is no control for {entry.socket}; give a list of values to choose from.")


def _number(setting: Setting, value: Any) -> Control:
    entry, is_whole = setting.entry, setting.entry.socket == "INT"
    low: Any = entry.options.get("min")
    high: Any = entry.options.get("max")
    step = entry.options.get("step") or (1 if is_whole else 0.01)
    start = value if isinstance(value, int | float) else low or 0
    if is_whole and entry.is_controlled_after_generate:
        return Control(setting, "seed", start, low, high, step)
    is_bounded = low is not None and high is not None and low < high
    is_short = is_bounded and (high - low) / step <= SLIDER_STEPS_MAX
    return Control(setting, "slider" if is_short else "number", start, low, high, step)


def _is_easy(setting: Setting) -> bool:
    plain = setting.entry.socket in ("INT", "FLOAT", "BOOLEAN", "STRING") or setting.entry.choices is not None
    return plain or isinstance(setting.value, bool | int | float | str)


def _same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, str | int | float) and type(one) is type(other) and one == other)


def decimals(step: float) -> str:
    """Return the format for numbers that move by this step: ".2f" or finer."""
    return f".{max(2, -math.floor(math.log10(step)))}f"
