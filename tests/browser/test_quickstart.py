"""The quickstart in a real JupyterLab: it runs to its end, its bars move, its pictures show."""

from __future__ import annotations

import pytest

from tests.browser.lessons import Lesson

QUICKSTART = Lesson("01_quickstart.ipynb")
WATCH_BARS = """() => {
    window.barsSeen = {};
    const look = () => document.querySelectorAll('.jp-Notebook .jp-Cell').forEach((cell, index) =>
        cell.querySelectorAll('.cnb-panel [role=progressbar][aria-valuenow]').forEach(bar =>
            (window.barsSeen[index] ??= new Set()).add(bar.ariaValueNow)));
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""
BARS_SEEN = "() => Object.fromEntries(Object.entries(window.barsSeen).map(([cell, widths]) => [cell, [...widths]]))"


@pytest.fixture(scope="module")
def quickstart(lab):
    """The notebook after a run of all its cells, with the values that the bars of each cell showed."""
    with QUICKSTART.run_in(lab, WATCH_BARS) as notebook:
        yield notebook, notebook.page.evaluate(BARS_SEEN)


@pytest.mark.browser
def test_no_cell_fails_and_every_widget_renders(quickstart):
    notebook, _ = quickstart
    notebook.check()


@pytest.mark.browser
@pytest.mark.parametrize("source", ["def paint(", "async def describe("])
def test_a_bar_moves_while_a_node_runs_and_is_gone_at_the_end(quickstart, source):
    notebook, bars_seen = quickstart
    cell = QUICKSTART.cell_with(source)
    assert len(bars_seen[str(cell)]) > 2
    assert notebook.output(cell).locator(".cnb-stop").count() == 0
    assert "done" in notebook.output(cell).inner_text()


@pytest.mark.browser
def test_every_value_that_is_shown_is_a_picture_below_its_cell(quickstart):
    notebook, _ = quickstart
    shown = QUICKSTART.cells_with(".show()")
    assert len(shown) == 6
    for cell in shown:
        pictures = notebook.output(cell).locator(".cnb-inspect canvas")
        pictures.first.wait_for()
        assert "320" in notebook.output(cell).inner_text()


@pytest.mark.browser
def test_a_stopped_job_shows_how_far_it_came(quickstart):
    notebook, _ = quickstart
    words = notebook.output(QUICKSTART.cell_with("job.cancel()")).inner_text()
    assert "cancelled" in words and "/100,000" in words


@pytest.mark.browser
def test_the_picture_that_was_saved_carries_the_edited_graph(quickstart):
    notebook, _ = quickstart
    assert "'alpha': 0.6" in notebook.output(QUICKSTART.cell_with("again = nb.load(path)")).inner_text()
