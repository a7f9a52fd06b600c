"""Values edited in the view of a graph, by hand in a real JupyterLab."""

from __future__ import annotations

import pytest

from tests.browser.graphs import canvas_of, spot_in_node, value_in

pytestmark = pytest.mark.browser

PREPARE = """
from typing import Annotated, Any, Literal
import comfy_nb as nb

@nb.node
def mixed(
    on: bool = False,
    way: Literal["up", "down"] = "up",
    words: Annotated[str, nb.Multiline()] = "one",
    share: float = 0.5,
    extra: Any = None,
    seed: int = 1,
) -> str:
    return f"{on} {way} {words} {share} {seed}"
"""
PLAIN = """
plain = nb.Graph()
plain.node("mixed", on=False, way="up", words="one", share=0.5, extra=[1], seed=1)
plain.show()
"""
ODD = """
odd = nb.Graph()
odd.node("mixed", way="sideways", words="one\\r\\ntwo", share=0.5)
odd.show()
"""
CELLS = [PREPARE, PLAIN, "print(plain['1'].inputs['seed'])", ODD]
PLAIN_GRAPH, SEED, ODD_GRAPH = 1, 2, 3


@pytest.fixture(scope="module")
def notebook(lab):
    with lab.open(lab.write("edits.ipynb", [cell.strip() for cell in CELLS])) as opened:
        for cell in (0, PLAIN_GRAPH, ODD_GRAPH):
            opened.run_cell(cell)
        opened.output(ODD_GRAPH).locator(".cnb-graph").wait_for()
        yield opened


def begin(notebook, cell: int):
    """Open the first field of the first node of a graph by the keyboard; returns the output of the cell."""
    canvas = canvas_of(notebook, cell)
    canvas.focus()
    canvas.press("ArrowRight")
    canvas.press("e")
    return notebook.output(cell)


def has_focus(canvas) -> bool:
    return canvas.evaluate("canvas => canvas === document.activeElement")


def test_the_tip_tells_what_is_false_too(notebook):
    canvas_of(notebook, PLAIN_GRAPH).hover(position=spot_in_node(notebook, PLAIN_GRAPH, 0, 30 + 20 + 12))
    notebook.output(PLAIN_GRAPH).locator(".cnb-graph-tooltip").get_by_text("on = false").wait_for()
    notebook.page.mouse.move(2, 2)


def test_values_of_every_kind_are_edited_by_the_keyboard_alone(notebook):
    shown = begin(notebook, PLAIN_GRAPH)
    for name, value in [("on", "true"), ("way", "down"), ("words", "two\nlines"), ("share", "0.25")]:
        field = shown.get_by_label(f"{name} of mixed")
        if name in ("on", "way"):
            field.press("ArrowUp" if name == "on" else "ArrowDown")
        else:
            field.press("Control+a")
            field.press_sequentially(value)
        assert field.input_value() == value
        field.press("Tab")
    shown.get_by_label("seed of mixed").press("Escape")
    assert has_focus(canvas_of(notebook, PLAIN_GRAPH))
    shown.locator(".cnb-graph-list li").get_by_text("on true, way down, words two lines, share 0.25").wait_for()


def test_another_seed_is_drawn_by_its_button(notebook):
    shown, canvas = notebook.output(PLAIN_GRAPH), canvas_of(notebook, PLAIN_GRAPH)
    canvas.click(position=spot_in_node(notebook, PLAIN_GRAPH, 0, 30 + 20 + 5.5 * 24))
    field = shown.get_by_label("seed of mixed")
    assert field.input_value() == "1"
    field.press("Tab")
    shown.get_by_role("button", name="another seed").press("Enter")
    assert has_focus(canvas)
    notebook.page.wait_for_function(
        "root => root.graphView.scene.nodes[0].fields.at(-1).value !== '1'",
        arg=shown.locator(".cnb-graph").element_handle(),
    )
    notebook.run_cell(SEED)
    assert notebook.output(SEED).inner_text().strip() == value_in(notebook, PLAIN_GRAPH, "seed")


def test_a_choice_is_taken_by_the_pointer(notebook):
    shown, canvas = notebook.output(PLAIN_GRAPH), canvas_of(notebook, PLAIN_GRAPH)
    canvas.click(position=spot_in_node(notebook, PLAIN_GRAPH, 0, 30 + 20 + 1.5 * 24))
    shown.get_by_label("way of mixed").select_option("up")
    shown.get_by_label("way of mixed").wait_for(state="detached")
    shown.locator(".cnb-graph-list li").get_by_text("way up").wait_for()
    assert has_focus(canvas)


