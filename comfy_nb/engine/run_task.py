"""The life of one run: prepared, executed, ended, and perhaps stopped at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from comfy_nb.engine.execution.executor import Executor
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.execution.pauses import MakePause
from comfy_nb.engine.execution.services import Services
from comfy_nb.engine.execution.state import RunState, Status
from comfy_nb.engine.planning.class_hooks import call_fingerprints, call_validators
from comfy_nb.engine.planning.validity import Validity, assess


class RunTask:
    """Takes a run from its plan to its end.

    `on_ready()` is called before the run is executed, `on_end()` after it, before the end is reported; neither where
    the run is refused or stopped before. `error` is what ended it, if anything did; `validity` has the outputs that can
    run, once that is known.
    """

    def __init__(
        self,
        state: RunState,
        services: Services,
        make_pause: MakePause,
        on_ready: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self.state = state
        self.validity: Validity | None = None
        self.error: BaseException | None = None
        self.executor: Executor | None = None
        self._services = services
        self._make_pause = make_pause
        self._on_ready = on_ready
        self._on_end = on_end
        self._preparing: asyncio.Task[list[str]] | None = None
        self._finished: asyncio.Future[None] | None = None

    async def execute(self, outputs: Sequence[str] | None) -> None:
        """Prepare and execute the run; returns when it has ended. Raises what its preparation raises."""
        loop = asyncio.get_running_loop()
        state = self.state
        self._finished = loop.create_future()
        self._preparing = loop.create_task(self._prepare(outputs))
        if state.stopping:
            self._preparing.cancel()
        try:
            state.wanted = await self._preparing
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not state.stopping or (task is not None and task.cancelling()):
                raise
            self.end_unexecuted()
            return
        except BaseException as error:
            self.error = error
            state.event_log.run_refused(error)
            self.end_unexecuted()
            raise
        self._on_ready()
        self._start()
        await asyncio.shield(self._finished)

    async def _prepare(self, outputs: Sequence[str] | None) -> list[str]:
        """Validate, take fingerprints, and return the wanted nodes that can run."""
        plan, hidden = self.state.plan, self.state.hidden_inputs.value
        wanted = plan.default_outputs() if outputs is None else list(outputs)
        call_hook = partial(self._services.call_hook, modes=self.state.modes)
        found = await call_validators(plan, wanted, call_hook, hidden)
        self.validity = assess(self.state.graph, plan, wanted, found)
        if not self.validity.runnable_outputs:
            raise self.validity.error()
        if plan.fingerprinting:
            needed = plan.above(self.validity.runnable_outputs)
            steps = [step for step in plan.fingerprinting if step.id in needed]
            changed = await call_fingerprints(steps, call_hook, hidden)
            if changed:
                plan.rekey(changed)
        if plan.runs_every_time:
            plan.rekey(plan.runs_every_time)
        self.state.revision = plan.revision
        return self.validity.runnable_outputs

    def _start(self) -> None:
        state = self.state
        self.executor = Executor(state, self._services, self._make_pause, self._executed)
        state.event_log.loop = self.executor.loop
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
        elif preparing is not None:
            post(preparing.get_loop(), preparing.cancel)

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
        state.plan.users -= 1
        state.event_log.run_finished(state.status, state.seconds)
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    async def clean_up(self) -> None:
        """Wait until nothing of a stopped run is left on the loop, even if this wait is cancelled."""
        if self.executor is None:
            self.end_unexecuted()
        while self._finished is not None and self.executor is not None and not self._finished.done():
            try:
                await asyncio.shield(self._finished)
            except asyncio.CancelledError:
                continue
