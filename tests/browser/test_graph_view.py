"""The view of a graph in a real JupyterLab: it draws, finds, zooms, takes edits, runs, and asks for outputs."""

from __future__ import annotations

import json

import pytest

from tests.browser.graphs import (
    FIRST_ROW_PX,
    ROW_PX,
    camera_of,
    canvas_of,
    show,
    spot_in_node,
    until,
    value_in,
    view_of,
)
from tests.browser.inspecting import INK
from tests.ui.graph.scenes import WORKFLOW

pytestmark = pytest.mark.browser

PREPARE = """
import asyncio
import comfy_nb as nb
import torch

@nb.node
async def number(value: int = 1) -> int:
    await asyncio.sleep(0.2)
    return value

@nb.node
def add(a: int, b: int = 0) -> int:
    return a + b

@nb.node
async def slow(value: int = 1) -> int:
    await asyncio.sleep(60)
    return value

@nb.node
async def paint(*, progress: nb.Progress) -> nb.Image:
    red = torch.zeros(1, 8, 8, 3)
    red[..., 0] = 1.0
    progress(1, 4, preview=red)
    await gate.wait()
    return red.flip(-1)

@nb.node
def halt(value: int) -> int:
    return nb.ExecutionBlocker("enough")

@nb.node
def fail(value: int) -> int:
    raise ValueError("no luck")

gate = nb.constant(asyncio.Event())
"""
PAIR = """
nb.cache.clear()
graph = nb.Graph()
graph.node("add", a=graph.node("number", title="Zahl ☂", value=3), b=4)
graph.show()
"""
MANY = """
graph = nb.Graph()
last = graph.node("number")
for _ in range(999):
    last = graph.node("add", a=last)
graph.show()
"""
RUNS_DEEP = """
reached = nb.constant(asyncio.Event())

@nb.node
async def stay(value: int) -> int:
    reached.set()
    await asyncio.sleep(60)
    return value

last = number(30)
for _ in range(29):
    last = add(last)
deep = nb.Graph(add(stay(last)))
job = deep.start(quiet=True)
await reached.wait()
"""
STATES = """
nb.cache.clear()
five = number(5)
ends = nb.Graph(add(halt(five)), add(fail(five), 1))
ends.show()
"""
UNKNOWN = """
nb.draw({"1": {"class_type": "EmptyImage", "inputs": {"width": 64}},
         "2": {"class_type": "Upscaler9000", "inputs": {"image": ["1", 0], "factor": 2}}})
"""
TITLE_PX = 12
VALUE_PX = FIRST_ROW_PX + 0.5 * ROW_PX
FIRST, SECOND = 0, 1


@pytest.fixture
def pair(notebook):
    """The view of a graph of two nodes."""
    return show(notebook, PAIR)


@pytest.fixture
def done_pair(notebook, pair):
    """The view of a graph of two nodes after a run: the outputs are 3 and 7."""
    notebook.run("_ = await graph.start(quiet=True)")
    pair.get_by_text("2 done").wait_for()
    return pair


@pytest.fixture
def thousand(notebook):
    """The view of a graph of a thousand nodes."""
    return show(notebook, MANY)


def click_in_node(shown, index: int, row_px: float) -> None:
    canvas_of(shown).click(position=spot_in_node(shown, index, row_px))


def on_first_link(shown) -> dict[str, float]:
    one, other = spot_in_node(shown, FIRST, 40), spot_in_node(shown, SECOND, 40)
    return {axis: (one[axis] + other[axis]) / 2 for axis in "xy"}


def type_value(shown, text: str, end: str) -> None:
    """Type into the field of the first node and press a key to finish."""
    click_in_node(shown, FIRST, VALUE_PX)
    editor = shown.locator(".cnb-graph-edit input")
    editor.fill(text)
    editor.press(end)
    editor.wait_for(state="detached")


def head_of(shown):
    return shown.locator(".cnb-graph-head")


def value_below(shown, words: str):
    """A value that is shown below the graph."""
    return shown.locator(".widget-html").get_by_text(words, exact=True).first


def test_a_graph_is_drawn_and_read_as_a_list(pair):
    assert "2 nodes, 1 link" in head_of(pair).inner_text()
    first, second = pair.locator(".cnb-graph-list li").all_text_contents()
    assert first.startswith("Zahl ☂: idle") and "a from Zahl ☂" in second
    assert not pair.locator(".comfy-nb-graph").is_visible(), "the still picture hides beside the live one"


def test_an_edit_makes_stale_and_run_brings_it_up_to_date(pair):
    type_value(pair, "8", "Enter")
    pair.get_by_text("2 stale").wait_for()
    pair.get_by_role("button", name="run what is stale").click()
    pair.get_by_text("2 done").wait_for()


def test_a_click_on_a_node_shows_its_output_below(done_pair):
    click_in_node(done_pair, SECOND, TITLE_PX)
    value_below(done_pair, "7").wait_for()


