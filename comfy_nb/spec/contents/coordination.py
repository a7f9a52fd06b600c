"""What counts of locks, queues and loggers: the state that they show, not who waits for them; and of mocks, nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Set
from typing import Any

from comfy_nb.spec.readers import Parts, Unreadable, Whole, reads, reads_named

_KINDS = (asyncio.Lock, asyncio.Condition, asyncio.Semaphore, asyncio.BoundedSemaphore, asyncio.Event, asyncio.Queue)
_OF_ASYNCIO = {name for kind in _KINDS for name in vars(kind())}
_OF_LOGGERS = {*vars(logging.Logger("")), "manager"}


@reads(type(threading.Lock()))
def _(value: Any) -> Parts:
    return (value.locked(),)


@reads(type(threading.RLock()))
def _(_value: Any) -> Parts:
    return ()


@reads(asyncio.Lock, asyncio.Condition)
def _(value: asyncio.Lock | asyncio.Condition) -> Parts:
    return Whole((value.locked(), *_added_to(value, _OF_ASYNCIO)))


@reads(asyncio.Semaphore)
def _(value: asyncio.Semaphore) -> Parts:
    return Whole((value._value, getattr(value, "_bound_value", None), *_added_to(value, _OF_ASYNCIO)))


@reads(asyncio.Event)
def _(value: asyncio.Event) -> Parts:
    return Whole((value.is_set(), *_added_to(value, _OF_ASYNCIO)))


@reads(asyncio.Queue)
def _(value: asyncio.Queue[Any]) -> Parts:
    shown = (value.maxsize, value._queue, value._unfinished_tasks)  # type: ignore[attr-defined]
    return Whole((*shown, *_added_to(value, _OF_ASYNCIO)))


@reads(logging.Logger)
def _(value: logging.Logger) -> Parts:
    handlers = [type(each).__qualname__ for each in value.handlers]
    state = (value.level, value.getEffectiveLevel(), value.disabled, value.propagate, len(value.filters))
    return Whole((value.name, *state, *handlers, *_added_to(value, _OF_LOGGERS)))


def _added_to(value: Any, usual: Set[str]) -> Parts:
    """Return the attributes that a person, or a class derived from the usual one, gave a value."""
    return [part for name, item in vars(value).items() if name not in usual for part in (name, item)]


@reads_named("unittest", "NonCallableMock")
def _(_value: Any) -> Parts:
    raise Unreadable("a mock (which notes how it is used)")
