"""What a cell shows whose last line is a tensor, in real kernels."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel

PREPARE = """
import torch
import comfy_nb as nb
nb.configure(display="none")
picture = nb.nodes.EmptyImage(width=8, height=8)
"""
WIDGET = "application/vnd.jupyter.widget-view+json"


def test_a_value_that_came_from_a_run_is_a_view_and_other_tensors_are_not(lesson):
    reply = lesson.run("await picture")
    assert reply.error is None, reply.error
    assert not reply.results
    (kept,) = reply.displays
    assert "IMAGE [1, 8, 8, 3] float32" in kept["text/plain"] and "EmptyImage" in kept["text/plain"]
    assert "<img" in kept["text/html"]
    assert any("placeholder" in each["data"].get("state", {}) for each in reply.comms)
    assert lesson.run("torch.zeros(2)").results == ["tensor([0., 0.])"]
    assert lesson.run("{'samples': torch.zeros(1)}").results == ["{'samples': tensor([0.])}"]
    assert lesson.run("(await picture)[0, 0, 0] + 1").results == ["tensor([1., 1., 1.])"]


def test_the_dict_of_a_latent_is_known_again(lesson):
    reply = lesson.run("await nb.nodes.EmptyLatentImage(width=64, height=64)")
    assert "LATENT [1, 4, 8, 8]" in reply.displays[0]["text/plain"], reply


def test_all_tensors_are_shown_where_it_is_asked_for(lesson):
    lesson.run("from comfy_nb.ui.inspect.formatter import show_all_tensors\nshow_all_tensors(True)")
    assert lesson.run("torch.zeros(2)").displays[0]["text/plain"].startswith("[2] float32")
    lesson.run("show_all_tensors(False)")
    assert lesson.run("torch.zeros(2)").results == ["tensor([0., 0.])"]


def test_a_run_tells_what_is_on_a_link(lesson):
    reply = lesson.run("run = await nb.nodes.EmptyImage(width=9, height=9).graph.run()\nrun.inspect('1')")
    assert reply.error is None, reply.error
    assert "computed in" in reply.displays[0]["text/plain"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("pandas.DataFrame({'size': [1, 2]})", "<table"),
        ("matplotlib.pyplot.subplots()[0]", "<img src="),
        ("type('Own', (), {'_repr_html_': lambda self: '<b>own</b>'})()", "<b>own</b>"),
        ("type('Broken', (), {'_repr_html_': lambda self: 1 / 0})()", "Broken"),
        ("nb.draw({'1': {'class_type': 'EmptyImage', 'inputs': {}}})", "1 node"),
    ],
)
def test_a_value_with_a_display_of_its_own_keeps_it_beside_others(lesson, value, shown):
    lesson.run("import matplotlib.pyplot, pandas, ipywidgets")
    lesson.run(f"value = {value}\nmatplotlib.pyplot.close('all')")
    lesson.run("from comfy_nb.ui.inspect.view import show_in, view_of")
    lesson.run("box = ipywidgets.VBox()\nshow_in(box, view_of(value))")
    reply = lesson.run("box.children[0].value")
    assert reply.error is None, reply.error
    assert shown in reply.results[0]
