"""Inputs that change by themselves after each run."""

from __future__ import annotations

import pytest

import comfy_nb as nb


@pytest.mark.parametrize(
    ("control", "value", "after"),
    [("fixed", 5, 5), ("increment", 5, 6), ("decrement", 5, 4), ("increment", 10, 10), ("decrement", 0, 0)],
)
def test_a_seed_changes_as_its_control_says_and_keeps_its_bounds(graph, control, value, after):
    node = graph.node("Source", seed=value).seed(control)
    graph.advance_seeds()
    assert node.inputs["seed"] == after


def test_a_random_seed_lies_in_its_bounds_and_varies(graph):
    node = graph.node("Source", seed=5).seed("randomize")
    seen = set()
    for _ in range(200):
        graph.advance_seeds()
        seen.add(node.inputs["seed"])
    assert seen == set(range(11))


def test_a_seed_of_an_unknown_class_has_the_widest_bounds(registry):
    graph = nb.load({"1": {"class_type": "Foreign", "inputs": {"noise_seed": 2**64 - 1}}}, registry)
    graph["1"].seed("increment", "noise_seed")
    graph.advance_seeds()
    assert graph["1"].inputs["noise_seed"] == 2**64 - 1
    graph["1"].seed("randomize", "noise_seed")
    graph.advance_seeds()
    assert 0 <= graph["1"].inputs["noise_seed"] < 2**53


def test_seeds_advance_after_each_run(graph):
    node = graph.node("Source", seed=1).seed("increment")
    with nb.use_session(nb.Session()):
        assert [graph.run_sync()["1"][0], graph.run_sync()["1"][0]] == [1, 2]
    assert node.inputs["seed"] == 3


def test_a_seed_that_is_linked_or_gone_is_left_alone(graph):
    node = graph.node("Source", seed=1).seed("increment")
    del node.inputs["seed"]
    graph.advance_seeds()
    assert "seed" not in node.inputs


def test_only_whole_numbers_and_known_controls_can_be_seeds(graph):
    node = graph.node("Source", seed=1)
    with pytest.raises(nb.UnknownName, match="no seed control 'random'. Did you mean 'randomize'?"):
        node.seed("random")
    with pytest.raises(nb.UnknownName, match="no whole-number input 'sead' on <Source #1>. Did you mean 'seed'?"):
        node.seed("fixed", "sead")
