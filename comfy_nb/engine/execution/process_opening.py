"""A sync resource, open for the process: the thread of its first user opens it, and all threads share it."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import ExitStack
from enum import Enum
from typing import Any
from weakref import WeakSet

from comfy_nb.engine.execution.opening import (
    Hold,
    Opener,
    left_of,
    never_yielded,
    not_opened,
    warn_of_close,
    yielded_twice,
)
from comfy_nb.engine.pools.alarm import Alarm
from comfy_nb.errors import InterruptProcessingException

LOOK_S = 0.05
"""How often a thread that waits for another one's opening lets an interrupt of its node arrive."""


_kept: set[ProcessOpening] = set()
"""Those that are open: where nobody refers to them any more, Python would end their generators without closing."""


class Stage(Enum):
    """How far a resource is: CLOSED, OPENING, OPEN or CLOSING."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


class ProcessOpening:
    """The one opening of a sync resource."""

    def __init__(self, opener: Opener) -> None:
        # Weakly: an interrupt of a node may come in between it and the return of what it used.
        self.users: WeakSet[Hold] = WeakSet()
        self.stage = Stage.CLOSED
        self.unused_since = 0.0
        self._value: Any = None
        self._opener = opener
        self._stack = ExitStack()
        self._is_asked_to_close = False
        self._changed = threading.Condition()
        self._alarm = Alarm(self._ring, f"comfy-nb-{opener.declared.name}")

    def take_if_open(self, hold: Hold) -> bool:
        """Use it if it is open already."""
        with self._changed:
            return self._take(hold)

    def take(self, hold: Hold) -> None:
        """Use it: open it on this thread, or wait for the thread that does; raises ResourceError if that fails."""
        while hold.opening is None:
            with self._changed:
                if self._take(hold):
                    return
                if self.stage is not Stage.CLOSED:
                    self._changed.wait(LOOK_S)
                    continue
            self._open(hold)

    def _take(self, hold: Hold) -> bool:
        if self.stage is not Stage.OPEN:
            return False
        hold.opening, hold.value = self, self._value
        if not hold.is_dropped:
            self.users.add(hold)
        else:
            self._set_alarm()
        return True

    def _open(self, hold: Hold) -> None:
        """Open it for a user, unless another thread has begun to; an exception at any point leaves it closed."""
        is_mine = False
        try:
            with self._changed:
                if self.stage is not Stage.CLOSED:
                    return
                is_mine, self.stage = True, Stage.OPENING
            stack = ExitStack()
            try:
                value = self._enter(stack)
            except BaseException:
                stack.close()
                raise
            with self._changed:
                self._value, self._stack = value, stack
                self.unused_since = time.monotonic()
                self.stage = Stage.OPEN
                _kept.add(self)
                self._take(hold)
                self._changed.notify_all()
        except InterruptProcessingException:
            raise
        except Exception as error:
            raise not_opened(self._opener.declared.name, error) from error
        finally:
            if is_mine and self.stage is Stage.OPENING:
                self._become_closed()

    def _enter(self, stack: ExitStack) -> Any:
        declared = self._opener.declared
        needs = {name: stack.enter_context(each.lent_here()) for name, each in self._opener.needs.items()}
        generator = declared.function(**needs)
        try:
            value = next(generator)
        except StopIteration:
            raise never_yielded(declared.name) from None
        stack.callback(_finish, generator, declared.name)
        return value

    def give_back(self, hold: Hold) -> None:
        """Take it back from a user; the last one closes it, if it is to be closed."""
        with self._changed:
            hold.is_dropped = True
            if hold not in self.users:
                return
            self.users.discard(hold)
            self.unused_since = time.monotonic()
            if self.users or self.stage is not Stage.OPEN:
                return
            if not self._is_asked_to_close and self._opener.idle != 0:
                self._set_alarm()
                return
            self.stage = Stage.CLOSING
        self._close()

    def close_soon(self) -> None:
        """Close it here and now, or with its last user."""
        with self._changed:
            self._is_asked_to_close = True
            if self.users or self.stage is not Stage.OPEN:
                return
            self.stage = Stage.CLOSING
        self._close()

    def wait_closed(self) -> None:
        """Wait until it is closed."""
        with self._changed:
            while self.stage is not Stage.CLOSED:
                self._changed.wait(LOOK_S)

    def close_at_end(self) -> None:
        """Close it though it may be in use: the process ends."""
        with self._changed:
            if self.stage is not Stage.OPEN:
                return
            self.stage = Stage.CLOSING
        self._close()

    def _set_alarm(self) -> None:
        idle = self._opener.idle
        self._alarm.set(None if idle is None else self.unused_since + idle)

    def _ring(self) -> None:
        with self._changed:
            if self.stage is not Stage.OPEN or self.users:
                return
            if left_of(self._opener.idle, self.unused_since) != 0:
                self._set_alarm()
                return
            self.stage = Stage.CLOSING
        self._close()

    def _close(self) -> None:
        self._value = None
        try:
            self._stack.close()
        except Exception as error:
            warn_of_close(self._opener.declared, error)
        finally:
            self._become_closed()

    def _become_closed(self) -> None:
        with self._changed:
            self.stage = Stage.CLOSED
            self._is_asked_to_close = False
            self._stack = ExitStack()
            _kept.discard(self)
            self._changed.notify_all()


def _finish(generator: Generator[Any, None, None], name: str) -> None:
    try:
        next(generator)
    except StopIteration:
        return
    generator.close()
    raise yielded_twice(name)
