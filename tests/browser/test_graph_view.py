"""The view of a graph in a real JupyterLab: it draws, finds, zooms, takes edits, runs, and asks for outputs."""

from __future__ import annotations

import json

import nbformat
import pytest

from tests.browser.graphs import canvas_of, spot_in_node, view_of
from tests.browser.looks import INK
from tests.ui.graph.scenes import WORKFLOW

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
PAINT = """
import torch

@nb.node
async def paint(*, progress: nb.Progress) -> nb.Image:
    red = torch.zeros(1, 8, 8, 3)
    red[..., 0] = 1.0
    progress(1, 4, preview=red)
    await gate.wait()
    return red.flip(-1)

gate = asyncio.Event()
painting = nb.Graph(paint())
painting.show()
"""
UNKNOWN = """
nb.draw({"1": {"class_type": "EmptyImage", "inputs": {"width": 64}},
         "2": {"class_type": "Upscaler9000", "inputs": {"image": ["1", 0], "factor": 2}}})
"""
STATES = """
@nb.node
def halt(value: int) -> int:
    return nb.ExecutionBlocker("enough")

@nb.node
def fail(value: int) -> int:
    raise ValueError("no luck")

five = number(5)
ends = nb.Graph(add(halt(five)), add(fail(five), 1))
ends.show()
"""
CELLS = [PREPARE, "graph.show()", MANY, "graph['1'].inputs['value']", SLOW, "job.cancel()"]
CELLS += [PAINT, "painted = painting.start(quiet=True)", "gate.set()", "nb.draw('editor.json')", UNKNOWN]
CELLS += [
    STATES,
    "halted = await ends.run(['3'])",
    "failing = ends.start(['5'], quiet=True)",
    "again = await ends.run(['2'])",
]
PAINTING, START_PAINTING, END_PAINTING, EDITOR_FILE, UNKNOWN_CLASS, STATES_SHOWN = range(6, 12)


@pytest.fixture(scope="module")
def notebook(lab):
    (lab.server.root / "editor.json").write_text(json.dumps(WORKFLOW))
    with lab.open(lab.write("graph.ipynb", [cell.strip() for cell in CELLS])) as opened:
        for cell in range(4):
            opened.run_cell(cell)
        opened.output(1).locator(".cnb-graph").wait_for()
        yield opened


def click_in_node(notebook, index: int, row_px: float) -> None:
    canvas_of(notebook, 1).click(position=spot_in_node(notebook, 1, index, row_px))


def on_first_link(notebook) -> dict[str, float]:
    one, other = spot_in_node(notebook, 1, 0, 40), spot_in_node(notebook, 1, 1, 40)
    return {axis: (one[axis] + other[axis]) / 2 for axis in "xy"}


def type_value(notebook, text: str, end: str) -> None:
    """Type into the field of the first node, and end with a key."""
    click_in_node(notebook, 0, 30 + 20 + 12)
    editor = notebook.output(1).locator(".cnb-graph-edit input")
    editor.fill(text)
    editor.press(end)
    editor.wait_for(state="detached")


def test_a_graph_is_drawn_and_read_as_a_list(notebook):
    shown = notebook.output(1)
    assert "2 nodes, 1 link" in shown.locator(".cnb-graph-head").inner_text()
    first, second = shown.locator(".cnb-graph-list li").all_text_contents()
    assert first.startswith("Zahl ☂: idle") and "a from Zahl ☂" in second
    assert not shown.locator(".comfy-nb-graph").is_visible(), "the still picture hides beside the live one"


def test_an_edit_makes_stale_and_run_brings_it_up_to_date(notebook):
    shown = notebook.output(1)
    type_value(notebook, "8", "Enter")
    shown.get_by_text("2 stale").wait_for()
    shown.get_by_role("button", name="run what is stale").click()
    shown.get_by_text("2 done").wait_for()


def test_a_click_on_a_node_shows_its_output_below(notebook):
    click_in_node(notebook, 1, 12)
    notebook.output(1).locator(".widget-html").get_by_text("12").first.wait_for()


