"""How many values a node returned, against the outputs that it declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_nb.spec.node_spec import NodeSpec
from comfy_nb.wording import count


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
