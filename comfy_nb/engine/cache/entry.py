"""An entry of the cache: one result of a node."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from comfy_nb.engine.cache.memory_use import Blocks
from comfy_nb.engine.cache.seal import Seal
from comfy_nb.engine.cache.skip import Skip

Outputs = tuple[list[Any], ...]


class Entry:
    """The outputs of a node under a key, one list per output slot, and how they were made.

    `seconds` is how long they took to compute, `made_at` when that was (`time.time()`). `reusable` is False where the
    key never occurs again (an always-run node): such an entry is evicted first. `durable`: the key means the same in
    another process. `is_spoiled`: it was changed in place. `skips` are the calls that blockers kept from being made,
    and `is_blocked` says that none was made. `source` is "memory" or "disk". `size` (bytes) and `hits` are kept by the
    memory tier, which alone sets and reads `rank` and `blocks`.
    """

    __slots__ = (
        "blocks",
        "class_type",
        "durable",
        "hits",
        "is_blocked",
        "is_spoiled",
        "key",
        "made_at",
        "node_id",
        "outputs",
        "pinned",
        "rank",
        "reusable",
        "seal",
        "seconds",
        "size",
        "skips",
        "source",
        "title",
        "ui",
    )
    # Not set by the constructor, to keep it cheap: every node makes an entry.
    rank: float
    blocks: Blocks

    def __init__(
        self,
        key: bytes,
        outputs: Outputs,
        ui: Mapping[str, Any] | None = None,
        seconds: float = 0.0,
        class_type: str = "",
        node_id: str = "",
        title: str = "",
        reusable: bool = True,
        durable: bool = False,
        seal: Seal | None = None,
        source: str = "memory",
        skips: tuple[Skip, ...] = (),
        is_blocked: bool = False,
    ) -> None:
        self.key = key
        self.outputs = outputs
        self.ui = ui
        self.seconds = seconds
        self.class_type = class_type
        self.node_id = node_id
        self.title = title
        self.reusable = reusable
        self.durable = durable
        self.seal = seal
        self.source = source
        self.skips = skips
        self.is_blocked = is_blocked
        self.made_at = time.time()
        self.pinned = False
        self.is_spoiled = False
        self.hits = 0
        self.size = 0

    def complete(self) -> None:
        """Read the content of what was sealed at a glance, for somebody is about to get hold of the outputs."""
        if self.seal is not None:
            self.seal.complete()

    def __repr__(self) -> str:
        name = f"{self.class_type} (node {self.node_id})"
        return f"<Entry {name}, {self.size} bytes, {self.seconds:.3g} s, {self.hits} hits>"
