"""Results of a run that are dropped at its end: what they were computed from was changed while it went on."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_nb.engine.cache.store import Store
from comfy_nb.engine.execution import redo
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.planning.inside import code_of
from comfy_nb.engine.planning.keys import head_of
from comfy_nb.errors import warn_each_time
from comfy_nb.spec.contents.tensors import read_once


def drop_outdated(scheduler: Scheduler, store: Store, scope: int, glanced_at: Sequence[NodeRun]) -> None:
    """Drop what was computed by code that reads something else by now, or from constants that are something else.

    `glanced_at` are the nodes whose constants are to be compared, `scope` is the graph's number.
    """
    ran = [each for each in scheduler.node_runs.values() if each.source == "ran"]
    began_with = {(each.step.spec, each.step.code) for each in ran}
    changed = {(spec, code) for spec, code in began_with if code_of(spec) != code}
    if changed:
        outdated = [each for each in ran if (each.step.spec, each.step.code) in changed]
        _drop(scheduler, store, ran, outdated, "the code that computed it, or what it reads, changed while it ran")
    with read_once():
        rewritten = [each for each in glanced_at if not head_of(each.step, scope).continues(each.step.head)]
    for each in rewritten:
        warn_each_time(
            f"A constant of {each.step.named} was changed while the run went on. What the run computed from it is not "
            "cached. Work on a copy.",
            each.step.spec.function_code,
        )
    if rewritten:
        _drop(scheduler, store, ran, rewritten, "a constant that it was computed from changed while it ran")


def _drop(scheduler: Scheduler, store: Store, ran: Sequence[NodeRun], outdated: Sequence[NodeRun], reason: str) -> None:
    stale = {around.step.id for each in outdated for around in (each, *each.parents())}
    stale |= redo.below(scheduler, stale)
    for each in ran:
        if each.key.full is not None and each.step.id in stale:
            store.discard(each.key.full, reason)
