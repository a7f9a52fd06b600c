"""Values edited in the view of a graph, by hand in a real JupyterLab."""

from __future__ import annotations

import pytest

from tests.browser.graphs import FIRST_ROW_PX, ROW_PX, canvas_of, show, spot_in_node, until, value_in, view_of

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
graph = nb.Graph()
graph.node("mixed", on=False, way="up", words="one", share=0.5, extra=[1], seed=1)
graph.show()
"""
ODD = """
graph = nb.Graph()
graph.node("mixed", way="sideways", words="one\\r\\ntwo", share=0.5)
graph.show()
"""
WAY, SEED = 1, 5


@pytest.fixture
def plain(notebook):
    """The view of a node with values of every kind."""
    return show(notebook, PLAIN)


@pytest.fixture
def odd(notebook):
    """The view of a node with values that a careless editor would normalize."""
    return show(notebook, ODD)


def begin(shown) -> None:
    """Open the first field of the first node by the keyboard."""
    canvas = canvas_of(shown)
    canvas.focus()
    canvas.press("ArrowRight")
    canvas.press("e")


def leave_through(shown, *names: str) -> None:
    """Press Tab in these fields, one after the other."""
    for name in names:
        shown.get_by_label(f"{name} of mixed").press("Tab")


def click_row(shown, row: int) -> None:
    """Click the value of an input."""
    canvas_of(shown).click(position=spot_in_node(shown, 0, FIRST_ROW_PX + (row + 0.5) * ROW_PX))


def listed(shown, words: str):
    """The description of the node for screen readers, if it contains these words."""
    return shown.locator(".cnb-graph-list li").get_by_text(words)


def has_focus(canvas) -> bool:
    return canvas.evaluate("canvas => canvas === document.activeElement")


def test_the_tip_tells_what_is_false_too(plain):
    canvas_of(plain).hover(position=spot_in_node(plain, 0, FIRST_ROW_PX + 0.5 * ROW_PX))
    plain.locator(".cnb-graph-tooltip").get_by_text("on = false").wait_for()


def test_values_of_every_kind_are_edited_by_the_keyboard_alone(plain):
    begin(plain)
    for name, value in [("on", "true"), ("way", "down"), ("words", "two\nlines"), ("share", "0.25")]:
        field = plain.get_by_label(f"{name} of mixed")
        if name in ("on", "way"):
            field.press("ArrowUp" if name == "on" else "ArrowDown")
        else:
            field.press("Control+a")
            field.press_sequentially(value)
        assert field.input_value() == value
        field.press("Tab")
    plain.get_by_label("seed of mixed").press("Escape")
    assert has_focus(canvas_of(plain))
    listed(plain, "on true, way down, words two lines, share 0.25").wait_for()


def test_another_seed_is_drawn_by_its_button(notebook, plain):
    click_row(plain, SEED)
    field = plain.get_by_label("seed of mixed")
    assert field.input_value() == "1"
    field.press("Tab")
    plain.get_by_role("button", name="another seed").press("Enter")
    assert has_focus(canvas_of(plain))
    until(plain, "root.graphView.scene.nodes[0].fields.at(-1).value !== '1'")
    assert notebook.run("print(graph['1'].inputs['seed'])").inner_text().strip() == value_in(plain, "seed")


def test_a_choice_is_taken_by_the_pointer(plain):
    click_row(plain, WAY)
    plain.get_by_label("way of mixed").select_option("down")
    plain.get_by_label("way of mixed").wait_for(state="detached")
    listed(plain, "way down").wait_for()
    assert has_focus(canvas_of(plain))


def test_a_value_that_means_the_same_is_shown_as_it_is_kept(plain):
    begin(plain)
    leave_through(plain, "on", "way", "words")
    kept = value_in(plain, "share")
    field = plain.get_by_label("share of mixed")
    field.fill(f"{kept}00")
    field.press("Enter")
    until(plain, "root.graphView.scene.nodes[0].fields.find(({ name }) => name === 'share').value === arg", kept)


def test_a_field_is_moved_to_where_it_is_seen(plain):
    view_of(plain).evaluate("root => Object.assign(root.graphView.view, { x: 5000, y: 5000, zoom: 2 })")
    begin(plain)
    box, stage = (plain.locator(name).bounding_box() for name in (".cnb-graph-edit", ".cnb-graph-stage"))
    assert stage["y"] <= box["y"] and box["y"] + box["height"] <= stage["y"] + stage["height"]
    assert stage["x"] <= box["x"] and box["x"] + box["width"] <= stage["x"] + stage["width"]


def test_what_was_given_is_there_when_its_field_is_opened_again_at_once(plain):
    begin(plain)
    leave_through(plain, "on", "way", "words")
    for value in ("0.125", "0.25"):
        field = plain.get_by_label("share of mixed")
        field.fill(value)
        field.press("Tab")
        plain.get_by_label("seed of mixed").press("Shift+Tab")
        assert plain.get_by_label("share of mixed").input_value() == value
    plain.get_by_label("share of mixed").press("Escape")
    listed(plain, "share 0.25").wait_for()


def test_walking_through_the_fields_changes_nothing(odd):
    begin(odd)
    assert odd.get_by_label("way of mixed").input_value() == "sideways"
    leave_through(odd, "way", "words")
    odd.get_by_label("share of mixed").press("Escape")
    assert value_in(odd, "way") == "sideways"
    assert value_in(odd, "words") == "one\r\ntwo"


def test_a_value_that_is_refused_is_said_and_the_old_one_comes_back(odd):
    begin(odd)
    leave_through(odd, "way", "words")
    field = odd.get_by_label("share of mixed")
    field.fill("half")
    field.press("Enter")
    said = odd.get_by_role("alert").get_by_text("expected a number (FLOAT), got 'half'")
    said.wait_for()
    view_of(odd).evaluate("root => root.graphView.load()")
    assert said.is_visible(), "a new scene does not wipe what is said"
    assert value_in(odd, "share") == 0.5


def test_what_is_being_typed_outlives_a_new_scene_but_not_its_node(odd):
    begin(odd)
    leave_through(odd, "way")
    field = odd.get_by_label("words of mixed")
    field.fill("half a")
    view_of(odd).evaluate("root => root.graphView.load()")
    assert field.input_value() == "half a"
    view_of(odd).evaluate(
        "root => { const view = root.graphView; const { model } = view;"
        " view.model = { ...model, get: () => ({ ...model.get('scene'), nodes: [], links: [] }) };"
        " view.load(); view.model = model; view.load(); }"
    )
    field.wait_for(state="detached")
    assert value_in(odd, "words") == "one\r\ntwo"
