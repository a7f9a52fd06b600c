"""A step: a checked node of a plan, with its cache key and how it is called."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from comfy_nb.engine.planning.modes import Modes, usual_modes
from comfy_nb.graph.check import CheckedNode, InLink
from comfy_nb.spec.digest import Digest
from comfy_nb.spec.node_spec import PLAIN_SOCKETS, Interface, NodeSpec
from comfy_nb.spec.output_faults import CHECKED_SOCKETS
from comfy_nb.spec.torch_only import writes_by_torch_only
from comfy_nb.wording import name_node

LANE, POOL, LOOP = "lane", "pool", "loop"
LAST_RANK = 3


class NodeKey(NamedTuple):
    """The key that a node's result is cached under.

    `base` covers all but the lazy links, `own` also those that the node uses. `full` is the key: it covers besides what
    runs inside the node. Each is None while it is not known: where the node, or one above it, has lazy inputs that were
    not asked for, or runs something inside that may be something else by now. `durable`: the key means the same in
    another process. `reusable`: the key can occur again. `above` holds the full keys above, 16 bytes each, then the
    fingerprint's digest.
    """

    base: bytes | None
    own: bytes | None
    full: bytes | None
    durable: bool
    reusable: bool
    above: bytes

    def forgotten(self) -> NodeKey:
        """Return the key of a result that may not be cached."""
        return self._replace(base=None, own=None, full=None)


def nonce() -> bytes:
    """Return 8 bytes that this process has not given before: for a key that cannot occur again."""
    return struct.pack("<Q", next(_numbers))


_numbers = itertools.count(1)
UNKNOWN = NodeKey(None, None, None, True, True, b"")


class Keyed(Protocol):
    """Something that has a key: a step of a plan, or a node of a run."""

    key: NodeKey


class Step(CheckedNode):
    """A node in a plan, with its key.

    `head` digests the node itself, `mark` its fingerprint; `key` adds what is above it. `where` names who calls the
    node: the run's lane, the pool for thread-safe nodes, the event loop, or another caller (see `execution.callers`).
    `modes` are those of its run.
    """

    __slots__ = (
        "cacheable",
        "checked_slots",
        "code",
        "consumers",
        "deduplicated",
        "fingerprint",
        "head",
        "index",
        "is_simple",
        "key",
        "mark",
        "modes",
        "rank",
        "where",
        "writes_by_torch",
    )

    head: Digest

    def __init__(self) -> None:
        self.index = 0
        self.fingerprint: Any = None
        self.mark: Digest | None = None
        self.key = UNKNOWN
        self.modes: Modes = usual_modes()
        self.consumers: list[int] = []

    def set_class(self, known: ClassNow) -> None:
        """Set the class, what follows from it, and from what the prompt says beside the inputs.

        That is how (see `is_simple`) and where its nodes are called, their rank among ready nodes, whether results are
        cached, whether equal nodes share one computation, and the fingerprint if one was submitted, which counts only
        for a class that has fingerprints.
        """
        (
            self.spec,
            self.interface,
            self.code,
            self.where,
            self.rank,
            self.is_simple,
            self.writes_by_torch,
            self.checked_slots,
        ) = known
        spec, extras = self.spec, self.extras
        self.fingerprint = extras.get("is_changed") if extras and spec.fingerprint is not None else None
        self.cacheable = spec.cache != "off" and not (extras and extras.get("no_cache"))
        self.deduplicated = self.cacheable and not spec.not_idempotent

    @property
    def named(self) -> str:
        """The node in words, as messages name it."""
        return name_node(self.id, self.class_type, self.title)

    @property
    def lazy_links(self) -> list[InLink]:
        """The links that are computed only when asked for."""
        return [link for link in self.links if link.lazy]


class ClassNow(NamedTuple):
    """A class as it is when a step is made of it.

    `where` and `rank` are those of its nodes (see `Step`). `is_simple`: they are called once, with single values.
    `writes_by_torch`: on a lane, so called, they can write to their inputs by torch alone (see `spec.torch_only`).
    `checked_slots` are those outputs that are checked, each with the class that fits at first sight, if there is one.
    """

    spec: NodeSpec
    interface: Interface
    code: Digest
    where: str
    rank: int
    is_simple: bool
    writes_by_torch: bool
    checked_slots: tuple[tuple[int, type | None], ...]

    def with_code(self, code: Digest) -> ClassNow:
        """Return the class with other code, or with code that reads something else."""
        is_called_simply = self.is_simple and self.where != LOOP
        return self._replace(code=code, writes_by_torch=is_called_simply and writes_by_torch_only(self.spec, code))


def class_now(spec: NodeSpec) -> ClassNow:
    """Look at a class; raises what its INPUT_TYPES raises."""
    interface, code = spec.interface(), spec.code()
    kinds = spec.return_types if spec.is_own else ()
    checked = tuple((slot, PLAIN_SOCKETS.get(kind)) for slot, kind in enumerate(kinds) if kind in CHECKED_SOCKETS)
    where = LOOP if spec.is_async else POOL if spec.thread_safe or spec.uses else LANE
    rank = 0 if spec.is_output or spec.is_async else LAST_RANK
    known = ClassNow(spec, interface, code, where, rank, is_simple(spec, interface), False, checked)
    return known.with_code(code)


def is_simple(spec: NodeSpec, interface: Interface) -> bool:
    """Whether nodes of a class are called once, with single values: nothing lazy, raw, hidden, listed or retried."""
    special = interface.is_open or interface.raw_links or interface.hidden or spec.check_lazy or interface.lazy
    return not (special or spec.input_is_list or spec.output_is_list or spec.retries or spec.grad or spec.timeout)


def as_lists(step: Step, constants: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return each constant in a list; a constant that holds all items of its input is that list already."""
    listed = step.interface.listed
    return {
        name: list(value) if name in listed and type(value) is list else [value] for name, value in constants.items()
    }
