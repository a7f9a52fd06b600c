"""What counts of locks, queues and loggers: the state that they show, not who waits for them; and of mocks, nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from comfy_nb.spec.readers import Parts, Unreadable, Whole, reads, reads_named

_OF_LOGGERS = {*vars(logging.Logger("")), "manager"}


@reads(type(threading.Lock()))
def _(value: Any) -> Parts:
    return (value.locked(),)


@reads(type(threading.RLock()))
def _(_value: Any) -> Parts:
    return ()


@reads(asyncio.Lock, asyncio.Condition)
def _(value: asyncio.Lock | asyncio.Condition) -> Parts:
    return Whole((value.locked(),))


@reads(asyncio.Semaphore)
def _(value: asyncio.Semaphore) -> Parts:
    return Whole((value._value, getattr(value, "_bound_value", None)))


@reads(asyncio.Event)
def _(value: asyncio.Event) -> Parts:
    return Whole((value.is_set(),))


@reads(asyncio.Queue)
def _(value: asyncio.Queue[Any]) -> Parts:
    return Whole((value.maxsize, value._queue, value._unfinished_tasks))  # type: ignore[attr-defined]


@reads(logging.Logger)
def _(value: logging.Logger) -> Parts:
    handlers = [type(each).__qualname__ for each in value.handlers]
    state = (value.level, value.getEffectiveLevel(), value.disabled, value.propagate, len(value.filters))
    added = [pair for pair in vars(value).items() if pair[0] not in _OF_LOGGERS]
    return Whole((value.name, *state, *handlers, added))


@reads_named("unittest", "NonCallableMock")
def _(_value: Any) -> Parts:
    raise Unreadable("a mock (which notes how it is used)")
