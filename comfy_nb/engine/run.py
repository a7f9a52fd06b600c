"""A run as a person holds it: how it stands, its values, and why its nodes ran."""

from __future__ import annotations

import asyncio
import copy
import itertools
import time
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

from comfy_nb.engine.estimate import Estimate, NodeTimes, estimate_rest
from comfy_nb.engine.events import Subscriber
from comfy_nb.engine.execution.breakpoints import Pause
from comfy_nb.engine.execution.dynamic_prompt import DynamicPrompt
from comfy_nb.engine.execution.lanes import Lanes
from comfy_nb.engine.execution.nesting import take_lanes
from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.execution.run_options import limit_in, priority_in
from comfy_nb.engine.execution.services import Services
from comfy_nb.engine.execution.state import RunState, Status
from comfy_nb.engine.execution.time_limit import TimeLimit, timed_out
from comfy_nb.engine.expanded import prune
from comfy_nb.engine.history import History
from comfy_nb.engine.node_api.context import current_call
from comfy_nb.engine.planning.modes import Modes
from comfy_nb.engine.planning.plan import Plan
from comfy_nb.engine.planning.step import Step
from comfy_nb.engine.planning.validity import Validity
from comfy_nb.engine.pools.held import Holding, held_here
from comfy_nb.engine.presenter import Presenter, safely
from comfy_nb.engine.provenance import Provenance, ProvenanceIndex
from comfy_nb.engine.run_task import RunTask
from comfy_nb.engine.summary import counts_line, counts_of, node_lines
from comfy_nb.engine.values import Values
from comfy_nb.engine.why import reason, unfinished_yet, why_unfinished
from comfy_nb.errors import NodeError, NodeErrors, NotKept, Stopped, UnknownName, notes_of
from comfy_nb.graph.model import Graph
from comfy_nb.graph.names_of_nodes import id_of_only
from comfy_nb.graph.node import HandleLike
from comfy_nb.graph.on_error import CONTINUE, STOP, policy_of
from comfy_nb.wording import format_seconds

BACKGROUND = -1
"""What is added to the priority of runs that nobody awaits, unless they were given one."""


class Host(Services, Protocol):
    """What a run takes from its session."""

    @property
    def history(self) -> History:
        """What nodes were in earlier runs."""
        ...

    @property
    def provenance(self) -> ProvenanceIndex:
        """Where values came from."""
        ...

    @property
    def lanes(self) -> Lanes:
        """The lanes of runs that no node waits for."""
        ...

    @property
    def presenter(self) -> Presenter:
        """What shows the run."""
        ...

    def live_runs(self) -> Sequence[Run]:
        """Return the runs that go on."""
        ...

    def note_slow(self, subscriber: Subscriber) -> None:
        """Note that a subscriber keeps the loop."""
        ...

    def move_to_front(self, run: Run) -> None:
        """Let a run of the background go before others of it."""
        ...

    def note_awaited(self, run: Run) -> None:
        """Note that somebody awaits a run of the background, or has awaited it."""
        ...


