"""A small kit for tests of the engine: V1 classes in a registry of their own, counted calls, and what runs report."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.events import Event
from comfy_nb.engine.execution.breakpoints import Pause
from comfy_nb.graph.model import Graph
from comfy_nb.spec.registry import Registry
from tests.reference.classes import INT, LAZY_INT, count_calls, made, node

__all__ = [
    "PATIENCE_S",
    "Calls",
    "Outside",
    "Pack",
    "all_of",
    "failure_of",
    "following",
    "kinds",
    "listed",
    "made",
    "messages",
    "names_of",
    "node",
    "number",
    "ran",
    "reported",
    "run_of",
]


class Calls(Counter[str]):
    """How often each class was called. A node whose code uses it does not count as changed when it does."""

    def __comfy_nb_key__(self) -> bytes:
        return b"calls"


class Outside:
    """State outside the graph that a node reads. A node whose code uses it does not count as changed when it does."""

    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)

    def __comfy_nb_key__(self) -> bytes:
        return b"outside"


PATIENCE_S = 10.0


class Pack:
    """Node classes of one test, in a registry of their own; `calls` counts the calls of each by its name."""

    def __init__(self, *classes: type) -> None:
        self.registry = Registry()
        self.calls = Calls()
        self.add(*classes)

    def add(self, *classes: type) -> None:
        """Register classes made by `node`, and count their calls from now on."""
        for cls in classes:
            count_calls(cls, self.calls)
            nb.register(cls, registry=self.registry)

    def node(self, name: str, run: Callable[..., Any], *declared: Any, **traits: Any) -> type:
        """Make a class (see `tests.reference.classes.node`), register it and return it."""
        cls = node(name, run, *declared, **traits)
        self.add(cls)
        return cls

    def add_late_wish(self) -> None:
        """Add Minus; Expand, which becomes a Minus; and Pick, which asks for `n` once `w` is there, and returns it."""

        def expands(self: Any, n: int) -> dict[str, Any]:
            graph = nb.GraphBuilder()
            return {"result": (graph.node("Minus", n=n).out(0),), "expand": graph.finalize()}

        self.node("Minus", lambda self, n: (-n,), {"n": INT})
        self.node("Expand", expands, {"n": INT})
        wishes = {"check_lazy_status": lambda self, w, n=None: ["n"]}
        self.node("Pick", lambda self, w, n=None: (n,), {"w": INT, "n": LAZY_INT}, **wishes)

    def graph(self, prompt: dict[str, Any]) -> Graph:
        """Make a graph of this pack's classes from a prompt."""
        return Graph.from_prompt(prompt, self.registry)


def number(value: int) -> dict[str, Any]:
    """A prompt's entry for a node of the zoo that returns a number."""
    return made("Number", value=value)


def listed(*values: Any) -> dict[str, Any]:
    """A prompt's entry for a node of the zoo that returns a list of these values."""
    return made("Listed", values={"__value__": list(values)})


async def run_of(pack: Pack, prompt: dict[str, Any], *outputs: str) -> nb.Run:
    """Run a prompt of a pack's classes."""
    return await pack.graph(prompt).run(list(outputs) or None)


async def failure_of(pack: Pack, prompt: dict[str, Any]) -> nb.NodeError:
    """Run a prompt that must fail, and return its error."""
    with pytest.raises(nb.NodeError) as caught:
        await pack.graph(prompt).run()
    return caught.value


def ran(run: nb.Run) -> list[str]:
    """The ids of the nodes that a run computed itself, in the order in which they ended."""
    return [event.node_id for event in reported(run, events.NodeFinished) if event.source == "ran"]


def messages(items: list[Any]) -> list[Any]:
    """The items, with each blocker as `("blocked", message)`."""
    return [("blocked", item.message) if isinstance(item, nb.ExecutionBlocker) else item for item in items]


def names_of(run: nb.Run, ids: Sequence[str]) -> list[str]:
    """The class types of nodes."""
    return [run.node_run(node_id).step.class_type for node_id in ids]


def reported(run: nb.Run, kind: type) -> list[Any]:
    """The events of one kind that a run has reported so far."""
    found: list[Any] = []
    run.subscribe(found.extend)()
    return [event for event in found if isinstance(event, kind)]


async def following(pauses: asyncio.Queue[Pause]) -> Pause:
    """The next pause; one that does not come fails the test."""
    return await asyncio.wait_for(pauses.get(), PATIENCE_S)


def kinds(reported: Sequence[Event]) -> list[tuple[str, str | None]]:
    """Each event's kind and node."""
    return [(type(event).__name__, getattr(event, "node_id", None)) for event in reported]


async def all_of(graph: nb.Graph, outputs: list[str] | None = None) -> tuple[nb.Run, list[Event]]:
    """Run a graph, and return its run and all events, as a subscriber from the start gets them."""
    reported: list[Event] = []
    job = graph.start(outputs)
    job.run.subscribe(reported.extend)
    return await job, reported
