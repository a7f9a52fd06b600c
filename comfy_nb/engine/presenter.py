"""Where a run finds what shows it: the room that draws comes after this one, and installs itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run
    from comfy_nb.graph.model import Graph


class Views(Protocol):
    """What can be made of a run for a person to look at."""

    def panel(self, run: Run) -> Any:
        """Return a view of its rows, live while it goes on."""
        ...

    def timeline(self, run: Run) -> Any:
        """Return a view of who did what when."""
        ...

    def inspect(self, run: Run, node_id: str, slot: int) -> Any:
        """Return a view of what is on an output of a node."""
        ...

    def graph(self, graph: Graph) -> Any:
        """Return a view of a graph, live while it runs."""
        ...


_find: Callable[[], Views] | None = None


def install(find: Callable[[], Views]) -> None:
    """Say who makes the views of runs; `find` is called when one is asked for."""
    global _find
    _find = find


def views() -> Views:
    """Return what makes the views of runs."""
    assert _find is not None, "comfy_nb installs it when it is imported"
    return _find()
