"""A needed node of one run: its state, its key and its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import torch

from comfy_nb.engine.cache.entry import Entry, Outputs
from comfy_nb.engine.cache.skip import Place, Skip
from comfy_nb.engine.cache.store import Remark
from comfy_nb.engine.planning.step import Step
from comfy_nb.graph.check import InLink

# In place of its number, for a node that is reported in a run and never called.
NOT_SCHEDULED = -1


class NodeState(IntEnum):
    """The state of a node run: WAITING, READY, RUNNING, DONE; or FAILED, or GIVEN_UP for one that failed.

    RUNNING goes back to WAITING if the node asks for lazy inputs, expands or is requeued, and DONE to RUNNING if a
    cached value is held at a breakpoint.
    """

    WAITING = 0
    READY = 1
    RUNNING = 2
    DONE = 3
    FAILED = 4
    GIVEN_UP = 5


class Taken(NamedTuple):
    """The tensors that a node takes which can only compute with them, and the versions of those that are constants."""

    tensors: list[torch.Tensor]
    constants: list[tuple[torch.Tensor, int]]


class NodeRun:
    """A needed node of one run.

    `planned` is the key that it had at first, `unmet` counts the inputs it waits for, `refs` the nodes that wait for
    it; `asked` and `passed` are its lazy inputs. `taken` is what it is called with, where it can only compute with that
    (see `in_place`). `skips` are the calls that blockers kept from being made; with `is_blocked`, none was made.
    `blocked_output` says in words that calls were made, and all that came out is blocked. `remarks` are what it was
    warned of, in order.
    """

    __slots__ = (
        "asked",
        "blocked_output",
        "dependents",
        "entry",
        "expansion",
        "fingerprint",
        "is_blocked",
        "key",
        "outputs",
        "parent",
        "passed",
        "planned",
        "rank",
        "refs",
        "remarks",
        "seconds",
        "sequence",
        "skips",
        "source",
        "state",
        "step",
        "taken",
        "ui",
        "unmet",
    )

    def __init__(self, step: Step, sequence: int) -> None:
        self.step = step
        self.sequence = sequence
        self.state = NodeState.WAITING
        self.unmet = 0
        self.refs = 0
        self.rank = step.rank
        self.dependents: list[NodeRun] = []
        self.fingerprint = step.fingerprint
        self.key = self.planned = step.key
        self.outputs: Outputs | None = None
        self.ui: Mapping[str, Any] | None = None
        self.asked: set[str] | None = None
        self.passed: Sequence[InLink] = ()
        self.entry: Entry | None = None
        self.expansion: Any = None
        self.parent: NodeRun | None = None
        self.seconds = 0.0
        self.source = "ran"
        self.taken: Taken | None = None
        self.skips: tuple[Skip, ...] = ()
        self.is_blocked = False
        self.blocked_output = ""
        self.remarks: tuple[Remark, ...] = ()

    @property
    def is_keyed_anew(self) -> bool:
        """Whether its key turned out to be another one than was planned."""
        return self.key is not self.planned and self.key.full != self.planned.full

    def takes(self, link: InLink) -> bool:
        """Whether the node waits for a link: a lazy one only after it asked for it."""
        return not link.lazy or (self.asked is not None and link.name in self.asked)

    def sources(self) -> set[str]:
        """Return the ids of the nodes that it has waited for; what comes from any other node is not there for it."""
        return {link.origin for link in self.step.links if self.takes(link)}

    def parents(self) -> Iterator[NodeRun]:
        """Yield the nodes whose expansions it is part of, from the one that made it to that of the graph."""
        parent = self.parent
        while parent is not None:
            yield parent
            parent = parent.parent

    @property
    def place(self) -> Place:
        """Where the node is: itself by (id, class), after the nodes whose expansions it is part of."""
        return tuple((each.step.id, each.step.class_type) for each in [*list(self.parents())[::-1], self])

    @property
    def display_id(self) -> str:
        """The id of the node that this one is shown under: itself, or the node it was expanded from."""
        node_run = self
        while node_run.parent is not None:
            override = node_run.step.extras.get("override_display_id") if node_run.step.extras else None
            if override is not None:
                return str(override)
            node_run = node_run.parent
        return node_run.step.id