def test_the_pointer_on_a_node_or_a_link_tells_what_is_there(notebook):
    shown, canvas = notebook.output(1), canvas_of(notebook, 1)
    tip = shown.locator(".cnb-graph-tooltip")
    canvas.hover(position=spot_in_node(notebook, 1, 1, 12))
    tip.get_by_text("INT: 12").wait_for()
    assert "add (#2) add\ndone" in tip.inner_text()
    canvas.hover(position=on_first_link(notebook))
    tip.get_by_text("INT from Zahl ☂ (INT) to add (a)").wait_for()
    tip.get_by_text("INT: 8").wait_for()
    notebook.page.mouse.move(2, 2)
    tip.wait_for(state="hidden")


def test_a_click_on_a_link_shows_what_is_on_it(notebook):
    canvas_of(notebook, 1).click(position=on_first_link(notebook))
    notebook.output(1).locator(".widget-html").get_by_text("8").first.wait_for()


def test_a_value_is_left_as_it_is_by_the_escape_key(notebook):
    shown = notebook.output(1)
    type_value(notebook, "9", "Escape")
    assert "stale" not in shown.locator(".cnb-graph-head").inner_text()


def test_the_arrow_keys_walk_along_links_and_return_looks_inside(notebook):
    shown, canvas = notebook.output(1), canvas_of(notebook, 1)
    click_in_node(notebook, 1, 12)
    canvas.press("ArrowLeft")
    shown.get_by_role("status").get_by_text("Zahl ☂: done, value 8").wait_for()
    canvas.press("Enter")
    shown.locator(".widget-html").get_by_text("8").first.wait_for()
    canvas.press("ArrowRight")
    shown.get_by_role("status").get_by_text("add: done, a from Zahl ☂").wait_for()


def test_a_double_click_puts_a_node_in_the_middle(notebook):
    notebook.output(1).get_by_role("button", name="fit").click()
    box = canvas_of(notebook, 1).bounding_box()
    middle = {"x": box["width"] / 2, "y": box["height"] / 2}
    before = spot_in_node(notebook, 1, 0, 12)
    assert abs(before["x"] - middle["x"]) > 50
    canvas_of(notebook, 1).dblclick(position=before)
    after = spot_in_node(notebook, 1, 0, 12)
    assert abs(after["x"] - middle["x"]) < 2 and abs(after["y"] - middle["y"]) < 60


def test_a_drag_pans_and_the_keys_and_a_pinch_zoom(notebook):
    canvas = canvas_of(notebook, 1)
    notebook.output(1).get_by_role("button", name="fit").click()
    fitted = view_of(notebook, 1)
    box = canvas.bounding_box()
    mouse = notebook.page.mouse
    mouse.move(box["x"] + 20, box["y"] + 20)
    mouse.down()
    mouse.move(box["x"] + 60, box["y"] + 50, steps=3)
    mouse.up()
    panned = view_of(notebook, 1)
    assert round((fitted["x"] - panned["x"]) * fitted["zoom"]) == 40
    assert round((fitted["y"] - panned["y"]) * fitted["zoom"]) == 30
    canvas.press("+")
    assert view_of(notebook, 1)["zoom"] == pytest.approx(1.3 * fitted["zoom"])
    notebook.page.keyboard.down("Control")
    mouse.wheel(0, 100)
    notebook.page.keyboard.up("Control")
    notebook.page.wait_for_function(
        f"document.querySelector('.cnb-graph').graphView.view.zoom < {1.2 * fitted['zoom']}"
    )


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