def test_a_value_that_means_the_same_is_shown_as_it_is_kept(notebook):
    shown = begin(notebook, PLAIN_GRAPH)
    for name in ("on", "way", "words"):
        shown.get_by_label(f"{name} of mixed").press("Tab")
    kept = value_in(notebook, PLAIN_GRAPH, "share")
    field = shown.get_by_label("share of mixed")
    field.fill(f"{kept}00")
    field.press("Enter")
    notebook.page.wait_for_function(
        "([root, kept]) => root.graphView.scene.nodes[0].fields.find(({ name }) => name === 'share').value === kept",
        arg=[shown.locator(".cnb-graph").element_handle(), kept],
    )


def test_a_field_is_moved_to_where_it_is_seen(notebook):
    view = notebook.output(PLAIN_GRAPH).locator(".cnb-graph")
    view.evaluate("root => Object.assign(root.graphView.view, { x: 5000, y: 5000, zoom: 2 })")
    shown = begin(notebook, PLAIN_GRAPH)
    box, stage = (shown.locator(name).bounding_box() for name in (".cnb-graph-edit", ".cnb-graph-stage"))
    assert stage["y"] <= box["y"] and box["y"] + box["height"] <= stage["y"] + stage["height"]
    assert stage["x"] <= box["x"] and box["x"] + box["width"] <= stage["x"] + stage["width"]
    shown.get_by_label("on of mixed").press("Escape")
    shown.get_by_role("button", name="fit").click()


def test_what_was_given_is_there_when_its_field_is_opened_again_at_once(notebook):
    shown = begin(notebook, PLAIN_GRAPH)
    for name in ("on", "way", "words"):
        shown.get_by_label(f"{name} of mixed").press("Tab")
    for value in ("0.125", "0.25"):
        field = shown.get_by_label("share of mixed")
        field.fill(value)
        field.press("Tab")
        shown.get_by_label("seed of mixed").press("Shift+Tab")
        assert shown.get_by_label("share of mixed").input_value() == value
    shown.get_by_label("share of mixed").press("Escape")
    shown.locator(".cnb-graph-list li").get_by_text("share 0.25").wait_for()


def test_walking_through_the_fields_changes_nothing(notebook):
    shown = begin(notebook, ODD_GRAPH)
    assert shown.get_by_label("way of mixed").input_value() == "sideways"
    shown.get_by_label("way of mixed").press("Tab")
    shown.get_by_label("words of mixed").press("Tab")
    shown.get_by_label("share of mixed").press("Escape")
    assert value_in(notebook, ODD_GRAPH, "way") == "sideways"
    assert value_in(notebook, ODD_GRAPH, "words") == "one\r\ntwo"


def test_a_value_that_is_refused_is_said_and_the_old_one_comes_back(notebook):
    shown = begin(notebook, ODD_GRAPH)
    shown.get_by_label("way of mixed").press("Tab")
    shown.get_by_label("words of mixed").press("Tab")
    field = shown.get_by_label("share of mixed")
    field.fill("half")
    field.press("Enter")
    said = shown.get_by_role("alert").get_by_text("expected a number (FLOAT), got 'half'")
    said.wait_for()
    shown.locator(".cnb-graph").evaluate("root => root.graphView.load()")
    assert said.is_visible(), "a new scene does not wipe what is said"
    assert value_in(notebook, ODD_GRAPH, "share") == 0.5


def test_what_is_being_typed_outlives_a_new_scene_but_not_its_node(notebook):
    shown = begin(notebook, ODD_GRAPH)
    shown.get_by_label("way of mixed").press("Tab")
    field = shown.get_by_label("words of mixed")
    field.fill("half a")
    view = shown.locator(".cnb-graph")
    view.evaluate("root => root.graphView.load()")
    assert field.input_value() == "half a"
    view.evaluate(
        "root => { const view = root.graphView; const { model } = view;"
        " view.model = { ...model, get: () => ({ ...model.get('scene'), nodes: [], links: [] }) };"
        " view.load(); view.model = model; view.load(); }"
    )
    field.wait_for(state="detached")
    assert value_in(notebook, ODD_GRAPH, "words") == "one\r\ntwo"


def test_nothing_failed_to_render(notebook):
    notebook.check()
