"""Shared by the tests of running and stopping: signs between a node and its test, and nodes that wait for them."""

from __future__ import annotations

import asyncio
import threading

import comfy_nb as nb

PATIENCE_S = 20.0
"""How long a test waits at most for something that happens at once when all is well."""


class Sign(threading.Event):
    """A signal between a node and its test. A node whose code uses it does not count as changed when it is set."""

    def __comfy_nb_key__(self) -> bytes:
        return b"sign"

    async def seen(self) -> None:
        """Wait until it is set, without blocking the loop."""
        assert await asyncio.to_thread(self.wait, PATIENCE_S), "the sign was not given"


def others() -> set[asyncio.Task[object]]:
    """The other tasks of the loop."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def sleeper(begun: Sign, ended: Sign) -> nb.Handle:
    """A node that sleeps long, and signals when it begins and ends."""

    @nb.node
    async def sleeper() -> int:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.set()
        return 1

    return sleeper()


def blocker(begun: Sign, release: Sign, value: int = 1) -> nb.Handle:
    """A sync node that notices nothing until it is released; `begun` is set for as long as it blocks."""

    @nb.node
    def blocker(value: int) -> int:
        begun.set()
        release.wait(PATIENCE_S)
        begun.clear()
        return value

    return blocker(value)
