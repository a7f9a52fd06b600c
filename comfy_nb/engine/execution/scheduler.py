"""The scheduler: a state machine of which nodes wait, are ready, run or are done. It knows no threads.

The order among ready nodes is ComfyUI's: output and async nodes first, then what feeds an output, then two steps before
one, else the order in which they became needed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Protocol

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.planning.keys import Step
from comfy_nb.graph.check import InLink

RANK_SHIFT = 40
SEQUENCE_BITS = (1 << RANK_SHIFT) - 1
NEVER_RUNS = -1


class State(IntEnum):
    """Where a node is on its way. It goes WAITING, READY, RUNNING, DONE; and from RUNNING back to WAITING."""

    WAITING = 0
    READY = 1
    RUNNING = 2
    DONE = 3


class Ticket:
    """A needed node of one run."""

    __slots__ = (
        "asked",
        "base",
        "dependents",
        "durable",
        "entry",
        "expansion",
        "fingerprint",
        "holds",
        "key",
        "outputs",
        "parent",
        "parents",
        "passed",
        "rank",
        "reusable",
        "seconds",
        "sequence",
        "source",
        "state",
        "step",
        "ui",
        "waiting",
    )

    def __init__(self, step: Step, sequence: int) -> None:
        self.step = step
        self.sequence = sequence
        self.state = State.WAITING
        self.waiting = 0
        self.holds = 0
        self.rank = step.rank
        self.dependents: list[Ticket] = []
        self.fingerprint = step.fingerprint
        self.parents = step.parents
        self.base = step.base
        self.key = step.key
        self.durable = step.durable
        self.reusable = step.reusable
        self.outputs: Outputs | None = None
        self.ui: Mapping[str, Any] | None = None
        self.asked: set[str] | None = None
        self.passed: Sequence[InLink] = ()
        self.entry: Entry | None = None
        self.expansion: Any = None
        self.parent: Ticket | None = None
        self.seconds = 0.0
        self.source = "ran"


class Expansion(Protocol):
    """What a node expanded into: `wanted` are the distinct ids of the nodes that it waits for."""

    wanted: Sequence[str]


Found = Callable[[Ticket], bool]


class Scheduler:
    """Which nodes of a run are needed, and which of these can be called now.

    `added` are the steps of expansions, and `expanders` the ids of the nodes that they come from by their own.
    `find(ticket)` looks a node up in the cache: it fills the ticket's outputs and returns True, or returns False.
    `breakpoints` are the ids of nodes that are held when they are done, until `release`. `kept` are the ids whose
    outputs stay until the end; others are let go when nothing waits for them.
    """

    def __init__(self, steps: Mapping[str, Step], find: Found, resolve: Callable[[Ticket], Outputs]) -> None:
        self.steps = dict(steps) if not isinstance(steps, dict) else steps
        self.added: dict[str, Step] = {}
        self.expanders: dict[str, str] = {}
        self.tickets: dict[str, Ticket] = {}
        self.find = find
        self.resolve = resolve
        self.kept: set[str] = set()
        self.pending = 0
        self.running = 0
        self.ready_apart: list[Ticket] = []
        self._heap: list[int] = []
        self._by_sequence: list[Ticket] = []
        self._spoiled = False
        self.breakpoints: Collection[str] = ()
        self._held: list[Ticket] = []
        self._found_held: set[int] = set()

    def step(self, node_id: str) -> Step | None:
        """Return a step of the graph or of an expansion."""
        return self.added.get(node_id) or self.steps.get(node_id)

    def need(self, wanted: Iterable[str], parent: Ticket | None = None) -> int:
        """Schedule nodes and all that they need and is not cached; return how many that is."""
        created: list[Ticket] = []
        stack = list(wanted)[::-1]
        tickets = self.tickets
        while stack:
            node_id = stack.pop()
            ticket = tickets.get(node_id)
            if ticket is not None and (ticket.state is not State.DONE or ticket.outputs is not None):
                continue
            step = self.added.get(node_id) or self.steps[node_id]
            fresh = Ticket(step, len(self._by_sequence))
            fresh.parent = ticket.parent if ticket is not None else parent if node_id in self.added else None
            tickets[node_id] = fresh
            self._by_sequence.append(fresh)
            if self.find(fresh):
                fresh.state = State.DONE
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
        for ticket in created:
            for _, origin, _, lazy, _ in ticket.step.links:
                if not lazy:
                    self._depend(ticket, tickets[origin])
        self._rank(created)
        for ticket in created:
            if ticket.waiting == 0 and ticket.state is State.WAITING:
                self._make_ready(ticket)
        return len(created)

    def _depend(self, ticket: Ticket, on: Ticket) -> None:
        on.holds += 1
        if on.state is not State.DONE:
            on.dependents.append(ticket)
            ticket.waiting += 1

    def _rank(self, created: Sequence[Ticket]) -> None:
        outputs = [ticket for ticket in created if ticket.rank == 0 or ticket.step.id in self.kept]
        outputs = [ticket for ticket in outputs if ticket.step.spec.is_output or ticket.step.id in self.kept]
        for ticket in outputs:
            ticket.rank = 0
        for rank in (1, 2):
            feeders = []
            for ticket in outputs:
                for link in ticket.step.links:
                    above = self.tickets.get(link.origin)
                    if above is not None and above.rank > rank:
                        above.rank = rank
                        feeders.append(above)
            outputs = feeders

    def _make_ready(self, ticket: Ticket) -> None:
        """Let a ticket run, or, where it needs no call any more, finish it and what that makes ready."""
        if ticket.key is not None and ticket.expansion is None:
            self._queue(ticket)
            return
        work = [ticket]
        while work:
            ticket = work.pop()
            if ticket.expansion is not None:
                work.extend(self._come(ticket, self.resolve(ticket)))
            elif ticket.key is None and ticket.outputs is None and self.find(ticket):
                work.extend(self._come(ticket, ticket.outputs or ()))
            else:
                self._queue(ticket)

    def _queue(self, ticket: Ticket) -> None:
        ticket.state = State.READY
        if ticket.step.apart:
            self.ready_apart.append(ticket)
        else:
            heapq.heappush(self._heap, ticket.rank << RANK_SHIFT | ticket.sequence)

    def take(self) -> Ticket | None:
        """Take the next node for the lane, or None where none is ready."""
        while self._heap:
            ticket = self._by_sequence[heapq.heappop(self._heap) & SEQUENCE_BITS]
            if not self._spoiled or self._has_inputs(ticket):
                ticket.state = State.RUNNING
                self.running += 1
                return ticket
        return None

    def has_ready(self) -> bool:
        """Whether a sync node is ready."""
        return bool(self._heap)

    @property
    def wants_loop(self) -> bool:
        """Whether the loop has something to take: nodes that need no lane, or that are at their breakpoints."""
        return bool(self.ready_apart or self._held)

    def take_apart(self) -> list[Ticket]:
        """Take all ready nodes that need not wait for the lane: async and thread-safe ones."""
        if not self.ready_apart:
            return []
        ready, self.ready_apart = self.ready_apart, []
        ready.sort(key=lambda ticket: (ticket.rank, ticket.sequence))
        taken = [ticket for ticket in ready if self._has_inputs(ticket)] if self._spoiled else ready
        for ticket in taken:
            ticket.state = State.RUNNING
        self.running += len(taken)
        return taken

    def _has_inputs(self, ticket: Ticket) -> bool:
        """Whether a ready node's inputs are still there; else it waits for them to be computed again."""
        gone = [
            link.origin for link in ticket.step.links if not link.lazy and self.tickets[link.origin].outputs is None
        ]
        if not gone:
            return True
        ticket.state = State.WAITING
        self.need(gone)
        for origin in gone:
            self._depend(ticket, self.tickets[origin])
        if ticket.waiting == 0:
            self._make_ready(ticket)
        return False

    def spoil(self, ticket: Ticket) -> None:
        """Forget the outputs of a done node, which were written to; who still needs them has them computed anew."""
        if ticket.state is State.DONE:
            ticket.outputs = None
            self._spoiled = True
            if ticket.step.id in self.kept:
                self.need([ticket.step.id])

    def settle(self, ticket: Ticket, outputs: Outputs) -> None:
        """Note that a running node is done."""
        self.running -= 1
        for ready in self._come(ticket, outputs):
            self._make_ready(ready)

    def _come(self, ticket: Ticket, outputs: Outputs) -> Sequence[Ticket]:
        """Finish a node, or hold it where it has a breakpoint."""
        if ticket.step.id not in self.breakpoints:
            return self._finish(ticket, outputs)
        ticket.outputs = outputs
        self._hold(ticket)
        return ()

    def _hold(self, ticket: Ticket) -> None:
        ticket.state = State.RUNNING
        self.running += 1
        self._held.append(ticket)

    def take_held(self) -> list[Ticket]:
        """Take the nodes that have come to their breakpoints; each waits for `release`."""
        held, self._held = self._held, []
        return held

    def release(self, ticket: Ticket, outputs: Outputs) -> None:
        """Let go on what waits for a node at its breakpoint."""
        self.running -= 1
        for ready in self._finish(ticket, outputs):
            self._make_ready(ready)

    def _finish(self, ticket: Ticket, outputs: Outputs) -> Sequence[Ticket]:
        """Mark a node done; return those that waited for nothing else."""
        ticket.state = State.DONE
        ticket.outputs = outputs
        self.pending -= 1
        if (ticket.step.links or ticket.expansion is not None) and ticket.sequence not in self._found_held:
            self._let_go(ticket)
        dependents = ticket.dependents
        if not dependents:
            return ()
        ticket.dependents = []
        ready = []
        for dependent in dependents:
            dependent.waiting -= 1
            if dependent.waiting == 0:
                ready.append(dependent)
        return ready

    def _let_go(self, ticket: Ticket) -> None:
        """Release the inputs of a finished node that nothing else waits for, to leave them to the cache's budget.

        Not where there are breakpoints: what comes of a replaced value is not in the cache, to be had again.
        """
        tickets, kept = self.tickets, self.kept
        for link in ticket.step.links:
            above = tickets.get(link.origin)
            if above is None or (link.lazy and (ticket.asked is None or link.name not in ticket.asked)):
                continue
            above.holds -= 1
            if above.holds == 0 and above.state is State.DONE and link.origin not in kept and not self.breakpoints:
                above.outputs = above.entry = None
        if ticket.expansion is not None:
            for node_id in ticket.expansion.wanted:
                inner = tickets[node_id]
                inner.holds -= 1
                if inner.holds == 0 and node_id not in kept and not self.breakpoints:
                    inner.outputs = inner.entry = None
            ticket.expansion = None

    def back(self, ticket: Ticket) -> None:
        """Put a running node back among the ready ones (its equal elsewhere was cancelled)."""
        self.running -= 1
        ticket.state = State.WAITING
        self._make_ready(ticket)

    def ask(self, ticket: Ticket, names: Iterable[str]) -> int:
        """Let a running node wait for lazy inputs; return how many nodes that added."""
        asked = ticket.asked = ticket.asked or set()
        links = [link for link in ticket.step.links if link.lazy and link.name in names and link.name not in asked]
        asked.update(link.name for link in links)
        self.running -= 1
        ticket.state = State.WAITING
        added = self.need([link.origin for link in links])
        for link in links:
            self._depend(ticket, self.tickets[link.origin])
        if ticket.waiting == 0:
            self._make_ready(ticket)
        return added

    def expand(self, ticket: Ticket, steps: Sequence[Step], expansion: Expansion) -> int:
        """Let a running node wait for nodes it expanded into; `resolve` gives its outputs when they are done."""
        wanted = expansion.wanted
        for step in steps:
            self.added[step.id] = step
            self.expanders[step.id] = ticket.step.id
        self.running -= 1
        ticket.state = State.WAITING
        ticket.expansion = expansion
        added = self.need(wanted, ticket)
        for node_id in wanted:
            self._depend(ticket, self.tickets[node_id])
        if ticket.waiting == 0:
            self._make_ready(ticket)
        return added

    def available(self, node_id: str) -> Ticket | None:
        """Return the ticket of a node whose outputs are there, or in the cache; None for another."""
        ticket = self.tickets.get(node_id)
        if ticket is not None:
            return ticket if ticket.state is State.DONE and ticket.outputs is not None else None
        step = self.step(node_id) if node_id not in self.breakpoints else None
        if step is None:
            return None
        # It never runs, so it needs no place in the sequence; calls ask here while others schedule.
        found = Ticket(step, NEVER_RUNS)
        if not self.find(found):
            return None
        found.state = State.DONE
        self.tickets.setdefault(node_id, found)
        return found

    @property
    def is_stuck(self) -> bool:
        """Whether nodes are left but none runs or can run: they wait for each other."""
        return self.pending > 0 and self.running == 0 and not self._heap and not self.ready_apart

    def ring(self) -> list[Ticket]:
        """Return nodes that wait for each other."""
        waits_for: dict[int, Ticket] = {}
        waiting = [ticket for ticket in self.tickets.values() if ticket.state is State.WAITING]
        for ticket in waiting:
            for dependent in ticket.dependents:
                waits_for[dependent.sequence] = ticket
        ticket = waiting[0]
        path: dict[int, Ticket] = {}
        while ticket.sequence not in path:
            path[ticket.sequence] = ticket
            ticket = waits_for[ticket.sequence]
        ring = list(path.values())
        return ring[ring.index(ticket) :]
