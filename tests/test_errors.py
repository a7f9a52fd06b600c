"""What errors say, and how they look."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import comfy_nb as nb
from comfy_nb.errors import Problem
from comfy_nb.tracebacks import own_frames
from comfy_nb.wording import beginning, name_node, printable, short, suggest


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("sed", ["seed", "steps"], "Did you mean 'seed'?"),
        ("SEED", ["seed"], "Did you mean 'seed'?"),
        ("zzz", ["seed", "steps"], "There are: seed, steps."),
        ("zzz", [str(n) for n in range(20)], "There are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more."),
        ("zzz", [], "There are none."),
    ],
)
def test_the_nearest_names_are_offered(name, known, words):
    assert suggest(name, known) == words


def test_a_node_is_named_with_its_title_where_it_has_one():
    assert name_node("3", "ImageBlur", "Blur it") == '"Blur it" (node 3, ImageBlur)'
    assert name_node("3", "ImageBlur", "ImageBlur") == name_node("3", "ImageBlur") == "ImageBlur (node 3)"


@dataclass
class Box:
    content: object


def shared(wrap: Callable[[object], object]) -> object:
    """A value of sixty levels, each of which holds the one below twice: its repr has 2 ** 60 pieces."""
    value: object = []
    for _ in range(60):
        value = wrap(value)
    return value


WRAPS: dict[str, Callable[[object], object]] = {
    "list": lambda value: [value, value],
    "tuple": lambda value: (value, value),
    "dict": lambda value: {"a": value, "b": value},
    "ordered": lambda value: OrderedDict(a=value, b=value),
    "deque": lambda value: deque([value, value]),
    "dataclass": lambda value: Box([value, value]),
}


@pytest.mark.parametrize("kind", WRAPS)
def test_a_value_whose_parts_are_shared_is_written_in_few_characters(kind):
    assert len(short(shared(WRAPS[kind]))) == 40
    assert printable(Box(shared(WRAPS[kind]))) == "<Box, which holds one thing in many places>"


RING: list[object] = []
RING.append({"me": (RING,)})


@pytest.mark.parametrize(
    "value",
    [
        [1, "a", (2,), {}, set(), {1}, frozenset({1}), {"a": [b"b"]}],
        (),
        RING,
        [[]] * 3,
        Box(1),
        deque([1]),
        1.0,
        ...,
        "é",
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_short_repr_is_the_one_that_python_gives(value):
    assert beginning(value, 1_000) == repr(value)


class Liar(type):
    @property
    def __name__(cls):
        raise SystemExit


class Exits(metaclass=Liar):
    def __repr__(self):
        raise SystemExit


class Presses:
    def __repr__(self):
        raise KeyboardInterrupt


def test_a_repr_that_exits_is_named_and_an_interrupt_goes_on():
    assert short(Exits()) == printable(Exits()) == "<Exits whose repr raised SystemExit>"
    for write in (short, printable):
        with pytest.raises(KeyboardInterrupt):
            write(Presses())


def test_a_problem_reads_well_and_has_comfyuis_shape():
    problem = Problem(
        "some_type", "Value too big", "steps", "3", "Sampler", extra={"input_name": "steps"}, advice="Lower it."
    )
    assert str(problem) == "Sampler (node 3): Value too big: steps. Lower it."
    assert str(Problem("t", "Bad", "", "3", "Sampler")) == "Sampler (node 3): Bad"
    assert problem.as_comfy() == {
        "type": "some_type",
        "message": "Value too big",
        "details": "steps",
        "extra_info": {"input_name": "steps"},
    }


def test_all_problems_are_told_at_once_up_to_twenty():
    one = Problem("t", "Bad", "x", "3", "Sampler")
    assert str(nb.ValidationError([one])) == "The graph has a problem:\n  - Sampler (node 3): Bad: x"
    lines = str(nb.ValidationError([one] * 25)).splitlines()
    assert lines[0] == "The graph has 25 problems:" and len(lines) == 22 and lines[-1] == "  ... and 5 more"


def test_problems_and_stops_show_without_a_traceback():
    assert nb.ValidationError([])._render_traceback_()[0].startswith("ValidationError: The graph has 0 problems")
    assert nb.Stopped()._render_traceback_() == ["Stopped: Stopped."]


def test_an_error_shows_the_lines_that_led_to_it_without_ours():
    def careless() -> None:
        nb.load("nowhere.json")

    with pytest.raises(nb.PromptError) as caught:
        careless()
    *lines, last = caught.value._render_traceback_()
    assert len(lines) == 2 and lines[1].endswith('in careless: nb.load("nowhere.json")')
    assert last == f"PromptError: {caught.value}" and "comfy_nb/graph" not in "".join(lines)


def test_a_run_that_cannot_begin_shows_the_line_that_asked_for_it():
    with pytest.raises(nb.UnknownName) as caught:
        nb.Graph().run_sync(tiemout=3)
    lines = caught.value._render_traceback_()
    assert len(lines) == 2 and lines[0].endswith("nb.Graph().run_sync(tiemout=3)")


def test_a_failed_node_shows_its_own_lines_only():
    with nb.use_session(nb.Session()):

        @nb.node
        def fails(x: int) -> int:
            return 1 // x

        with pytest.raises(nb.NodeError) as caught:
            fails(0).run_sync()
    shown = "\n".join(caught.value._render_traceback_())
    assert "return 1 // x" in shown and "comfy_nb/engine" not in shown
    assert shown.splitlines()[-3].startswith("NodeError: fails (node 1): ")
    assert shown.splitlines()[-2:] == ["Its inputs:", "  x = 0"]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_node_error_without_a_cause_has_no_lines():
    error = nb.NodeError("broke", node_id="3", class_type="A", title="B")
    assert error.node_traceback == [] and own_frames(None) is None
    assert str(error) == '"B" (node 3, A): broke' and error.real_node_id == "3"


def test_errors_can_be_caught_by_what_they_are():
    assert issubclass(nb.SpecError, TypeError) and issubclass(nb.LayoutError, ValueError)
    assert issubclass(nb.UnknownName, LookupError) and issubclass(nb.PromptError, nb.GraphError)
    assert str(nb.UnknownName()) == "" and str(nb.UnknownName("x")) == "x"
