"""What the engine keeps of a graph while the graph lives: its plan, and what its nodes were in each session."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

from comfy_nb.engine.planning.inside import KnownInside
from comfy_nb.engine.planning.modes import Modes, modes_here
from comfy_nb.engine.planning.plan import Plan
from comfy_nb.graph.gc_freeze import gc_frozen
from comfy_nb.graph.model import Graph


class Planned:
    """The plan of a graph, and the last run of each node by whoever keeps a history."""

    __slots__ = ("histories", "plan")

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.histories: MutableMapping[object, dict[str, Any]] = WeakKeyDictionary()


def planned(graph: Graph) -> Planned:
    """Return what is kept of a graph."""
    if not isinstance(graph.planned, Planned):
        graph.planned = Planned()
    return graph.planned


def plan_of(graph: Graph, inside: KnownInside, modes: Modes | None = None) -> Plan:
    """Return the up-to-date plan of a graph for a run under these modes, by default those of the running code.

    `inside` is what is known of what runs inside nodes.
    """
    modes = modes if modes is not None else modes_here()
    kept = planned(graph)
    plan = kept.plan
    if plan is not None:
        plan = plan.refresh(graph, modes, inside)
    else:
        with gc_frozen(len(graph.nodes)):
            plan = Plan(graph, modes, inside)
    if plan.users and (plan.fingerprinting or plan.runs_every_time):
        # The run that uses it has its own keys for these nodes.
        plan = Plan(graph, modes, inside)
    kept.plan = plan
    return plan


def current_plan(graph: Graph) -> Plan | None:
    """Return the plan of a graph if it has one that neither an edit nor new code has outdated; plans nothing."""
    plan = planned(graph).plan
    return plan if plan is not None and plan.is_current(graph, modes_here()) else None
