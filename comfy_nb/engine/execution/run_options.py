"""The options of a run that are numbers: how long it may take, and whether it goes before others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from comfy_nb.errors import GraphError
from comfy_nb.wording import short


def limit_in(options: Mapping[str, Any]) -> float | None:
    """Return the seconds that a run may take, None for any number; raises GraphError for another `timeout`."""
    timeout = options.get("timeout")
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or math.isnan(timeout) or timeout <= 0:
        raise GraphError(f"timeout is {short(timeout)}, but it must be a number of seconds above 0.")
    return float(timeout)


def priority_in(options: Mapping[str, Any]) -> int | None:
    """Return the priority that a run was given, None for none; raises GraphError for another `priority`."""
    priority = options.get("priority")
    if priority is not None and type(priority) is not int:
        raise GraphError(f"priority is {short(priority)}, but it must be a whole number; higher ones go first.")
    return priority
