"""The notebooks of this project, as they are kept and as they run in a real JupyterLab."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

from tests.browser.harness import Lab, NotebookPage

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
RUN_TIMEOUT_S = 240.0


class Lesson:
    """One notebook by its file name; cells are counted from 0."""

    def __init__(self, name: str) -> None:
        self.path = NOTEBOOKS / name
        self.cells: list[Any] = nbformat.read(self.path, as_version=4).cells

    def cells_with(self, source: str) -> list[int]:
        """The numbers of the code cells in which a text occurs."""
        return [at for at, cell in enumerate(self.cells) if cell.cell_type == "code" and source in cell.source]

    def cell_with(self, source: str) -> int:
        """The number of the first of them."""
        return self.cells_with(source)[0]

    @contextmanager
    def run_in(self, lab: Lab, watch: str = "() => {}") -> Iterator[NotebookPage]:
        """A copy of the notebook after a run of all its cells; `watch` is script that the page runs before."""
        shutil.copy(self.path, lab.server.root)
        shutil.copytree(NOTEBOOKS / "assets", lab.server.root / "assets")
        with lab.open(self.path.name) as notebook:
            notebook.start("notebook:clear-all-cell-outputs")
            notebook.wait_idle()
            notebook.page.evaluate(watch)
            notebook.run_all(RUN_TIMEOUT_S)
            yield notebook
