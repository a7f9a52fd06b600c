"""Input declarations that many nodes share."""

from __future__ import annotations

from typing import Any

MAX_SIZE_PX = 16384

Declaration = tuple[Any, ...]


def int_input(default: int, low: int, high: int = MAX_SIZE_PX, step: int | None = None, **options: Any) -> Declaration:
    """Declare an INT between `low` and `high`."""
    return ("INT", _number(default, low, high, step) | options)


def float_input(default: float, low: float, high: float, step: float | None = None, **options: Any) -> Declaration:
    """Declare a FLOAT between `low` and `high`."""
    return ("FLOAT", _number(default, low, high, step) | options)


def size_input(default: int = 512, low: int = 1, step: int = 1) -> Declaration:
    """Declare a width or height in pixels."""
    return int_input(default, low, step=step)


def offset_input(step: int = 1) -> Declaration:
    """Declare a position or margin in pixels that starts at 0."""
    return int_input(0, 0, step=step)


def count_input(high: int = 4096) -> Declaration:
    """Declare a number of items that starts at 1."""
    return int_input(1, 1, high)


def string_input(multiline: bool = True, **options: Any) -> Declaration:
    """Declare a STRING."""
    return ("STRING", {"multiline": multiline} | options)


def bool_input(default: bool, **options: Any) -> Declaration:
    """Declare a BOOLEAN."""
    return ("BOOLEAN", {"default": default} | options)


def combo_input(*choices: str, **options: Any) -> Declaration:
    """Declare a choice in the newer COMBO form, as the nodes that ComfyUI defines by a schema have it."""
    return ("COMBO", {"multiselect": False, "options": list(choices)} | options)


def legacy_combo_input(*choices: str) -> Declaration:
    """Declare a choice in the older form: the list itself is the type."""
    return (list(choices),)


def _number(default: float, low: float, high: float, step: float | None) -> dict[str, Any]:
    bounds: dict[str, Any] = {"default": default, "min": low, "max": high}
    return bounds if step is None else bounds | {"step": step}
