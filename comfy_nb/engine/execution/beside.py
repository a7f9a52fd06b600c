"""Blocking work on a thread of its own, for a coroutine that waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from comfy_nb.engine.execution.lanes import raise_in_thread
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.process_end import process_end
from comfy_nb.engine.own_thread import OwnThread
from comfy_nb.errors import InterruptProcessingException


class Beside:
    """Work on a thread of its own, for a coroutine that waits for it; if that is cancelled, the work goes on."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._error: BaseException | None = None
        self.thread: threading.Thread = OwnThread(self._do, "comfy-nb-resource")
        self.thread.start()
        process_end.end_thread(self)

    def _do(self) -> None:
        try:
            self._work()
        except BaseException as error:  # it is raised for the one that waits
            self._error = error
        post(self._loop, self._done.set)

    async def result(self) -> None:
        """Wait for the end; raises what the work raised."""
        await self._done.wait()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Interrupt the work, as the process ends."""
        raise_in_thread(self.thread, InterruptProcessingException)
