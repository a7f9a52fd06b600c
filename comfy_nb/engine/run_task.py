"""The life of one run: prepared, executed, ended, and perhaps stopped at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from comfy_nb.engine.execution.cancelling import cancel_until_done
from comfy_nb.engine.execution.coroutines import our_time
from comfy_nb.engine.execution.executor import Executor
from comfy_nb.engine.execution.held_loop import held_loop
from comfy_nb.engine.execution.hook_caller import call_hook
from comfy_nb.engine.execution.inside import inside_run
from comfy_nb.engine.execution.loops import post, running_loop
from comfy_nb.engine.execution.pauses import MakePause
from comfy_nb.engine.execution.services import Services
from comfy_nb.engine.execution.state import RunState, Status
from comfy_nb.engine.execution.time_limit import TimeLimit
from comfy_nb.engine.planning.class_hooks import call_fingerprints, call_validators
from comfy_nb.engine.planning.validity import Validity, assess
from comfy_nb.errors import warn_each_time


class RunTask:
    """Takes a run from its plan to its end.

    `on_ready()` is called before the run is executed, `on_end()` after it, before the end is reported; neither where
    the run is refused or stopped before. `error` is what ended it, if anything did; `validity` has the outputs that can
    run, once that is known. A run that reaches its `limit` fails with the limit's error.
    """

    def __init__(
        self,
        state: RunState,
        services: Services,
        make_pause: MakePause,
        on_ready: Callable[[], None],
        on_end: Callable[[], None],
        limit: TimeLimit | None = None,
    ) -> None:
        self.state = state
        self.validity: Validity | None = None
        self.error: BaseException | None = None
        self.executor: Executor | None = None
        self._services = services
        self._make_pause = make_pause
        self._on_ready = on_ready
        self._on_end = on_end
        self._limit = limit
        self._timer: asyncio.TimerHandle | None = None
        self._preparing: asyncio.Task[list[str]] | None = None
        self._hook: Callable[..., Any] | None = None
        self._abandoned: asyncio.Future[None] | None = None
        self._finished: asyncio.Future[None] | None = None
        self._can_free_loop = False

    async def execute(self, outputs: Sequence[str] | None) -> None:
        """Prepare and execute the run; returns when it has ended. Raises what its preparation raises."""
        loop = asyncio.get_running_loop()
        state = self.state
        self._finished = loop.create_future()
        abandoned = self._abandoned = loop.create_future()
        if self._limit is not None:
            self._timer = loop.call_later(self._limit.seconds, self._time_out, self._limit)
        preparing = self._preparing = loop.create_task(self._prepare(outputs))
        if state.stopping:
            self._cancel_preparing()
        await asyncio.wait([preparing, abandoned], return_when=asyncio.FIRST_COMPLETED)
        if state.stopping and (abandoned.done() or preparing.cancelled()):
            self.end_unexecuted()
            return
        try:
            state.wanted = preparing.result()
        except BaseException as error:
            self.error = error
            state.event_log.run_refused(error)
            self.end_unexecuted()
            raise
        if state.stop_as is not None:
            self.end_unexecuted()
            return
        with our_time():
            self._on_ready()
            self._start()
        await asyncio.shield(self._finished)
        if state.stopping:
            await self.clean_up()

    async def _prepare(self, outputs: Sequence[str] | None) -> list[str]:
        """Validate, take fingerprints, and return the wanted nodes that can run."""
        plan = self.state.plan
        wanted = plan.default_outputs() if outputs is None else list(outputs)
        found = await call_validators(plan, wanted, self._call_hook)
        self.validity = assess(self.state.graph, plan, wanted, found)
        if not self.validity.runnable_outputs:
            raise self.validity.error()
        if plan.fingerprinting:
            needed = plan.above(self.validity.runnable_outputs)
            steps = [step for step in plan.fingerprinting if step.id in needed]
            changed = await call_fingerprints(steps, self._call_hook)
            if changed:
                plan.rekey(changed)
        if plan.runs_every_time:
            plan.rekey(plan.runs_every_time)
        self.state.revision = plan.revision
        return self.validity.runnable_outputs

    async def _call_hook(self, function: Callable[..., Any], inputs: dict[str, Any]) -> Any:
        self._hook = function
        return await call_hook(self.state.lanes.hooks, function, inputs, self.state.modes)

    def _start(self) -> None:
        state = self.state
        self.executor = Executor(state, self._services, self._make_pause, self._executed)
        state.event_log.loop = self.executor.loop
        self._can_free_loop = held_loop.prepare()
        self.executor.start(state.wanted)
        if state.stop_as is not None:
            self.executor.end(state.stop_as)

    def stop(self, status: Status) -> None:
        """Stop the run, from any thread: async nodes end at their await, sync ones at their next progress report."""
        if not self.state.request_stop(status):
            return
        executor, preparing = self.executor, self._preparing
        if executor is not None:
            post(executor.loop, executor.end, status)
            if self._can_free_loop and running_loop() is not executor.loop:
                held_loop.free(executor.loop)
        elif preparing is not None:
            post(preparing.get_loop(), self._cancel_preparing)

    def _time_out(self, limit: TimeLimit) -> None:
        if self.state.stopping or self.state.status is not Status.RUNNING:
            return
        error = limit.error()
        if self.executor is not None:
            self.executor.break_off(error)
        else:
            self.error = error
            self.state.event_log.run_refused(error)
            self.stop(Status.FAILED)

    def _cancel_preparing(self) -> None:
        preparing, abandoned = self._preparing, self._abandoned
        assert preparing is not None and abandoned is not None
        cancel_until_done(
            lambda: () if preparing.done() else (preparing,), partial(self._abandon, preparing, abandoned)
        )

    def _abandon(self, preparing: asyncio.Task[list[str]], abandoned: asyncio.Future[None]) -> None:
        """Go on without the preparation: a hook swallows its cancellation."""
        preparing.add_done_callback(_ignore_outcome)
        hook = getattr(self._hook, "__qualname__", "A hook of a node class")
        message = f"{hook} did not stop (it swallows its cancellation); it was abandoned."
        warn_each_time(message, getattr(self._hook, "__code__", None))
        abandoned.set_result(None)

    def end_unexecuted(self) -> None:
        """End a run that has not been executed."""
        if self.state.status is Status.RUNNING:
            self.state.end(self.state.stop_as or Status.FAILED)
            self._report_end()

    def _executed(self, status: Status, error: BaseException | None) -> None:
        self.error = error
        self.state.end(status)
        self._on_end()
        self._report_end()

    def _report_end(self) -> None:
        state = self.state
        if self._timer is not None:
            self._timer.cancel()
        state.plan.users -= 1
        if state.outer is not None:
            ended = inside_run(state, self._services.inside)
            state.outer.ended_inside.setdefault(state.outer_node, []).append(ended)
        state.lanes.release()
        state.event_log.run_finished(state.status, state.seconds)
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    async def clean_up(self) -> None:
        """Wait until nothing of a stopped run is left on the loop, even if this wait is cancelled."""
        if self.executor is None:
            if self._preparing is not None and self._abandoned is not None:
                await outlast(self._preparing, self._abandoned)
            self.end_unexecuted()
        elif self._finished is not None:
            await outlast(self._finished)
        for inner in list(self.state.inner):
            await inner.clean_up()


async def outlast(*futures: asyncio.Future[Any]) -> None:
    """Wait until one of these, of this loop, is done, even if this wait is cancelled."""
    here = asyncio.get_running_loop()
    while not any(future.done() or future.get_loop() is not here for future in futures):
        with suppress(asyncio.CancelledError):
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _ignore_outcome(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
