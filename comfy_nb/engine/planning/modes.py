"""The modes that surround a run, read once where it begins: they hold for all its nodes, and are part of their keys.

Torch's own are those of the thread, its default dtype and what decides its precision. To these come the decimal context
and numpy's handling of floating-point errors. Gradients are not among them: a node's class says whether it has them.
"""

from __future__ import annotations

import contextvars
import decimal
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from torch.utils._device import DeviceContext

from comfy_nb.engine.planning.torch_modes import (
    TorchModes,
    no_torch_modes,
    set_torch_modes,
    torch_modes,
    usual_autocast,
)
from comfy_nb.engine.planning.torch_settings import USUAL_SETTINGS, Settings, torch_settings
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.fingerprint import digest_of
from comfy_nb.wording import short

FLOAT_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}  # numpy's own default

# Torch's modes and settings, the values of the decimal context, and numpy's handling of floating-point errors.
Parts = tuple[TorchModes, Settings, tuple[Any, ...], Mapping[str, str]]


class Modes:
    """The modes that surround a run. Two are equal if no node can tell them apart.

    `decimal_context` is a copy of the decimal context, or None where there is none yet: then each call has a new one.
    """

    def __init__(self, parts: Parts, decimal_context: decimal.Context | None) -> None:
        self.parts = parts
        self.torch, self.settings, *_ = parts
        self.decimal_context = decimal_context
        self._marks: dict[bool, Digest | None] = {}

    def with_settings(self, settings: Settings) -> Modes:
        """Return these modes with other settings of torch."""
        torch, _, decimal_values, float_errors = self.parts
        return Modes((torch, settings, decimal_values, float_errors), self.decimal_context)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Modes) and (self is other or self.parts == other.parts)

    __hash__ = None  # type: ignore[assignment]  # they are compared only

    @cached_property
    def named(self) -> Mapping[str, Any]:
        """What differs from the usual, by name: values that say the same in words and as a digest."""
        modes, (dtype, precision, deterministic), decimal_values, float_errors = self.parts
        others = [mode for mode in modes.function_modes if not isinstance(mode, DeviceContext)]
        found = {
            "inference mode": modes.inference and "on",
            "torch.autocast": ", ".join(
                f"{device} {'on' if is_on else 'off'} {dtype}"
                for device, (is_on, dtype) in modes.autocast.items()
                if (is_on, dtype) != usual_autocast()[device]
            ),
            "the cache of torch.autocast": not modes.autocast_cache and "off",
            "default device": _default_device(modes),
            "function modes of torch": others,
            "dispatch modes of torch": list(modes.dispatch_modes),
            "default dtype": dtype is not torch.float32 and str(dtype),
            "precision of float32": precision,
            "deterministic algorithms": deterministic,
            "decimal context": decimal_values != _PLAIN_VALUES and decimal_values,
            "floating-point errors of numpy": float_errors != FLOAT_ERRORS and float_errors,
        }
        return {name: value for name, value in found.items() if value}

    def seen(self, grad: bool) -> Mapping[str, Any]:
        """Return by name what nodes with or without gradients can see, as far as it differs from the usual."""
        return {name: value for name, value in self.named.items() if not (grad and name == "inference mode")}

    def changes(self, old: Modes, grad: bool) -> list[str]:
        """Describe how these modes differ from others for nodes with or without gradients."""
        before, now = old.seen(grad), self.seen(grad)
        changed = [name for name in {**before, **now} if digest_of(before.get(name)) != digest_of(now.get(name))]
        return [f"{name} changed {_shown(before.get(name))} -> {_shown(now.get(name))}" for name in changed]

    def mark(self, grad: bool) -> Digest | None:
        """Return what keys have of the modes: for nodes with or without gradients; None where all is as usual."""
        try:
            return self._marks[grad]
        except KeyError:
            seen = self.seen(grad)
            mark = self._marks[grad] = digest_of(seen) if seen else None
            return mark

    @cached_property
    def is_set_apart(self) -> bool:
        """Whether a thread of ours, where no mode is on, has to be prepared for a call under these modes."""
        return self.decimal_context is not None or self.torch != no_torch_modes()

    def torch_for(self, grad: bool) -> TorchModes:
        """Return torch's modes for a call; with gradients there is no inference mode, for it would forbid them."""
        return self.torch._replace(inference=False) if grad and self.torch.inference else self.torch

    @contextmanager
    def around(self, *, grad: bool) -> Generator[None, None, None]:
        """Set these modes for a `with` block; the decimal context stays, for each call has a copy of the context."""
        if self.decimal_context is not None:
            decimal.setcontext(self.decimal_context.copy())
        with set_torch_modes(self.torch_for(grad), grad=grad):
            yield

    def wrap(self, function: Callable[..., Any], *, grad: bool = False) -> Callable[..., Any]:
        """Return a function that calls this one under these modes; it leaves the decimal context of its caller set."""
        if not self.is_set_apart:
            return function

        def under_modes(**inputs: Any) -> Any:
            with self.around(grad=grad):
                return function(**inputs)

        return under_modes


