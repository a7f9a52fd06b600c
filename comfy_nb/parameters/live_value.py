"""A value kept up to date with edits of its graph: the newest edit counts, and what it overtook is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from comfy_nb.engine.execution.interrupt import stopped_by_interrupt
from comfy_nb.errors import Stopped
from comfy_nb.graph.model import Graph
from comfy_nb.parameters.parameter import Setting, Target
from comfy_nb.wording import format_seconds

REST_S = 0.15
STOPPED = "The run was stopped before the value was there; what had finished stays cached."


class Rerun:
    """Runs a graph's target when its edits have rested for `rest_s`. All of it is called on one loop.

    `tell()` is called when `state`, `value` or `error` changed. Awaiting it waits until the newest edit is computed.
    """

    def __init__(self, graph: Graph, target: Target, tell: Callable[[], None], rest_s: float = REST_S) -> None:
        self.graph = graph
        self.target = target
        self.value: Any = None
        self.error: BaseException | None = None
        self.state = "not run"
        self._tell = tell
        self._rest_s = rest_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._job: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_settled = asyncio.Event()
        self.is_closed = False

    def edit(self, setting: Setting, value: Any) -> None:
        """Set a constant, stop the run that this overtakes, and run again soon."""
        if self.is_closed:
            return
        self._overtake()
        self._is_settled.clear()
        self.graph[setting.node_id].inputs[setting.name] = value
        self._timer = self._loop.call_later(self._rest_s, self.start)

    def start(self) -> None:
        """Run now."""
        if self.is_closed:
            return
        self._overtake()
        self._is_settled.clear()
        self._job = self.graph.start([self.target.node_id], quiet=True)
        task = self._loop.create_task(self._follow(self._job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._say("running…")

    def close(self) -> None:
        """Stop what runs, and run no more."""
        self.is_closed = True
        self._stop()

    def _stop(self) -> None:
        is_going = not self._is_settled.is_set()
        self._overtake()
        self._is_settled.set()
        if is_going:
            self.value, self.error = None, Stopped(STOPPED)
            self._say("stopped")

    def _overtake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._job is not None:
            self._job.cancel()
        self._timer = self._job = None

    async def _follow(self, job: Any) -> None:
        value: Any = None
        error: Exception | None = None
        try:
            run = await job
            if run.state == "done":
                value = run.value(self.target.node_id, self.target.slot)
            else:
                error = Stopped(f"The run was {run.state}; what had finished stays cached.", run=run)
        except Exception as raised:  # whatever a run raises is what there is to show
            error = raised
        if job is not self._job:
            return
        self._job = None
        self.value, self.error = value, error
        self._is_settled.set()
        self._say(_said(job.run, self.target) if error is None else "failed")

    def _say(self, state: str) -> None:
        self.state = state
        self._tell()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._settled().__await__()

    async def _settled(self) -> Any:
        await asyncio.sleep(0)  # for the edits that are on their way to the loop
        try:
            with stopped_by_interrupt(STOPPED):
                await self._is_settled.wait()
        except Stopped:
            self._stop()
            raise
        if self.error is not None:
            raise self.error
        return self.value


def _said(run: Any, target: Target) -> str:
    nodes = len(run.plan.above([target.node_id]))
    return f"done in {format_seconds(run.seconds)}, {run.counts['ran']} of {nodes} node{'s' * (nodes != 1)} ran"
