"""A combination of constants as a line of Python, which makes the handle that has them."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

import comfy_nb as nb
from comfy_nb.parameters.as_code import UNKNOWN, as_code
from comfy_nb.parameters.shown_output import copy_with_output


@nb.node
def paint(size: int = 8, gain: float = 0.5, words: str = "") -> nb.Image:
    return torch.full((1, size, size, 3), gain)


@nb.node
def split(image: nb.Image, at: int = 2) -> tuple[nb.Image, nb.Image]:
    return image, image


def line(source: nb.Handle | nb.Graph, constants: dict[str, Any], **names: Any) -> str:
    graph, _ = copy_with_output(source)
    return as_code(source, graph, constants, names)


def test_what_has_a_name_and_does_not_change_goes_by_its_name():
    photo = paint(16)
    poster = split(photo)[1]
    assert line(poster, {"2.at": 3}, photo=photo, split=split) == "split(image=photo, at=3).IMAGE_2"


@pytest.mark.parametrize(
    "constants", [{"1.size": 4}, {"1.size": 4, "2.at": 7}, {"1.words": 'it\'s "so"\n'}, {"2.at": 2}]
)
@pytest.mark.parametrize("slot", [0, 1])
def test_the_line_makes_the_handle_that_has_the_constants(constants, slot):
    photo = paint(16, gain=float("inf"))
    names = {"nb": nb, "photo": photo, "paint": paint, "split": split}
    made = eval(line(split(photo)[slot], constants, **names), names)
    changed, _ = copy_with_output(split(photo)[slot])
    for key, value in constants.items():
        node_id, name = key.split(".")
        changed[node_id].inputs[name] = value
    assert made.slot == slot
    assert made.graph.to_prompt() == changed.to_prompt()


def test_constants_that_were_chosen_are_written_even_where_they_are_the_default():
    assert line(paint(16), {"1.size": 8}, paint=paint) == "paint(size=8)"


def test_a_value_without_a_name_is_left_open():
    tensor = torch.zeros(1, 8, 8, 3)
    assert line(split(tensor), {"1.at": 3}, split=split) == f"split(image={UNKNOWN}, at=3)"
    assert line(split(tensor), {"1.at": 3}, split=split, tensor=tensor) == "split(image=tensor, at=3)"
    assert line(nb.nodes.ImageInvert(tensor), {}) == f"nb.nodes.ImageInvert(image={UNKNOWN})"


def test_a_long_chain_of_nodes_is_cut():
    handle = paint()
    for _ in range(2000):
        handle = nb.nodes.ImageInvert(handle)
    assert line(handle, {"1.size": 3}).count("ImageInvert") == 20


def test_a_graph_has_the_constants_set_in_it():
    graph = split(paint()).graph
    assert line(graph, {"1.size": 4, "1.gain": 0.5, "2.at": 3}, mine=graph) == (
        "mine['1'].inputs.update(size=4, gain=0.5); mine['2'].inputs.update(at=3)"
    )
    assert line(graph, {"2.at": 3}) == "graph['2'].inputs.update(at=3)"


async def test_a_cell_of_a_sweep_and_controls_have_such_a_line(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "brush", paint, raising=False)
    with nb.use_session(nb.Session()):
        sweep = await nb.sweep(paint(), {"size": [4, 6], "gain": [0.1, 0.2]})
        assert sweep.code({"size": 6, "gain": 0.1}) == sweep.code(sweep.cell({"size": 6, "gain": 0.1}))
        assert sweep.code({"size": 6, "gain": 0.1}) == "brush(size=6, gain=0.1)"
        controls = nb.interact(paint(), size=(1, 9))
        controls["size"].value = 3
        await controls
        assert controls.code == "brush(size=3)"
        assert "brush(size=3)" in controls._static()["text/html"]
        controls.close()
