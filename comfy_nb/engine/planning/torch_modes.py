"""Torch's thread-local modes: read on one thread, and set on another.

They are autocast, inference mode, and the stacks of function modes (`with torch.device(...)` is one) and dispatch
modes. A block such as `with torch.autocast("cpu"):` sets them for its own thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch.utils import _python_dispatch as dispatch

from comfy_nb.engine.own_thread import OwnThread

DEVICE_TYPES = ("cpu", "cuda", "xpu", "mps", "hpu", "xla", "mtia", "maia", "ipu", "privateuseone")

_function_mode_stack: Callable[[], list[Any]] = torch.overrides._get_current_function_mode_stack
_any_autocast = torch._C._is_any_autocast_enabled
_is_casting = torch.is_autocast_enabled
_dtype_of = torch.get_autocast_dtype
_has_cache = torch.is_autocast_cache_enabled
_function_modes = torch._C._len_torch_function_stack
_dispatch_modes = torch._C._len_torch_dispatch_stack
_in_inference_mode = torch.is_inference_mode_enabled


class TorchModes(NamedTuple):
    """The modes of a thread. `autocast` says for each device type whether it is on, and its dtype.

    Where none is on, it has only the device types of this machine: the others could make no difference.
    """

    autocast: Mapping[str, tuple[bool, torch.dtype]]
    autocast_cache: bool
    inference: bool
    function_modes: tuple[Any, ...]
    dispatch_modes: tuple[Any, ...]
    device_context: Any

    def autocast_of(self, device_type: str) -> tuple[bool, torch.dtype]:
        """Return whether autocast is on for a device type, and its dtype."""
        return self.autocast.get(device_type) or usual_autocast()[device_type]

    @property
    def is_casting(self) -> bool:
        """Whether autocast is on for any device type."""
        return any(is_on for is_on, _ in self.autocast.values())

    def set_here(self, before: TorchModes) -> None:
        """Set these modes on this thread, which has those of `before`; but inference mode is set by its own guard."""
        for device in self.autocast.keys() | before.autocast.keys():
            now, then = self.autocast_of(device), before.autocast_of(device)
            if now != then:
                torch.set_autocast_enabled(device, now[0])
                torch.set_autocast_dtype(device, now[1])
        torch.set_autocast_cache_enabled(self.autocast_cache)
        if self.dispatch_modes != before.dispatch_modes:
            _replace(before.dispatch_modes, self.dispatch_modes, dispatch._pop_mode, dispatch._push_mode)
        if self.function_modes != before.function_modes:
            pop, push = torch._C._pop_torch_function_stack, torch._C._push_on_torch_function_stack
            _replace(before.function_modes, self.function_modes, pop, push)
        if self.device_context is not before.device_context:
            torch._GLOBAL_DEVICE_CONTEXT.device_context = self.device_context


def _replace(old: Sequence[Any], new: Sequence[Any], pop: Callable[[], Any], push: Callable[[Any], None]) -> None:
    for _ in old:
        pop()
    for mode in new:
        push(mode)


def torch_modes() -> TorchModes:
    """Return the modes of this thread."""
    if not has_torch_modes() and _is_usual_autocast():
        return no_torch_modes()
    casts = _any_autocast() or any(map(_is_casting, _missed_by_any()))
    read = device_types() if casts else _present()
    return TorchModes(
        {each: (_is_casting(each), _dtype_of(each)) for each in read},
        _has_cache(),
        _in_inference_mode(),
        tuple(_function_mode_stack()) if _function_modes() else (),
        tuple(dispatch._get_current_dispatch_mode_stack()) if _dispatch_modes() else (),
        getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None),
    )


def has_torch_modes() -> bool:
    """Whether a mode is on in this thread: a quick test, for use at each call.

    It does not see the settings of an autocast that is off, nor an autocast for a device that is not there.
    """
    if _any_autocast() or _function_modes() or _dispatch_modes() or _in_inference_mode():
        return True
    return any(map(_is_casting, _missed_and_present()))


def _is_usual_autocast() -> bool:
    """Whether autocast is off where torch's test for any does not look, and its settings are the usual ones."""
    for each in _missed_by_any():
        if _is_casting(each):
            return False
    for each, dtype in _usual_dtypes():
        if _dtype_of(each) is not dtype:
            return False
    return _has_cache()


@cache
def _usual_dtypes() -> tuple[tuple[str, torch.dtype], ...]:
    return tuple((each, usual_autocast()[each][1]) for each in _present())


@cache
def device_types() -> tuple[str, ...]:
    """Return the device types that this torch has an autocast for."""
    return tuple(each for each in DEVICE_TYPES if _has_autocast(each))


def _has_autocast(device_type: str) -> bool:
    try:
        torch.get_autocast_dtype(device_type)
    except RuntimeError:
        return False
    return True


@cache
def _missed_by_any() -> tuple[str, ...]:
    """Return the device types whose autocast torch's test for any does not see: "mps", at least in torch 2.13."""
    missed: list[str] = []

    def look() -> None:
        for each in device_types():
            torch.set_autocast_enabled(each, True)
            missed.extend([] if _any_autocast() else [each])
            torch.set_autocast_enabled(each, False)

    _on_a_new_thread(look)
    return tuple(missed)


@cache
def _missed_and_present() -> tuple[str, ...]:
    return tuple(each for each in _missed_by_any() if each in _present())


def _on_a_new_thread(function: Callable[[], None]) -> None:
    """Call a function where no mode is on, and none stays."""
    thread = OwnThread(function, "comfy-nb-look")
    thread.start()
    thread.join()


@cache
def _present() -> tuple[str, ...]:
    """Return the device types of this machine."""
    return tuple(each for each in device_types() if each == "cpu" or _is_there(each))


def _is_there(device_type: str) -> bool:
    backend = getattr(torch, device_type, None) or getattr(torch.backends, device_type, None)
    is_available = getattr(backend, "is_available", None)
    return is_available is not None and bool(is_available())


@cache
def usual_autocast() -> Mapping[str, tuple[bool, torch.dtype]]:
    """Return the settings of autocast in a thread that has just begun, by device type."""
    found: dict[str, tuple[bool, torch.dtype]] = {}

    def read() -> None:
        found.update({each: (False, torch.get_autocast_dtype(each)) for each in device_types()})

    _on_a_new_thread(read)
    return found


@cache
def no_torch_modes() -> TorchModes:
    """Return the modes of a thread that has just begun: all are off."""
    usual = usual_autocast()
    return TorchModes({each: usual[each] for each in _present()}, True, False, (), (), None)


def switch_off_torch_modes() -> None:
    """Switch off what was left on in this thread."""
    no_torch_modes().set_here(torch_modes())


@contextmanager
def set_torch_modes(modes: TorchModes, *, grad: bool) -> Generator[None, None, None]:
    """Set the modes and the gradient mode of this thread in a `with` block.

    What autocast has cast meanwhile is dropped after it, for the weights may change before the next time.
    """
    before, had_grad = torch_modes(), torch.is_grad_enabled()
    guard: Any = torch._C._InferenceMode(modes.inference) if modes.inference != before.inference else None
    if guard is not None:
        guard.__enter__()
    try:
        torch.set_grad_enabled(grad)
        modes.set_here(before)
        yield
    finally:
        before.set_here(torch_modes())
        if modes.is_casting:
            torch.clear_autocast_cache()
        if guard is not None:
            guard.__exit__(None, None, None)
        torch.set_grad_enabled(had_grad)
