"""The table of socket types, and what a registered one changes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import comfy_nb as nb
from comfy_nb.spec.coerce import coerce, has_layout
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.sockets import (
    SOCKETS,
    SocketType,
    register_socket,
    socket_of_annotation,
    socket_of_key,
    tensor_of_dict,
)


class Depth(torch.Tensor):
    """A distance for every pixel."""


def doubled(value):
    return [value, value]


@pytest.fixture(autouse=True)
def built_in_sockets() -> Iterator[None]:
    before = dict(SOCKETS)
    yield
    SOCKETS.clear()
    SOCKETS.update(before)


def test_the_built_in_types_have_their_annotations_and_layouts():
    named = {"IMAGE": nb.Image, "MASK": nb.Mask, "LATENT": nb.Latent, "AUDIO": nb.Audio, "INT": int, "*": torch.Tensor}
    assert {name: socket_of_annotation(each) for name, each in named.items()} == {name: name for name in named}
    assert [name for name in SOCKETS if has_layout(name)] == ["IMAGE", "MASK", "LATENT", "AUDIO"]


def test_a_registered_type_is_read_from_annotations_and_laid_out():
    register_socket(SocketType("DEPTH_MAP", (Depth,), layout=doubled))

    def far(depth: Depth) -> Depth: ...

    spec = spec_from_function(far)
    assert spec.interface().declared["depth"].type == "DEPTH_MAP" and list(spec.return_types) == ["DEPTH_MAP"]
    assert coerce(np.zeros(2), "DEPTH_MAP")[0].shape == (2,) and coerce(3, "DEPTH_MAP") == 3


def test_the_later_of_two_types_wins():
    register_socket(SocketType("DEPTH", (Depth,), layout=doubled))
    register_socket(SocketType("OTHER", (Depth,)))
    assert socket_of_annotation(Depth) == "OTHER"
    register_socket(SocketType("DEPTH", (Depth,)))
    assert socket_of_annotation(Depth) == "DEPTH" and not has_layout("DEPTH")


def test_what_a_function_returns_is_laid_out_for_a_type_of_pictures_alone():
    def far() -> Depth:
        return np.zeros(2)

    for is_picture in (False, True):
        register_socket(SocketType("DEPTH", (Depth,), layout=doubled, is_picture=is_picture))
        (value,) = spec_from_function(far).pack(far())
        assert isinstance(value, list) == is_picture


def test_the_tensors_of_a_dict_have_types_of_their_own():
    assert [socket_of_key(key) for key in ("samples", "noise_mask", "waveform", "x")] == [
        "LATENT",
        "MASK",
        "AUDIO",
        "",
    ]
    register_socket(SocketType("CLOUD", tensors={"samples": "POINTS"}))
    assert socket_of_key("samples", "CLOUD") == "POINTS" and socket_of_key("samples") == "LATENT"


def test_a_dict_is_recognised_by_the_first_tensor_of_its_type():
    assert tensor_of_dict({"noise_mask": 1, "samples": 2}) == 2
    assert tensor_of_dict({"noise_mask": 1}) is None
    register_socket(SocketType("VIDEO", tensors={"frames": "IMAGE"}))
    assert tensor_of_dict({"rate": 25, "frames": 3}) == 3


def test_a_type_that_cannot_be_looked_up_is_refused():
    with pytest.raises(nb.SpecError, match="needs a name"):
        register_socket(SocketType(""))
    with pytest.raises(nb.SpecError, match="DEPTH: an annotation must be hashable"):
        register_socket(SocketType("DEPTH", ([],)))
    assert "DEPTH" not in SOCKETS


@pytest.mark.parametrize("annotation", [[], {}, torch.zeros(2), np.zeros(2)])
def test_an_annotation_that_is_not_a_type_is_not_known(annotation):
    assert socket_of_annotation(annotation) is None
