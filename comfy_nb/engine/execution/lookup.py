"""What a run finds and keeps: cached results, claims on keys, inputs that were written to, and what calls ask for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.cache.seal import seal
from comfy_nb.engine.execution.scheduler import Scheduler, State, Ticket
from comfy_nb.engine.node_api.context import CallContext
from comfy_nb.engine.planning.keys import Step, lazy_key, set_key
from comfy_nb.errors import ComfyNBWarning, DependencyCycleError
from comfy_nb.wording import name_node

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run


class Lookup:
    """One run's view of the session's cache, and the surroundings of its calls."""

    schedule: Scheduler

    def __init__(self, run: Run) -> None:
        self.run = run
        self.session = run.session
        self.hits = 0
        self.below: set[str] = set()
        self._get, self._peek = self.session.cache.get, self.session.cache.peek
        self._claims = self.session.store.claims
        self._held: dict[int, bytes] = {}

    # The cache -------------------------------------------------------------------------------------------------------

    def find(self, ticket: Ticket) -> bool:
        """Fill a ticket from the cache, setting its key where that was not known; False where it has to be computed."""
        if ticket.step.id in self.below:
            ticket.key = ticket.base = None  # made anew of what is above
            if not self._is_settled_above(ticket):
                return False
        if ticket.key is None:
            self._late_key(ticket)
        key = ticket.key
        if key is None or not ticket.step.keeps:
            return False
        entry = self._get(key)
        if entry is None or entry.seal is not None or entry.ui is not None:
            entry = self.session.store.vet(entry, key, ticket.step)
        if entry is None:
            if self.run.history:
                self._note_loss(ticket)
            return False
        ticket.entry = entry
        ticket.outputs = entry.outputs
        ticket.ui = entry.ui
        ticket.source = entry.source
        self.hits += 1
        if ticket.step.id not in self.schedule.breakpoints:
            self.run.node_finished(ticket)
        return True

    def _is_settled_above(self, ticket: Ticket) -> bool:
        """Whether all that a node below a breakpoint takes is as it will be."""
        tickets = self.schedule.tickets
        above = [tickets.get(link.origin) for link in ticket.step.links if not link.lazy]
        return all(each is not None and each.state is State.DONE for each in above)

    def _note_loss(self, ticket: Ticket) -> None:
        """Remember for `why` how a result went that was there at the last run."""
        old = self.run.history.get(ticket.step.id)
        if old is not None and old.state is State.DONE and old.key == ticket.key and ticket.key is not None:
            self.run.lost[ticket.step.id] = self.session.cache.evicted_reason(ticket.key) or "it was not kept"

    def _late_key(self, ticket: Ticket) -> None:
        """Set a key that only parents that have run make known; a lazy node's by the inputs it used before."""
        step = ticket.step
        if ticket.base is None and not self._rebase(ticket):
            return
        if not step.lazy_links:
            ticket.key = ticket.base
            return
        base = ticket.base
        assert base is not None
        for names in self.session.store.uses_of(base):
            used = [(link.name, self._key_of(link.origin)) for link in step.lazy_links if link.name in names]
            if all(key is not None for _, key in used):
                key = lazy_key(base, used)  # type: ignore[arg-type]
                if self.session.cache.peek(key) is not None or self.session.store.is_on_disk(key, step):
                    ticket.key = key
                    return

    def _rebase(self, ticket: Ticket) -> bool:
        known: dict[str, Step] = {}
        for link in ticket.step.links:
            if link.lazy:
                continue
            above = self.schedule.tickets.get(link.origin)
            if above is None or above.key is None:
                return False
            known[link.origin] = _as_step(above)
        copied = _copy_for_key(ticket.step)
        set_key(copied, known)
        ticket.base, ticket.durable, ticket.reusable = copied.base, copied.durable, copied.reusable
        ticket.parents = copied.parents
        return True

    def _key_of(self, node_id: str) -> bytes | None:
        above = self.schedule.tickets.get(node_id)
        at_breakpoint = node_id in self.schedule.breakpoints
        if above is not None and (above.state is State.DONE or not at_breakpoint):
            return above.key
        step = self.schedule.step(node_id) if not at_breakpoint and node_id not in self.below else None
        return step.key if step is not None else None

    def store(self, ticket: Ticket, outputs: Outputs) -> None:
        """Keep what a node gave, and hand it to those who wait for an equal node.

        Nothing is kept once a value was replaced: there are ways by which it reaches nodes that no key tells of.
        """
        step = ticket.step
        if self.run.is_tainted:
            ticket.key = ticket.base = None
        elif ticket.key is None and ticket.base is not None:
            self._complete(ticket)
        key = ticket.key
        entry = Entry(
            key or b"",
            outputs,
            ticket.ui,
            ticket.seconds,
            step.class_type,
            step.id,
            step.title,
            ticket.reusable,
            ticket.durable and not step.spec.is_output,
            seal(outputs),
        )
        ticket.entry = entry
        if key is not None and step.keeps:
            self.session.store.remember(entry)
        self.give_back(ticket, None if self.run.is_tainted else entry)

    def _complete(self, ticket: Ticket) -> None:
        """Set the key of a lazy node that has run: by the lazy inputs that were passed to it, as values or as links."""
        passed = [*ticket.passed, *(link for link in ticket.step.lazy_links if link.raw)]
        keys = [(link.name, self._key_of(link.origin)) for link in passed]
        if ticket.base is not None and all(key is not None for _, key in keys):
            ticket.key = lazy_key(ticket.base, keys)  # type: ignore[arg-type]
            for link in passed:
                above = self.schedule.tickets.get(link.origin) or self.schedule.step(link.origin)
                assert above is not None
                ticket.durable = ticket.durable and above.durable
                ticket.reusable = ticket.reusable and above.reusable
            self.session.store.note_use(ticket.base, tuple(name for name, _ in keys))

    # Equal nodes in flight -------------------------------------------------------------------------------------------

    def claim(self, ticket: Ticket, when_done: Callable[[Ticket, Any], None]) -> bool:
        """Claim a node's key before computing it; False where that is not needed, since an equal node is in flight or
        has just been computed: then `when_done` is called with its entry."""
        key = ticket.key
        if key is None or not (ticket.step.shares and ticket.reusable) or self.run.is_tainted:
            return True
        if not self._claims.claim(key, when_done, ticket):
            return False
        self._held[ticket.sequence] = key
        if self._peek(key) is not None and (entry := self.session.store.recall(key, ticket.step)) is not None:
            self.give_back(ticket, entry)
            when_done(ticket, entry)
            return False
        return True

    def give_back(self, ticket: Ticket, entry: Entry | None) -> None:
        """Release a node's claim, if it still has one, with its entry; with None for others to compute it."""
        key = self._held.pop(ticket.sequence, None)
        if key is not None:
            self._claims.release(key, entry)

    # Inputs that were written to -------------------------------------------------------------------------------------

    def check_inputs(self, ticket: Ticket) -> Sequence[Ticket]:
        """Return the nodes whose cached outputs this node has just changed in place; they are named and dropped."""
        spoiled = []
        for link in ticket.step.links:
            above = self.schedule.tickets.get(link.origin)
            entry = above.entry if above is not None else None
            if above is None or entry is None or entry.seal is None or link.raw:
                continue
            what = entry.seal.broken()
            if what is not None and above not in spoiled:
                spoiled.append(above)
                self.session.store.forget(entry, f"changed in place by {_name(ticket.step)}")
                warnings.warn(
                    f"{_name(ticket.step)} changed its input {link.name!r} in place: {what}. What {_name(above.step)} "
                    "gave is spoiled; it is computed again where it is needed. Let it work on a copy (x.clone()).",
                    ComfyNBWarning,
                    stacklevel=2,
                )
                above.entry = None
        return spoiled

    def was_written_to(self, ticket: Ticket) -> bool:
        """Whether somebody wrote to a node's outputs at its breakpoint; then they are dropped from the cache."""
        entry = ticket.entry
        if entry is None or entry.seal is None or entry.seal.broken() is None:
            return False
        self.session.store.forget(entry, "changed in place at a breakpoint")
        return True

    # The surroundings of a call --------------------------------------------------------------------------------------

    def available(self, node_id: str) -> Ticket | None:
        """Return the ticket of a node whose outputs are there."""
        return self.schedule.available(node_id)

    def hidden(self, ticket: Ticket, kind: Any) -> Any:
        """Return the value of a hidden input."""
        return self.run.hidden(ticket.step, kind)

    def object_of(self, ticket: Ticket) -> Any:
        """Return the object that a node's methods are called on: one per node id and class, while the graph has it."""
        step = ticket.step
        make = step.spec.make_object
        if make is None:
            return None
        objects = self.run.graph.objects
        name = (step.id, step.class_type)
        found = objects.get(name)
        if type(found) is not make:
            found = objects[name] = make()
        return found

    def context(self, ticket: Ticket, index: int, calls: int) -> CallContext:
        """Return the context of one call."""
        return CallContext(self.run, ticket.step.id, index, calls)

    def blocked(self, ticket: Ticket, message: str) -> None:
        """Report a call that was skipped because of a blocker with a message."""
        self.run.node_blocked(ticket, message)

    def blame_ring(self, ring: Sequence[Ticket]) -> tuple[Ticket, DependencyCycleError]:
        """Return the node that expanded into a ring, and the error."""
        names = " -> ".join(ticket.step.id for ticket in [*ring, ring[0]])
        blamed = next((ticket.parent for ticket in ring if ticket.parent is not None), ring[0])
        return blamed, DependencyCycleError(f"its expansion made nodes wait for each other: {names}")


def _name(step: Step) -> str:
    return name_node(step.id, step.class_type, step.title)


def _as_step(ticket: Ticket) -> Step:
    known = Step()
    known.key, known.durable, known.reusable = ticket.key, ticket.durable, ticket.reusable
    return known


def _copy_for_key(step: Step) -> Step:
    copied = Step()
    copied.head, copied.fingerprint, copied.links = step.head, step.fingerprint, step.links
    return copied