def test_the_pointer_on_a_node_or_a_link_tells_what_is_there(notebook, done_pair):
    canvas, tip = canvas_of(done_pair), done_pair.locator(".cnb-graph-tooltip")
    canvas.hover(position=spot_in_node(done_pair, SECOND, TITLE_PX))
    tip.get_by_text("INT: 7").wait_for()
    assert "add (#2) add\ndone" in tip.inner_text()
    canvas.hover(position=on_first_link(done_pair))
    tip.get_by_text("INT from Zahl ☂ (INT) to add (a)").wait_for()
    tip.get_by_text("INT: 3").wait_for()
    notebook.page.mouse.move(2, 2)
    tip.wait_for(state="hidden")


def test_a_click_on_a_link_shows_what_is_on_it(done_pair):
    canvas_of(done_pair).click(position=on_first_link(done_pair))
    value_below(done_pair, "3").wait_for()


def test_a_value_is_left_as_it_is_by_the_escape_key(notebook, done_pair):
    type_value(done_pair, "9", "Escape")
    assert value_in(done_pair, "value") == "3"
    assert notebook.run("print(graph['1'].inputs['value'])").inner_text().strip() == "3"
    assert "stale" not in head_of(done_pair).inner_text()


def test_the_arrow_keys_walk_along_links_and_return_looks_inside(done_pair):
    canvas = canvas_of(done_pair)
    click_in_node(done_pair, SECOND, TITLE_PX)
    canvas.press("ArrowLeft")
    done_pair.get_by_role("status").get_by_text("Zahl ☂: done, value 3").wait_for()
    canvas.press("Enter")
    value_below(done_pair, "3").wait_for()
    canvas.press("ArrowRight")
    done_pair.get_by_role("status").get_by_text("add: done, a from Zahl ☂").wait_for()


def test_a_double_click_puts_a_node_in_the_middle(pair):
    box = canvas_of(pair).bounding_box()
    middle = {"x": box["width"] / 2, "y": box["height"] / 2}
    before = spot_in_node(pair, FIRST, TITLE_PX)
    assert abs(before["x"] - middle["x"]) > 50
    canvas_of(pair).dblclick(position=before)
    after = spot_in_node(pair, FIRST, TITLE_PX)
    assert abs(after["x"] - middle["x"]) < 2 and abs(after["y"] - middle["y"]) < 60


def test_a_drag_pans_and_the_keys_and_a_pinch_zoom(notebook, pair):
    canvas, mouse = canvas_of(pair), notebook.page.mouse
    canvas.scroll_into_view_if_needed()
    fitted = camera_of(pair)
    box = canvas.bounding_box()
    mouse.move(box["x"] + 20, box["y"] + 20)
    mouse.down()
    mouse.move(box["x"] + 60, box["y"] + 50, steps=3)
    mouse.up()
    panned = camera_of(pair)
    assert round((fitted["x"] - panned["x"]) * fitted["zoom"]) == 40
    assert round((fitted["y"] - panned["y"]) * fitted["zoom"]) == 30
    canvas.press("+")
    assert camera_of(pair)["zoom"] == pytest.approx(1.3 * fitted["zoom"])
    notebook.page.keyboard.down("Control")
    mouse.wheel(0, 100)
    notebook.page.keyboard.up("Control")
    until(pair, "root.graphView.view.zoom < arg", 1.2 * fitted["zoom"])


def test_a_thousand_nodes_begin_where_their_values_can_be_read_with_a_map_and_are_all_drawn_to_fit(thousand):
    until(thousand, "root.lastDraw?.nodes > 0 && root.lastDraw.nodes < 20")
    assert camera_of(thousand)["zoom"] > 0.6 and spot_in_node(thousand, FIRST, TITLE_PX)["x"] > 0
    assert thousand.locator(".cnb-graph-map").is_visible()
    thousand.get_by_role("button", name="fit").click()
    until(thousand, "root.lastDraw.nodes === 1000")


def test_a_small_graph_begins_as_a_whole_without_a_map(pair):
    until(pair, "root.lastDraw?.nodes === 2")
    assert not pair.locator(".cnb-graph-map").is_visible()


def test_a_large_graph_that_runs_begins_at_the_node_that_runs(notebook):
    notebook.run(RUNS_DEEP)
    shown = show(notebook, "deep.show()")
    until(shown, "root.graphView.state(root.graphView.scene.nodes[30])[0] === 'running'")
    width = canvas_of(shown).bounding_box()["width"]
    assert spot_in_node(shown, 30, TITLE_PX)["x"] == pytest.approx(width / 2, abs=2)
    notebook.run("job.cancel()")


def test_a_search_goes_to_what_it_finds_and_fit_goes_back(thousand):
    thousand.get_by_role("searchbox").fill("number")
    until(thousand, "root.lastDraw.nodes < 20")
    thousand.get_by_role("button", name="fit").click()
    until(thousand, "root.lastDraw.nodes === 1000")


