"""An async resource that is open on one loop: a task of its own opens it, waits until it is unused, and closes it.

So what was entered is left in the same task, and a user that is cancelled takes nothing away from the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from contextvars import Context
from typing import Any

from comfy_nb.engine.execution.opening import (
    Hold,
    Opener,
    left_of,
    never_yielded,
    not_opened,
    warn_of_close,
    yielded_twice,
)

_kept: set[LoopOpening] = set()
"""Those that are open: a loop refers to its tasks only weakly, and perhaps nobody else refers to the resource."""


class LoopOpening:
    """One opening of an async resource, used only on its loop. Once `is_closing`, it takes no more users."""

    def __init__(self, opener: Opener, loop: asyncio.AbstractEventLoop, on_end: Callable[[LoopOpening], None]) -> None:
        self.loop = loop
        self.users: set[Hold] = set()
        self.is_open = False
        self.is_closing = False
        self.value: Any = None
        self.unused_since = 0.0
        self._opener = opener
        self._on_end = on_end
        self._failure: BaseException | None = None
        self._is_asked_to_close = False
        self._opened = asyncio.Event()
        self._changed = asyncio.Event()
        # It outlives its first user, whose context (its node, its places in pools) is not its own.
        self.task = loop.create_task(self._keep(), name=f"comfy-nb-{opener.declared.name}", context=Context())
        _kept.add(self)

    async def take(self, hold: Hold) -> None:
        """Use it, once it is open; raises ResourceError if it could not be opened."""
        hold.opening = self
        self.users.add(hold)
        try:
            await self._opened.wait()
        except BaseException:
            self.give_back(hold)
            raise
        if self._failure is not None:
            self.users.discard(hold)
            raise not_opened(self._opener.declared.name, self._failure)
        hold.value = self.value

    def give_back(self, hold: Hold) -> None:
        """Take it back from a user; an opening for which nobody waits any more is cancelled."""
        if hold not in self.users:
            return
        self.users.discard(hold)
        self.unused_since = time.monotonic()
        if not self.users:
            if not self._opened.is_set():
                self.is_closing = True
                self.task.cancel()
            elif self._is_asked_to_close:
                self.is_closing = True
        self._changed.set()

    def close_soon(self) -> None:
        """Close it as soon as it has no users."""
        self._is_asked_to_close = True
        if self.is_open and not self.users:
            self.is_closing = True
        self._changed.set()

    def look_again(self) -> None:
        """Wait for as long as its resource says, if that says another time by now."""
        self._changed.set()

    async def _keep(self) -> None:
        stack = AsyncExitStack()
        try:
            self.value = await self._open(stack)
        except BaseException as error:  # whatever it was, those who wait for it are told
            self._failure = error
        else:
            self.is_open = True
            self._opened.set()
            with suppress(asyncio.CancelledError):  # the loop ends: it is closed while there still is one
                await self._until_unused()
        self.is_closing = True
        self._opened.set()
        try:
            await stack.aclose()
        except BaseException as error:
            warn_of_close(self._opener.declared, error)
        finally:
            self.is_open = False
            self.value = None
            self._on_end(self)
            _kept.discard(self)

    async def _open(self, stack: AsyncExitStack) -> Any:
        declared = self._opener.declared
        needs = {name: await stack.enter_async_context(each.lent()) for name, each in self._opener.needs.items()}
        generator = declared.function(**needs)
        try:
            value = await anext(generator)
        except StopAsyncIteration:
            raise never_yielded(declared.name) from None

        async def close() -> None:
            try:
                await anext(generator)
            except StopAsyncIteration:
                return
            await generator.aclose()
            raise yielded_twice(declared.name)

        stack.push_async_callback(close)
        return value

    async def _until_unused(self) -> None:
        while not self.is_closing:
            self._changed.clear()
            left = None
            if not self.users:
                left = 0.0 if self._is_asked_to_close else left_of(self._opener.idle, self.unused_since)
                if left == 0.0:
                    return
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()
