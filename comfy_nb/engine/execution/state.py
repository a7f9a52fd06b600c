"""The state of one run: what it is to compute, how far it is, and whether it is to stop."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from asyncio import AbstractEventLoop
from collections.abc import Callable, Hashable, Mapping
from enum import StrEnum
from types import CodeType
from typing import Any, Protocol
from weakref import WeakSet

from comfy_nb.engine.events import Event, Subscriber
from comfy_nb.engine.execution.dynamic_prompt import DynamicPrompt
from comfy_nb.engine.execution.event_log import EventLog
from comfy_nb.engine.execution.lanes import Lanes
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.planning.hidden_inputs import HiddenInputs
from comfy_nb.engine.planning.inside import Inside
from comfy_nb.engine.planning.keys import never_equal
from comfy_nb.engine.planning.modes import Modes
from comfy_nb.engine.planning.plan import Plan
from comfy_nb.engine.planning.step import Step
from comfy_nb.errors import NodeError, warn_each_time
from comfy_nb.graph.model import Graph

_numbers = itertools.count(1)


class Status(StrEnum):
    """The status of a run; equal to its name in lower case: `run.state == "done"`."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"

    __repr__ = str.__repr__

    @property
    def in_words(self) -> str:
        """The rest of a sentence that begins with "the run"."""
        return _IN_WORDS[self]


_IN_WORDS: Mapping[Status, str] = {
    Status.RUNNING: "is still running",
    Status.DONE: "ended",
    Status.FAILED: "failed",
    Status.STOPPED: "was stopped",
    Status.CANCELLED: "was cancelled",
}
LEGAL_MOVES: Mapping[Status, frozenset[Status]] = {
    Status.RUNNING: frozenset({Status.DONE, Status.FAILED, Status.STOPPED, Status.CANCELLED}),
    Status.DONE: frozenset(),
    Status.FAILED: frozenset(),
    Status.STOPPED: frozenset(),
    Status.CANCELLED: frozenset(),
}


class Stoppable(Protocol):
    """The course of a run, as far as the run around it needs it."""

    def stop(self, status: Status) -> None:
        """Stop the run."""
        ...

    async def clean_up(self) -> None:
        """Wait until nothing of it is left."""
        ...


