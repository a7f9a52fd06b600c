"""Annotations of a function give the sockets of its node: types, hints, names of outputs."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Optional

import numpy as np
import PIL.Image
import pytest
import torch

import comfy_nb as nb
from comfy_nb.spec.function import spec_from_function


class Mood(enum.Enum):
    CALM = 1
    WILD = 2


class Tone(enum.StrEnum):
    LOW = "low"


class Model:
    """A foreign class, which graphs know by its name."""


class Pair(NamedTuple):
    picture: nb.Image
    area: nb.Mask


def inputs_of(function, **options):
    return spec_from_function(function, **options).interface().declared


# Inputs


@pytest.mark.parametrize(
    ("annotation", "socket"),
    [
        (int, "INT"),
        (float, "FLOAT"),
        (str, "STRING"),
        (bool, "BOOLEAN"),
        (torch.Tensor, "*"),
        (PIL.Image.Image, "IMAGE"),
        (nb.Image, "IMAGE"),
        (nb.Mask, "MASK"),
        (nb.Latent, "LATENT"),
        (nb.Audio, "AUDIO"),
        (nb.Conditioning, "CONDITIONING"),
        (Any, "*"),
        (object, "*"),
        (dict, "*"),
        (dict[str, int], "*"),
        (list, "*"),
        (tuple[int, ...], "*"),
        (np.ndarray, "ndarray"),
        (Model, "Model"),
        (int | None, "INT"),
        (Optional[nb.Image], "IMAGE"),  # noqa: UP045
        (int | float, "INT,FLOAT"),
        (nb.Image | nb.Mask | None, "IMAGE,MASK"),
        (int | Any, "*"),
        (None, "*"),
        (Literal["a", "b"], ["a", "b"]),
        (Literal[1, 2] | None, [1, 2]),
        (Mood, ["CALM", "WILD"]),
        (Tone, ["LOW"]),
        (list[nb.Image], "IMAGE"),
        (Sequence[int], "INT"),
        (Annotated[int, nb.Range(0, 3)], "INT"),
        (Annotated[list[int] | None, nb.Tooltip("x")], "INT"),
    ],
)
def test_an_annotation_gives_the_socket_type(annotation, socket):
    def f(x):
        return x

    f.__annotations__["x"] = annotation
    assert inputs_of(f)["x"].type == socket


def test_an_input_without_annotation_takes_anything():
    def f(x, y=2):
        return x

    declared = inputs_of(f)
    assert declared["x"].type == "*" and declared["x"].required
    assert declared["y"].type == "*" and not declared["y"].required and declared["y"].default == 2


def test_annotated_adds_widget_hints():
    def f(
        a: Annotated[float, nb.Range(0, 1, step=0.01), nb.Tooltip("how much")],
        b: Annotated[str, nb.Multiline()],
        c: Annotated[int, {"display": "slider"}],
        d: Annotated[int, nb.Range(min=3)] | None = None,
    ):
        return a

    declared = inputs_of(f)
    assert declared["a"].options == {"min": 0, "max": 1, "step": 0.01, "tooltip": "how much"}
    assert declared["b"].options == {"multiline": True}
    assert declared["c"].options == {"display": "slider"}
    assert declared["d"].options == {"min": 3, "default": None}


@pytest.mark.parametrize("hint", [nb.Multiline, nb.Multiline(), nb.Range(0, 1)])
def test_a_hint_in_place_of_a_type_is_refused_and_shown_how_to_write(hint):
    def f(a):
        return a

    f.__annotations__["a"] = hint
    with pytest.raises(
        nb.SpecError, match=r"f\(a\): .*(Multiline|Range).* is a hint, not a type. Write it after one: Annotated\[str"
    ):
        spec_from_function(f)


def test_a_hint_that_is_a_class_is_refused_by_name():
    def f(a: Annotated[str, nb.Multiline]):
        return a

    with pytest.raises(nb.SpecError, match=r"Multiline'> is not a widget hint. Use nb.Range\(\), nb.Multiline\(\)"):
        spec_from_function(f)


def test_what_is_not_a_hint_is_refused_by_name():
    def f(a: Annotated[int, "big"]):
        return a

    with pytest.raises(nb.SpecError, match=r"f\(a\): 'big' is not a widget hint. Use nb.Range"):
        spec_from_function(f)


def test_an_annotation_without_meaning_is_refused_by_name():
    def f(a):
        return a

    f.__annotations__["a"] = 7
    with pytest.raises((nb.SpecError, TypeError), match="7"):
        spec_from_function(f)


def test_the_name_of_an_undefined_annotation_is_in_the_error():
    def f(a: Missing):  # noqa: F821
        return a

    with pytest.raises(nb.SpecError, match="f: the annotation 'Missing' is not defined"):
        spec_from_function(f)


def test_names_local_to_the_function_that_defines_the_node_are_found():
    class Local:
        pass

    class Result(NamedTuple):
        first: Local
        second: int

    def f(a: Local) -> Result:
        return Result(a, 1)

    spec = spec_from_function(f)
    assert spec.interface().declared["a"].type == "Local"
    assert (spec.return_types, spec.return_names) == (("Local", "INT"), ("first", "second"))


def test_names_of_a_closure_are_found_when_its_maker_has_returned():
    def make():
        kind = Model

        def f(a: kind) -> int:
            return isinstance(a, kind)

        return f

    assert inputs_of(make())["a"].type == "Model"


# Outputs


@pytest.mark.parametrize(
    ("annotation", "types", "names"),
    [
        (int, ("INT",), ("INT",)),
        (Any, ("*",), ("result",)),
        (Literal["a"], (["a"],), ("COMBO",)),
        (list[int], ("*",), ("result",)),
        (tuple[int, str], ("INT", "STRING"), ("INT", "STRING")),
        (tuple[int, int, str], ("INT", "INT", "STRING"), ("INT_1", "INT_2", "STRING")),
        (tuple[Any, list[int]], ("*", "*"), ("result_1", "result_2")),
        (Pair, ("IMAGE", "MASK"), ("picture", "area")),
        (None, (), ()),
        (tuple[()], (), ()),
    ],
)
def test_a_return_annotation_gives_the_outputs(annotation, types, names):
    def f():
        return None

    f.__annotations__["return"] = annotation
    spec = spec_from_function(f)
    assert (spec.return_types, spec.return_names) == (types, names)
