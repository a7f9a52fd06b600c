"""Calls hooks of node classes (validation, fingerprints) without blocking the event loop: on a lane of their own."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from types import CoroutineType
from typing import Any

from comfy_nb.engine.execution.coroutines import Unwatched, WatchedCoroutine
from comfy_nb.engine.execution.lanes import Lane, Worker
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.planning.modes import Modes
from comfy_nb.wording import describe_error


async def call_hook(lane: Lane, function: Callable[..., Any], inputs: dict[str, Any], modes: Modes) -> Any:
    """Call a function of a node class on a lane for hooks, or await it if it is async; under these modes."""
    if inspect.iscoroutinefunction(function):
        return await WatchedCoroutine(function(**inputs), None, Unwatched(), grad=False, modes=modes)
    function = modes.wrap(function)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()
    callers: list[Worker] = []
    lane.submit(partial(_answer, loop, future, context, function, inputs, callers))
    try:
        answer = await future
    except asyncio.CancelledError:
        for worker in callers:
            lane.retire(worker)
        raise
    return await answer if issubclass(type(answer), CoroutineType) else answer


def _answer(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[Any],
    context: contextvars.Context,
    function: Callable[..., Any],
    inputs: dict[str, Any],
    callers: list[Worker],
    worker: Worker,
) -> None:
    callers.append(worker)
    if future.cancelled():
        return
    answer, error = None, None
    try:
        answer = context.run(worker.call, inputs, function, inputs)
    except BaseException as raised:  # a class's function may raise anything; it is passed to the caller
        error = _as_exception(raised)
    if not future.cancelled():
        post(loop, _set, future, answer, error)


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(f"it raised {describe_error(error)}")


def _set(future: asyncio.Future[Any], answer: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)


async def call_now(function: Callable[..., Any], inputs: dict[str, Any]) -> Any:
    """Call a hook at once, on this thread."""
    answer = function(**inputs)
    return await answer if issubclass(type(answer), Awaitable) else answer
