"""The notebook on watching a run in a real JupyterLab."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WATCHING = NOTEBOOKS / "02_watching.ipynb"
SAVED_MAX_BYTES = 300_000
RUN_TIMEOUT_S = 240.0
REMEMBER = """() => {
    window.panelsSeen = {};
    const look = () => document.querySelectorAll('.jp-Notebook .jp-Cell').forEach((cell, index) =>
        cell.querySelectorAll('.cnb-panel').forEach(panel =>
            (window.panelsSeen[index] ??= new Set()).add(panel.innerText)));
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
REMEMBERED = "() => Object.fromEntries(Object.entries(window.panelsSeen).map(([cell, all]) => [cell, [...all]]))"


def cells() -> list:
    return nbformat.read(WATCHING, as_version=4).cells


def cell_with(source: str) -> int:
    """The number of the first cell in which a text occurs."""
    return next(number for number, cell in enumerate(cells()) if source in cell.source and cell.cell_type == "code")


@pytest.fixture(scope="module")
def watching(lab):
    """The notebook after a run of all its cells, with what the panels of each had said."""
    shutil.copy(WATCHING, lab.server.root)
    shutil.copytree(NOTEBOOKS / "assets", lab.server.root / "assets")
    with lab.open(WATCHING.name) as notebook:
        notebook.start("notebook:clear-all-cell-outputs")
        notebook.wait_idle()
        notebook.page.evaluate(REMEMBER)
        notebook.run_all(RUN_TIMEOUT_S)
        seen = notebook.page.evaluate(REMEMBERED)
        yield notebook, {int(cell): "\n".join(texts) for cell, texts in seen.items()}


@pytest.mark.browser
def test_no_cell_fails_and_every_widget_renders(watching):
    notebook, _ = watching
    notebook.check()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def paint(", ["running", "/240", "it/s", "contrast", "log 1"]),
        ("async def ask(", ["service='faces'", "service='mood'"]),
        ("def tiles(", ["of 8"]),
        ("async def unreliable(", ["retry 1 of 2 in 0.4 s after 0.5 s without an answer"]),
        ("await overloaded(", ["retry 1 of 3", "503"]),
        ("async def greedy(", ["Event loop blocked for", "by greedy"]),
        ("await asyncio.gather(\n", ["polite", "ask", "paint"]),
    ],
)
def test_the_panel_says_what_goes_on(watching, source, words):
    _, seen = watching
    assert [word for word in words if word not in seen[cell_with(source)]] == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def paint(", ["done", "240 steps on"]),
        ("def crop_to_face(", ["failed", "IndexError", "traceback"]),
        ("job.panel", ["cancelled", "/100000"]),
        ("await asyncio.gather(\n", ["6 of 6 nodes", "all three are here"]),
    ],
)
def test_what_stays_says_how_it_ended(watching, source, words):
    notebook, _ = watching
    shown = notebook.output(cell_with(source)).inner_text()
    assert [word for word in words if word not in shown] == []


@pytest.mark.browser
def test_both_views_of_the_stopped_job_end_the_same(watching):
    notebook, _ = watching
    assert notebook.output(cell_with("job.panel")).locator(".comfy-nb-run").count() == 2


@pytest.mark.browser
def test_the_timelines_are_pictures(watching):
    notebook, _ = watching
    images = notebook.page.locator(".comfy-nb-timeline img")
    assert images.evaluate_all("all => all.map(image => image.naturalWidth > 0)") == [True] * 3


def test_the_notebook_is_kept_with_small_outputs_and_without_errors():
    kept = [output for cell in cells() if cell.cell_type == "code" for output in cell.outputs]
    assert kept and not [output for output in kept if output.output_type == "error"]
    assert not [output for output in kept if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert WATCHING.stat().st_size < SAVED_MAX_BYTES
