"""Which control an input gets, from what was asked for and from how the node declares it."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest

import comfy_nb as nb
from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.parameters.parameter import find_parameter
from comfy_nb.parameters.shown_output import copy_with_output
from comfy_nb.spec.registry import Registry
from comfy_nb.ui.interact.controls import ControlSpec, control_for, controls_for, decimals


@pytest.fixture(autouse=True)
def _own_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    from comfy_nb.graph import default_registry

    monkeypatch.setattr(default_registry, "_default", Registry(default_registry._fill))


def make(**constants):
    @nb.node
    def paint(
        radius: Annotated[int, nb.Range(0, 31)] = 3,
        strength: Annotated[float, nb.Range(0.0, 1.0, step=0.05)] = 0.5,
        size: Annotated[int, nb.Range(16, 16384)] = 512,
        seed: Annotated[int, nb.Range(0, 2**64 - 1)] = 7,
        style: Literal["haiku", "plain"] = "plain",
        smooth: bool = True,
        title: str = "one",
        story: Annotated[str, nb.Multiline()] = "many",
        gamma: float = 1.0,
    ) -> str:
        return "painted"

    return paint(**constants)


def control(name: str, wish=...) -> ControlSpec:
    return control_for(find_parameter(make().graph, name), wish)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("radius", "slider"),
        ("strength", "slider"),
        ("size", "number"),
        ("seed", "seed"),
        ("style", "choice"),
        ("smooth", "check"),
        ("title", "text"),
        ("story", "lines"),
    ],
)
def test_an_input_gets_the_control_that_its_declaration_calls_for(name, kind):
    assert control(name).kind == kind
    assert control(name, True).kind == kind


def test_two_numbers_are_a_slider_within_the_declared_type():
    whole, real = control("radius", (1, 9)), control("strength", (0, 1))
    assert (whole.low, whole.high, whole.step, whole.value, whole.is_whole) == (1, 9, 1, 3, True)
    assert (real.low, real.high, real.step, real.is_whole) == (0.0, 1.0, 0.05, False)
    assert control("radius", (0, 30, 5)).step == 5


def test_a_slider_begins_at_the_nearest_place_to_the_present_value():
    assert control("radius", (10, 20)).value == 10
    assert control("radius", (0, 2)).value == 2


@pytest.mark.parametrize("wish", [(0.2, 3.0), (0.25, 3), (0, 1), (1 / 3, 2), (-1e6, 1e6), (0.5, 0.50001)])
@pytest.mark.parametrize("name", ["gamma", "strength"])
def test_a_slider_has_a_place_for_the_present_value(name, wish):
    if name == "strength":
        wish = tuple(min(max(end, 0.0), 1.0) for end in wish)
    slider = control(name, wish)
    assert slider.value == (1.0 if name == "gamma" else 0.5) or slider.value in wish
    steps = (slider.value - slider.low) / slider.step
    assert steps == pytest.approx(round(steps), abs=1e-6)


def test_the_step_of_a_slider_is_a_round_number_where_that_leads_to_the_present_value():
    assert control("gamma", (0.2, 3.0)).step == pytest.approx(0.02)
    assert control("strength", (0.025, 1)).step == pytest.approx(0.025)
    assert control("radius", (1, 9)).step == 1


def test_a_list_is_a_choice_that_begins_with_the_present_value():
    assert control("radius", [1, 3, 5]).value == 3
    assert control("radius", range(8, 11)).options == (8, 9, 10)
    assert control("radius", [9, 10]).value == 9


def test_a_single_value_begins_the_natural_control():
    assert (control("radius", 9).kind, control("radius", 9).value) == ("slider", 9)
    assert (control("style", "haiku").kind, control("style", "haiku").value) == ("choice", "haiku")
    assert control("smooth", False).value is False


@pytest.mark.parametrize(
    ("name", "wish", "words"),
    [
        ("radius", (5, 5), "is empty"),
        ("radius", (9, 1), "is empty"),
        ("radius", (0, 99), "between 0 and 31"),
        ("radius", (0, 9, 0), "step must be above 0"),
        ("radius", (0, 9, 0.5), "and whole"),
        ("radius", (0, 1, 2, 3), "is not a \\(low, high\\)"),
        ("style", (0, 1), "is not a \\(low, high\\)"),
        ("radius", [], "is empty"),
        ("radius", [1, 99], "out of range"),
        ("radius", "wide", "expected a whole number"),
        ("radius", 2.5, "expected a whole number"),
        ("strength", float("nan"), "expected a number"),
        ("style", "hiku", "'haiku'"),
        ("smooth", 3, "true or false"),
        ("title", 3, "expected text"),
    ],
)
def test_what_an_input_cannot_have_is_refused_with_its_name(name, wish, words):
    with pytest.raises(GraphError, match=words) as caught:
        control(name, wish)
    assert f"input '{name}'" in str(caught.value)


def test_nothing_named_means_all_constants_of_the_node_shown():
    graph, output = copy_with_output(make())
    assert [each.label for each in controls_for(graph, output, {})][:3] == ["radius", "strength", "size"]


def two_blurs():
    plain = nb.nodes.EmptyImage(width=16, height=16)
    return nb.nodes.ImageBlur(nb.nodes.ImageBlur(plain, blur_radius=2), blur_radius=4)


def test_a_bare_name_means_the_handles_own_node_first():
    graph, output = copy_with_output(two_blurs())
    (found,) = controls_for(graph, output, {"blur_radius": True})
    assert (found.parameter.key, found.value) == ("3.blur_radius", 4)


def test_controls_of_one_name_are_labelled_by_their_nodes():
    graph, output = copy_with_output(two_blurs())
    wishes = {"2.blur_radius": True, "3.blur_radius": True, "width": True}
    assert [each.label for each in controls_for(graph, output, wishes)] == ["2.blur_radius", "3.blur_radius", "width"]


def test_a_name_that_several_nodes_have_is_refused_with_their_ids():
    with pytest.raises(GraphError, match=r'"2\.blur_radius" of ImageBlur, "3\.blur_radius"'):
        find_parameter(two_blurs().graph, "blur_radius")


@pytest.mark.parametrize("name", ["blur_radios", "2.blur_radios"])
def test_a_misspelt_name_raises_with_the_nearest(name):
    with pytest.raises(UnknownName, match="Did you mean 'blur_radius'"):
        find_parameter(two_blurs().graph, name)


def test_a_link_is_not_a_constant_and_an_unknown_node_is_named():
    with pytest.raises(GraphError, match="input 'image' is linked to node 1"):
        find_parameter(two_blurs().graph, "2.image")
    with pytest.raises(UnknownName, match="no node '9'"):
        find_parameter(two_blurs().graph, "9.image")


def test_of_several_outputs_one_has_to_be_named():
    first, second = nb.nodes.EmptyImage(width=16, height=16), nb.nodes.EmptyImage(width=32, height=16)
    with pytest.raises(GraphError, match=r'2 outputs; choose one: output="1"'):
        copy_with_output(nb.Graph(first, second))
    assert copy_with_output(nb.Graph(first, second), "2")[1].node_id == "2"
    with pytest.raises(GraphError, match="empty"):
        copy_with_output(nb.Graph())


def test_a_muted_output_does_not_count():
    graph = nb.Graph(nb.nodes.EmptyImage(width=16, height=16), nb.nodes.EmptyImage(width=32, height=16))
    graph["1"].mute()
    assert copy_with_output(graph)[1].node_id == "2"


def test_of_a_node_that_saves_what_it_takes_is_shown():
    picture = nb.nodes.EmptyImage(width=16, height=16)
    output = copy_with_output(nb.Graph(nb.nodes.SaveImage(picture)))[1]
    assert (output.node_id, output.kind) == ("1", "IMAGE")


def test_numbers_are_shown_as_finely_as_they_move():
    assert [decimals(step) for step in (1.0, 0.05, 0.001)] == [".2f", ".2f", ".3f"]


@pytest.mark.parametrize(
    ("wish", "came", "meant"),
    [
        ((0.0, 4.0), 1.0 - 4e-16, 1.0),
        ((0.0, 4.0, 0.1), 0.30000000000000004, 0.3),
        ((-1.0, 1.0, 0.1), 1.4e-17, 0.0),
        ((0.0, 4.0, 0.001), 1.234, 1.234),
        ((2.0, 4.0), 2 + 1e-15, 2.0),
    ],
)
def test_what_a_slider_computed_in_percent_is_read_as_the_number_that_it_stands_at(wish, came, meant):
    assert control("gamma", wish).read(came) == meant


def test_a_slider_that_begins_between_round_numbers_comes_back_to_where_it_began():
    third = control_for(find_parameter(make(gamma=1 / 3).graph, "gamma"), (0.0, 1.0))
    assert third.read(1 / 3 + 1e-15) == 1 / 3


def test_a_choice_that_is_gone_can_be_changed_to_one_that_is_there():
    graph = nb.Graph.from_prompt({"1": {"class_type": "LoadImage", "inputs": {"image": "gone.png"}}})
    control = control_for(find_parameter(graph, "1.image"), ...)
    assert control.value == "gone.png" == control.options[0]


@pytest.mark.parametrize("step", [float("nan"), float("inf")])
def test_a_step_is_a_number_to_move_by(step):
    graph, _ = copy_with_output(nb.nodes.ImageBlur(nb.nodes.EmptyImage(width=8, height=8)))
    with pytest.raises(GraphError, match="the step must be above 0"):
        control_for(find_parameter(graph, "2.blur_radius"), (1, 5, step))
