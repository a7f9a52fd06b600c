"""A failed cell: what it prints, where a debugger begins, and what Shift+Tab tells of a node."""

from __future__ import annotations

import pytest

from tests.kernel.harness import Kernel

pytestmark = pytest.mark.kernel

PREPARE = """
import torch
import comfy_nb as nb

def multiply(x):
    factor = 42
    return x @ x

@nb.node
def source(n: int) -> nb.Image:
    return torch.zeros(1, 4, 5, 3)

@nb.node
def fails(image: nb.Image, k: int = 3) -> nb.Image:
    'Multiply it.'
    seen = "a local"
    return multiply(image)

@nb.node
def fails_again(n: int) -> int:
    try:
        {}["absent"]
    except KeyError as error:
        raise ValueError(f"no luck with {n}") from error
"""

CALLS = {
    "await fails(source(1))": "await fails(source(1))",
    "fails(source(1)).run_sync()": "fails(source(1)).run_sync()",
    "await job": "job = fails(source(1)).start()\nawait job",
    "a graph": "graph = fails(source(1)).graph\nawait graph.run()",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_failed_cell_shows_the_lines_of_its_cells_alone_its_message_once_and_the_inputs(lesson: Kernel, call: str):
    reply = lesson.run(CALLS[call])
    error = reply.error
    assert error.ename == "NodeError" and error.evalue.startswith("fails (node 2): RuntimeError: Expected size")
    assert error.traceback.count(error.evalue) == error.traceback.count("Expected size") == 1
    assert "comfy_nb" not in error.traceback.replace("import comfy_nb", "") and "/tmp/" not in error.traceback
    frames = [line for line in error.traceback.splitlines() if line.startswith("Cell In[")]
    assert [frame.partition(", ")[2] for frame in frames] == [
        f"line {CALLS[call].count(chr(10)) + 1}",
        "line 16, in fails(image, k)",
        "line 6, in multiply(x)",
    ]
    assert error.traceback.splitlines()[-3:] == [
        "Its inputs:",
        "  image = Tensor of shape [1, 4, 5, 3], torch.float32",
        "  k = 3",
    ]
    panel = reply.displays[-1]["text/html"]
    assert "Cell In[" in panel and "/tmp/" not in panel


def test_several_failed_nodes_are_shown_like_one_alone(lesson: Kernel):
    reply = lesson.run("await nb.Graph(fails(source(1)), fails_again(2)).run(on_error='continue')")
    error = reply.error
    assert (error.ename, reply.stderr) == ("NodeErrors", "")
    assert error.traceback.splitlines()[-1] == "NodeErrors: 2 nodes failed"
    assert error.traceback.count("Expected size") == error.traceback.count("no luck with 2") == 1
    assert "comfy_nb" not in error.traceback and "line 6, in multiply(x)" in error.traceback
    debug = lesson.send("%debug")
    for line in ("p n * 1000", "q"):
        lesson.answer(line)
    assert "2000" in lesson.wait(debug).stdout


def test_what_led_to_a_nodes_own_error_is_told_before_it(lesson: Kernel):
    error = lesson.run("await fails_again(7)").error
    assert error.traceback.index("KeyError: 'absent'") < error.traceback.index("direct cause of")
    assert error.traceback.count("no luck with 7") == 1


def test_a_job_that_is_awaited_again_shows_the_second_cell(lesson: Kernel):
    lesson.run("job = fails(source(1)).start()\nawait job")
    error = lesson.run("a = 1\nb = 2\nawait job").error
    assert "line 3\n" in error.traceback and error.traceback.count("Cell In[") == 3


@pytest.mark.parametrize("call", CALLS)
def test_debug_opens_in_the_code_of_the_node(lesson: Kernel, call: str):
    lesson.run(CALLS[call])
    debug = lesson.send("%debug")
    for line in ("p factor", "up", "p seen, list(image.shape)", "up", "q"):
        lesson.answer(line)
    lesson.wait(debug)
    assert "42" in debug.stdout and "('a local', [1, 4, 5, 3])" in debug.stdout


@pytest.mark.parametrize("name", ["fails", "nb.nodes.fails", "fails(source(1))"])
def test_shift_tab_on_a_node_shows_its_slots_first(lesson: Kernel, name: str):
    lesson.run(f"named = {name}")
    lines = lesson.inspect("named").splitlines()
    assert lines[0] == "Node:" and lines[1].startswith("┌─ fails ")
    assert "Multiply it." in lines and "Class docstring:" not in lines


def test_two_question_marks_show_the_source_of_a_node_and_nothing_of_the_class_that_stands_for_it(lesson: Kernel):
    shown = lesson.inspect("fails", detail=1)
    assert "return multiply(image)" in shown and shown.startswith("Signature:")
    assert not any(words in shown for words in ("Call signature", "Call docstring", "Class docstring", "String form"))


def test_shift_tab_on_anything_else_is_as_before(lesson: Kernel):
    assert lesson.inspect("multiply").startswith("Signature:")
