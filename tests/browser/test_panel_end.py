"""What happens to a panel when its runs end, its cell ends, and when the page is loaded again meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

PREPARE = """
import asyncio, pathlib
import comfy_nb as nb

@nb.node
async def tells(words: str, *, progress: nb.Progress) -> str:
    for step in range(4):
        progress(step + 1, 4)
        progress.text(f"{words} {step}")
        print("line", step)
        await asyncio.sleep(0.1)
    return words

@nb.node
async def paints(color: int, *, progress: nb.Progress) -> nb.Image:
    image = await nb.nodes.EmptyImage(width=64, height=48, color=color)
    progress.preview(image)
    await asyncio.sleep(0.3)
    return image

@nb.node
async def fails(words: str) -> str:
    raise LookupError("no such layer, " + "not in any of the folders " * 12)

async def opened(gate):
    while not pathlib.Path(gate).exists():
        await asyncio.sleep(0.02)
"""
MIXED = """
try:
    await asyncio.gather(tells("a"), tells("b"), paints(0xFF0000), fails(tells("a")))
except nb.NodeError:
    pass
await opened("{gate}")
"""
IN_TURN = """
for number in range(6):
    await tells(str(number))
_ = await asyncio.gather(*(tells(str(number)) for number in range(6)))
"""
GATED = """
@nb.node
async def waits(words: str) -> str:
    await opened("{gate}")
    return words
_ = await waits("for the gate")
"""
PARTS = ["panel", "glyph", "state", "counts", "runs", "failed", "time", "overall", "row", "title", "kind", "bar"]
PARTS += ["steps", "image", "text", "log", "message", "label", "views"]
BOXES = """(frame, parts) => {
    const {x, y} = frame.getBoundingClientRect();
    const box = element => {
        const {left, top, width, height} = element.getBoundingClientRect();
        return [left - x, top - y, width, height].map(Math.round);
    };
    const seen = name => [...frame.querySelectorAll(`.cnb-${name}`)].filter(each => each.getClientRects().length);
    const inOrder = elements => elements.map(box).sort((a, b) => a[1] - b[1] || a[0] - b[0]);
    const outer = frame.getBoundingClientRect();
    return {...Object.fromEntries(parts.map(name => [name, inOrder(seen(name))])),
            frame: [outer.left, outer.width, outer.height].map(Math.round),
            cell: Math.round(frame.closest(".jp-CodeCell").getBoundingClientRect().height)};
}"""


def live_and_finished(notebook, source: str, gate: Path):
    """Run a cell, and return the boxes of its panel when its runs are over, and when the cell is."""
    shown = notebook.start_cell(source.format(gate=gate))
    frame = shown.locator(".comfy-nb-frame:has([data-over])")
    frame.wait_for()
    live = frame.evaluate(BOXES, PARTS)
    gate.touch()
    finished = shown.locator(".comfy-nb-run")
    finished.wait_for()
    return live, finished.evaluate(BOXES, PARTS)


@pytest.mark.parametrize("width", [1200, 700])
def test_nothing_moves_when_a_cell_ends(notebook, tmp_path, width):
    notebook.page.set_viewport_size({"width": width, "height": 900})
    live, finished = live_and_finished(notebook, "nb.cache.clear()" + MIXED, tmp_path / "gate")
    assert len(live["row"]) == 5 and len(live["log"]) == 2 and len(live["image"]) == 1 and len(live["message"]) == 1
    assert finished == live


def test_a_cell_has_one_panel_however_many_runs_it_awaits(notebook):
    shown = notebook.run("nb.cache.clear()" + IN_TURN)
    shown.locator(".comfy-nb-run").wait_for()
    assert shown.locator(".cnb-panel").count() == 1
    titles = shown.locator(".cnb-row").evaluate_all("rows => rows.map(row => row.innerText.split('\\n')[0])")
    assert "6 of 6 nodes" in shown.inner_text() and "12 runs" in shown.inner_text() and len(titles) == 6
    names = shown.locator(".cnb-kind").all_inner_texts()
    assert names == [f"words='{number}'" for number in range(6)]


def test_a_finished_panel_opens_when_why_and_the_graph_without_a_kernel(notebook):
    shown = notebook.run("nb.cache.clear()" + IN_TURN)
    shown.locator(".comfy-nb-run").wait_for()
    for label, content in (("Timeline", "img[alt^=timeline]"), ("Why", ".cnb-why"), ("Graph", "svg")):
        view = shown.locator(".cnb-view", has_text=label)
        assert not view.locator(content).is_visible()
        view.locator("summary").first.click()
        assert view.locator(content).is_visible()
    assert shown.locator(".cnb-why").inner_text().count("tells") == 12


def test_a_live_panel_opens_them_too_and_they_stay_open_at_its_end(notebook, tmp_path):
    gate = tmp_path / "live"
    shown = notebook.start_cell("nb.cache.clear()" + GATED.format(gate=gate))
    shown.locator(".cnb-view", has_text="Timeline").locator("summary").click()
    shown.locator("img[alt*='so far']").wait_for()
    shown.locator(".cnb-view", has_text="Why").locator("summary").click()
    shown.locator(".cnb-why").get_by_text("has not finished yet").wait_for()
    gate.touch()
    shown.locator(".comfy-nb-run").wait_for()
    assert shown.locator(".cnb-view[open] > summary").all_inner_texts() == ["Timeline", "Why"]


def test_a_panel_of_a_page_that_was_loaded_again_stays_as_it_was_at_the_end(lab, tmp_path):
    gate = tmp_path / "again"
    with lab.open(lab.write("reloaded.ipynb", [PREPARE.strip(), GATED.format(gate=gate).strip()])) as notebook:
        notebook.run_cell(0)
        notebook.start("notebook:run-cell", 1)
        notebook.output(1).locator(".cnb-panel[data-state=running]").wait_for()
        notebook.start("docmanager:save")
        deadline = time.monotonic() + 20.0
        while "saved while it ran" not in notebook.file.read_text():
            assert time.monotonic() < deadline
            notebook.page.wait_for_timeout(20)
        notebook.page.reload()
        notebook.page.wait_for_function("window.notebookReady()")
        panel = notebook.output(1).locator(".cnb-panel")
        panel.locator("xpath=self::*[@data-state='running']").wait_for()
        gate.touch()
        panel.locator("xpath=self::*[@data-state='done']").wait_for()
        assert "1 of 1 node" in panel.inner_text()
        assert not notebook.output(1).get_by_role("button", name="Stop").is_visible()
        view = notebook.output(1).locator(".cnb-view", has_text="Why")
        view.locator("summary").click()
        view.locator(".cnb-why").get_by_text("waits").wait_for()


def test_a_panel_whose_kernel_was_restarted_says_so_and_has_no_stop(lab):
    with lab.open(lab.write("restarted.ipynb", [PREPARE.strip(), GATED.format(gate="never").strip()])) as notebook:
        notebook.run_cell(0)
        notebook.start("notebook:run-cell", 1)
        panel = notebook.output(1).locator(".cnb-panel[data-state=running]")
        panel.wait_for()
        notebook.page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        notebook.output(1).locator(".jupyter-widgets-disconnected").first.wait_for()
        assert not notebook.output(1).get_by_role("button", name="Stop").is_visible()
        state = panel.locator(".cnb-state").evaluate("each => getComputedStyle(each, '::after').content")
        assert state == '" when the kernel went"'
