"""How a notebook shows its runs when it is reopened without a kernel, and when it is converted."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbconvert import HTMLExporter

pytestmark = pytest.mark.browser

RUN_TIMEOUT_S = 120.0
PICTURES = "images => images.map(image => image.complete && image.naturalWidth)"
CHANGING = re.compile(r"base64,[^\"]+|under 1 ms|[0-9.,]+ (?:s|ms|µs)|[0-9]+/[0-9]+|0x[0-9a-f]+")
CELLS = {
    "prepare": """
import asyncio, time
import torch
import comfy_nb as nb

@nb.node
async def waits(seconds: float, name: str = "", *, progress: nb.Progress) -> str:
    for step in progress.over(range(10)):
        await asyncio.sleep(seconds / 10)
    return name

@nb.node
def paints(steps: int = 20, *, progress: nb.Progress) -> nb.Image:
    print("three colours")
    for step in progress.over(range(steps)):
        time.sleep(0.02)
        progress.preview(torch.rand(1, 64, 64, 3))
    return torch.rand(1, 64, 64, 3)

@nb.node
def fails(x: str) -> str:
    raise ValueError("no <b>bold</b> faces")
""",
    "pictures": "run = await paints().graph.run()",
    "timeline": "run.timeline()",
    "cached": "run = await paints().graph.run()",
    "failed": "_ = await asyncio.gather(fails(waits(0.3)), return_exceptions=True)",
    "stopped": """
job = waits(60.0).start()
await asyncio.sleep(0.5)
job.cancel()
_ = await asyncio.gather(job, return_exceptions=True)
""",
    "together": "_ = await asyncio.gather(*(waits(0.4, name=name) for name in 'abc'))",
    "again": "run.panel",
}
NAMES = list(CELLS)
SEEN = {
    "pictures": ["done", "paints", "20/20", "three colours"],
    "timeline": ["critical path"],
    "cached": ["1 node from cache"],
    "failed": ["failed", "no <b>bold</b> faces", "Traceback"],
    "stopped": ["cancelled"],
    "together": ["3 of 3 nodes", "name='a'", "name='b'", "name='c'"],
    "again": ["1 node from cache"],
}


@pytest.fixture(scope="module")
def saved(lab):
    """The name of a notebook that was run, saved, and left."""
    name = lab.write("saved.ipynb", list(CELLS.values()))
    with lab.open(name) as notebook:
        notebook.run_all(RUN_TIMEOUT_S)
        notebook.save()
    return name


@pytest.fixture(scope="module", params=["trusted", "untrusted"])
def reopened(lab, saved, request):
    """The notebook in a fresh page, without running its code."""
    notebook = nbformat.read(lab.server.root / saved, as_version=4)
    name = f"{request.param}-{saved}"
    if request.param == "untrusted":
        notebook.cells[0].source += "\n# edited elsewhere, so that no signature fits"
    nbformat.write(notebook, lab.server.root / name)
    with lab.open(name) as page:
        yield page


def texts(notebook) -> dict[str, str]:
    return {name: notebook.output(number).inner_text() for number, name in enumerate(NAMES)}


def test_opened_again_it_shows_how_the_runs_ended_and_no_broken_widget(reopened):
    shown = texts(reopened)
    for name, words in SEEN.items():
        assert [word for word in words if word not in shown[name]] == [], f"{name}: {shown[name]}"
    for name in ("pictures", "timeline"):
        images = reopened.output(NAMES.index(name)).locator("img").filter(visible=True)
        assert images.count() == 1 and 0 not in images.evaluate_all(PICTURES)
    assert reopened.widget_failures(grace=0.5) == []


def test_a_traceback_opens_with_a_click_without_any_script_of_ours(reopened):
    details = reopened.output(NAMES.index("failed")).locator("details").filter(has_text="Traceback")
    assert not details.locator("pre").is_visible()
    details.locator("summary").click()
    assert "raise ValueError" in details.locator("pre").inner_text()


def test_converted_it_shows_the_same(lab, saved, tmp_path):
    notebook = nbformat.read(lab.server.root / saved, as_version=4)
    body, _ = HTMLExporter().from_notebook_node(notebook)
    (tmp_path / "converted.html").write_text(body, encoding="utf-8")
    with lab.new_page() as page:
        page.goto((tmp_path / "converted.html").as_uri(), wait_until="domcontentloaded")
        shown = page.locator("body").inner_text()
        for words in SEEN.values():
            assert [word for word in words if word not in shown] == []
        assert 0 not in page.locator(".jp-OutputArea img").evaluate_all(PICTURES)


def test_the_outputs_are_small_and_hold_no_widgets(lab, saved):
    notebook = nbformat.read(lab.server.root / saved, as_version=4)
    for cell in notebook.cells:
        for output in cell.outputs:
            assert not [kind for kind in output.get("data", {}) if "widget" in kind]
            assert len(str(output)) < 300_000


def test_a_second_run_differs_in_times_and_pictures_alone(lab, saved):
    def html_of(name: str) -> list[str]:
        outputs = [out for cell in nbformat.read(lab.server.root / name, as_version=4).cells for out in cell.outputs]
        pages = [str(out.get("data", {}).get("text/html", "")) for out in outputs]
        return [CHANGING.sub("~", page) for page in pages]

    again = f"again-{saved}"
    (lab.server.root / again).write_bytes((lab.server.root / saved).read_bytes())
    with lab.open(again) as notebook:
        notebook.run_all(RUN_TIMEOUT_S)
        notebook.save()
    assert html_of(again) == html_of(saved)
