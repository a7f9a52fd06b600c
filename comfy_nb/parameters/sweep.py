"""`nb.sweep`: a graph run for every combination of some of its constants, several at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.execution.interrupt import interrupt_watch
from comfy_nb.engine.execution.run_options import limit_in, priority_in
from comfy_nb.engine.execution.skips import blocked_because
from comfy_nb.engine.job import Job, settled
from comfy_nb.engine.planning.modes import modes_here
from comfy_nb.engine.pools.held import Holding, held_here, holding_only
from comfy_nb.engine.run import Run
from comfy_nb.engine.run_task import outlast
from comfy_nb.errors import ComfyNBError, GraphError, NotKept, warn_of_fault
from comfy_nb.graph.handle import Handle
from comfy_nb.graph.model import Graph
from comfy_nb.graph.node import Node
from comfy_nb.parameters.as_code import as_code
from comfy_nb.parameters.grid import Axes, Coordinates, make_grid
from comfy_nb.parameters.shown_output import copy_with_output
from comfy_nb.wording import format_seconds, short

if TYPE_CHECKING:
    from pandas import DataFrame
    from PIL.Image import Image as Picture

AT_ONCE = 4
INTERRUPTED = "The sweep was interrupted; what had finished stays in its cells and in the cache."


@dataclass(eq=False)
class Cell:
    """One combination: its parameters, and its result.

    `state` is "waiting", "running", "done", "blocked", "failed" or "stopped"; `seconds` is how long its run took, and
    `note` how many of its nodes ran and how many came from the cache. `reason` says why a blocked one has no value.
    """

    index: int
    place: Coordinates
    parameters: dict[str, Any]
    state: str = "waiting"
    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0
    note: str = ""
    reason: str = ""

    @property
    def outcome(self) -> str:
        """Its state, with the reason if it is blocked."""
        return f"{self.state}: {self.reason}" if self.reason else self.state

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={short(value)}" for key, value in self.parameters.items())
        return f"<Cell {shown}: {self.outcome}>"


class Sweep:
    """The runs of a sweep; `nb.sweep` starts it in the background of the running loop.

    `await sweep` waits for its end and returns it; an interrupt meanwhile stops it and ends the notebook's cell.
    `sweep[{"3.seed": 2}]` is a value, `sweep.cell({...})` a cell with its state and error; `sweep.values` holds the
    values in nested lists by axis, None where there is none. `sweep.code({...})` is a line of Python that makes the
    handle of a cell. `cancel()` stops it; what was computed stays.
    """

    def __init__(
        self,
        source: Graph | Handle,
        axes: Axes,
        output: str | int | Node | Handle | None,
        limit: int | None,
        draw: Callable[[Sweep], Picture],
        timeout: float | None = None,
        priority: int | None = None,
    ) -> None:
        self._loop = _running_loop()
        self._source = source
        self._draw = draw
        self._options = {"timeout": limit_in({"timeout": timeout}), "priority": priority_in({"priority": priority})}
        self.graph, self.output = copy_with_output(source, output)
        self.layout = make_grid(self.graph, self.output.node_id, axes, limit)
        ordered = enumerate(self.layout.in_run_order())
        self.cells = {place: Cell(index, place, self.layout.values_at(place)) for index, place in ordered}
        self.on_change: list[Callable[[Cell | None], None]] = []
        self.state = "running"
        self.seconds = 0.0
        self._started_at = time.perf_counter()
        self._is_stopping = False
        self._jobs: set[Job] = set()
        self._newest: Run | None = None
        self._modes = modes_here()
        self._is_awaited = False
        self._borrowed = Holding()
        with holding_only(self._borrowed):
            self._task = self._loop.create_task(self._run_all())

    async def _run_all(self) -> None:
        waiting = iter(list(self.cells.values()))
        await asyncio.gather(*(self._work_through(waiting) for _ in range(min(AT_ONCE, len(self.cells)))))
        self.seconds = time.perf_counter() - self._started_at
        for cell in waiting:
            cell.state = "stopped"
        self.state = "stopped" if self._is_stopping else "done"
        self._notify(None)

    async def _work_through(self, waiting: Iterator[Cell]) -> None:
        graph = self.graph.copy()
        while not self._is_stopping and (cell := next(waiting, None)) is not None:
            cell.state = "running"
            self._notify(cell)
            await self._fill(cell, graph)
            self._notify(cell)

    async def _fill(self, cell: Cell, graph: Graph) -> None:
        try:
            self.layout.apply(cell.place, graph)
            with self._modes.around(grad=False):
                job: Job = graph.start([self.output.node_id], quiet=True, on_error="stop", **self._options)
            self._jobs.add(job)
            self._newest = job.run
            if self._is_awaited:
                job.run.session.move_to_front(job.run)
            try:
                run: Run = await settled(job)
            finally:
                self._jobs.discard(job)
            cell.seconds = run.seconds
            cell.note = _describe_counts(run.counts, run.above_cached)
            if run.state == "done":
                self._take(cell, run)
            else:
                cell.state = "stopped"
                self.cancel()
        except Exception as error:  # whatever goes wrong in one cell is shown in that cell
            cell.state, cell.error = "failed", error

    def _take(self, cell: Cell, run: Run) -> None:
        """Take a cell's value from its run; a cell all of whose values are blocked has none."""
        reason = blocked_because(run.outputs(self.output.node_id)[self.output.slot :][:1])
        if reason is None:
            cell.value = run.value(self.output.node_id, self.output.slot)
            cell.state = "done"
        else:
            cell.reason, cell.state = reason, "blocked"

    def _notify(self, cell: Cell | None) -> None:
        for listener in list(self.on_change):
            try:
                listener(cell)
            except Exception as error:  # a listener's fault must not hurt the sweep
                warn_of_fault("A listener of the sweep failed", error)

    def cancel(self) -> None:
        """Stop all its runs and start no more; may be called from any thread."""
        self._is_stopping = True
        for job in list(self._jobs):
            job.cancel()

    def done(self) -> bool:
        """Whether it has ended."""
        return self._task.done()

    def _move_to_front(self) -> None:
        self._is_awaited = True
        self._borrowed.lent += held_here.get()
        for job in self._jobs:
            job.run.session.move_to_front(job.run)

    def __await__(self) -> Generator[Any, None, Sweep]:
        return self._wait().__await__()

    async def _wait(self) -> Sweep:
        self._move_to_front()
        with interrupt_watch.awaiting(INTERRUPTED, self.cancel) as awaited:
            try:
                await asyncio.shield(self._task)
            except asyncio.CancelledError:
                self.cancel()
                if awaited.notice_cancellation():
                    await outlast(self._task)
                raise
            finally:
                awaited.run = self._newest
                if self._newest is not None:
                    self._newest.session.note_awaited(self._newest)
        return self

    # Results ---------------------------------------------------------------------------------------------------------

    def cell(self, parameters: Mapping[str, Any] | int) -> Cell:
        """Return a cell by its parameters, or by its number; raises KeyError, UnknownName."""
        if isinstance(parameters, int):
            return list(self.cells.values())[parameters]
        return self.cells[self.layout.find(parameters)]

    def __getitem__(self, parameters: Mapping[str, Any] | int) -> Any:
        cell = self.cell(parameters)
        if cell.error is not None:
            raise cell.error
        if cell.state != "done":
            raise NotKept(f"There is no value for {cell!r}.")
        return cell.value

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells.values())

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def values(self) -> Any:
        """The values in nested lists, by the axes in the order they were given; None where there is none."""
        return self._nested(())

    def _nested(self, place: Coordinates) -> Any:
        if len(place) == len(self.layout.axes):
            return self.cells[place].value
        return [self._nested((*place, point)) for point in range(len(self.layout.axes[len(place)].points))]

    def best(self, key: Callable[[Any], Any]) -> Cell:
        """Return the cell whose value has the largest `key(value)`; raises NotKept if no cell has a value."""
        done = [cell for cell in self if cell.state == "done"]
        if not done:
            raise NotKept("No cell of the sweep has a value.")
        return max(done, key=lambda cell: key(cell.value))

    def take(self, parameters: Mapping[str, Any] | int | Cell) -> Graph:
        """Set a cell's parameters in the graph that was swept (for a handle: `handle.graph`), and return that graph."""
        cell = parameters if isinstance(parameters, Cell) else self.cell(parameters)
        graph = self._source if isinstance(self._source, Graph) else self._source.graph
        self.layout.apply(cell.place, graph)
        return graph

    def code(self, parameters: Mapping[str, Any] | int | Cell) -> str:
        """Return a line of Python that makes the handle of a cell, or that sets its parameters in the graph."""
        cell = parameters if isinstance(parameters, Cell) else self.cell(parameters)
        return as_code(self._source, self.graph, cell.parameters, vars(sys.modules["__main__"]))

    def dataframe(self) -> DataFrame:
        """Return a pandas table with a row for each cell; raises ComfyNBError if pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise ComfyNBError("A table needs pandas: pip install pandas. `sweep.values` works without it.") from None
        rows = [{**cell.parameters, "value": cell.value, "state": cell.state, "seconds": cell.seconds} for cell in self]
        return pandas.DataFrame(rows)

    @property
    def grid(self) -> Picture:
        """All cells as one labelled PIL picture."""
        return self._draw(self)

    def headline(self) -> str:
        """Return its progress in one line."""
        states = [cell.state for cell in self]
        over = sum(state in ("done", "blocked", "failed") for state in states)
        seconds = self.seconds if self.done() or self.state != "running" else time.perf_counter() - self._started_at
        wrong = "".join(f", {states.count(state)} {state}" for state in ("failed", "blocked") if state in states)
        return f"{self.state}: {over} of {len(states)} cells{wrong}, {format_seconds(seconds)}"

    def __repr__(self) -> str:
        axes = " × ".join(axis.name for axis in self.layout.axes)
        return f"<Sweep of {self.output.title} over {axes}: {self.headline()}>"


def _describe_counts(counts: Mapping[str, int], above_cached: int) -> str:
    cached = counts["memory"] + counts["disk"] + above_cached
    named = ((counts["ran"], "ran"), (cached, "cached"), (counts["shared"], "shared"))
    return ", ".join(f"{number} {how}" for number, how in named if number) or "cached"


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise GraphError("A sweep needs a running event loop, as notebooks have.") from None
