"""The notebook on watching a run in a real JupyterLab."""

from __future__ import annotations

import pytest

from tests.browser.lessons import Lesson

WATCHING = Lesson("02_watching.ipynb")
REMEMBER = """() => {
    window.panelsSeen = {};
    const look = () => document.querySelectorAll('.jp-Notebook .jp-Cell').forEach((cell, index) =>
        cell.querySelectorAll('.cnb-panel').forEach(panel =>
            (window.panelsSeen[index] ??= new Set()).add(panel.innerText)));
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
REMEMBERED = "() => Object.fromEntries(Object.entries(window.panelsSeen).map(([cell, all]) => [cell, [...all]]))"


@pytest.fixture(scope="module")
def watching(lab):
    """The notebook after a run of all its cells, with the texts that the panels of each cell showed."""
    with WATCHING.run_in(lab, REMEMBER) as notebook:
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
        ("def paint(", ["running", "/240", "it/s", "contrast"]),
        ("async def ask(", ["service='faces'", "service='mood'"]),
        ("async def ask_in_turn(", ["waits for services, 2 ahead", "waits for services, next in line"]),
        ("def tiles(", ["of 8"]),
        ("async def unreliable(", ["retry 1 of 2 in 0.4 s after 0.5 s without an answer"]),
        ("await overloaded(", ["retry 1 of 3", "503"]),
        ("async def greedy(", ["Event loop blocked for", "by greedy"]),
        ("await asyncio.gather(\n", ["polite", "ask", "paint"]),
    ],
)
def test_the_panel_says_what_goes_on(watching, source, words):
    _, seen = watching
    assert [word for word in words if word not in seen[WATCHING.cell_with(source)]] == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def paint(", ["done", "240 steps on"]),
        ("def crop_to_face(", ["failed", "IndexError", "Traceback"]),
        ("job.panel", ["cancelled", "/100,000"]),
        ("await asyncio.gather(\n", ["6 of 6 nodes", "all three are here"]),
    ],
)
def test_what_stays_says_how_it_ended(watching, source, words):
    notebook, _ = watching
    shown = notebook.output(WATCHING.cell_with(source)).inner_text()
    assert [word for word in words if word not in shown] == []


@pytest.mark.browser
def test_both_views_of_the_stopped_job_end_the_same(watching):
    notebook, _ = watching
    views = [
        notebook.output(WATCHING.cell_with(source)).locator(".comfy-nb-run") for source in ("100_000", "job.panel")
    ]
    assert [view.count() for view in views] == [1, 1] and views[0].inner_text() == views[1].inner_text()


@pytest.mark.browser
def test_the_timelines_are_pictures(watching):
    notebook, _ = watching
    images = notebook.page.locator(".comfy-nb-timeline img").filter(visible=True)
    assert images.evaluate_all("all => all.map(image => image.naturalWidth > 0)") == [True] * 4
