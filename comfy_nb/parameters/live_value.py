"""A value that follows the edits of its graph: the newest edit counts, and runs that it overtakes are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import copy_context
from typing import Any

from comfy_nb.engine.execution.interrupt import interrupt_watch
from comfy_nb.engine.job import Job, settled
from comfy_nb.engine.planning.modes import modes_here
from comfy_nb.engine.run import Run
from comfy_nb.errors import Stopped
from comfy_nb.graph.model import Graph
from comfy_nb.parameters.parameter import Parameter, same_constant
from comfy_nb.parameters.shown_output import ShownOutput
from comfy_nb.wording import count, format_seconds

REST_S = 0.15
INTERRUPTED = "Interrupted before the value was there; what had finished stays cached."
RUNNING = "running…"
STOPPED = "The run was stopped before the value was there; what had finished stays cached."


class LiveValue:
    """Runs a graph for one output once its edits have rested for `rest_s`. All methods are called on one loop.

    `on_change()` is called when `state`, `value` or `error` has changed. Await it for the value of the newest edit.
    """

    def __init__(
        self, graph: Graph, output: ShownOutput, on_change: Callable[[], None], rest_s: float = REST_S
    ) -> None:
        self.graph = graph
        self.output = output
        self.value: Any = None
        self.error: BaseException | None = None
        self.state = "not run"
        self.is_closed = False
        self._on_change = on_change
        self._rest_s = rest_s
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._modes = modes_here()
        self._timer: asyncio.TimerHandle | None = None
        self._job: Job | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_settled = asyncio.Event()

    def edit(self, parameter: Parameter, value: Any) -> None:
        """Set a constant, stop the run that this overtakes, and run again soon; nothing if it has that value."""
        inputs = self.graph[parameter.node_id].inputs
        if self.is_closed or same_constant(inputs.get(parameter.name), value):
            return
        self._overtake()
        self._is_settled.clear()
        inputs[parameter.name] = value
        self._timer = self._loop.call_later(self._rest_s, self.start)

    def start(self) -> None:
        """Run now."""
        if self.is_closed:
            return
        self._overtake()
        self._is_settled.clear()
        self._job = self._context.copy().run(self._begin)
        task = self._loop.create_task(self._follow(self._job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._change_to(RUNNING)

    def _begin(self) -> Job:
        """Start a run in the context and under the modes in which this was made, whatever callback asks for it."""
        with self._modes.around(grad=False):
            job: Job = self.graph.start([self.output.node_id], quiet=True, on_error="stop", priority=0)
        return job

    def close(self) -> None:
        """Stop the run that goes on, and start no other."""
        self.is_closed = True
        self._stop()

    def _stop(self) -> None:
        is_going = not self._is_settled.is_set()
        self._overtake()
        self._is_settled.set()
        if is_going:
            self.value, self.error = None, Stopped(STOPPED)
            self._change_to("stopped")

    def _overtake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._job is not None:
            self._job.cancel()
        self._timer = self._job = None

    async def _follow(self, job: Job) -> None:
        value: Any = None
        error: Exception | None = None
        try:
            run: Run = await settled(job)
            if run.state == "done":
                value = run.value(self.output.node_id, self.output.slot)
            else:
                error = Stopped(f"The run was {run.state}; what had finished stays cached.", run=run)
        except Exception as raised:  # whatever a run raises is shown in place of the value
            error = raised
        if job is not self._job:
            return
        self._job = None
        self.value, self.error = value, error
        self._is_settled.set()
        self._change_to(_describe(job.run, self.output) if error is None else "failed")

    def _change_to(self, state: str) -> None:
        self.state = state
        self._on_change()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._settled().__await__()

    async def _settled(self) -> Any:
        await asyncio.sleep(0)  # for edits that are on their way to the loop
        run = self._job.run if self._job is not None else None
        with interrupt_watch.awaiting(INTERRUPTED, self._stop, run) as awaited:
            try:
                await self._is_settled.wait()
            except asyncio.CancelledError:
                if awaited.notice_cancellation():
                    self._stop()
                raise
        if self.error is not None:
            raise self.error
        return self.value


def _describe(run: Run, output: ShownOutput) -> str:
    nodes = len(run.plan.above([output.node_id]))
    return f"done in {format_seconds(run.seconds)}, {run.counts['ran']} of {count(nodes, 'node')} ran"
