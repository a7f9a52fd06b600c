"""Runs in the background, and what is left of a run that has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from comfy_nb.engine.execution.interrupt import interrupt_watch
from comfy_nb.engine.execution.state import Status
from comfy_nb.engine.presenter import safely
from comfy_nb.engine.run import Run
from comfy_nb.engine.run_task import outlast
from comfy_nb.errors import ComfyNBError

INTERRUPTED = "The run was interrupted; what had finished stays cached."


class Job:
    """A run in the background of the loop: await it for its result, `cancel()` it, or look at `job.run`."""

    def __init__(
        self,
        run: Run,
        work: Coroutine[Any, Any, None],
        take: Callable[[Run], Any],
        show_refusal: Callable[[Run, BaseException], None],
    ) -> None:
        self.run = run
        self._show_refusal = show_refusal
        self._take = take
        self._work = work
        self._is_awaited = False
        self._task = asyncio.get_running_loop().create_task(self._go(work))
        self._task.add_done_callback(self._ended)

    async def _go(self, work: Coroutine[Any, Any, None]) -> Any:
        try:
            await work
        except asyncio.CancelledError:
            self.run.task.stop(Status.CANCELLED)
            await self.run.task.clean_up()
            raise
        return self._take(result_of(self.run))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # a job that nobody awaits fails visibly, so it counts as retrieved
            if self.run.task.executor is None and self.run.error is not None and not self._is_awaited:
                safely("The display of a run failed", self._show_refusal, self.run, self.run.error)
        elif self.run.state is Status.RUNNING:  # cancelled before its first step
            self._work.close()
            self.run.task.stop(Status.CANCELLED)
            self.run.task.end_unexecuted()

    def cancel(self) -> None:
        """Stop the run; what had finished stays cached. Awaiting the job then returns the run in state
        "cancelled", or for `handle.start()` raises Stopped."""
        self.run.task.stop(Status.CANCELLED)

    @property
    def panel(self) -> Any:
        """The run's rows, live: another view of the same run."""
        return self.run.panel

    def done(self) -> bool:
        """Whether the job has ended."""
        return self._task.done()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        with interrupt_watch.awaiting(INTERRUPTED, self.run.stop, self.run) as awaited:
            self.run.session.note_awaited(self.run)
            try:
                return await settled(self)
            except asyncio.CancelledError:
                if awaited.notice_cancellation():
                    self.run.stop()
                    await outlast(self._task)
                raise
            finally:
                self.run.session.note_awaited(self.run)

    def __repr__(self) -> str:
        return f"<Job {self.run!r}>"


async def settled(job: Job) -> Any:
    """Wait for a job's result; unlike awaiting the job, on behalf of no cell that an interrupt would end."""
    job._is_awaited = True
    return await asyncio.shield(job._task)


def result_of(run: Run) -> Run:
    """Return a run that has ended, or raise what went wrong in it."""
    if run.error is not None:
        # One of ours was made, not raised, or is raised again: its frames are those that lead to this one.
        raise run.error.with_traceback(None) if isinstance(run.error, ComfyNBError) else run.error
    validity = run.validity
    if validity is not None and validity.problems and run.state is Status.DONE:
        raise validity.error(run)
    return run
