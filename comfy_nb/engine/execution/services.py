"""The services of a session that the execution of a run uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from comfy_nb.engine.cache.store import Store
from comfy_nb.engine.execution.breakpoints import Breakpoints
from comfy_nb.engine.execution.callers import MakeCaller
from comfy_nb.engine.execution.hook_caller import HookCaller
from comfy_nb.engine.execution.lanes import Lane
from comfy_nb.engine.execution.state import RunState
from comfy_nb.engine.planning.inner import Inner


class Services(Protocol):
    """The parts of a session that its runs share."""

    @property
    def store(self) -> Store:
        """The cache, and the keys that are being computed."""
        ...

    @property
    def inner(self) -> Inner:
        """What is known of what runs inside nodes."""
        ...

    @property
    def pool(self) -> Lane:
        """The lane for thread-safe nodes."""
        ...

    @property
    def call_hook(self) -> HookCaller:
        """Calls hooks of node classes off the loop."""
        ...

    @property
    def breakpoints(self) -> Breakpoints:
        """The breakpoints of the session."""
        ...

    @property
    def callers(self) -> Mapping[str, MakeCaller]:
        """Functions that make further callers, by the `where` of the steps that they call."""
        ...

    def lane_for(self, state: RunState) -> Lane:
        """Return the lane for a run's sync nodes."""
        ...

    def lane_done(self, lane: Lane) -> None:
        """Take back a lane that a run no longer needs."""
        ...
