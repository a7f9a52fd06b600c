"""What a graph needs of whatever runs it; the engine installs itself here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from comfy_nb.errors import Problem
    from comfy_nb.graph.handle import Handle
    from comfy_nb.graph.model import Graph


class Runner(Protocol):
    """Runs graphs. `outputs` names the wanted nodes by id; None means the output nodes, else the leaves."""

    async def run(self, graph: Graph, outputs: Sequence[str] | None, **options: Any) -> Any:
        """Run a graph and return its run."""
        ...

    def start(self, graph: Graph, outputs: Sequence[str] | None, **options: Any) -> Any:
        """Start a graph in the background of the running loop and return its job."""
        ...

    def run_sync(self, graph: Graph, outputs: Sequence[str] | None, **options: Any) -> Any:
        """Run a graph and wait, from code that cannot await."""
        ...

    async def value(self, handle: Handle) -> Any:
        """Compute what a handle stands for."""
        ...

    def start_value(self, handle: Handle) -> Any:
        """Start computing what a handle stands for and return the job."""
        ...

    def value_sync(self, handle: Handle) -> Any:
        """Compute what a handle stands for, from code that cannot await."""
        ...

    def state(self, handle: Handle) -> str:
        """Say in a word whether a handle's value is there: "cached" or "not run"."""
        ...

    def keys(self, handle: Handle) -> list[bytes]:
        """Return the cache keys of a handle's node; none where its key is not known before it runs."""
        ...

    def show(self, handle: Handle) -> Any:
        """Compute what a handle stands for and show it."""
        ...

    def show_graph(self, graph: Graph) -> Any:
        """Return a view of a graph."""
        ...

    def validate(self, graph: Graph, outputs: Sequence[str] | None) -> list[Problem]:
        """Find all that is wrong with a graph, asking the nodes' own validation too."""
        ...


_make: Callable[[], Runner] | None = None


def install(make: Callable[[], Runner]) -> None:
    """Say how to get the current runner."""
    global _make
    _make = make


def current() -> Runner:
    """Return the current runner."""
    if _make is None:
        raise RuntimeError("Nothing runs graphs here: import comfy_nb, not only comfy_nb.graph.")
    return _make()
