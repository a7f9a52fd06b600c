"""Callers give nodes their turns: on a lane for sync nodes, on the event loop for async ones.

Both drive the same generator (see `turn`). A simple node, as most are, is called without it, which is faster: it has
none of what the generator is for.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from types import CoroutineType
from typing import Any, Protocol

import torch

from comfy_nb.engine.execution.coroutines import LoopWatch, WatchedCoroutine, run_without_waiting
from comfy_nb.engine.execution.failure import TookTooLong
from comfy_nb.engine.execution.hook_caller import call_hook
from comfy_nb.engine.execution.lanes import Worker
from comfy_nb.engine.execution.lending import resources_for, with_resources_here
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.places import Places
from comfy_nb.engine.execution.retry import retry_after
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.execution.turn import Invocation, Outcome, Turn, node_turn, simple_inputs, simple_outputs
from comfy_nb.engine.execution.turn_services import TurnServices
from comfy_nb.engine.node_api.context import CallContext, current_call
from comfy_nb.engine.planning.class_hooks import call_fingerprints
from comfy_nb.engine.planning.step import LOOP, Step
from comfy_nb.errors import InterruptProcessingException

OVERDUE_S = 0.1
"""How long after its timeout a node that has not ended is said to be overdue."""


class Caller(Protocol):
    """Gives nodes their turns; awaited on the event loop. `step.where` names the caller of a node."""

    async def call(self, node_run: NodeRun) -> Outcome:
        """Give a node its turn."""
        ...

    async def fingerprint(self, steps: Sequence[Step]) -> None:
        """Take the fingerprints of nodes that a node of this caller expanded into."""
        ...


MakeCaller = Callable[[RunState, TurnServices, LoopWatch], Caller]


class LaneTurn:
    """A turn on a lane, and how far it has come. One that is put off goes on after `wait_s` seconds.

    `attempt` is how often the next call has failed. With `one_call` it is put off after each call: in a pool, each has
    places of its own. Raises StopIteration for a turn without calls.
    """

    def __init__(self, turn: Turn, one_call: bool) -> None:
        self.turn = turn
        self.one_call = one_call
        self.wait_s = 0.0
        self.calls = next(turn)
        self.results: list[Any] = []
        self.attempt = 0


LaneOutcome = Outcome | LaneTurn


class LaneCaller:
    """Calls sync nodes on the worker of a lane."""

    def __init__(self, state: RunState, services: TurnServices, loop: asyncio.AbstractEventLoop) -> None:
        self.state = state
        self.services = services
        self.loop = loop

    def call(self, node_run: NodeRun, worker: Worker, *, one_call: bool = False) -> LaneOutcome:
        """Give a node its turn."""
        step = node_run.step
        if step.is_simple and (inputs := simple_inputs(step, self.services.scheduler.node_runs)) is not None:
            return self._call_simple(node_run, inputs, worker)
        turn = node_turn(node_run, self.services)
        try:
            begun = LaneTurn(turn, one_call)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        return self.go_on(begun, node_run, worker)

    def go_on(self, begun: LaneTurn, node_run: NodeRun, worker: Worker) -> LaneOutcome:
        """Go on with a turn to its outcome, or until it is put off."""
        while True:
            while (left := len(begun.calls) - len(begun.results)) > 0:
                begun.wait_s = 0.0
                if not self._call(node_run, begun, worker) or (begun.one_call and left > 1):
                    return begun
            try:
                results, begun.results = begun.results, []
                begun.calls = begun.turn.send(results)
            except StopIteration as stop:
                outcome: Outcome = stop.value
                return outcome

    def _call_simple(self, node_run: NodeRun, inputs: dict[str, Any], worker: Worker) -> Outcome:
        """Make the one call of a simple node."""
        state, spec = self.state, node_run.step.spec
        function = spec.function(None if spec.make_object is None else self.services.object_of(node_run))
        function = state.modes.wrap(function)
        if state.stop_as is not None or worker.retired:
            raise InterruptProcessingException
        current_call.set(CallContext(state, node_run.step.id))
        started = time.perf_counter()
        try:
            result = worker.call(node_run, function, inputs)
        finally:
            node_run.seconds = time.perf_counter() - started
        return simple_outputs(node_run, self.services, result)

    def _call(self, node_run: NodeRun, begun: LaneTurn, worker: Worker) -> bool:
        """Make the next call of a turn; False where it failed and is to be made again after a wait."""
        spec, call = node_run.step.spec, begun.calls[len(begun.results)]
        if self.state.stopping or worker.retired:
            raise InterruptProcessingException
        if begun.attempt and not begun.one_call:
            self.state.event_log.node_started(node_run, worker.name)
        token = current_call.set(call.context)
        started = time.perf_counter()
        try:
            function = self.state.modes.wrap(call.function, grad=spec.grad)
            if spec.resources and not call.is_check:
                function = with_resources_here(spec, function)
            with torch.set_grad_enabled(spec.grad):
                result = worker.call(call, function, call.inputs)
            if call.is_check:
                result = self._answer(result)
            _report_call(call, self.state, time.perf_counter() - started)
        except InterruptProcessingException:
            raise
        except Exception as error:  # whatever it was, the node may have retries left
            retry = retry_after(error, begun.attempt, spec, call)
            if retry is None:
                raise
        else:
            begun.results.append(result)
            begun.attempt = 0
            return True
        finally:
            current_call.reset(token)
            node_run.seconds += time.perf_counter() - started
        begun.attempt += 1
        begun.wait_s = retry.wait_s
        self.state.event_log.node_waits(node_run, retry.reason)
        return False

    def fingerprint(self, steps: Sequence[Step], worker: Worker) -> None:
        """Take the fingerprints of nodes that a sync node expanded into."""
        taken = call_fingerprints(steps, partial(self._call_hook, worker))
        run_without_waiting(taken, "A fingerprint on a lane waits for the event loop.")

    async def _call_hook(self, worker: Worker, function: Callable[..., Any], inputs: dict[str, Any]) -> Any:
        return self._answer(worker.call(inputs, self.state.modes.wrap(function), inputs))

    def _answer(self, result: Any) -> Any:
        """Return what a hook answered: a coroutine's result, once the loop has run it."""
        if issubclass(type(result), CoroutineType):
            return asyncio.run_coroutine_threadsafe(result, self.loop).result()
        return result


