"""What shows runs, graphs and values: one seam between the engine and every display."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from comfy_nb.engine.execution.breakpoints import Pause, warn_paused
from comfy_nb.errors import GraphError, warn_of_fault
from comfy_nb.graph import runner
from comfy_nb.graph.model import Graph
from comfy_nb.spec.node_spec import NodeSpec

T = TypeVar("T")


class Presenter(runner.Presenter[Graph], Protocol):
    """Shows runs too. A `run` is a `comfy_nb.engine.run.Run`, which knows its presenter and so comes after this."""

    def place(self) -> Any:
        """Return a token for the place where a run begins now: in a notebook the cell."""
        ...

    def expect_run(self, run: Any) -> None:
        """Note that a run in the background will be shown: the cell that began it may end before that."""
        ...

    def show_run(self, run: Any) -> None:
        """Show a run that is about to be executed, from here to its end."""
        ...

    def show_refusal(self, run: Any, error: BaseException) -> None:
        """Show why a run in the background, which nobody awaits, cannot start."""
        ...

    def show_pause(self, pause: Pause) -> None:
        """Show a run that is paused at a breakpoint."""
        ...

    def panel(self, run: Any) -> Any:
        """Return a view of a run's rows, live while it goes on."""
        ...

    def timeline(self, run: Any) -> Any:
        """Return a view of a run over time."""
        ...

    def inspect(self, run: Any, node_id: str, slot: int) -> Any:
        """Return a view of the value on an output of a node."""
        ...


class NoPresenter:
    """Shows nothing: warnings take the place of displays, and views are unavailable."""

    def place(self) -> Any:
        """Return None: no place is known."""

    def expect_run(self, run: Any) -> None:
        """Note nothing."""

    def show_run(self, run: Any) -> None:
        """Show nothing."""

    def show_refusal(self, run: Any, error: BaseException) -> None:
        """Warn that the run cannot start."""
        warn_of_fault("A graph that was started in the background cannot run", error)

    def show_pause(self, pause: Pause) -> None:
        """Warn that the run is paused."""
        warn_paused(pause)

    def show_value(self, value: Any, kind: str | None) -> Any:
        """Return the value itself."""
        return value

    def class_text(self, spec: NodeSpec) -> str:
        """Raise GraphError."""
        raise _no_views()

    def class_html(self, spec: NodeSpec) -> str:
        """Raise GraphError."""
        raise _no_views()

    def show_graph(self, graph: Graph) -> Any:
        """Raise GraphError."""
        raise _no_views()

    def panel(self, run: Any) -> Any:
        """Raise GraphError."""
        raise _no_views()

    def timeline(self, run: Any) -> Any:
        """Raise GraphError."""
        raise _no_views()

    def inspect(self, run: Any, node_id: str, slot: int) -> Any:
        """Raise GraphError."""
        raise _no_views()


def _no_views() -> GraphError:
    return GraphError("No display is installed: import comfy_nb, not only comfy_nb.engine.")


def safely(what: str, show: Callable[..., T], *args: Any) -> T | None:
    """Call a display or a listener; its fault must not hurt the run, so it becomes a warning."""
    try:
        return show(*args)
    except (Exception, asyncio.CancelledError) as error:
        warn_of_fault(what, error)
        return None


_make: Callable[[], Presenter] = NoPresenter


def install(make: Callable[[], Presenter]) -> None:
    """Set the factory for the presenters of sessions that are given none."""
    global _make
    _make = make


def make_presenter() -> Presenter:
    """Return a presenter for a new session."""
    return _make()