def test_a_click_on_the_small_map_goes_there(notebook):
    shown = notebook.output(2)
    shown.get_by_role("searchbox").fill("number")
    before = view_of(notebook, 2)
    shown.locator(".cnb-graph-map").click(position={"x": 75, "y": 48})
    after = view_of(notebook, 2)
    middle = after["x"] + canvas_of(notebook, 2).bounding_box()["width"] / after["zoom"] / 2
    boxes = shown.locator(".cnb-graph").evaluate("root => root.graphView.scene.nodes.map(node => node.box)")
    left, right = min(box[0] for box in boxes), max(box[0] + box[2] for box in boxes)
    assert after["zoom"] == before["zoom"] and after["x"] != before["x"] and left < middle < right


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


def until_ink(notebook, cell: int, condition: str) -> None:
    """Wait until the colour (r, g, b) at the picture of the first node fulfils a condition."""
    at = spot_in_node(notebook, cell, 0, 30 + 20 + 52)
    notebook.page.wait_for_function(
        f"([canvas, at]) => {{ const [r, g, b] = ({INK})(canvas, at); return {condition}; }}",
        arg=[canvas_of(notebook, cell).element_handle(), [at["x"], at["y"]]],
    )


def test_previews_come_onto_a_node_while_it_runs_and_its_result_afterwards(notebook):
    notebook.run_cell(PAINTING)
    shown = notebook.output(PAINTING)
    shown.locator(".cnb-graph").wait_for()
    notebook.run_cell(START_PAINTING)
    shown.locator(".cnb-graph-head").get_by_text("1 running").wait_for()
    until_ink(notebook, PAINTING, "r > 250 && b < 5")
    notebook.run_cell(END_PAINTING)
    shown.locator(".cnb-graph-head").get_by_text("1 done").wait_for()
    until_ink(notebook, PAINTING, "r < 5 && b > 250")


def test_each_node_tells_its_state_in_words(notebook):
    told = notebook.output(STATES_SHOWN).locator(".cnb-graph-list li")
    for offset, states in [
        (0, ["number: idle", "halt: idle", "add: idle", "fail: idle", "add: idle"]),
        (1, ["number: done", "halt: done", "add: blocked", "fail: idle", "add: idle"]),
        (2, ["number: cached", "halt: done", "add: blocked", "fail: failed", "add: stopped"]),
        (3, ["number: skipped", "halt: cached", "add: blocked", "fail: failed", "add: stopped"]),
    ]:
        notebook.run_cell(STATES_SHOWN + offset)
        for at, state in enumerate(states):
            told.nth(at).get_by_text(state).wait_for(state="attached")


def test_a_file_that_only_the_editor_can_read_is_drawn_and_what_is_missing_is_named(notebook):
    notebook.run_cell(EDITOR_FILE)
    shown = notebook.output(EDITOR_FILE)
    shown.locator(".cnb-graph-head").get_by_text("7 nodes, 4 links").wait_for()
    note = shown.get_by_role("alert")
    assert note.inner_text() == "Classes not known here: picture (#1), blur (#7), Stranger (#5)"
    assert not shown.get_by_role("button", name="run what is stale").is_visible()
    scene = shown.locator(".cnb-graph").evaluate("root => root.graphView.scene")
    assert [group["title"] for group in scene["groups"]] == ["All"]
    assert scene["nodes"][2]["title"] == "Refine" and scene["nodes"][2]["box"][:2] == [500, 0]
    canvas_of(notebook, EDITOR_FILE).click(position=spot_in_node(notebook, EDITOR_FILE, 0, 12))
    note.get_by_text("This workflow is only drawn").wait_for()
    assert "Stranger (#5)" in note.inner_text()


def test_a_class_that_is_not_known_is_drawn_with_what_the_file_says_of_it(notebook):
    notebook.run_cell(UNKNOWN_CLASS)
    shown = notebook.output(UNKNOWN_CLASS)
    shown.get_by_role("alert").get_by_text("Classes not known here: Upscaler9000 (#2)").wait_for()
    told = shown.locator(".cnb-graph-list li").all_text_contents()[1]
    assert told.startswith("Upscaler9000: idle") and "image from EmptyImage" in told and "factor 2" in told


def test_nothing_failed_to_render(notebook):
    notebook.check()