class LoopCaller:
    """Calls async nodes on the event loop."""

    def __init__(self, state: RunState, services: TurnServices, watch: LoopWatch, places: Places) -> None:
        self.state = state
        self.services = services
        self.watch = watch
        self.places = places
        self._call_hook = partial(call_hook, state.lanes.hooks, modes=state.modes)

    async def fingerprint(self, steps: Sequence[Step]) -> None:
        """Take the fingerprints of nodes that an async node expanded into."""
        await call_fingerprints(steps, self._call_hook)

    async def call(self, node_run: NodeRun) -> Outcome:
        """Give a node its turn."""
        step = node_run.step
        is_simple = step.is_simple and not self.places.needed_by(step)
        if is_simple and (inputs := simple_inputs(step, self.services.scheduler.node_runs)) is not None:
            spec = step.spec
            made = spec.function(self.services.object_of(node_run))(**inputs)
            current_call.set(CallContext(self.state, step.id))
            started = time.perf_counter()
            try:
                result = await WatchedCoroutine(made, node_run, self.watch, grad=False, modes=self.state.modes)
            finally:
                node_run.seconds = time.perf_counter() - started
            return simple_outputs(node_run, self.services, result)
        turn = node_turn(node_run, self.services)
        results: Any = None
        while True:
            try:
                calls = turn.send(results)
            except StopIteration as stop:
                outcome: Outcome = stop.value
                return outcome
            if len(calls) == 1:
                results = [await self._await_call(node_run, calls[0])]
            else:
                results = await self._await_all(node_run, calls)

    async def _await_call(self, node_run: NodeRun, call: Invocation) -> Any:
        spec = node_run.step.spec
        for attempt in range(spec.retries + 1):
            if self.state.stopping:
                raise InterruptProcessingException
            if attempt and not self.places.needed_by(node_run.step):
                self.state.event_log.node_started(node_run, LOOP)
            current_call.set(call.context)
            try:
                if not inspect.iscoroutinefunction(call.function) and call.is_check:
                    return await _timed(node_run, self._call_hook(call.function, call.inputs))
                async with self.places.taken(node_run):
                    started = time.perf_counter()
                    needs_resources = spec.resources and not call.is_check
                    make = self._await_with_resources if needs_resources else self._await_in_time
                    result = await _timed(node_run, make(node_run, call))
                    _report_call(call, self.state, time.perf_counter() - started)
                return result
            except InterruptProcessingException:
                raise
            except Exception as error:  # whatever it was, the node may have retries left
                retry = retry_after(error, attempt, spec, call)
                if retry is None:
                    raise
            self.state.event_log.node_waits(node_run, retry.reason)
            await asyncio.sleep(retry.wait_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _await_with_resources(self, node_run: NodeRun, call: Invocation) -> Any:
        async with resources_for(node_run.step.spec) as resources:
            return await self._await_in_time(node_run, call._replace(inputs={**call.inputs, **resources}))

    async def _await_in_time(self, node_run: NodeRun, call: Invocation) -> Any:
        spec = node_run.step.spec
        made = call.function(**call.inputs)
        stepped = WatchedCoroutine(made, node_run, self.watch, grad=spec.grad, modes=self.state.modes)
        if spec.timeout is None:
            return await stepped
        return await _in_time(stepped, spec.timeout, partial(self.state.event_log.node_overdue, node_run, spec.timeout))

    async def _await_all(self, node_run: NodeRun, calls: list[Invocation]) -> list[Any]:
        """Make the calls at the same time; the first failure cancels the others and is raised."""
        tasks = [asyncio.ensure_future(_held_back(self._await_call, node_run, call)) for call in calls]
        try:
            return list(await asyncio.gather(*tasks))
        except _HeldBack as held:
            raise held.error from None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _timed(node_run: NodeRun, call: Coroutine[Any, Any, Any]) -> Any:
    started = time.perf_counter()
    try:
        return await call
    finally:
        node_run.seconds += time.perf_counter() - started


class _HeldBack(Exception):
    """One of the exceptions that asyncio lets leave a task through the loop, which in a kernel is the kernel's own."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


async def _held_back(call: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
    try:
        return await call(*args)
    except (KeyboardInterrupt, SystemExit) as error:
        raise _HeldBack(error) from None


def _report_call(call: Invocation, state: RunState, seconds: float) -> None:
    """Report that a call is done, if its node is called for each item of a list."""
    context = call.context
    if context.calls > 1 and not call.is_check:
        state.event_log.call_finished(context.node_id, context.index, context.calls, seconds)


async def _in_time(stepped: WatchedCoroutine, timeout_s: float, report_overdue: Callable[[], None]) -> Any:
    """Return what comes in time; what a node returns that swallows the end of its time is too late."""
    overdue = asyncio.get_running_loop().call_later(timeout_s + OVERDUE_S, report_overdue)
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            result = await stepped
    except TimeoutError:
        if not limit.expired():
            raise
    finally:
        overdue.cancel()
    if limit.expired():
        raise TookTooLong
    return result
