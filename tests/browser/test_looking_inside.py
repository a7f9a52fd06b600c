"""The notebook on looking inside in a real JupyterLab."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LOOKING = NOTEBOOKS / "03_looking_inside.ipynb"
SAVED_MAX_BYTES = 500_000
RUN_TIMEOUT_S = 240.0
PATIENCE_MS = 20_000


def cells() -> list:
    return nbformat.read(LOOKING, as_version=4).cells


def cell_with(source: str) -> int:
    """The number of the first cell in which a text occurs."""
    return next(number for number, cell in enumerate(cells()) if source in cell.source and cell.cell_type == "code")


@pytest.fixture(scope="module")
def looking(lab):
    """The notebook after a run of all its cells."""
    shutil.copy(LOOKING, lab.server.root)
    shutil.copytree(NOTEBOOKS / "assets", lab.server.root / "assets")
    with lab.open(LOOKING.name) as notebook:
        notebook.start("notebook:clear-all-cell-outputs")
        notebook.wait_idle()
        notebook.run_all(RUN_TIMEOUT_S)
        yield notebook


@pytest.mark.browser
def test_no_cell_fails_and_every_widget_renders(looking):
    looking.check()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("await glow\n", "ImageBlend"),
        ("run.inspect(", "from the cache in memory"),
        ('float("nan")', "48 of 307,200 values are NaN; the first is at [0, 200, 100, 0]"),
        ("* 255)", "divide by 255"),
        (".permute(", "x.permute"),
        ("graph.show()", "4 nodes, 4 links"),
        ("controls = ", "blend_factor"),
        ("sweep = ", "done: 6 of 6 cells"),
        ("%comfy nodes", "ImageBlur"),
        ("%comfy why", "posterize"),
    ],
)
def test_what_there_is_to_see(looking, source, words):
    cell = cell_with(source.rstrip("\n"))
    looking.output(cell).get_by_text(words).first.wait_for(timeout=PATIENCE_MS, state="attached")


def test_the_notebook_is_kept_with_small_outputs_and_without_errors():
    kept = [output for cell in cells() if cell.cell_type == "code" for output in cell.outputs]
    assert kept and not [output for output in kept if output.output_type == "error"]
    assert not [output for output in kept if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert LOOKING.stat().st_size < SAVED_MAX_BYTES
