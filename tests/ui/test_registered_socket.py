"""One record makes a socket type of a pack like one of ours: annotations, layout, colour and pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import pytest
import torch
from PIL import Image

import comfy_nb as nb
from comfy_nb.graph.model import Graph
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.registry import Registry
from comfy_nb.spec.sockets import SOCKETS, SocketType, register_socket
from comfy_nb.ui.graph.cached_values import cached_nodes
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.messages import scene_message
from comfy_nb.ui.inspect.view import view_of
from comfy_nb.ui.render.thumbnails import value_thumbnail


class Heightmap(torch.Tensor):
    """Annotation for HEIGHTMAP: float32 [H, W]."""


def to_heightmap(value):
    heights = torch.as_tensor(np.array(value)) if isinstance(value, np.ndarray | list) else value
    if heights.ndim != 2:
        raise nb.LayoutError(f"A HEIGHTMAP is [H,W]; this has {heights.ndim} axes.")
    return heights.float()


HEIGHTMAP = SocketType(
    "HEIGHTMAP", (Heightmap,), layout=to_heightmap, colour="#123456", drawn_as="plane", is_picture=True
)


@pytest.fixture(autouse=True)
def heightmaps() -> Iterator[None]:
    register_socket(HEIGHTMAP)
    yield
    del SOCKETS["HEIGHTMAP"]


@pytest.fixture
def session() -> Iterator[nb.Session]:
    with nb.use_session(nb.Session()) as made:
        yield made


def raised(ground: Annotated[Heightmap, nb.Tooltip("what to raise")], by: float = 1.0) -> Heightmap:
    return ground + by


@pytest.fixture
def graph() -> Graph:
    registry = Registry()
    registry.register(spec_from_function(raised))
    graph = Graph(registry=registry)
    graph.node("raised", ground=np.arange(64).reshape(8, 8))
    return graph


def test_a_function_is_annotated_with_it(graph):
    spec = graph.registry["raised"]
    assert spec.interface().declared["ground"].type == "HEIGHTMAP"
    assert list(spec.return_types) == ["HEIGHTMAP"]


async def test_constants_are_brought_to_its_layout(graph, session):
    run = await graph.run(outputs=["1"])
    value = run["1"]
    assert value.dtype == torch.float32 and value[7, 7] == 64.0
    graph["1"].inputs["ground"] = np.zeros(3)
    with pytest.raises(nb.ValidationError, match="A HEIGHTMAP is"):
        await graph.run(outputs=["1"])


def test_it_has_its_colour_and_room_for_a_picture_in_the_view_of_a_graph(graph):
    scene = scene_of(graph)
    assert scene.nodes["1"].has_picture
    assert scene_message(scene, can_edit=False)["colours"]["HEIGHTMAP"] == "#123456"


@pytest.mark.parametrize("value", [torch.eye(4).to_sparse(), torch.empty(4, 4, device="meta"), torch.zeros(0, 3)])
def test_values_that_cannot_be_read_have_no_picture(value):
    assert value_thumbnail(value, "HEIGHTMAP", 64) is None


def test_what_is_not_finite_does_not_stretch_the_range_of_a_plane():
    picture = value_thumbnail(
        torch.tensor([[0.0, 4.0], [torch.inf, torch.nan]]).repeat_interleave(8, 0), "HEIGHTMAP", 64
    )
    small = Image.open(io.BytesIO(picture.data))
    assert small.getpixel((0, 0)) < 64 and small.getpixel((1, 0)) > 191
    assert value_thumbnail(torch.full((4, 4), torch.nan), "HEIGHTMAP", 64) is not None


async def test_it_is_drawn_when_inspected_and_on_its_node(graph, session):
    run = await graph.run(outputs=["1"])
    value = run["1"]
    inspector = view_of(value)._inspector
    known = inspector.described(0)
    assert (known["kind"], known["view"], known["drawing"]) == ("HEIGHTMAP", "pixels", "plane")
    assert (known["rows"], known["columns"], known["channels"]) == (0, 1, None)
    answer, pictures = inspector.answer({"ask": "slice", "size": [8, 8], "rect": [0, 0, 8, 8]})
    drawn = Image.open(io.BytesIO(pictures[0])).convert("L")
    assert "error" not in answer and drawn.getpixel((0, 0)) < drawn.getpixel((7, 7))
    thumbnail = cached_nodes(graph, session)["1"]
    small = Image.open(io.BytesIO(thumbnail.data))
    assert small.size == (8, 8) and small.getpixel((0, 0)) < 16 and small.getpixel((7, 7)) > 239
