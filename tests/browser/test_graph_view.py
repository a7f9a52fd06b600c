"""The view of a graph in a real JupyterLab: it draws, finds, zooms, takes edits, runs, and asks for outputs."""

from __future__ import annotations

import nbformat
import pytest

pytestmark = pytest.mark.browser

PREPARE = """
import asyncio
import comfy_nb as nb

@nb.node
async def number(value: int = 1) -> int:
    await asyncio.sleep(0.2)
    return value

@nb.node
def add(a: int, b: int = 0) -> int:
    return a + b

graph = nb.Graph()
graph.node("add", a=graph.node("number", title="Zahl ☂", value=3), b=4)
"""
MANY = """
big = nb.Graph()
last = big.node("number")
for _ in range(999):
    last = big.node("add", a=last)
big.show()
"""
SLOW = """
@nb.node
async def slow(value: int = 1) -> int:
    await asyncio.sleep(60)
    return value

job = add(slow(), number(8)).start()
"""
CELLS = [PREPARE, "graph.show()", MANY, "graph['1'].inputs['value']", SLOW, "job.cancel()"]


@pytest.fixture(scope="module")
def notebook(lab):
    with lab.open(lab.write("graph.ipynb", [cell.strip() for cell in CELLS])) as opened:
        for cell in range(4):
            opened.run_cell(cell)
        opened.output(1).locator(".cnb-graph").wait_for()
        yield opened


def click_in_node(notebook, index: int, row_px: float) -> None:
    """Click in a node, so many scene pixels below its top; where it is drawn comes from the scene and the view."""
    canvas = notebook.output(1).locator(".cnb-graph-canvas")
    spot = canvas.evaluate(
        "(canvas, [index, row]) => { const view = canvas.getRootNode().querySelector('.cnb-graph').graphView;"
        " const [x, y, w] = view.scene.nodes[index].box; const at = view.view;"
        " return { x: (x + w / 2 - at.x) * at.zoom, y: (y + row - at.y) * at.zoom }; }",
        [index, row_px],
    )
    canvas.click(position=spot)


def test_a_graph_is_drawn_and_read_as_a_list(notebook):
    shown = notebook.output(1)
    assert "2 nodes, 1 link" in shown.locator(".cnb-graph-head").inner_text()
    first, second = shown.locator(".cnb-graph-list li").all_text_contents()
    assert first.startswith("Zahl ☂: idle") and "a from Zahl ☂" in second
    assert not shown.locator(".comfy-nb-graph").is_visible(), "the still picture hides beside the live one"


def test_an_edit_makes_stale_and_run_brings_it_up_to_date(notebook):
    shown = notebook.output(1)
    click_in_node(notebook, 0, 30 + 20 + 12)
    editor = shown.locator(".cnb-graph-edit")
    editor.fill("8")
    editor.press("Enter")
    shown.get_by_text("2 stale").wait_for()
    shown.get_by_role("button", name="run what is stale").click()
    shown.get_by_text("2 done").wait_for()


def test_a_click_on_a_node_shows_its_output_below(notebook):
    click_in_node(notebook, 1, 12)
    notebook.output(1).locator(".widget-html").get_by_text("12").first.wait_for()


def test_a_thousand_nodes_are_all_drawn(notebook):
    drawn = notebook.output(2).locator(".cnb-graph").evaluate("root => root.lastDraw.nodes")
    assert drawn == 1_000
    assert notebook.output(2).locator(".cnb-graph-map").is_visible()


def test_a_search_goes_to_what_it_finds_and_fit_goes_back(notebook):
    shown = notebook.output(2)
    shown.get_by_role("searchbox").fill("number")
    shown.page.wait_for_function("document.querySelectorAll('.cnb-graph')[1].lastDraw.nodes < 20")
    shown.get_by_role("button", name="fit").click()
    shown.page.wait_for_function("document.querySelectorAll('.cnb-graph')[1].lastDraw.nodes === 1000")


def test_the_saved_page_keeps_a_still_picture(notebook, lab):
    notebook.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    path = lab.server.root / "graph.ipynb"
    kept = [
        "".join(str(each["data"].get("text/html", "")) for each in cell.outputs)
        for cell in nbformat.read(path, 4).cells
    ]
    assert "<svg" in kept[1] and "Zahl ☂" in kept[1]
    assert len(kept[2].encode()) < 300_000


def test_a_panel_shows_the_graph_of_its_run_on_demand(notebook):
    notebook.run_cell(4)
    panel = notebook.output(4)
    button = panel.get_by_role("button", name="Graph", exact=True)
    button.click()
    panel.locator(".cnb-graph-head").get_by_text("3 nodes, 2 links, 1 running").wait_for()
    button.click()
    panel.locator(".cnb-graph-head").wait_for(state="detached")
    button.click()
    panel.locator(".cnb-graph-head").wait_for()
    notebook.run_cell(5)
    panel.get_by_text("cancelled").first.wait_for()


def test_nothing_failed_to_render(notebook):
    notebook.check()
