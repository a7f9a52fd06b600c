"""What handles and graphs need of whatever runs and shows them; the engine installs itself here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from comfy_nb.errors import Problem
from comfy_nb.spec.node_spec import NodeSpec

G = TypeVar("G", contravariant=True)


class Presenter(Protocol[G]):
    """Shows classes, graphs and values."""

    def class_text(self, spec: NodeSpec) -> str:
        """Return the slots of a node class in a box of text."""
        ...

    def class_html(self, spec: NodeSpec) -> str:
        """Return the slots of a node class as HTML."""
        ...

    def show_graph(self, graph: G) -> Any:
        """Return a view of a graph."""
        ...

    def show_value(self, value: Any, kind: str | None) -> Any:
        """Return a view of a value of a socket type."""
        ...


class Runner(Protocol[G]):
    """Runs graphs. `outputs` names the wanted nodes by id; None means the output nodes, else the leaves."""

    @property
    def presenter(self) -> Presenter[G]:
        """What shows the graphs and their values."""
        ...

    async def run(self, graph: G, outputs: Sequence[str] | None, **options: Any) -> Any:
        """Run a graph and return its run."""
        ...

    def start(
        self, graph: G, outputs: Sequence[str] | None, *, take: Callable[[Any], Any] | None = None, **options: Any
    ) -> Any:
        """Start a graph in the background of the running loop and return its job; `take(run)` makes its result."""
        ...

    def run_sync(self, graph: G, outputs: Sequence[str] | None, **options: Any) -> Any:
        """Run a graph and wait, from code that cannot await."""
        ...

    def validate(self, graph: G, outputs: Sequence[str] | None) -> list[Problem]:
        """Find all that is wrong with a graph, calling the nodes' own validation too."""
        ...

    def estimate(self, graph: G, outputs: Sequence[str] | None) -> Any:
        """Estimate how long a run would take; calls no node."""
        ...

    def state_of(self, graph: G, node_id: str) -> str:
        """Return "cached", "not run" or that there are problems; nothing without an up-to-date plan. Plans nothing."""
        ...

    def keys_of(self, graph: G, node_id: str) -> list[bytes]:
        """Return the cache keys of a node; none where its key is not known before it runs."""
        ...


_make: Callable[[], Runner[Any]] | None = None


def install(make: Callable[[], Runner[Any]]) -> None:
    """Set the function that returns the current runner."""
    global _make
    _make = make


def current() -> Runner[Any]:
    """Return the current runner."""
    if _make is None:
        raise RuntimeError("No runner is installed: import comfy_nb, not only comfy_nb.graph.")
    return _make()
