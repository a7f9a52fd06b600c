"""The function of a node: what it gets, and what it may return."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest
import torch

import comfy_nb as nb


class Mood(enum.Enum):
    CALM = 1
    WILD = 2


class Pair(NamedTuple):
    picture: nb.Image
    area: nb.Mask


# What a function gets


def test_an_enum_input_gets_its_member_by_member_or_name():
    with nb.use_session(nb.Session()):

        @nb.node
        def describe(mood: Mood = Mood.WILD) -> str:
            assert isinstance(mood, Mood)
            return mood.name

        assert describe().run_sync() == "WILD"
        assert describe(Mood.CALM).run_sync() == "CALM"
        assert describe("CALM").run_sync() == "CALM"
        graph = nb.Graph()
        graph.node("describe", id="a", mood=Mood.CALM)
        assert graph.run_sync()["a"] == "CALM"


def test_a_wrong_enum_member_is_refused_with_the_choices():
    with nb.use_session(nb.Session()):

        @nb.node
        def describe(mood: Mood) -> str:
            return mood.name

        with pytest.raises(nb.ValidationError, match="CALM"):
            describe("CAML").run_sync()


def test_a_pil_input_gets_a_picture_and_a_picture_may_be_returned():
    with nb.use_session(nb.Session()):

        @nb.node
        def flip(picture: PIL.Image.Image) -> PIL.Image.Image:
            assert picture.size == (4, 2) and picture.mode == "RGB"
            return picture.transpose(PIL.Image.Transpose.ROTATE_90)

        result = flip(PIL.Image.new("RGB", (4, 2), (255, 0, 0))).run_sync()
    assert result.shape == (1, 4, 2, 3)
    assert torch.equal(result[0, 0, 0], torch.tensor([1.0, 0.0, 0.0]))


def test_a_pil_input_takes_one_grey_picture_but_no_batch():
    with nb.use_session(nb.Session()):

        @nb.node
        def size(picture: PIL.Image.Image) -> str:
            return f"{picture.size} {picture.mode}"

        assert size(torch.zeros(1, 2, 3, 1)).run_sync() in ("(3, 2) L", "(3, 2) RGB")
        with pytest.raises(nb.NodeError, match=r"size\(picture\) takes one picture, got a batch of shape \(2, "):
            size(torch.zeros(2, 2, 3, 3)).run_sync()


def test_a_list_of_pictures_comes_as_pil_images():
    with nb.use_session(nb.Session()):

        @nb.node(list_output=True)
        def two() -> nb.Image:
            return [torch.zeros(1, 2, 2, 3), torch.zeros(1, 3, 3, 3)]

        @nb.node
        def sizes(pictures: list[PIL.Image.Image]) -> str:
            return " ".join(str(each.size) for each in pictures)

        assert sizes(two()).run_sync() == "(2, 2) (3, 3)"


def test_a_list_input_gets_the_whole_list_and_single_inputs_beside_it_one_value():
    with nb.use_session(nb.Session()):

        @nb.node(list_output=True)
        def numbers(n: int) -> int:
            return list(range(n))

        @nb.node
        def add_up(values: list[int], factor: int = 2) -> int:
            return sum(values) * factor

        assert add_up(numbers(4)).run_sync() == 12
        assert add_up(numbers(4), numbers(1)).run_sync() == 0
        with pytest.raises(nb.NodeError, match=r"add_up\(factor\) takes one value, got a list of 3"):
            add_up(numbers(4), numbers(3)).run_sync()


def test_a_mutable_default_is_a_value_like_any_other():
    with nb.use_session(nb.Session()):

        @nb.node
        def total(values: Any = [1, 2]) -> int:  # noqa: B006
            return sum(values)

        assert total().run_sync() == 3
        assert total([5, 6, 7]).run_sync() == 18


def test_progress_is_passed_and_is_not_an_input():
    with nb.use_session(nb.Session()):

        @nb.node
        def steps(n: int, *, progress: nb.Progress) -> int:
            return sum(progress.over(range(n)))

        assert list(steps.spec.interface().declared) == ["n"]
        assert steps.spec.interface().hidden == {"progress": "PROGRESS"}
        assert steps(4).run_sync() == 6


# What a function returns


def test_outputs_of_a_named_tuple_are_taken_by_name():
    with nb.use_session(nb.Session()):

        @nb.node
        def split(n: int) -> Pair:
            return Pair(torch.zeros(1, n, n, 3), torch.ones(1, n, n))

        handle = split(2)
        assert handle.area.run_sync().shape == (1, 2, 2)
        assert handle["picture"].run_sync().shape == (1, 2, 2, 3)


def test_arrays_and_pictures_returned_for_images_and_masks_get_their_layout():
    with nb.use_session(nb.Session()):

        @nb.node
        def make() -> Pair:
            return Pair(np.full((2, 3, 3), 255, np.uint8), PIL.Image.new("L", (3, 2), 255))

        picture, area = make()
        assert torch.equal(picture.run_sync(), torch.ones(1, 2, 3, 3))
        assert torch.equal(area.run_sync(), torch.ones(1, 2, 3))


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (int, None, "it is declared to return 'INT', but returned None. Is a `return` missing?"),
        (None, 3, "it is declared to return nothing, but returned a value of type int"),
        (tuple[int, str], 3, r"it must return 2 values \(INT, STRING\), but returned a value of type int"),
        (tuple[int, str], (1,), r"it must return 2 values \(INT, STRING\), but returned 1"),
        (tuple[int, str], (1, "a", 2), r"it must return 2 values \(INT, STRING\), but returned 3"),
        (int, (n for n in ()), "it returned a generator, not a value; collect or await it before returning"),
    ],
)
def test_a_wrong_return_is_reported_with_what_was_declared(annotation, value, words):
    def f():
        return value

    f.__annotations__["return"] = annotation
    with nb.use_session(nb.Session()), pytest.raises(nb.NodeError, match=words):
        nb.node(f)().run_sync() if f.__annotations__["return"] is not None else nb.node(f)().graph.run_sync()


def test_none_is_a_value_where_the_annotation_allows_it():
    with nb.use_session(nb.Session()):

        @nb.node
        def maybe(x: int) -> int | None:
            return x or None

        @nb.node
        def anything(x: int):
            return None

        assert maybe(0).run_sync() is None
        assert anything(0).run_sync() is None


def test_a_dict_with_ui_is_what_v1_returns():
    with nb.use_session(nb.Session()):

        @nb.node(output=True)
        def show(x: int) -> int:
            return {"ui": {"text": [str(x)]}, "result": (x + 1,)}

        assert show(1).run_sync() == 2


def test_a_dict_of_the_nodes_own_stays_a_value():
    with nb.use_session(nb.Session()):

        @nb.node
        def make() -> dict:
            return {"result": 5}

        assert make().run_sync() == {"result": 5}


class Numbers(NamedTuple):
    numbers: int
    name: str


def test_a_list_output_gives_its_items_one_by_one_to_the_next_node():
    with nb.use_session(nb.Session()):

        @nb.node(list_output={"numbers"})
        def make() -> Numbers:
            return Numbers([1, 2, 3], "a")

        @nb.node
        def double(n: int, name: str) -> str:
            return name * n

        numbers, name = make()
        assert make.spec.output_is_list == (True, False)
        assert double(numbers, name).run_sync() == ["a", "aa", "aaa"]


def test_a_list_output_must_be_a_list():
    with nb.use_session(nb.Session()):

        @nb.node(list_output=True)
        def make() -> int:
            return 3

        with pytest.raises(nb.NodeError, match="output 'INT' must be a list of values, got a value of type int"):
            make().run_sync()
