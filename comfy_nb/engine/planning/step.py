"""A step: a checked node of a plan, with what its key is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_nb.graph.check import CheckedNode, InLink
from comfy_nb.spec.fingerprint import Digest

LAST_RANK = 3


class Step(CheckedNode):
    """A node in a plan, with what its key is made of.

    `head` digests the node itself, `base` adds the keys of its non-lazy parents. `key` is the full key, or None while
    that is not known (it, or a node above it, uses lazy inputs that have not been asked for). `durable` tells whether
    the key means the same in another process, `reusable` whether it can ever come again.
    """

    __slots__ = (
        "base",
        "cacheable",
        "code",
        "consumers",
        "deduplicated",
        "durable",
        "fingerprint",
        "head",
        "index",
        "is_simple",
        "key",
        "off_lane",
        "parents",
        "rank",
        "reusable",
    )

    def __init__(self) -> None:
        self.index = 0
        self.code = b""
        self.head: Digest | None = None
        self.fingerprint: Any = None
        self.parents = b""
        self.base: bytes | None = None
        self.key: bytes | None = None
        self.durable = True
        self.reusable = True
        self.consumers: list[int] = []

    def set_traits(self, is_simple: bool) -> None:
        """Derive from the class: whether its nodes are called the simple way (see `plan.is_simple`) and off the lane,
        their rank among ready nodes, whether results are cached, and whether equal nodes share one computation."""
        spec, extras = self.spec, self.extras
        self.is_simple = is_simple
        self.off_lane = spec.is_async or spec.thread_safe
        self.rank = 0 if spec.is_output or spec.is_async else LAST_RANK
        self.cacheable = spec.cache != "off" and not (extras and extras.get("no_cache"))
        self.deduplicated = self.cacheable and not spec.is_output and not spec.not_idempotent

    @property
    def lazy_links(self) -> list[InLink]:
        """The links that are computed only when asked for."""
        return [link for link in self.links if link.lazy]


KNOWN_HIDDEN = frozenset(
    {"PROMPT", "DYNPROMPT", "EXTRA_PNGINFO", "UNIQUE_ID", "AUTH_TOKEN_COMFY_ORG", "API_KEY_COMFY_ORG"}
)


def as_lists(step: Step, constants: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Put each constant into a list; one that stands for all items of its input is that list."""
    listed = step.interface.listed
    return {
        name: list(value) if name in listed and type(value) is list else [value] for name, value in constants.items()
    }
