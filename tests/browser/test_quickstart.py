"""The quickstart in a real JupyterLab: it runs to its end, its bars move, its pictures show."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
QUICKSTART = NOTEBOOKS / "01_quickstart.ipynb"
SAVED_MAX_BYTES = 300_000
RUN_TIMEOUT_S = 240.0
WATCH_BARS = """() => {
    window.barsSeen = {};
    const look = () => document.querySelectorAll('.jp-Notebook .jp-Cell').forEach((cell, index) =>
        cell.querySelectorAll('.cnb-panel [role=progressbar][aria-valuenow]').forEach(bar =>
            (window.barsSeen[index] ??= new Set()).add(bar.ariaValueNow)));
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""
BARS_SEEN = "() => Object.fromEntries(Object.entries(window.barsSeen).map(([cell, widths]) => [cell, [...widths]]))"


def cells() -> list:
    return nbformat.read(QUICKSTART, as_version=4).cells


def cell_with(source: str) -> int:
    """The number of the first cell in which a text occurs."""
    return next(number for number, cell in enumerate(cells()) if source in cell.source)


@pytest.fixture(scope="module")
def quickstart(lab):
    """The notebook after a run of all its cells, with the widths that were seen of the bars of each."""
    shutil.copy(QUICKSTART, lab.server.root)
    shutil.copytree(NOTEBOOKS / "assets", lab.server.root / "assets")
    with lab.open(QUICKSTART.name) as notebook:
        notebook.start("notebook:clear-all-cell-outputs")
        notebook.wait_idle()
        notebook.page.evaluate(WATCH_BARS)
        notebook.run_all(RUN_TIMEOUT_S)
        yield notebook, notebook.page.evaluate(BARS_SEEN)


@pytest.mark.browser
def test_no_cell_fails_and_every_widget_renders(quickstart):
    notebook, _ = quickstart
    notebook.check()


@pytest.mark.browser
@pytest.mark.parametrize("source", ["def paint(", "async def describe("])
def test_a_bar_moves_while_a_node_runs_and_is_gone_at_the_end(quickstart, source):
    notebook, bars_seen = quickstart
    cell = cell_with(source)
    assert len(bars_seen[str(cell)]) > 2
    assert notebook.output(cell).locator(".cnb-panel").count() == 0
    assert "done" in notebook.output(cell).inner_text()


@pytest.mark.browser
def test_every_value_that_is_shown_is_a_picture_below_its_cell(quickstart):
    notebook, _ = quickstart
    shown = [number for number, cell in enumerate(cells()) if ".show()" in cell.source and cell.cell_type == "code"]
    assert len(shown) == 6
    for cell in shown:
        pictures = notebook.output(cell).locator(".cnb-look canvas")
        pictures.first.wait_for()
        assert "320" in notebook.output(cell).inner_text()


@pytest.mark.browser
def test_a_stopped_job_shows_how_far_it_came(quickstart):
    notebook, _ = quickstart
    words = notebook.output(cell_with("job.cancel()")).inner_text()
    assert "cancelled" in words and "/100000" in words


@pytest.mark.browser
def test_the_picture_that_was_saved_carries_the_edited_graph(quickstart):
    notebook, _ = quickstart
    assert "'alpha': 0.6" in notebook.output(cell_with("again = nb.load(path)")).inner_text()


def test_the_notebook_is_kept_with_small_outputs_and_without_errors():
    kept = [output for cell in cells() if cell.cell_type == "code" for output in cell.outputs]
    assert kept and not [output for output in kept if output.output_type == "error"]
    assert not [output for output in kept if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert QUICKSTART.stat().st_size < SAVED_MAX_BYTES
