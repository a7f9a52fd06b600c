"""What the calls of a node returned: read, counted against the outputs that it declares, and merged into slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.node_api.context import ExecutionBlocker, is_blocker
from comfy_nb.spec.attributes import items_of
from comfy_nb.spec.function import UNFINISHED
from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.wording import class_name, count

SPECIAL_KEYS = frozenset({"ui", "result", "expand"})


def read_result(spec: NodeSpec, result: Any) -> tuple[Any, Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Read what one call returned: (values or None, graph or None, ui or None).

    A tuple or list is the values; a dict may have `result`, `ui` and `expand`; a blocker blocks every output; a bare
    value of a node with one output is that output.
    """
    if is_blocker(result):
        return _block_all(spec, result), None, None
    if spec.pack is not None:
        result = spec.pack(result)
    if type(result) is tuple:
        return result, None, None
    if issubclass(type(result), dict) and (SPECIAL_KEYS & dict.keys(result) or spec.is_output):
        values = dict.get(result, "result")
        if is_blocker(values):
            values = _block_all(spec, values)
        expand, ui = dict.get(result, "expand"), dict.get(result, "ui")
        if values is None and dict.__contains__(result, "expand"):
            values = ()
        return _as_values(spec, values), expand, ui
    return _as_values(spec, result, bare=True), None, None


def _as_values(spec: NodeSpec, values: Any, bare: bool = False) -> Any:
    if issubclass(type(values), (tuple, list)):
        return items_of(values)
    if values is None and not bare:
        return None
    if issubclass(type(values), UNFINISHED):
        raise TypeError(f"it returned a {class_name(values)}, not a tuple of its outputs.")
    declared = len(spec.return_types)
    if declared > 1:
        raise TypeError(
            f"it must return {declared} values ({', '.join(spec.output_names)}), got a {class_name(values)}."
        )
    return (values,) if declared else ()


def _block_all(spec: NodeSpec, blocker: ExecutionBlocker) -> tuple[ExecutionBlocker, ...]:
    return (blocker,) * max(len(spec.return_types), len(spec.output_is_list))


def merge(spec: NodeSpec, results: Sequence[Sequence[Any]]) -> Outputs:
    """Gather the calls' values per slot: appended, or concatenated where the slot is a list."""
    if not results:
        return ()
    whole = spec.output_is_list
    if len(results) == 1 and not whole:
        return tuple([value] for value in results[0])
    number = min(len(results[0]), len(whole)) if whole else len(results[0])
    slots: list[list[Any]] = []
    for index in range(number):
        items: list[Any] = []
        for values in results:
            if index >= len(values):
                raise TypeError(
                    f"one of its calls returned {len(values)} values, but the first one returned {len(results[0])}."
                )
            value = values[index]
            if whole and whole[index] and not is_blocker(value):
                items.extend(_listed(spec, index, value))
            else:
                items.append(value)
        slots.append(items)
    return tuple(slots)


def _listed(spec: NodeSpec, index: int, value: Any) -> Any:
    try:
        iter(value)
    except TypeError:
        name = spec.output_names[index] if index < len(spec.output_names) else str(index)
        raise TypeError(f"output {name!r} must be a list of values, got a {class_name(value)}.") from None
    return value


def merge_ui(uis: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Join the calls' `ui` values, which are lists, by key."""
    if not uis:
        return None
    keys = dict.fromkeys(key for ui in uis for key in ui)
    return {key: [item for ui in uis for item in _ui_items(ui.get(key, ()))] for key in keys}


def _ui_items(value: Any) -> Sequence[Any]:
    return items_of(value) if issubclass(type(value), (list, tuple)) else [value]


def count_misfit(spec: NodeSpec, values: Sequence[Any]) -> str:
    """Say which outputs are missing from what one call returned, or that it returned too many values; else nothing.

    A class whose outputs are open-ended may return any number.
    """
    declared = len(spec.return_types)
    if type(spec.return_types) is not tuple:
        return ""
    listed = len(spec.output_is_list) or declared
    if len(values) < declared or listed < declared:
        return _missing(spec, len(values), min(len(values), listed))
    if len(values) > declared:
        names = f" ({', '.join(spec.output_names)})" if declared else ""
        returned = f"it returned {count(len(values), 'value')} for {count(declared, 'output')}{names}"
        return f"{returned}; nothing can be linked to the rest."
    return ""


def _missing(spec: NodeSpec, returned: int, there: int) -> str:
    declared = len(spec.return_types)
    names = ", ".join(repr(name) for name in spec.output_names[there:])
    which = f"{names} {'is' if declared - there == 1 else 'are'} missing, and None for the nodes below"
    if returned < declared:
        return f"it returned {count(returned, 'value')} for {count(declared, 'output')}: {which}."
    return f"its OUTPUT_IS_LIST has {len(spec.output_is_list)} entries for {count(declared, 'output')}: {which}."
