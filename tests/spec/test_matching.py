"""What may be linked to what."""

from __future__ import annotations

import pytest

from comfy_nb.spec.matching import matches, socket_name


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
        ("STRING, *", "LATENT", True),
        ("LATENT", "STRING,*", True),
        ("COMFY_MATCHTYPE_V3", "IMAGE", True),
        (["a"], "COMFY_MATCHTYPE_V3", True),
        ("STRING", "COMBO", False),
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
