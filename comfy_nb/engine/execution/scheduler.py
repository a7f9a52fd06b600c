"""The scheduler: a state machine of the nodes that wait, are ready, run or are done. It knows nothing of threads.

Of ready nodes those of higher priority come first. The order among equal ones is ComfyUI's: output and async nodes
first, then what feeds an output, then two steps before one, else the order in which they became needed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from comfy_nb.engine.cache.entry import Outputs
from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.planning.step import LANE, LAST_RANK, Step

RANK_SHIFT = 40
SEQUENCE_BITS = (1 << RANK_SHIFT) - 1
NEVER_MET = 1 << 30


class Expansion(Protocol):
    """The expansion of a node; `wanted` are the ids, each once, of the nodes that it waits for."""

    wanted: Sequence[str]


Find = Callable[[NodeRun], bool]


def _find_nothing(node_run: NodeRun) -> bool:
    return False


def _resolve_nothing(node_run: NodeRun) -> None:
    return None


def _tell_nobody(node_run: NodeRun) -> None:
    pass


class Scheduler:
    """Which nodes of a run are needed, and which of these can be called now.

    `find(node_run)` looks a node up in the cache: it fills in the outputs and returns True, or returns False.
    `resolve(node_run)` returns the outputs of a node whose expansion is done, or None where they cannot be had.
    `added` are the steps of expansions, and `expanders` maps their ids to the nodes that expanded into them. Nodes in
    `breakpoints` are held when they are done, until `release`. The running nodes in `outdated`, by sequence, were
    called with values that have been replaced. The outputs of nodes in `retained` stay until the end, all others until
    nothing waits for them. Nodes that need one that failed fail with it or are given up; `failed_above` maps their ids
    to the one that failed, and `on_given_up` is called for each.
    """

    def __init__(self, steps: Mapping[str, Step], find: Find, resolve: Callable[[NodeRun], Outputs | None]) -> None:
        self.steps = steps
        self.added: dict[str, Step] = {}
        self.expanders: dict[str, str] = {}
        self.node_runs: dict[str, NodeRun] = {}
        self.find = find
        self.resolve = resolve
        self.retained: set[str] = set()
        self.pending = 0
        self.running = 0
        self.ready_off_lane: list[NodeRun] = []
        self._heap: list[int] = []
        self._by_sequence: list[NodeRun] = []
        self.uses_pools: Callable[[Step], object] | None = None
        self.is_invalidated = False
        self.breakpoints: Collection[str] = ()
        self._held: list[NodeRun] = []
        self.outdated: set[int] = set()
        self._found_held: set[int] = set()
        self.failed_above: dict[str, NodeRun] = {}
        self.on_given_up: Callable[[NodeRun], None] = _tell_nobody
        self._doomed: list[tuple[NodeRun, NodeRun]] = []

    def close(self) -> None:
        """Let go of what found nodes and told of them: the run is over, and what it was stays to be asked for."""
        self.find, self.resolve, self.on_given_up = _find_nothing, _resolve_nothing, _tell_nobody

    def step(self, node_id: str) -> Step | None:
        """Return a step of the graph or of an expansion."""
        return self.added.get(node_id) or self.steps.get(node_id)

    def need(self, wanted: Iterable[str]) -> int:
        """Schedule nodes, and all that they need and that is not cached; return how many that is."""
        created: list[NodeRun] = []
        stack = list(wanted)[::-1]
        node_runs = self.node_runs
        while stack:
            node_id = stack.pop()
            node_run = node_runs.get(node_id)
            if node_run is not None and (node_run.state is not NodeState.DONE or node_run.outputs is not None):
                continue
            step = self.added.get(node_id) or self.steps[node_id]
            fresh = NodeRun(step, len(self._by_sequence))
            if node_id in self.added:
                fresh.parent = node_runs[self.expanders[node_id]]
            node_runs[node_id] = fresh
            self._by_sequence.append(fresh)
            if self.find(fresh):
                fresh.state = NodeState.DONE
                if node_id in self.breakpoints:
                    self._found_held.add(fresh.sequence)
                    self.pending += 1
                    self._hold(fresh)
                continue
            created.append(fresh)
            for link in step.links:
                if not link.lazy:
                    stack.append(link.origin)
        self.pending += len(created)
        for node_run in created:
            for _, origin, _, lazy, _ in node_run.step.links:
                if not lazy:
                    self.depend(node_run, node_runs[origin])
        self._rank(created)
        for node_run in created:
            if node_run.unmet == 0 and node_run.state is NodeState.WAITING:
                self.make_ready(node_run)
        self._give_up_doomed()
        return len(created)

    def depend(self, node_run: NodeRun, on: NodeRun) -> None:
        """Let a node wait for another one, and keep what that one gives for it."""
        on.refs += 1
        if on.state is NodeState.DONE:
            if on.is_keyed_anew:
                _forget_key(node_run, on)
        else:
            on.dependents.append(node_run)
            node_run.unmet += 1
            if on.state >= NodeState.FAILED:
                self._doomed.append((node_run, on))

    def _rank(self, created: Sequence[NodeRun]) -> None:
        outputs = [
            node_run for node_run in created if node_run.step.spec.is_output or node_run.step.id in self.retained
        ]
        for node_run in outputs:
            node_run.rank = 0
        for rank in (1, 2):
            feeders = []
            for node_run in outputs:
                for link in node_run.step.links:
                    above = self.node_runs.get(link.origin)
                    if above is not None and above.rank > rank:
                        above.rank = rank
                        feeders.append(above)
            outputs = feeders

    def make_ready(self, node_run: NodeRun) -> None:
        """Queue a node to be called; one that needs no call any more is completed, with all that this makes ready."""
        if node_run.key.full is not None and node_run.expansion is None:
            self._queue(node_run)
            return
        work = [node_run]
        while work:
            node_run = work.pop()
            if node_run.expansion is not None:
                outputs = self.resolve(node_run)
                if outputs is not None:
                    work.extend(self._complete_or_hold(node_run, outputs))
            elif node_run.key.full is None and node_run.outputs is None and self.find(node_run):
                work.extend(self._complete_or_hold(node_run, node_run.outputs or ()))
            else:
                self._queue(node_run)

    def _queue(self, node_run: NodeRun) -> None:
        node_run.state = NodeState.READY
        step = node_run.step
        if step.where != LANE or (self.uses_pools is not None and self.uses_pools(step)):
            self.ready_off_lane.append(node_run)
        else:
            order = (LAST_RANK + 1) * -step.spec.priority + node_run.rank
            heapq.heappush(self._heap, order << RANK_SHIFT | node_run.sequence)

    def take(self) -> NodeRun | None:
        """Take the next node for the lane, or None where none is ready."""
        while self._heap:
            node_run = self._by_sequence[heapq.heappop(self._heap) & SEQUENCE_BITS]
            if not self.is_invalidated or self._has_inputs(node_run):
                node_run.state = NodeState.RUNNING
                self.running += 1
                return node_run
        return None

    def has_ready(self) -> bool:
        """Whether a sync node is ready."""
        return bool(self._heap)

    @property
    def ready_count(self) -> int:
        """How many sync nodes are ready."""
        return len(self._heap)

    def next_ready(self, count: int) -> list[NodeRun]:
        """Return the first of the ready nodes that wait for the lane, in their order."""
        return [self._by_sequence[order & SEQUENCE_BITS] for order in heapq.nsmallest(count, self._heap)]

    @property
    def wants_loop(self) -> bool:
        """Whether the loop has something to do: nodes not bound to the run's lane, or at their breakpoints."""
        return bool(self.ready_off_lane or self._held)

    def take_off_lane(self) -> list[NodeRun]:
        """Take all ready nodes that are not bound to the run's lane: async and thread-safe ones."""
        taken: list[NodeRun] = []
        while self.ready_off_lane:  # one whose inputs are gone is ready again where they are found
            ready, self.ready_off_lane = self.ready_off_lane, []
            ready.sort(key=lambda node_run: (-node_run.step.spec.priority, node_run.rank, node_run.sequence))
            taken += [node_run for node_run in ready if not self.is_invalidated or self._has_inputs(node_run)]
        for node_run in taken:
            node_run.state = NodeState.RUNNING
        self.running += len(taken)
        return taken

    def _has_inputs(self, node_run: NodeRun) -> bool:
        """Whether a ready node's inputs are still there; if not, it waits for them to be computed again."""
        if node_run.state is not NodeState.READY:
            return False
        node_runs = self.node_runs
        gone = [
            link.origin
            for link in node_run.step.links
            if node_run.takes(link) and ((above := node_runs.get(link.origin)) is None or above.outputs is None)
        ]
        if not gone:
            return True
        self._wait_for(node_run, gone)
        return False

    def _wait_for(self, node_run: NodeRun, node_ids: Sequence[str]) -> int:
        """Let a node wait for others, which are needed for that; return how many nodes that added."""
        node_run.state = NodeState.WAITING
        added = self.need(node_ids)
        for node_id in node_ids:
            self.depend(node_run, self.node_runs[node_id])
        self._give_up_doomed()
        if node_run.unmet == 0:
            self.make_ready(node_run)
        return added

    def invalidate(self, node_run: NodeRun) -> None:
        """Drop the outputs of a done node, which were changed in place; if still needed, they are computed again."""
        if node_run.state is NodeState.DONE:
            node_run.outputs = None
            self.is_invalidated = True
            if node_run.step.id in self.retained:
                self.need([node_run.step.id])

    def finish(self, node_run: NodeRun, outputs: Outputs) -> None:
        """Note that a running node is done."""
        self.running -= 1
        for ready in self._complete_or_hold(node_run, outputs):
            self.make_ready(ready)

    def _complete_or_hold(self, node_run: NodeRun, outputs: Outputs) -> Sequence[NodeRun]:
        """Complete a node, or hold it if it has a breakpoint."""
        if node_run.step.id not in self.breakpoints:
            return self._complete(node_run, outputs)
        node_run.outputs = outputs
        self._hold(node_run)
        return ()

    def _hold(self, node_run: NodeRun) -> None:
        node_run.state = NodeState.RUNNING
        self.running += 1
        self._held.append(node_run)

    def take_held(self) -> list[NodeRun]:
        """Take the nodes that have reached their breakpoints; each waits for `release`."""
        held, self._held = self._held, []
        return held

    def release(self, node_run: NodeRun, outputs: Outputs) -> None:
        """Finish a node that was held at its breakpoint."""
        self.running -= 1
        for ready in self._complete(node_run, outputs):
            self.make_ready(ready)

    def _complete(self, node_run: NodeRun, outputs: Outputs) -> Sequence[NodeRun]:
        """Mark a node as done; return those that waited for nothing else."""
        node_run.state = NodeState.DONE
        node_run.outputs = outputs
        self.pending -= 1
        if (node_run.step.links or node_run.expansion is not None) and node_run.sequence not in self._found_held:
            self._release_inputs(node_run)
        dependents = node_run.dependents
        if not dependents:
            return ()
        node_run.dependents = []
        ready = []
        is_keyed_anew = node_run.is_keyed_anew
        for dependent in dependents:
            dependent.unmet -= 1
            if is_keyed_anew:
                _forget_key(dependent, node_run)
            if dependent.unmet == 0:
                ready.append(dependent)
        return ready

    def _release_inputs(self, node_run: NodeRun) -> None:
        """Release the inputs of a finished node that nothing else waits for, to leave them to the cache's budget.

        With breakpoints they stay: what is computed from a replaced value is not in the cache.
        """
        node_runs, retained = self.node_runs, self.retained
        for link in node_run.step.links:
            above = node_runs.get(link.origin)
            if above is None or (link.lazy and not node_run.takes(link)):
                continue
            above.refs -= 1
            if (
                above.refs == 0
                and above.state is NodeState.DONE
                and link.origin not in retained
                and not self.breakpoints
            ):
                above.outputs = above.entry = None
        if node_run.expansion is not None:
            for node_id in node_run.expansion.wanted:
                inner = node_runs[node_id]
                inner.refs -= 1
                if inner.refs == 0 and node_id not in retained and not self.breakpoints:
                    inner.outputs = inner.entry = None
            node_run.expansion = None

    def drop(self, node_run: NodeRun) -> None:
        """Leave out a node that waits or is ready: another one has taken its place."""
        node_run.state = NodeState.DONE
        node_run.unmet = NEVER_MET
        self.pending -= 1

    def fail(self, node_run: NodeRun, stuck: Iterable[NodeRun] = ()) -> None:
        """Note that a node failed, and give up all that need it, or are `stuck` because of it; others go on."""
        self.running -= node_run.state is NodeState.RUNNING
        node_run.state = NodeState.FAILED
        self._give_up(node_run, stuck)
        self._give_up_doomed()

    def _give_up_doomed(self) -> None:
        """Give up the nodes that need one that was given up: it fails where that was part of its expansion."""
        for node_run, above in self._doomed:  # it grows meanwhile
            if node_run.state is not NodeState.WAITING:
                continue
            failed = above if above.state is NodeState.FAILED else self.failed_above[above.step.id]
            around = {each.step.id for each in failed.parents()} if node_run.expansion is not None else ()
            node_run.state = NodeState.FAILED if node_run.step.id in around else NodeState.GIVEN_UP
            self.failed_above[node_run.step.id] = failed
            self._give_up(node_run)
            self.on_given_up(node_run)
        self._doomed.clear()

    def origin_of_failure(self, node_run: NodeRun) -> NodeRun:
        """Return the node whose own failure is the reason why one was given up."""
        while node_run.step.id in self.failed_above:
            node_run = self.failed_above[node_run.step.id]
        return node_run

    def _give_up(self, node_run: NodeRun, stuck: Iterable[NodeRun] = ()) -> None:
        self.pending -= 1
        if node_run.sequence not in self._found_held:
            self._release_inputs(node_run)
        self._doomed += [(each, node_run) for each in (*node_run.dependents, *stuck)]
        node_run.dependents = []

    def requeue(self, node_run: NodeRun) -> None:
        """Make a running node ready again: the equal node that it waited for gave up."""
        self.running -= 1
        node_run.state = NodeState.WAITING
        self.make_ready(node_run)

    def ask(self, node_run: NodeRun, names: Iterable[str]) -> int:
        """Let a running node wait for lazy inputs; return how many nodes that added."""
        asked = node_run.asked = node_run.asked or set()
        links = [link for link in node_run.step.links if link.lazy and link.name in names and link.name not in asked]
        asked.update(link.name for link in links)
        self.running -= 1
        return self._wait_for(node_run, [link.origin for link in links])

    def add(self, node_run: NodeRun, steps: Iterable[Step]) -> None:
        """Take in the steps that a running node expanded into."""
        for step in steps:
            self.added[step.id] = step
            self.expanders[step.id] = node_run.step.id

    def expand(self, node_run: NodeRun, steps: Iterable[Step], expansion: Expansion) -> int:
        """Let a running node wait for the nodes it expanded into; `resolve` returns its outputs when they are done."""
        self.add(node_run, steps)
        self.running -= 1
        node_run.expansion = expansion
        return self._wait_for(node_run, expansion.wanted)

    @property
    def is_over(self) -> bool:
        """Whether no node is left, or only such as wait for each other."""
        return self.pending == 0 or self.is_deadlocked

    @property
    def is_deadlocked(self) -> bool:
        """Whether nodes are left but none is running or ready: they wait for each other."""
        return self.pending > 0 and self.running == 0 and not self._heap and not self.ready_off_lane

    def find_cycle(self) -> list[NodeRun]:
        """Return a cycle of nodes that wait for each other."""
        waits_for: dict[int, NodeRun] = {}
        waiting = [node_run for node_run in self.node_runs.values() if node_run.state is NodeState.WAITING]
        for node_run in waiting:
            for dependent in node_run.dependents:
                waits_for[dependent.sequence] = node_run
        node_run = waiting[0]
        path: dict[int, NodeRun] = {}
        while node_run.sequence not in path:
            path[node_run.sequence] = node_run
            node_run = waits_for[node_run.sequence]
        cycle = list(path.values())
        return cycle[cycle.index(node_run) :]


def _forget_key(node_run: NodeRun, above: NodeRun) -> None:
    """Forget a key that was made of a planned key above which turned out to be another one; it is made anew later."""
    has_run = node_run.expansion is not None
    if not has_run and any(link.origin == above.step.id and not link.lazy for link in node_run.step.links):
        node_run.key = node_run.key.forgotten()
