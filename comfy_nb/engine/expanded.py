"""What nodes expanded into, for as long as they are there: a node taken from the cache keeps its expansion too."""

from __future__ import annotations

from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.graph.model import Place, Scope


def prune(scope: Scope, scheduler: Scheduler) -> list[bytes | None]:
    """After a run, forget the nodes that are no longer there, with their objects; return the keys of the expanded ones.

    A node is there if the run's prompt has it, or if a node that is there expanded into it when it ran last.
    """
    made: dict[Place, dict[Place, bytes | None]] = {}
    for node_id, step in scheduler.added.items():
        parent, node_run = scheduler.step(scheduler.expanders[node_id]), scheduler.node_runs.get(node_id)
        assert parent is not None
        key = (node_run or step).key.full
        made.setdefault((parent.id, parent.class_type), {})[node_id, step.class_type] = key
    scope.expanded.update(made)
    if not scope.objects and not scope.expanded:
        return []
    there = {(node_id, step.class_type) for node_id, step in scheduler.steps.items()}
    keys: list[bytes | None] = []
    stack = [place for place in list(scope.expanded) if place in there]
    while stack:
        for place, key in scope.expanded[stack.pop()].items():
            keys.append(key)
            if place not in there:
                there.add(place)
                if place in scope.expanded:
                    stack.append(place)
    for held in (scope.expanded, scope.objects):
        for place in [place for place in list(held) if place not in there]:
            held.pop(place, None)
    return keys
