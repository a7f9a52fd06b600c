"""What may be linked to what, and socket types taken from annotations."""

from __future__ import annotations

from typing import TypeVar

import pytest
import torch
from PIL import Image as Pictures

import comfy_nb as nb
from comfy_nb.spec.types import matches, parse_annotation, socket_name, to_picture


class AnyType(str):
    """The wildcard of packs: a str that is never unequal to anything."""

    __slots__ = ()

    def __ne__(self, other):
        return False


@pytest.mark.parametrize(
    ("received", "declared", "fits"),
    [
        ("IMAGE", "IMAGE", True),
        ("IMAGE", "MASK", False),
        ("image", "IMAGE", False),
        ("*", "IMAGE", True),
        ("IMAGE", "*", True),
        ("*", ["a"], True),
        (["a"], "*", True),
        ("IMAGE,MASK", "MASK", True),
        ("IMAGE, MASK", "LATENT,MASK", True),
        ("MASK", "IMAGE, MASK", True),
        ("IMAGE,MASK", "LATENT", False),
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["a"], False),
        (["a"], "COMBO", True),
        ("COMBO", ["a"], True),
        ("STRING", ["a"], False),
        (["a"], "STRING", False),
        (AnyType("*"), "IMAGE", True),
        ("IMAGE", AnyType("*"), True),
        (AnyType("anything"), "IMAGE", True),
        ("IMAGE", AnyType("anything"), True),
        (AnyType("anything"), ["a"], True),
    ],
)
def test_a_received_type_fits_a_declared_one(received, declared, fits):
    assert matches(received, declared) is fits


def test_a_type_that_says_it_differs_from_everything_is_asked_first():
    class Never(str):
        def __ne__(self, other):
            return True

    assert matches("A", "A")
    assert not matches(Never("A"), Never("A"))


def test_a_list_of_choices_is_called_combo():
    assert socket_name(["a"]) == "COMBO"
    assert socket_name("IMAGE") == "IMAGE"


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
