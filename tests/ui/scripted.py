"""A run played by hand: events are emitted one by one, at the times that the script sets."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from PIL import Image

from comfy_nb.engine.estimate import Estimate
from comfy_nb.engine.events import (
    Event,
    NodeFailed,
    NodeFinished,
    NodePreview,
    NodeProgress,
    NodeStarted,
    RunFinished,
    RunStarted,
)

RUN = "run"


def started(total: int = 4, cached: int = 0, time: float = 0.0) -> RunStarted:
    """A run that has `total` nodes to compute, after `cached` were found in the cache."""
    return RunStarted(RUN, time, total, cached)


def node(
    node_id: str, time: float = 0.0, title: str = "", class_type: str = "ImageBlur", lane: str = "loop", under: str = ""
) -> NodeStarted:
    return NodeStarted(RUN, time, node_id, under or node_id, class_type, title or class_type, lane)


def progress(
    node_id: str, value: float, total: float, index: int = 0, calls: int = 1, time: float = 0.0
) -> NodeProgress:
    return NodeProgress(RUN, time, node_id, value, total, index, calls)


def preview(node_id: str, data: bytes, format: str = "jpeg") -> NodePreview:
    return NodePreview(RUN, 0.0, node_id, format, data, 8, 8)


def done(node_id: str, seconds: float = 0.5, source: str = "ran", ui: Any = None) -> NodeFinished:
    return NodeFinished(RUN, seconds, node_id, source, seconds, ui)


def all_cached(number: int) -> list[Event]:
    """The events of nodes that a run finds in the cache, which precede the start of the run."""
    return [done(f"kept{each}", 0.0, "memory") for each in range(number)]


def failed(node_id: str, error: Exception, time: float = 1.0) -> NodeFailed:
    return NodeFailed(RUN, time, node_id, node_id, error)


def finished(state: str = "done", seconds: float = 1.0) -> RunFinished:
    return RunFinished(RUN, seconds, state, seconds)


def jpeg(size: tuple[int, int] = (8, 8), noise: bool = False) -> bytes:
    picture = Image.effect_noise(size, 120).convert("RGB") if noise else Image.new("RGB", size, "teal")
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@dataclass
class ScriptedRun:
    """A run as the displays see it: `emit` delivers a batch of events to all subscribers."""

    id: str = RUN
    state: str = "running"
    stops: int = 0
    stopping: bool = False
    in_background: bool = False
    loop: Any = None
    holding_loop: Any = None
    started_at: float = 0.0
    total: int = 0
    cached: int = 0
    needed: Sequence[str] = ()
    above_cached: int = 0
    session: Any = field(default_factory=lambda: SimpleNamespace(live_runs=list))
    number: int = field(default_factory=itertools.count(-1, -1).__next__)
    graph: Any = field(default_factory=lambda: SimpleNamespace(nodes={}))
    remaining: Callable[[], Estimate] = lambda: Estimate(None, 1, 1)
    step: Callable[[str], Any] = lambda node_id: None
    node_run: Callable[[str], Any] = lambda node_id: None
    attached: dict[str, Any] = field(default_factory=dict)
    subscribers: list[Callable[[Sequence[Event]], None]] = field(default_factory=list)

    def subscribe(self, subscriber: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        self.subscribers.append(subscriber)
        return lambda: subscriber in self.subscribers and self.subscribers.remove(subscriber)

    def without_values(self) -> ScriptedRun:
        return self

    def emit(self, *events: Event) -> None:
        for subscriber in list(self.subscribers):
            subscriber(events)

    def stop(self) -> None:
        self.stops += 1
        self.stopping = True


@dataclass
class ScriptedOutput:
    """An output of a cell that remembers everything it has shown."""

    shown: list[Any] = field(default_factory=list)

    def show(self, static: Any, widget: Any = None) -> None:
        self.shown.append(static if widget is None else widget)


async def until(condition: Callable[[], Any]) -> None:
    """Wait on the loop for a condition; raises TimeoutError after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)
