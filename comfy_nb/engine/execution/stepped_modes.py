"""The torch modes of a coroutine: they are the thread's while it makes a step, and put away while it waits.

Torch keeps its modes by thread, and other coroutines use the same thread in between; so a mode that is on across an
`await` would reach them, and theirs would reach this one. The tasks that it starts have the modes that it had then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import torch

from comfy_nb.engine.planning.torch_modes import TorchModes, has_torch_modes, no_torch_modes, torch_modes

_set_grad = torch._C._set_grad_enabled
MakeTask = Callable[..., Any]


class SteppedModes:
    """The modes of one coroutine, gradients included; those that it sets itself last until it takes them back."""

    __slots__ = ("_grad", "_guard", "_loop", "_make_task", "_modes", "_off", "_outer", "_outer_grad")

    def __init__(self, modes: TorchModes, *, grad: bool) -> None:
        self._modes = modes
        self._grad = grad
        self._outer: TorchModes | None = None
        self._outer_grad = False
        self._guard: Any = None
        self._off: Any = None
        self._loop = asyncio.get_running_loop()
        self._make_task: MakeTask | None = None

    def enter(self) -> None:
        """Set the coroutine's modes on this thread; `leave` is called next."""
        self._make_task = self._loop.get_task_factory()
        self._loop.set_task_factory(self._start_task)
        self._outer_grad = torch.is_grad_enabled()
        if self._modes is no_torch_modes() and not has_torch_modes():
            _set_grad(self._grad)
            return
        with torch._C.DisableTorchFunction():  # these calls are not for a function mode to see
            self._outer = torch_modes()
            # Inference mode has no setter: each guard restores what it found, so the last one made is left first.
            self._guard = torch._C._InferenceMode(self._modes.inference)
            self._guard.__enter__()
            self._switch_back_on()
            self._modes.set_here(self._outer)
            _set_grad(self._grad)

    def _start_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        """Make a task, as the loop does otherwise; where the modes are not those of the thread, it keeps them."""
        if has_torch_modes() or torch.is_grad_enabled() != self._outer_grad:
            coroutine = SteppedCoroutine(coroutine, SteppedModes(torch_modes(), grad=torch.is_grad_enabled()))
        make = self._make_task
        return asyncio.Task(coroutine, loop=loop, **options) if make is None else make(loop, coroutine, **options)

    def _switch_back_on(self) -> None:
        off, self._off = self._off, None
        if off is not None:
            off.__exit__(None, None, None)

    def leave(self) -> None:
        """Put the coroutine's modes away, and restore those of the thread."""
        self._loop.set_task_factory(self._make_task)
        self._grad = torch.is_grad_enabled()
        if self._guard is None and not has_torch_modes():
            _set_grad(self._outer_grad)
            return
        with torch._C.DisableTorchFunction():
            own = self._modes = torch_modes()
            outer, self._outer = self._outer or no_torch_modes(), None
            outer.set_here(own)
            if own.is_casting:
                torch.clear_autocast_cache()  # the weights may change before the next step
            guard, self._guard = self._guard, None
            if guard is not None:
                guard.__exit__(None, None, None)
            elif own.inference:
                self._off = torch._C._InferenceMode(False)
                self._off.__enter__()
            _set_grad(self._outer_grad)


class SteppedCoroutine(Coroutine[Any, Any, Any]):
    """A coroutine that makes its steps under modes of its own."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], modes: SteppedModes) -> None:
        self._coroutine = coroutine
        self._modes = modes

    def send(self, value: Any) -> Any:
        """Make a step."""
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Make a step that begins with an exception."""
        return self._step(self._coroutine.throw, *error)

    def close(self) -> None:
        """End it where it waits."""
        self._step(self._coroutine.close)

    def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        self._modes.enter()
        try:
            return step(*args)
        finally:
            self._modes.leave()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()
