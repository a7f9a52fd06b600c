"""The plan of a sweep: what may be on its axes, its cells by name, and the order of its runs."""

from __future__ import annotations

import itertools

import pytest
import torch

import comfy_nb as nb
from comfy_nb.errors import GraphError, UnknownName
from comfy_nb.parameters.grid import CELLS_MAX, Grid, make_grid
from comfy_nb.parameters.shown_output import copy_with_output


def blurred(**inputs):
    return nb.nodes.ImageBlur(nb.nodes.EmptyImage(width=16, height=16), **{"blur_radius": 2, "sigma": 1.0, **inputs})


def grid(axes, limit=None) -> Grid:
    graph, output = copy_with_output(blurred())
    return make_grid(graph, output.node_id, axes, limit)


def test_the_axis_of_the_deepest_node_varies_fastest_whatever_its_place():
    for axes in ({"sigma": [0.5, 1, 2], "width": [16, 32]}, {"width": [16, 32], "sigma": [0.5, 1, 2]}):
        planned = grid(axes)
        widths = [planned.values_at(place)["1.width"] for place in planned.in_run_order()]
        assert widths == [16, 16, 16, 32, 32, 32]


def test_a_page_has_the_first_axis_to_the_right_and_the_second_downwards():
    ((label, rows),) = grid({"sigma": [1, 2, 3], "width": [16, 32]}).pages()
    assert (label, rows) == ("", [[(0, 0), (1, 0), (2, 0)], [(0, 1), (1, 1), (2, 1)]])


def test_the_third_axis_turns_the_pages():
    labels = [label for label, _ in grid({"sigma": [1], "width": [16], "blur_radius": [2, 4]}).pages()]
    assert labels == ["blur_radius = 2", "blur_radius = 4"]


def test_a_tuple_of_names_is_one_axis_whose_values_change_together():
    zipped = grid({("sigma", "blur_radius"): [(1, 2), (3, 4)]})
    assert [zipped.values_at(place) for place in zipped.in_run_order()] == [
        {"2.sigma": 1.0, "2.blur_radius": 2},
        {"2.sigma": 3.0, "2.blur_radius": 4},
    ]
    assert zipped.find({"blur_radius": 4}) == (1,)


def test_a_cell_is_found_by_short_and_by_full_names():
    planned = grid({"sigma": [1, 2, 3], "width": [16, 32]})
    assert planned.find({"2.sigma": 3, "width": 16}) == (2, 0)
    with pytest.raises(KeyError, match="sigma is one of"):
        planned.find({"sigma": 7, "width": 16})
    with pytest.raises(KeyError, match="width is one of"):
        planned.find({"sigma": 1})
    with pytest.raises(UnknownName, match="2.sigma"):
        planned.find({"2.sigmo": 1, "width": 16})


def test_values_that_neither_hash_nor_compare_are_found_as_themselves():
    @nb.node
    def total(values: torch.Tensor) -> float:
        return float(values.sum())

    tensors = [torch.ones(3), torch.zeros(3)]
    graph, output = copy_with_output(total(torch.ones(2)))
    planned = make_grid(graph, output.node_id, {"values": tensors})
    assert planned.find({"values": tensors[1]}) == (1,)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({}, "1 to 3 axes"),
        ([1], "1 to 3 axes"),
        ({name: [1] for name in ("sigma", "width", "height", "color")}, "got 4"),
        ({"sigma": []}, "the axis is empty"),
        ({"sigma": "12"}, "expected a list of values"),
        ({"sigma": 3}, "expected a list of values"),
        ({"sigma": [1, 999]}, "999.0 is out of range"),
        ({"blur_radius": [1.5]}, "expected a whole number"),
        ({"image": [1]}, "linked to node 1"),
        ({"sigma": [["1", 0]]}, "got the link"),
        ({"sigmo": [1]}, "'sigma'"),
        ({"9.sigma": [1]}, "no node '9'"),
        ({"sigma": [1], "2.sigma": [2]}, "twice"),
        ({("sigma", "width"): [(1,)]}, "expected 2 values"),
        ({3: [1]}, "by a string"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_runs(axes, words):
    with pytest.raises(GraphError, match=words):
        grid(axes)


def test_ten_thousand_cells_need_a_limit():
    axes = {"width": range(16, 116), "height": range(16, 116)}
    with pytest.raises(GraphError, match=r"10,000 cells \(100 × 100\), more than 256. Pass limit=10000"):
        grid(axes)
    assert len(grid(axes, limit=10_000)) == 10_000
    assert len(grid({"width": range(16, 16 + CELLS_MAX)})) == CELLS_MAX


@pytest.mark.parametrize("values", [range(10**9), itertools.count()])
def test_an_axis_without_an_end_is_refused_at_once(values):
    with pytest.raises(GraphError, match="more than 256 values"):
        grid({"sigma": values})


def test_an_axis_that_names_nothing_is_refused():
    with pytest.raises(GraphError, match="names no input"):
        grid({(): [()]})
