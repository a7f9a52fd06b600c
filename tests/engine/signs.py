"""What tests of running and stopping share: signs between a node and its test, and nodes that wait for them."""

from __future__ import annotations

import asyncio
import threading

import comfy_nb as nb

PATIENCE_S = 20.0
"""What a test waits at most for something that comes at once when all is well."""


class Sign(threading.Event):
    """What a node and its test tell each other by. To the code of a node it is always the same."""

    def __comfy_nb_code__(self) -> bytes:
        return b"sign"

    async def seen(self) -> None:
        """Until it is set, without keeping the loop."""
        assert await asyncio.to_thread(self.wait, PATIENCE_S), "the sign was not given"


def others() -> set[asyncio.Task[object]]:
    """The tasks of the loop beside this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}


def sleeper(begun: Sign, ended: Sign) -> nb.Handle:
    """A node that sleeps long, and says when it begins and ends."""

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
    """A sync node that hears nothing until it is released; `begun` is set for as long as it blocks."""

    @nb.node
    def blocker(value: int) -> int:
        begun.set()
        release.wait(PATIENCE_S)
        begun.clear()
        return value

    return blocker(value)
