"""Sync nodes that wait before their next attempt: on the loop's clock, so that their lane is free meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from comfy_nb.engine.execution.callers import LaneTurn
from comfy_nb.engine.execution.node_run import NodeRun


class Backoff:
    """The waiting nodes of one run; all methods are called on its loop. `go_on` continues a turn that was put off."""

    def __init__(self, loop: asyncio.AbstractEventLoop, go_on: Callable[[NodeRun, LaneTurn], None]) -> None:
        self._loop = loop
        self._go_on = go_on
        self._timers: dict[int, tuple[NodeRun, asyncio.TimerHandle]] = {}

    def begin(self, node_run: NodeRun, put_off: LaneTurn) -> None:
        """Let a node wait."""
        timer = self._loop.call_later(put_off.wait_s, self._end, node_run, put_off)
        self._timers[node_run.sequence] = node_run, timer

    def close(self) -> list[NodeRun]:
        """End all waits at once, since the run ends; return the nodes that waited."""
        timers, self._timers = self._timers, {}
        for _, timer in timers.values():
            timer.cancel()
        return [node_run for node_run, _ in timers.values()]

    def _end(self, node_run: NodeRun, put_off: LaneTurn) -> None:
        del self._timers[node_run.sequence]
        self._go_on(node_run, put_off)
