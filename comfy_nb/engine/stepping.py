"""Stepping a node's coroutine: without gradients, and with an eye on how long it keeps the loop.

The gradient mode belongs to the thread, so it is entered and left around each step; left on across an await it would
leak into whatever the loop runs next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import torch

STALL_S = 0.1


class Stepped:
    """Awaitable that drives a coroutine, gradients off unless `grad`; `stalled(seconds)` is told of each long step."""

    __slots__ = ("_coroutine", "_grad", "_stalled")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, grad: bool, stalled: Callable[[float], None]) -> None:
        self._coroutine = coroutine
        self._grad = grad
        self._stalled = stalled

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, grad = self._coroutine, self._grad
        value: Any = None
        error: BaseException | None = None
        while True:
            before = torch.is_grad_enabled()
            torch._C._set_grad_enabled(grad)
            started = time.perf_counter()
            try:
                waited_for = coroutine.send(value) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            finally:
                torch._C._set_grad_enabled(before)
                seconds = time.perf_counter() - started
                if seconds > STALL_S:
                    self._stalled(seconds)
            error = None
            try:
                value = yield waited_for
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as thrown:  # whatever is thrown in belongs to the coroutine
                error = thrown
