"""One needed node of one run: where it is on its way, its key, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.planning.step import Step
from comfy_nb.graph.check import InLink


class State(IntEnum):
    """Where a node run is on its way: WAITING, READY, RUNNING, DONE.

    From RUNNING it goes back to WAITING where it asks for lazy inputs, expands or is requeued, and from DONE to RUNNING
    where a cached value is held at a breakpoint.
    """

    WAITING = 0
    READY = 1
    RUNNING = 2
    DONE = 3


class NodeRun:
    """A needed node of one run."""

    __slots__ = (
        "asked",
        "dependents",
        "entry",
        "expansion",
        "fingerprint",
        "key",
        "outputs",
        "parent",
        "passed",
        "rank",
        "refs",
        "seconds",
        "sequence",
        "source",
        "state",
        "step",
        "ui",
        "unmet",
    )

    def __init__(self, step: Step, sequence: int) -> None:
        self.step = step
        self.sequence = sequence
        self.state = State.WAITING
        self.unmet = 0
        self.refs = 0
        self.rank = step.rank
        self.dependents: list[NodeRun] = []
        self.fingerprint = step.fingerprint
        self.key = step.key
        self.outputs: Outputs | None = None
        self.ui: Mapping[str, Any] | None = None
        self.asked: set[str] | None = None
        self.passed: Sequence[InLink] = ()
        self.entry: Entry | None = None
        self.expansion: Any = None
        self.parent: NodeRun | None = None
        self.seconds = 0.0
        self.source = "ran"

    @property
    def display_id(self) -> str:
        """The id of the node that this one is shown under: itself, or what it was expanded from."""
        node_run = self
        while node_run.parent is not None:
            override = node_run.step.extras.get("override_display_id") if node_run.step.extras else None
            if override is not None:
                return str(override)
            node_run = node_run.parent
        return node_run.step.id
