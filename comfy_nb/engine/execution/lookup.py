"""A run's view of the cache: finding and keeping results, by keys that may become known late."""

from __future__ import annotations

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.cache.seal import Seal, are_plain
from comfy_nb.engine.cache.store import Store
from comfy_nb.engine.execution import redo
from comfy_nb.engine.execution.in_place import InPlace
from comfy_nb.engine.execution.inside import inside_expansion
from comfy_nb.engine.execution.node_run import NOT_SCHEDULED, NodeRun, NodeState
from comfy_nb.engine.execution.remarks import Remarks
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.execution.skips import Skips, blocked_output
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.planning.inside import KnownInside, join
from comfy_nb.engine.planning.keys import key_of, lazy_key
from comfy_nb.engine.planning.step import UNKNOWN, NodeKey, Step
from comfy_nb.engine.planning.torch_settings import torch_settings
from comfy_nb.errors import warn_each_time, warn_of_fault
from comfy_nb.graph.check import InLink
from comfy_nb.graph.node import is_handle
from comfy_nb.wording import CONSTANT_ADVICE


class Lookup:
    """One run's view of the store, and of what is known of what runs inside nodes (`inside`).

    `keyed_late` are the ids of nodes whose keys do not follow from the plan, because a value above them may be replaced
    or was, or is not to be taken: each is made of the keys above it when these are final.
    """

    scheduler: Scheduler

    def __init__(self, state: RunState, store: Store, inside: KnownInside) -> None:
        self.state = state
        self.store = store
        self.inside = inside
        self.hits = 0
        self.skips = Skips(state)
        self.remarks = Remarks(state, store)
        self.in_place = InPlace(state, store)
        self.keyed_late: set[str] = set()
        self._get = store.cache.get

    def find(self, node_run: NodeRun) -> bool:
        """Fill a node run from the cache, first setting its key if need be; False where it must be computed."""
        if node_run.step.id in self.keyed_late:
            node_run.key = node_run.key.forgotten()  # it depends on what is above, which may be replaced
            if not self._is_settled_above(node_run):
                return False
        if node_run.key.full is None:
            self._late_key(node_run)
        key = node_run.key.full
        if key is None or not node_run.step.cacheable:
            return False
        entry = self._get(key)
        if entry is None or entry.seal is not None or entry.ui is not None:
            entry = self.store.vet(entry, key, node_run.step)
        if entry is None:
            if (reason := self.store.cache.why_gone(key)) is not None:
                self.state.lost[node_run.step.id] = reason
            return False
        node_run.entry = entry
        node_run.outputs = entry.outputs
        if entry.ui is not None and self._reports(node_run.step):
            node_run.ui = entry.ui
        node_run.source = entry.source
        self.hits += 1
        self.skips.repeat(node_run, entry)
        self.remarks.found(node_run, key)
        if node_run.step.id not in self.scheduler.breakpoints:
            self.state.event_log.node_finished(node_run)
        return True

    def drop_faulty(self) -> None:
        """Have run again, and fail, what was taken with a fault before; what is below it is not taken either."""
        faulty = self.remarks.drop_faulty()
        if faulty:
            self.keyed_late |= self.state.plan.below(faulty)

    def _reports(self, step: Step) -> bool:
        """Whether a cached node's ui is reported again: that of a wanted node, or of an expansion's output node."""
        if step.id in self.scheduler.retained or step.spec.has_intermediate_output:
            return True
        return step.spec.is_output and step.id in self.scheduler.added

    def report_intermediate(self) -> None:
        """At the end of a run that succeeded, report the nodes with intermediate output that it did not need."""
        if self.state.is_tainted:
            return
        for node_id in self.state.plan.reporting:
            if node_id not in self.scheduler.node_runs:
                node_run = NodeRun(self.state.plan.steps[node_id], NOT_SCHEDULED)
                try:
                    is_cached = self.find(node_run)
                except Exception as error:  # a class's STILL_THERE may raise anything, and the run is done
                    warn_of_fault(f"{node_run.step.named} could not be reported", error)
                    continue
                if is_cached:
                    node_run.state = NodeState.DONE
                    self.scheduler.node_runs[node_id] = node_run

    def _is_settled_above(self, node_run: NodeRun) -> bool:
        """Whether all inputs of a node below a breakpoint are final."""
        node_runs = self.scheduler.node_runs
        above = [node_runs.get(link.origin) for link in node_run.step.links if not link.lazy]
        return all(each is not None and each.state is NodeState.DONE for each in above)

    def _late_key(self, node_run: NodeRun) -> None:
        """Set a key that depends on parents that have run, or for a lazy node on the inputs it used before."""
        if node_run.key.base is None:
            self._rekey(node_run)
        base = node_run.key.base
        if base is None or node_run.key.full is not None:
            return
        step = node_run.step
        if not step.lazy_links:
            self._note_change(node_run, node_run.key)
            return
        for names in self.store.uses_of(base):
            used = [(link.name, self._key_of(link.origin).full) for link in step.lazy_links if link.name in names]
            own = lazy_key(base, used)
            key = self.inside.complete(node_run.key._replace(own=own, full=own))
            if key.full is not None and self.store.holds(key.full, step):
                node_run.key = key
                return
            self._note_change(node_run, key)

    def _rekey(self, node_run: NodeRun) -> None:
        """Make the key from those of the nodes above in this run, unless one of them is not known yet."""
        step = node_run.step
        above: dict[str, NodeRun] = {}
        for link in step.links:
            if link.lazy:
                continue
            source = self.scheduler.node_runs.get(link.origin)
            if source is None or source.key.full is None:
                return
            above[link.origin] = source
        node_run.key = self.inside.complete(key_of(step.head, step.fingerprint, step.links, above))

    def _note_change(self, node_run: NodeRun, key: NodeKey) -> None:
        """Note for `why` what ran inside a node and is something else by now."""
        if (change := self.inside.change(key)) is not None:
            self.state.lost[node_run.step.id] = change

    def _key_of(self, node_id: str) -> NodeKey:
        above = self.scheduler.node_runs.get(node_id)
        at_breakpoint = node_id in self.scheduler.breakpoints
        if above is not None and (above.state is NodeState.DONE or not at_breakpoint):
            return above.key
        step = self.scheduler.step(node_id) if not at_breakpoint and node_id not in self.keyed_late else None
        return step.key if step is not None else UNKNOWN

    def keep(self, node_run: NodeRun, outputs: Outputs) -> None:
        """Cache what a node returned.

        Nothing is cached once a value was replaced: it may reach nodes in ways that no key covers. Nor is anything once
        torch's settings are others than when the run began: they belong to the process, and the keys have those.
        """
        self._compare_settings(node_run.step)
        if not node_run.step.head.fixed:
            self.in_place.compare_constants(node_run)
        if node_run.sequence in self.in_place.doubtful:
            self.state.lost[node_run.step.id] = "its input was changed while it ran"
            node_run.key = node_run.key.forgotten()
        elif self.state.is_tainted:
            node_run.key = node_run.key.forgotten()
        else:
            self._settle_key(node_run)
        step, key = node_run.step, node_run.key
        durable = key.durable and not (step.spec.is_output or node_run.skips or node_run.remarks)
        sealed = None if are_plain(outputs) else self._look_into(node_run, outputs, durable)
        node_run.taken = None
        entry = node_run.entry = Entry(
            key.full or b"",
            outputs,
            node_run.ui,
            node_run.seconds,
            step.class_type,
            step.id,
            step.title,
            key.reusable,
            durable,
            sealed,
            skips=node_run.skips,
            is_blocked=node_run.is_blocked,
        )
        if key.full is None or not step.cacheable:
            return
        if sealed is not None and sealed.unknown is not None:
            self.store.refuse(entry, f"it gave {sealed.unknown}, which may have changed since. {CONSTANT_ADVICE}")
        else:
            self.store.remember(entry)
        self.remarks.keep(node_run, key.full)

    def _look_into(self, node_run: NodeRun, outputs: Outputs, durable: bool) -> Seal | None:
        """Seal outputs, and see whether all that came out is blocked, or a handle did."""
        if not node_run.is_blocked:
            node_run.blocked_output = blocked_output(outputs)
        if any(is_handle(value) for values in outputs for value in values):
            self.remarks.add(
                node_run, "it returned a handle, which has no value yet: `await` it, and return the value."
            )
        return self.in_place.seal(node_run, outputs, durable)

    def _settle_key(self, node_run: NodeRun) -> None:
        """Make the key of a result final: the lazy inputs that were used count in it, and what ran inside the node."""
        several = self.state.ended_inside.pop(node_run.step.id, []) if self.state.ended_inside else []
        if node_run.expansion is not None:
            several.append(inside_expansion(node_run, self.state, self.inside))
        key = node_run.key
        if key.full is not None and not several:
            return
        if node_run.step.lazy_links and key.base is not None:
            self._complete(node_run)
            key = node_run.key
        node_run.key = self.inside.learn(key, join(several)) if several else key._replace(full=key.own)

    def _compare_settings(self, step: Step) -> None:
        """Cache nothing more once torch's settings are others than when the run began."""
        modes, settings = self.state.modes, torch_settings()
        if settings == modes.settings or self.state.is_tainted:
            return
        changes = "; ".join(modes.with_settings(settings).changes(modes, step.spec.grad))
        self.state.taint()
        warn_each_time(
            f"{changes} while {step.named} ran or before it did: torch has one setting for the whole process. What the "
            "run computes from here on is not cached.",
            step.spec.function_code,
        )

    def _complete(self, node_run: NodeRun) -> None:
        """Set the key of a lazy node that has run, by the lazy inputs that were passed to it.

        One that was passed as a link counts only where the node expanded into nodes that may take from it.
        """
        passed = [*node_run.passed, *(link for link in node_run.step.lazy_links if self._passed_on(node_run, link))]
        above = [self._key_of(link.origin) for link in passed]
        key = node_run.key
        assert key.base is not None
        full = lazy_key(key.base, [(link.name, each.full) for link, each in zip(passed, above, strict=True)])
        if full is not None:
            durable = key.durable and all(each.durable for each in above)
            reusable = key.reusable and all(each.reusable for each in above)
            node_run.key = key._replace(own=full, full=full, durable=durable, reusable=reusable)
            self.store.note_use(key.base, tuple(link.name for link in passed))

    def _passed_on(self, node_run: NodeRun, link: InLink) -> bool:
        """Whether the value behind a raw link may have come back through the node's expansion."""
        if not link.raw or node_run.expansion is None:
            return False
        is_known = self._key_of(link.origin).full is not None
        return is_known or link.origin in redo.above(self.scheduler, node_run.expansion.wanted)