class Run:
    """One run of a graph.

    `state` is "running", "done", "failed", "stopped" or "cancelled". `run["3"]` is a node's value, `run.why("3")` says
    why it ran or did not; a title or class that only one node has names it too. `run.summary()` describes it in a few
    lines, `run.ui` holds what output nodes reported. `place` is an opaque token from the display for where the run
    began: in a notebook, the cell. `attached` is what displays keep with it.
    """

    def __init__(self, session: Host, graph: Graph, plan: Plan, modes: Modes, options: Mapping[str, Any]) -> None:
        around, limit_s, priority = current_call.get(), limit_in(options), priority_in(options)
        self.session = session
        self.place = safely("The display of runs failed", session.presenter.place)
        self.is_quiet = bool(options.get("quiet"))
        self.in_background = False
        self._is_moved_back = False
        self._borrowed = Holding()
        self._has_own_priority = priority is not None
        self._history = session.history.of(graph)
        self._before: dict[str, NodeRun] = {}
        self.attached: dict[str, Any] = {}
        self._state = RunState(
            graph,
            plan,
            modes,
            take_lanes(session.lanes),
            previous=self._history,
            run_id=options.get("run_id"),
            extra_data=options.get("extra_data"),
            goes_on_after_failures=policy_of(graph, options) == CONTINUE,
            priority=priority,
            outer=around.run if around is not None and isinstance(around.run, RunState) else None,
            outer_node=around.node_id if around is not None else "",
            note_slow=session.note_slow,
        )
        self._state.event_log.run_queued(self._state.started_at)
        limit = TimeLimit(limit_s, partial(timed_out, self, self._state, limit_s)) if limit_s is not None else None
        self.task = RunTask(self._state, session, partial(Pause, self), self._show, self._keep, limit)
        self._values = self._new_values()

    def move_to_background(self) -> Holding:
        """Note that nobody awaits the run, and let it go after those that are, unless it was given a priority.

        Return what it has of pools: nothing, until code that has places awaits it.
        """
        self.in_background = True
        if not self._has_own_priority:
            self._is_moved_back = True
            self._state.priority += BACKGROUND
        return self._borrowed

    def move_to_front(self) -> bool:
        """Note that the run is awaited; return whether that changes what it has of pools, or its priority."""
        lent = [each for each in held_here.get() if each not in self._borrowed.lent]
        if not lent and not self._is_moved_back:
            return False
        self._borrowed.lent += lent
        self._state.priority -= BACKGROUND * self._is_moved_back
        self._is_moved_back = False
        return True

    def _new_values(self) -> Values:
        return Values(self.task, self.session.store, self.session.provenance, partial(_why_of, weakref.ref(self)))

    def without_values(self) -> Run:
        """Return this run, which has ended, holding none of its values: they are those that the cache has still.

        The errors of a run that failed hold the run itself.
        """
        run = copy.copy(self)
        run.task = RunTask(self._state, self.session, partial(Pause, run), run._show, run._keep)
        run.task.error, run.task.validity = self.task.error, self.task.validity
        run._values = run._new_values()
        return run

    # How it stands ---------------------------------------------------------------------------------------------------

    @property
    def priority(self) -> int:
        """The priority of its nodes among those of all runs, to which they add their own; higher ones go first."""
        return self._state.priority

    @property
    def id(self) -> str:
        """The run's id: what was given as `run_id`, or a random UUID, as ComfyUI writes prompt ids."""
        return self._state.id

    @property
    def number(self) -> int:
        """The place of the run among all runs of this process, from 1."""
        return self._state.number

    @property
    def graph(self) -> Graph:
        """The graph that is run."""
        return self._state.graph

    @property
    def plan(self) -> Plan:
        """The plan that the run follows."""
        return self._state.plan

    @property
    def extra_data(self) -> Mapping[str, Any]:
        """What was given as `extra_data`."""
        return self._state.extra_data

    @property
    def state(self) -> Status:
        """How the run stands: equal to "running", "done", "failed", "stopped" or "cancelled"."""
        return self._state.status

    @property
    def stopping(self) -> bool:
        """Whether the run is to stop, or has stopped."""
        return self._state.stopping

    @property
    def error(self) -> BaseException | None:
        """What ended the run, if anything did."""
        return self.task.error

    @property
    def wanted(self) -> list[str]:
        """The ids of the nodes that were asked for and can run."""
        return self._state.wanted

    @property
    def needed(self) -> Collection[str]:
        """The ids of the nodes that those need, wherever their values come from; not what a lazy input asked for."""
        return self.plan.needed_by(self.wanted)

    @property
    def total(self) -> int:
        """How many nodes had to be computed, as far as is known."""
        return self._state.event_log.total

    @property
    def cached(self) -> int:
        """How many nodes came from the cache when the run began."""
        return self._state.event_log.cached

    @property
    def above_cached(self) -> int:
        """How many needed nodes the run did not look at, since what needs them was cached; they count as cached too."""
        looked_at = self._state.event_log.looked_at
        return max(len(self.needed) - looked_at, 0) if looked_at else 0

    @property
    def ui(self) -> dict[str, Mapping[str, Any]]:
        """What output nodes reported, by node id."""
        return self._state.event_log.ui

    @property
    def blocked(self) -> list[tuple[str, str]]:
        """The nodes that a blocker with a message reached: (node id, message)."""
        return self._state.event_log.blocked

    @property
    def on_error(self) -> str:
        """What the run does when a node fails: "stop", or "continue" with all that does not depend on the node."""
        return CONTINUE if self._state.goes_on_after_failures else STOP

    @property
    def failed(self) -> dict[str, NodeError]:
        """The nodes of the graph that failed so far, by id, each with its error; in a stopped run too."""
        found: dict[str, NodeError] = {}
        for failure in list(self._state.failures):
            found.setdefault(failure.node_id, failure)
        return found

    @property
    def started_at(self) -> float:
        """When the run was asked for (`time.perf_counter()`, s)."""
        return self._state.started_at

    @property
    def seconds(self) -> float:
        """How long the run took, or has taken so far."""
        state = self._state
        return time.perf_counter() - state.started_at if state.status is Status.RUNNING else state.seconds

    @property
    def prompt(self) -> dict[str, Any]:
        """The prompt as it ran: converted values, bypassed and muted nodes left out."""
        return self._state.hidden_inputs.prompt

    @property
    def dynamic_prompt(self) -> DynamicPrompt:
        """The prompt with the nodes of expansions, as the hidden input DYNPROMPT has it: parents and real ids too."""
        return self._state.dynamic_prompt()

    @property
    def validity(self) -> Validity | None:
        """Which outputs can run and what is wrong with the others; None before the run was validated."""
        return self.task.validity

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that the run is executed on; None before that."""
        return self._state.loop

    @property
    def holding_loop(self) -> Step | None:
        """The async node that has the event loop just now, if one of this run does."""
        executor = self.task.executor
        node_run = executor.holding_loop if executor is not None else None
        return node_run.step if node_run is not None else None

    @property
    def is_inner(self) -> bool:
        """Whether a node began the run while it ran."""
        return self._state.outer is not None

    def stop(self) -> None:
        """Stop the run, from any thread; async nodes end at their await, sync ones at their next progress report."""
        self.task.stop(Status.STOPPED)

    def remaining(self) -> Estimate:
        """Estimate how long what is left of the run will take, from the times of its nodes so far and of earlier runs.

        May be called from any thread; before its nodes are known there is nothing.
        """
        if self.state is not Status.RUNNING:
            return Estimate(0.0, 0, 0)
        scheduler = self._state.scheduler
        own = [dict(scheduler.node_runs)] if scheduler is not None else []
        return estimate_rest(self._state, NodeTimes(own, self._earlier_times))

    @cached_property
    def _earlier_times(self) -> NodeTimes:
        return NodeTimes(self.session.history.recent())

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have events delivered in batches on the run's loop, past ones first; call the result to end it."""
        return self._state.event_log.subscribe(subscriber)

    def _show(self) -> None:
        """Show the run, which is about to be executed."""
        safely("The display of a run failed", self.session.presenter.show_run, self)

    def _keep(self) -> None:
        """The run has been executed: keep its values and what its keys were made of, and release the rest."""
        for failure in self._state.failures:
            failure.run = self
        if isinstance(self.error, NodeErrors):
            self.error.run = self
        if self.error is not None and self.validity is not None and self.validity.problems:
            self.error.add_note(str(self.validity.error()))  # of outputs that could not run
        scheduler = self._state.scheduler
        assert scheduler is not None
        history, graph = self._history, self.graph
        for node_id, node_run in scheduler.node_runs.items():
            if node_run.state is NodeState.DONE:
                old = history.get(node_id)
                if old is not None:
                    self._before[node_id] = old
                history[node_id] = node_run
                if node_id in scheduler.retained:
                    self._values.hold(node_id, node_run.outputs)
            else:
                history.setdefault(node_id, node_run)
            node_run.outputs = node_run.entry = node_run.taken = None
            node_run.dependents = []
        self.session.history.record(self.number, scheduler.node_runs)
        self._state.complete_plan()
        planned = (step.key.full for step in self.plan.order)
        ran = (each.key.full for each in scheduler.node_runs.values())
        expanded = prune(graph.scope, scheduler)
        self.session.store.run_ended(self.number, itertools.chain(planned, ran, expanded))
        scheduler.close()

    # What came of it -------------------------------------------------------------------------------------------------

    def node_run(self, node_id: str) -> NodeRun | None:
        """Return the record of a node that this run looked at."""
        return self._state.node_run(node_id)

    def step(self, node_id: str) -> Step | None:
        """Return what this run knows of a node of the graph or of an expansion; may be called from any thread."""
        return self._state.step(node_id)

    def outputs(self, node_id: str) -> tuple[list[Any], ...]:
        """Return a node's output slots, each a list; raises UnknownName, or NotKept from the run's error."""
        return self._values.outputs(node_id)

    def result(self, node_id: str, slot: int | None = None) -> Any:
        """Return a node's value as `value` does; raises Stopped where the run was stopped before it finished.

        Raises NotKept while the run is still running.
        """
        if self.state is Status.RUNNING:
            raise NotKept(f"Node {node_id} has no result yet: the run is still running. Await its job first.")
        if self.state is not Status.DONE:
            raise Stopped(
                f"The run {self.state.in_words} before node {node_id} finished; what had finished stays cached.",
                run=self,
            )
        return self.value(node_id, slot)

    def value(self, node_id: str, slot: int | None = None) -> Any:
        """Return a node's value: of one slot, of its only output, or a tuple of all outputs.

        A slot that is a list, or of which several came, gives a list.
        """
        return self._values.value(node_id, slot)

    def provenance(self, node_id: str, slot: int) -> Provenance:
        """Return where the value of a node's output slot came from, as far as this run knows."""
        return self._values.provenance(node_id, slot)

    def _node_and_slot(self, node: Any) -> tuple[str, int | None]:
        """Return the id of a node, and the slot that a handle stands for: by id, or a title or class of only one."""
        node_id, slot = self.graph.node_and_slot(node)
        is_known = self.step(node_id) is not None
        return node_id if is_known else id_of_only(node_id, self.plan.steps, "in the run's graph"), slot

    def __getitem__(self, node: str | int | HandleLike) -> Any:
        return self.value(*self._node_and_slot(node))

    def __contains__(self, node: object) -> bool:
        """Whether a node of the graph, by its id, name or handle, has a value that this run can give."""
        try:
            node_id, _ = self._node_and_slot(node)
        except UnknownName:
            return False
        return self._values.has(node_id)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids of the graph's nodes that have a value."""
        return iter([node_id for node_id in self.plan.steps if self._values.has(node_id)])

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __len__(self) -> int:
        return sum(map(self._values.has, self.plan.steps))

    def __bool__(self) -> bool:
        return True

    @property
    def counts(self) -> Counter[str]:
        """How many nodes ran, were shared with an equal one, and came from the cache in memory or on disk."""
        return counts_of(self._node_runs())

    def _node_runs(self) -> Iterable[NodeRun]:
        scheduler = self._state.scheduler
        return list(scheduler.node_runs.values()) if scheduler is not None else ()  # a lane may add to it meanwhile

    def why(self, node: str | int | HandleLike) -> str:
        """Say why a node ran in this run, or why it did not."""
        node_id, _ = self._node_and_slot(node)
        node_run = self.node_run(node_id)
        if node_run is None:
            is_above = node_id in self.needed
            return "not needed: what needs it was there already" if is_above else "not needed: nothing wanted needs it"
        is_done = node_run.state is NodeState.DONE
        if self.state is Status.RUNNING:
            return "known when the run has ended" if is_done else unfinished_yet(node_run, self._state)
        if not is_done:
            return why_unfinished(node_run, self._state)
        old = self._before.get(node_id) or self.session.history.nearest(node_run, self.number)
        key = node_run.key.full
        is_twin = any(each.key.full == key and each.source == "ran" for each in self._node_runs())
        why = reason(node_run, old, self._state.lost.get(node_id), is_twin)
        return "; ".join(filter(None, (why, self._state.event_log.waited(node_id))))

    def summary(self) -> str:
        """Tell what ran, in what time, and why, in a few lines."""
        within = "for" if self.state is Status.RUNNING else "in"
        counts = counts_line(self.counts, self.above_cached)
        lines = [f"Run {self.state} {within} {format_seconds(self.seconds)}: {counts}."]
        lines += node_lines(list(self._node_runs()), self.blocked, self.why, self._begun_at())
        if self.error is not None:
            lines.append(f"  {type(self.error).__name__}: {self.error}")
            lines += [f"  {line}" for line in notes_of(self.error)]
        return "\n".join(lines)

    def _begun_at(self) -> Mapping[str, float]:
        """Return when each node was called that is running now."""
        is_live = self.state is Status.RUNNING
        running = [each.step.id for each in self._node_runs() if is_live and each.state is NodeState.RUNNING]
        return self._state.event_log.begun_at(running)

    @property
    def panel(self) -> Any:
        """The run's rows as they are shown while it goes on: live where it still does."""
        return self.session.presenter.panel(self)

    def inspect(self, node: str | int | HandleLike, slot: int | None = None) -> Any:
        """Return a view of what is on an output of a node, the first if none is named; raises NotKept, UnknownName."""
        node_id, named = self._node_and_slot(node)
        return self.session.presenter.inspect(self, node_id, (named if slot is None else slot) or 0)

    def timeline(self) -> Any:
        """Return who did what when, as a picture; live while the run goes on."""
        return self.session.presenter.timeline(self)

    def cached_ids(self) -> list[str]:
        """Return the nodes of the graph whose results are cached now, whether or not this run needed them."""
        found = []
        for step in self.plan.order:
            key = (self.node_run(step.id) or step).key.full
            if key is not None and self.session.store.holds(key, step):
                found.append(step.id)
        return found

    def cache_keys(self) -> list[bytes]:
        """The keys of the nodes this run looked at, for `nb.cache`."""
        return [key for node_run in self._node_runs() if (key := node_run.key.full) is not None]

    def __repr__(self) -> str:
        ran = f"{self.counts['ran']} of {len(self.plan.steps)} nodes ran"
        return f"<Run {self.state}: {ran}, {format_seconds(self.seconds)}>"


def _why_of(run: weakref.ref[Run], node_id: str) -> str:
    """Return why a node of a run ran, or nothing where the run is gone: a provenance must not keep it alive."""
    alive = run()
    return alive.why(node_id) if alive is not None else ""