class RunState:
    """The state of one run, shared by the parts that execute it.

    `goes_on_after_failures`: what does not depend on a failed node runs all the same. `failures` are the errors of the
    nodes that have failed so far. `stop_as` is set once the run is to stop, to the status in which it then ends.
    `outer` is the run around this one, if a node started it, `outer_node` that node's id, and `inner` are the runs that
    its nodes wait for; `ended_inside` has, by the id of the node that began them, those that have ended. `modes` are
    those of the code that began it, `lanes` its own until it ends. Ready nodes of runs of higher `priority` come first;
    those of equal ones take turns by `source`. `revision` is that of the plan's keys when the run was prepared.
    `is_tainted`: a value was replaced at a breakpoint, or a file or torch's settings changed meanwhile, so nothing more
    is cached; `tainted_within` has the nodes in whose own runs that happened. `lost` notes, for `why`, how the last
    run's results were lost, `warned` what its nodes have warned of.
    """

    __slots__ = (
        "emit",
        "ended_inside",
        "event_log",
        "extra_data",
        "failures",
        "goes_on_after_failures",
        "graph",
        "hidden_inputs",
        "id",
        "inner",
        "is_tainted",
        "lanes",
        "log",
        "lost",
        "modes",
        "number",
        "outer",
        "outer_node",
        "plan",
        "previous",
        "priority",
        "revision",
        "scheduler",
        "seconds",
        "source",
        "started_at",
        "status",
        "stop_as",
        "stop_event",
        "tainted_within",
        "wanted",
        "warned",
    )

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        modes: Modes,
        lanes: Lanes,
        *,
        previous: Mapping[str, NodeRun] | None = None,
        run_id: str | None = None,
        extra_data: Mapping[str, Any] | None = None,
        goes_on_after_failures: bool = False,
        priority: int | None = None,
        outer: RunState | None = None,
        outer_node: str = "",
        note_slow: Callable[[Subscriber], None] = lambda subscriber: None,
    ) -> None:
        self.graph = graph
        self.plan = plan
        self.modes = modes
        self.lanes = lanes
        self.previous: Mapping[str, NodeRun] = previous if previous is not None else {}
        self.id = str(run_id or uuid.uuid4())
        self.number = next(_numbers)
        self.extra_data: Mapping[str, Any] = extra_data or {}
        self.hidden_inputs = HiddenInputs(plan, self.dynamic_prompt, extra_data, graph.workflow)
        self.goes_on_after_failures = goes_on_after_failures
        if priority is None:
            priority = outer.priority_of(outer_node) if outer is not None else 0
        self.priority = priority
        self.source: Hashable = self.number if outer is None else outer.source
        self.failures: list[NodeError] = []
        self.outer = outer
        self.outer_node = outer_node
        self.inner: WeakSet[Stoppable] = WeakSet()
        self.ended_inside: dict[str, list[Inside]] = {}
        self.status = Status.RUNNING
        self.stop_as: Status | None = None
        self.stop_event = threading.Event()
        self.is_tainted = False
        self.tainted_within: set[str] = set()
        self.wanted: list[str] = []
        self.warned: set[str] = set()
        self.revision = plan.revision
        self.lost: dict[str, str] = {}
        self.started_at = time.perf_counter()
        self.seconds = 0.0
        self.scheduler: Scheduler | None = None
        self.event_log = EventLog(self.id, note_slow)
        self.emit: Callable[[Event], None] = self.event_log.emit
        self.log = self.event_log.node_printed

    @property
    def stopping(self) -> bool:
        """Whether the run is to stop, or has stopped."""
        return self.stop_as is not None

    @property
    def loop(self) -> AbstractEventLoop | None:
        """The event loop that the run is executed on; None before that."""
        return self.event_log.loop

    def request_stop(self, status: Status) -> bool:
        """Ask the run to stop; may be called from any thread. False where it has ended or is stopping already."""
        if self.status is not Status.RUNNING or self.stopping:
            return False
        self.stop_as = status
        self.stop_event.set()
        return True

    def end(self, status: Status) -> None:
        """Set the status in which the run has ended."""
        assert status in LEGAL_MOVES[self.status], f"{self.status} -> {status}"
        self.seconds = time.perf_counter() - self.started_at
        self.status = status

    def taint(self) -> None:
        """Note that keys do not tell everything any more: nothing is cached, in this run nor in those around it."""
        state: RunState | None = self
        while state is not None:
            state.is_tainted = True
            if state.outer is not None:
                state.outer.tainted_within.add(state.outer_node)
            state = state.outer

    def complete_plan(self) -> None:
        """Let the plan take in what ran inside its nodes; where its keys are those of this run, they stay that."""
        is_own = self.plan.revision == self.revision
        self.plan.complete_anew()
        if is_own:
            self.revision = self.plan.revision

    def priority_of(self, node_id: str) -> int:
        """Return the priority of one of its nodes among those of all runs."""
        step = self.step(node_id)
        return self.priority + (step.spec.priority if step is not None else 0)

    def confirm_fingerprint(self, node_id: str, answer: object, what: str) -> None:
        """Compare what a node has read with the fingerprint taken for it; where they differ, nothing more is cached."""
        node_run = self.node_run(node_id)
        if node_run is None or node_run.fingerprint is None or never_equal(node_run.fingerprint):
            return
        step = node_run.step
        was_submitted = step.extras is not None and "is_changed" in step.extras
        if was_submitted or node_run.fingerprint == [answer]:
            return
        self.taint()
        warn_each_time(
            f"{step.named}: {what} changed while the run went on. What the run computes from it is not kept.",
            step.spec.function_code,
        )

    def name_of(self, node_id: str) -> str:
        """Return a node's name as messages have it."""
        step = self.step(node_id)
        return step.named if step is not None else f"node {node_id}"

    def code_of(self, node_id: str) -> CodeType | None:
        """Return the code of a node's function, if that is written in Python."""
        step = self.step(node_id)
        return step.spec.function_code if step is not None else None

    def prompt_and_pnginfo(self) -> tuple[Mapping[str, Any], Any]:
        """Return the prompt of the run, and what pictures carry beside it."""
        return self.hidden_inputs.prompt, self.hidden_inputs.extra_pnginfo

    def node_run(self, node_id: str) -> NodeRun | None:
        """Return the run of a node, if this run needed it."""
        return self.scheduler.node_runs.get(node_id) if self.scheduler is not None else None

    def step(self, node_id: str) -> Step | None:
        """Return the step of a node of the graph or of an expansion; may be called from any thread."""
        return self.scheduler.step(node_id) if self.scheduler is not None else self.plan.steps.get(node_id)

    def dynamic_prompt(self) -> DynamicPrompt:
        """Return the live prompt."""
        return DynamicPrompt(self.plan, self.hidden_inputs.prompt, self.scheduler)