def _shown(value: Any) -> str:
    return short(value) if value is not None else "the usual"


def _default_device(modes: TorchModes) -> str:
    """Return the device that new tensors have, or nothing where it is the CPU."""
    set_by = next((each for each in reversed(modes.function_modes) if isinstance(each, DeviceContext)), None)
    set_by = set_by or modes.device_context
    return "" if set_by is None or str(set_by.device) == "cpu" else str(set_by.device)


_PLAIN_DECIMAL = decimal.Context(
    28,
    decimal.ROUND_HALF_EVEN,
    -999999,
    999999,
    1,
    0,
    [],
    [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)


def _decimal_values(context: decimal.Context) -> tuple[Any, ...]:
    """Return what a decimal context is made of: precision, rounding, limits and traps, but not the flags raised."""
    *values, _flags, traps = context.__reduce__()[1]
    return (*values, traps)


_PLAIN_VALUES = _decimal_values(_PLAIN_DECIMAL)


def _is_plain_decimal(context: decimal.Context) -> bool:
    """Whether a decimal context is as Python makes it: the quicker question."""
    same = context.prec == 28 and context.rounding is decimal.ROUND_HALF_EVEN and context.traps == _PLAIN_DECIMAL.traps
    return same and (context.Emin, context.Emax, context.capitals, context.clamp) == (-999999, 999999, 1, 0)


def _decimal_here() -> tuple[decimal.Context, bool]:
    """Return the decimal context of the running code, and whether it is its own: reading it would make it one."""
    context = contextvars.copy_context()
    before = len(context)
    found = context.run(decimal.getcontext)
    return found, len(context) == before


def _float_errors() -> Mapping[str, str]:
    """Return how numpy handles floating-point errors."""
    if _extobj is not None and _extobj.get() is _untouched_extobj:
        return FLOAT_ERRORS
    return {name: str(handling) for name, handling in np.geterr().items()}


# Ten times as fast as np.geterr(), where numpy has it.
_extobj: contextvars.ContextVar[Any] | None = getattr(
    getattr(getattr(np, "_core", None), "umath", None), "_extobj_contextvar", None
)
_untouched_extobj = contextvars.Context().run(_extobj.get) if _extobj is not None else None


def modes_here() -> Modes:
    """Return the modes of the running code."""
    usual = usual_modes()
    torch, settings, float_errors = torch_modes(), torch_settings(), _float_errors()
    context, is_own = _decimal_here()
    decimal_values = _PLAIN_VALUES if _is_plain_decimal(context) else _decimal_values(context)
    parts = (torch, settings, decimal_values, float_errors)
    if not is_own:
        return usual if parts == usual.parts else Modes(parts, None)
    context = context.copy()
    context.clear_flags()
    return Modes(parts, context)


@cache
def usual_modes() -> Modes:
    """Return the modes of a process that has set none."""
    return Modes((no_torch_modes(), USUAL_SETTINGS, _PLAIN_VALUES, FLOAT_ERRORS), None)
