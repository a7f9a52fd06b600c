"""What shows runs, pauses and values in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comfy_nb.ui.inspect import formatter
from comfy_nb.ui.jupyter import failed_nodes, node_help
from comfy_nb.ui.jupyter.cell_output import running_cell
from comfy_nb.ui.jupyter.cells import cells
from comfy_nb.ui.presenter import ScriptPresenter
from comfy_nb.ui.show_run import expect_run, show_pause, show_refusal, show_run

if TYPE_CHECKING:
    from comfy_nb.engine.execution.breakpoints import Pause
    from comfy_nb.engine.run import Run
    from comfy_nb.ui.inspect.view import ValueView


class NotebookPresenter(ScriptPresenter):
    """Shows each run below the cell that began it, and values as views."""

    def __init__(self, on_first_run: Callable[[], None]) -> None:
        node_help.register()
        failed_nodes.register()
        self._on_first_run: Callable[[], None] | None = on_first_run

    def place(self) -> Any:
        """Return the cell that is running, and follow the cells from here on: its display may be made after its end."""
        cells.follow()
        return running_cell()

    def expect_run(self, run: Run) -> None:
        """Show a run in the background before its cell ends, where no page takes what comes later."""
        expect_run(run)

    def show_run(self, run: Run) -> None:
        """Show a run below its cell; from the first one on, the tensors that runs return are shown as pictures."""
        first, self._on_first_run = self._on_first_run, None
        if first is not None:
            formatter.register()
            first()
        show_run(run)

    def show_refusal(self, run: Run, error: BaseException) -> None:
        """Show below its cell why a background run cannot start."""
        show_refusal(run, error)

    def show_pause(self, pause: Pause) -> None:
        """Show a pause below the cell of its run."""
        show_pause(pause)

    def show_value(self, value: Any, kind: str | None) -> ValueView:
        """Return a view of a value."""
        from comfy_nb.ui.inspect.view import view_of

        return view_of(value, kind=kind)
