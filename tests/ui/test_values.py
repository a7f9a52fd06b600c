"""Values shown below a cell."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from comfy_nb.ui.values import show_value


def pictures_in(html: str) -> list[Image.Image]:
    found = re.findall(r"data:image/\w+;base64,([^\"]+)", html)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def bundle(value, kind=None) -> tuple[str, str]:
    shown = show_value(value, kind)._repr_mimebundle_()
    return shown["text/html"], shown["text/plain"]


def test_an_image_is_shown_in_its_own_colours_and_shape():
    image = torch.zeros(1, 300, 600, 3)
    image[..., 0] = 1.0
    html, text = bundle(image, "IMAGE")
    (picture,) = pictures_in(html)
    assert picture.size == (512, 256)
    red, green, blue = picture.convert("RGB").getpixel((100, 100))
    assert red > 240 and max(green, blue) < 15
    assert text == "IMAGE 600 × 300: [1, 300, 600, 3] float32, 0 to 1, mean 0.3333"


def test_a_batch_is_a_grid_and_the_rest_is_counted():
    html, text = bundle(torch.rand(20, 16, 16, 3), "IMAGE")
    assert len(pictures_in(html)) == 16
    assert "20 pictures of 16 × 16" in text and text.endswith("4 more are not shown")


def test_alpha_stays():
    (picture,) = pictures_in(bundle(torch.full((1, 8, 8, 4), 0.5), "IMAGE")[0])
    assert picture.mode == "RGBA" and picture.getpixel((0, 0))[3] == 128


@pytest.mark.parametrize("shape", [(2, 8, 8), (8, 8)])
def test_a_mask_is_shown_in_grey(shape):
    pictures = pictures_in(bundle(torch.full(shape, 0.5), "MASK")[0])
    assert [picture.mode for picture in pictures] == ["L"] * (shape[0] if len(shape) == 3 else 1)


def test_nan_and_infinity_are_called_out():
    image = torch.zeros(1, 8, 8, 3)
    image[0, 0, 0, 0], image[0, 0, 1, 0] = float("nan"), float("inf")
    text = bundle(image, "IMAGE")[1]
    assert "WARNING: 1 of 192 values are NaN" in text and "WARNING: 1 of 192 values are infinite" in text


def test_a_picture_beyond_its_range_is_called_out():
    assert "outside 0 to 1" in bundle(torch.full((1, 8, 8, 3), 200.0), "IMAGE")[1]
    assert "outside" not in bundle(torch.full((1, 8, 8, 3), 1.0), "IMAGE")[1]


def test_a_latent_is_shown_as_statistics():
    text = bundle({"samples": torch.ones(1, 4, 8, 8), "noise_mask": torch.zeros(1, 8, 8)}, "LATENT")[1]
    assert text.splitlines() == [
        "LATENT",
        "samples: [1, 4, 8, 8] float32, 1 to 1, mean 1",
        "noise_mask: [1, 8, 8] float32, 0 to 0, mean 0",
    ]


def test_the_look_decides_where_no_kind_is_given():
    assert "<img" in bundle(torch.rand(1, 16, 16, 3))[0]
    assert bundle({"samples": torch.zeros(1, 4, 2, 2)})[1].startswith("LATENT")
    assert "<img" not in bundle(torch.rand(1, 4, 16, 16))[0]
    assert "<img" in bundle(Image.new("RGB", (8, 8)))[0]


@pytest.mark.parametrize("kind", ["IMAGE", "MASK", "LATENT"])
def test_what_is_not_what_its_kind_says_is_described_all_the_same(kind):
    assert "[5] int64, 0 to 4, mean 2" in bundle(torch.arange(5), kind)[1]
    assert bundle(None, kind)[1] == "None"


def test_text_is_shown_as_it_is_and_escaped():
    html, text = bundle("a <b> &\n c")
    assert "a &lt;b&gt; &amp;\n c" in html and text == "a <b> &\n c"


def test_long_text_is_cut_and_says_so():
    html, text = bundle("x" * 100_000)
    assert len(html) < 25_000 and "100,000 characters" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.zeros(0, 3), "[0, 3] float32, empty"),
        (torch.tensor([True, False]), "[2] bool, 0 to 1, mean 0.5"),
        (torch.zeros(2, dtype=torch.complex64), "[2] complex64"),
        (torch.tensor([float("nan")]), "[1] float32, WARNING: 1 of 1 values are NaN"),
        (torch.ones(3, dtype=torch.bfloat16), "[3] bfloat16, 1 to 1, mean 1"),
        (np.arange(4, dtype=np.uint8), "array [4], 0 to 3, mean 1.5"),
        (np.array(["a"]), "array [1] <U1"),
        (7.5, "7.5"),
        ([torch.zeros(2), 3], "list of 2\n0: [2] float32, 0 to 0, mean 0\n1: 3"),
    ],
)
def test_other_values_are_described(value, text):
    assert bundle(value)[1] == text
