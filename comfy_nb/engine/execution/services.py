"""The services of a session that the execution of a run uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from comfy_nb.engine.cache.store import Store
from comfy_nb.engine.execution.breakpoints import Breakpoints
from comfy_nb.engine.execution.callers import MakeCaller
from comfy_nb.engine.planning.inside import KnownInside
from comfy_nb.engine.pools.pools import Pools


class Services(Protocol):
    """The parts of a session that its runs share."""

    @property
    def store(self) -> Store:
        """The cache, and the keys that are being computed."""
        ...

    @property
    def inside(self) -> KnownInside:
        """What is known of what runs inside nodes."""
        ...

    @property
    def breakpoints(self) -> Breakpoints:
        """The breakpoints of the session."""
        ...

    @property
    def pools(self) -> Pools:
        """The pools, and who waits for their places."""
        ...

    @property
    def is_strict(self) -> bool:
        """Whether a node fails that returned another layout than it declares."""
        ...

    @property
    def callers(self) -> Mapping[str, MakeCaller]:
        """Functions that make further callers, by the `where` of the steps that they call."""
        ...