def test_a_click_on_the_small_map_goes_there(thousand):
    thousand.get_by_role("searchbox").fill("number")
    until(thousand, "root.lastDraw.nodes < 20")
    before = camera_of(thousand)
    thousand.locator(".cnb-graph-map").click(position={"x": 75, "y": 8})
    after = camera_of(thousand)
    middle = after["x"] + canvas_of(thousand).bounding_box()["width"] / after["zoom"] / 2
    boxes = view_of(thousand).evaluate("root => root.graphView.scene.nodes.map(node => node.box)")
    left, right = min(box[0] for box in boxes), max(box[0] + box[2] for box in boxes)
    assert after["zoom"] == before["zoom"] and after["x"] != before["x"] and left < middle < right


def test_the_saved_page_keeps_a_still_picture(notebook, pair, thousand):
    small, large = ("".join(each.data.get("text/html", "") for each in cell.outputs) for cell in notebook.save()[1:])
    assert "<svg" in small and "Zahl ☂" in small
    assert len(large.encode()) < 300_000


def test_a_panel_shows_the_graph_of_its_run_on_demand(notebook):
    panel = notebook.run("job = add(slow(), number(8)).start()")
    button = panel.locator(".cnb-view", has_text="Graph").locator("summary")
    button.click()
    head_of(panel).get_by_text("3 nodes, 2 links, 1 running").wait_for()
    button.click()
    head_of(panel).wait_for(state="detached")
    button.click()
    head_of(panel).wait_for()
    notebook.run("job.cancel()")
    panel.get_by_text("cancelled").first.wait_for()


def until_ink(shown, condition: str) -> None:
    """Wait until the colour (r, g, b) at the picture of the first node meets a condition."""
    at = spot_in_node(shown, FIRST, FIRST_ROW_PX + 52)
    until(
        shown,
        f"{{ const [r, g, b] = ({INK})(root.querySelector('.cnb-graph-canvas'), arg); return {condition}; }}",
        [at["x"], at["y"]],
    )


def test_previews_come_onto_a_node_while_it_runs_and_its_result_afterwards(notebook):
    shown = show(notebook, "nb.cache.clear()\ngate.clear()\npainting = nb.Graph(paint())\npainting.show()")
    notebook.run("painted = painting.start(quiet=True)")
    head_of(shown).get_by_text("1 running").wait_for()
    until_ink(shown, "r > 250 && b < 5")
    notebook.run("gate.set()")
    head_of(shown).get_by_text("1 done").wait_for()
    until_ink(shown, "r < 5 && b > 250")


def test_each_node_tells_its_state_in_words(notebook):
    told = show(notebook, STATES).locator(".cnb-graph-list li")

    def until_told(*states: str) -> None:
        for at, state in enumerate(states):
            told.nth(at).get_by_text(state).wait_for(state="attached")

    until_told("number: idle", "halt: idle", "add: idle", "fail: idle", "add: idle")
    notebook.run("halted = await ends.run(['3'])")
    until_told("number: done", "halt: done", "add: blocked", "fail: idle", "add: idle")
    notebook.run("failing = ends.start(['5'], quiet=True)")
    until_told("number: cached", "halt: done", "add: blocked", "fail: failed", "add: stopped")
    notebook.run("again = await ends.run(['2'])")
    until_told("number: skipped", "halt: cached", "add: blocked", "fail: failed", "add: stopped")


def test_a_file_that_only_the_editor_can_read_is_drawn_and_what_is_missing_is_named(lab, notebook):
    (lab.server.root / "editor.json").write_text(json.dumps(WORKFLOW))
    shown = show(notebook, "nb.draw('editor.json')")
    head_of(shown).get_by_text("7 nodes, 4 links").wait_for()
    note = shown.get_by_role("alert")
    assert note.inner_text() == "Classes not known here: picture (#1), blur (#7), Stranger (#5)"
    assert not shown.get_by_role("button", name="run what is stale").is_visible()
    scene = view_of(shown).evaluate("root => root.graphView.scene")
    assert [group["title"] for group in scene["groups"]] == ["All"]
    assert scene["nodes"][2]["title"] == "Refine" and scene["nodes"][2]["box"][:2] == [500, 0]
    click_in_node(shown, FIRST, TITLE_PX)
    note.get_by_text("This workflow is only drawn").wait_for()
    assert "Stranger (#5)" in note.inner_text()


def test_a_class_that_is_not_known_is_drawn_with_what_the_file_says_of_it(notebook):
    shown = show(notebook, UNKNOWN)
    shown.get_by_role("alert").get_by_text("Classes not known here: Upscaler9000 (#2)").wait_for()
    told = shown.locator(".cnb-graph-list li").all_text_contents()[1]
    assert told.startswith("Upscaler9000: idle") and "image from EmptyImage" in told and "factor 2" in told
