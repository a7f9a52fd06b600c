"""What the annotations of a function mean as socket types."""

from __future__ import annotations

from typing import TypeVar

import pytest
import torch
from PIL import Image as Pictures

import comfy_nb as nb
from comfy_nb.spec.annotations import parse_annotation, to_picture


def test_an_annotation_that_is_not_a_type_is_refused():
    with pytest.raises(
        nb.SpecError, match=r"here: 3 cannot be read as a socket type. Use a class, Literal, Enum or Any"
    ):
        parse_annotation(3, "here")


def test_an_unhashable_annotation_is_refused_and_not_a_crash():
    with pytest.raises(nb.SpecError, match="cannot be read as a socket type"):
        parse_annotation({"a": 1}, "here")


def test_a_type_variable_takes_anything():
    assert parse_annotation(TypeVar("T"), "here").type == "*"


def test_text_is_a_socket_type_by_itself():
    assert parse_annotation("MODEL", "here").type == "MODEL"


def test_a_tensor_of_one_picture_becomes_a_pil_image():
    picture = to_picture(torch.tensor([[[[0.0, 0.5, 1.0]]]]), "f(x)")
    assert picture.size == (1, 1) and picture.getpixel((0, 0)) == (0, 128, 255)
    assert to_picture(torch.zeros(2, 3, 1), "f(x)").mode == "L"
    assert to_picture(torch.zeros(2, 3, 4), "f(x)").mode == "RGBA"


def test_what_is_not_a_tensor_passes_on_to_the_function():
    picture = Pictures.new("RGB", (1, 1))
    assert to_picture(picture, "f(x)") is picture


def test_a_function_is_no_annotation_and_the_type_of_its_name_is_offered():
    with pytest.raises(nb.SpecError, match=r"image is a function, not a type. Is it nb.Image that is meant\?"):

        @nb.node
        def takes_a_function(picture: nb.image) -> int:  # type: ignore[valid-type]
            return 1
