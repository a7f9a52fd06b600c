"""Bypassed and muted nodes: the input whose link takes the place of an output (docs/semantics.md, "Graphs")."""

from __future__ import annotations

import pytest

import comfy_nb as nb


def passed_on(registry, middle, inputs, receiver, slot):
    """Return what arrives at an input of the last node when the middle one is bypassed."""
    prompt = {
        "1": {"class_type": "Source", "inputs": {"seed": 1}},
        "2": {"class_type": middle, "inputs": inputs},
        "3": {"class_type": "Sink", "inputs": {receiver: ["2", slot]}},
    }
    graph = nb.load(prompt, registry)
    graph["2"].bypass()
    result = graph.to_prompt()
    assert "2" not in result
    return result["3"]["inputs"].get(receiver)


IMAGE, MASK = ["1", 0], ["1", 1]


@pytest.mark.parametrize(
    ("middle", "inputs", "receiver", "slot", "arrives"),
    [
        ("Two", {"image": IMAGE, "mask": MASK}, "image", 0, IMAGE),  # the input in the output's place
        ("Two", {"image": IMAGE, "mask": MASK}, "mask", 1, MASK),
        ("Three", {"image": MASK, "mask": MASK, "more": IMAGE}, "image", 2, IMAGE),  # before the first of its type
        ("Turned", {"image": IMAGE, "mask": MASK}, "mask", 0, MASK),  # another place, the same type
        ("Turned", {"image": IMAGE, "mask": MASK}, "image", 1, IMAGE),
        ("Two", {"mask": MASK, "more": IMAGE}, "image", 0, None),  # the one in its place, though it has no link
        ("Turned", {"mask": MASK, "more": IMAGE}, "image", 1, None),  # the first of its type, though it has no link
        (
            "Turned",
            {"image": IMAGE, "mask": MASK},
            "any",
            0,
            IMAGE,
        ),  # a receiver of anything: the same place, whatever its type
        ("Turned", {"image": IMAGE, "mask": MASK}, "any", 2, None),
        ("Union", {"any": IMAGE, "mask": MASK, "n": 3}, "mask", 0, MASK),  # the exact type goes before one that fits
        ("Union", {"any": IMAGE, "mask": MASK, "n": 3}, "image", 0, IMAGE),  # one that fits, where none is exact
        ("Union", {"any": IMAGE, "mask": MASK, "n": 3}, "any", 0, None),  # in its place stands a number
        ("Turned", {"image": IMAGE, "mask": MASK}, "latent", 2, None),  # nothing fits
        ("Turned", {"image": IMAGE, "mask": MASK}, "image", 7, None),  # no such output
        ("Source", {"seed": 1}, "image", 0, None),  # no link to pass on
        ("Foreign", {"a": 1, "b": MASK}, "mask", 0, MASK),  # a class that is not installed
    ],
)
def test_a_bypassed_node_passes_on_what_the_editor_would(registry, middle, inputs, receiver, slot, arrives):
    assert passed_on(registry, middle, inputs, receiver, slot) == arrives


def test_bypassed_nodes_in_a_row_are_all_passed(registry):
    graph = nb.load(
        {
            "1": {"class_type": "Source", "inputs": {"seed": 1}},
            "2": {"class_type": "Two", "inputs": {"image": ["1", 0], "mask": ["1", 1]}},
            "3": {"class_type": "Two", "inputs": {"image": ["2", 0], "mask": ["2", 1]}},
            "4": {"class_type": "Sink", "inputs": {"image": ["3", 0], "mask": ["3", 1]}},
        },
        registry,
    )
    graph["2"].bypass()
    graph["3"].bypass()
    assert graph.to_prompt()["4"]["inputs"] == {"image": ["1", 0], "mask": ["1", 1]}
    graph["2"].mute()
    assert graph.to_prompt()["4"]["inputs"] == {}
    graph["2"].activate()
    assert graph.to_prompt()["4"]["inputs"] == {"image": ["2", 0], "mask": ["2", 1]}


def test_bypassed_nodes_in_a_cycle_pass_on_nothing(registry):
    ring = {"class_type": "Two", "inputs": {"image": ["2", 0], "mask": ["2", 1]}}
    graph = nb.load(
        {
            "1": ring,
            "2": {"class_type": "Two", "inputs": {"image": ["1", 0], "mask": ["1", 1]}},
            "3": {"class_type": "Sink", "inputs": {"image": ["2", 0]}},
        },
        registry,
    )
    graph["1"].bypass()
    graph["2"].bypass()
    assert graph.to_prompt()["3"]["inputs"] == {}


def test_constants_and_nones_stay_where_nodes_are_left_out(registry):
    graph = nb.load(
        {
            "1": {"class_type": "Source", "inputs": {}},
            "2": {"class_type": "Sink", "inputs": {"any": None, "image": ["1", 0]}},
        },
        registry,
    )
    graph["1"].mute()
    assert graph.to_prompt()["2"]["inputs"] == {"any": None}


def test_a_bypassed_node_does_not_run(registry):
    graph = nb.load(
        {
            "1": {"class_type": "Source", "inputs": {"seed": 5}},
            "2": {"class_type": "Two", "inputs": {"image": ["1", 0], "mask": ["1", 1]}},
            "3": {"class_type": "Sink", "inputs": {"mask": ["2", 1]}},
        },
        registry,
    )
    graph["2"].bypass()
    with nb.use_session(nb.Session()):
        run = graph.run_sync()
    assert "2" not in run.summary() or "Two" not in run.summary()


def test_an_unknown_mode_is_refused(graph):
    with pytest.raises(nb.UnknownName, match="no mode 'bypas'. Did you mean 'bypass'?"):
        graph.node("Source").mode = "bypas"
