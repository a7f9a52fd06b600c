"""Constants that are live objects arrive in the layout of their socket."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from comfy_nb.errors import LayoutError
from comfy_nb.spec.coerce import coerce


def picture(mode: str = "RGB", size: tuple[int, int] = (6, 4), color: object = None) -> Image.Image:
    return Image.new(mode, size, color)  # type: ignore[arg-type]


def refusal(value: object, socket: str) -> str:
    with pytest.raises(LayoutError) as caught:
        coerce(value, socket)
    return str(caught.value)


@pytest.mark.parametrize("value", [None, "a.png", 3, 0.5, True, b"x", ["4", 0], [], {"a": 1}, object()])
@pytest.mark.parametrize("socket", ["IMAGE", "MASK"])
def test_what_is_not_a_picture_passes_unchanged(value: object, socket: str) -> None:
    assert coerce(value, socket) is value


@pytest.mark.parametrize("value", [None, "a", 3, ["4", 0], object()])
@pytest.mark.parametrize("socket", ["LATENT", "AUDIO", "INT", "MODEL", "IMAGE,MASK"])
def test_other_values_and_other_sockets_pass_unchanged(value: object, socket: str) -> None:
    assert coerce(value, socket) is value


def test_an_array_on_a_socket_without_a_layout_passes_unchanged() -> None:
    array = np.zeros((4, 4), np.uint8)
    assert coerce(array, "MODEL") is array


def test_a_wildcard_socket_that_equals_everything_is_not_an_image() -> None:
    class Anything(str):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return True

    array = np.zeros((4, 4), np.uint8)
    assert coerce(array, Anything("*")) is array


@pytest.mark.parametrize(
    ("socket", "value"),
    [
        ("IMAGE", torch.rand(2, 4, 6, 3)),
        ("IMAGE", torch.rand(1, 4, 6, 4)),
        ("IMAGE", torch.rand(1, 4, 6, 3) * 3),
        ("IMAGE", torch.zeros(0, 4, 6, 3)),
        ("IMAGE", torch.empty(1, 4, 6, 3, device="meta")),
        ("MASK", torch.rand(2, 4, 6)),
        ("MASK", torch.rand(1, 3, 3)),
        ("MASK", torch.rand(2, 4, 4)),
        ("LATENT", {"samples": torch.rand(1, 4, 8, 8), "noise_mask": None}),
        ("LATENT", {"samples": torch.rand(1, 16, 5, 8, 8)}),
        ("LATENT", {"samples": torch.rand(1, 64, 100), "type": "audio"}),
        ("AUDIO", {"waveform": torch.rand(1, 2, 100), "sample_rate": 44100}),
        ("AUDIO", {"waveform": torch.rand(1, 2, 0), "sample_rate": 44100}),
    ],
)
def test_what_has_the_layout_is_returned_as_the_same_object(socket: str, value: object) -> None:
    assert coerce(value, socket) is value


def test_nan_is_left_alone() -> None:
    image = torch.full((1, 4, 6, 3), float("nan"))
    assert coerce(image, "IMAGE") is image


def test_a_tensor_without_batch_axis_gets_one_without_a_copy() -> None:
    image = torch.rand(4, 6, 3)
    batch = coerce(image, "IMAGE")
    assert batch.shape == (1, 4, 6, 3)
    assert batch.data_ptr() == image.data_ptr()


def test_grey_becomes_rgb_that_can_be_edited_in_place() -> None:
    grey = torch.rand(1, 4, 6, 1)
    colour = coerce(grey, "IMAGE")
    assert torch.equal(colour, grey.expand(-1, -1, -1, 3))
    colour[..., 0] = 0
    assert coerce(np.full((4, 6), 51, np.uint8), "IMAGE").shape == (1, 4, 6, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(dtype: torch.dtype) -> None:
    assert coerce(torch.full((1, 4, 6, 3), 0.5, dtype=dtype), "IMAGE").dtype == torch.float32
    assert coerce(torch.full((1, 4, 6), 0.5, dtype=dtype), "MASK").dtype == torch.float32


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((4, 6, 3), 51, np.uint8), 0.2),
        (np.full((2, 4, 6, 4), 255, np.uint8), 1.0),
        (np.full((4, 6, 3), 13107, np.uint16), 0.2),
        (np.full((4, 6, 3), 13107, ">u2"), 0.2),
        (np.full((4, 6, 3), 0.25, np.float64), 0.25),
        (np.ones((4, 6, 3), bool), 1.0),
    ],
)
def test_arrays_become_float32_between_0_and_1(array: np.ndarray, expected: float) -> None:
    image = coerce(array, "IMAGE")
    assert image.dtype == torch.float32
    assert image.shape[1:] == array.shape[-3:]
    assert torch.allclose(image, torch.tensor(expected))


def test_bytes_are_scaled_exactly_as_comfyui_scales_them() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = torch.from_numpy(values.astype(np.float32) / 255.0)
    assert torch.equal(coerce(values, "MASK")[0], expected)


def test_arrays_that_are_flipped_or_read_only_are_fine() -> None:
    array = np.random.default_rng(0).random((4, 6, 3), np.float32)
    array.flags.writeable = False
    assert torch.equal(coerce(array[:, ::-1], "IMAGE")[0], torch.tensor(array[:, ::-1].copy()))


def test_a_later_edit_of_the_array_does_not_reach_the_constant() -> None:
    array = np.zeros((4, 6, 3), np.float32)
    image = coerce(array, "IMAGE")
    array[:] = 1
    assert image.max() == 0


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (picture("RGB", color=(255, 0, 51)), [1, 0, 0.2]),
        (picture("RGBA", color=(255, 0, 51, 0)), [1, 0, 0.2, 0]),
        (picture("L", color=51), [0.2, 0.2, 0.2]),
        (picture("LA", color=(51, 255)), [0.2, 0.2, 0.2, 1]),
        (picture("1", color=1), [1, 1, 1]),
        (picture("CMYK", color=(0, 255, 255, 0)), [1, 0, 0]),
        (picture("HSV", color=(0, 255, 255)), [1, 0, 0]),
        (picture("I;16", color=13107), [0.2, 0.2, 0.2]),
        (picture("I", color=13107), [0.2, 0.2, 0.2]),
        (picture("F", color=0.25), [0.25, 0.25, 0.25]),
        (picture("RGB", color=(255, 0, 0)).convert("P"), [1, 0, 0]),
        (picture("La", color=(51, 255)), [0.2, 0.2, 0.2, 1]),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_pictures_of_every_mode_become_rgb_or_rgba(source: Image.Image, expected: list[float]) -> None:
    image = coerce(source, "IMAGE")
    assert image.dtype == torch.float32
    assert image.shape == (1, 4, 6, len(expected))
    assert torch.allclose(image[0, 0, 0], torch.tensor(expected, dtype=torch.float32), atol=1e-6)


def test_a_palette_with_a_transparent_colour_has_alpha() -> None:
    source = picture("P", color=0)
    source.putpalette([255, 0, 0, 0, 255, 0])
    source.info["transparency"] = 0
    assert coerce(source, "IMAGE").shape[3] == 4
    assert coerce(source, "MASK").min() == 1


def test_a_picture_is_turned_upright_by_its_exif() -> None:
    source = picture(size=(6, 4))
    source.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    file = io.BytesIO()
    source.save(file, "png", exif=exif)
    image = coerce(Image.open(file), "IMAGE")
    assert image.shape == (1, 6, 4, 3)
    assert image[0, 0, 3, 0] == 1


def test_of_a_32_bit_picture_beyond_16_bits_the_largest_value_is_white() -> None:
    assert torch.equal(coerce(picture("I", color=70000), "IMAGE"), torch.ones(1, 4, 6, 3))


def test_a_list_of_one_size_becomes_a_batch() -> None:
    batch = coerce([picture(), np.zeros((4, 6, 3), np.uint8), torch.zeros(4, 6, 3)], "IMAGE")
    assert batch.shape == (3, 4, 6, 3)
    assert coerce((picture("L"), picture("L")), "MASK").shape == (2, 4, 6)


def test_a_list_of_several_sizes_names_them() -> None:
    message = refusal([picture(size=(6, 4)), picture(size=(8, 4))], "IMAGE")
    assert "[4, 6, 3]" in message
    assert "[4, 8, 3]" in message


@pytest.mark.parametrize(
    ("tensor", "looks", "fix"),
    [
        (torch.rand(1, 3, 8, 8), "[B,C,H,W]", "x.permute(0, 2, 3, 1)"),
        (torch.rand(3, 8, 8), "[C,H,W]", "x.permute(1, 2, 0)"),
        (torch.rand(1, 8, 8), "mask [B,H,W]", "x[..., None]"),
        (torch.rand(8, 8), "mask [H,W]", "x[..., None]"),
        (torch.rand(1, 8, 8, 2), "2 channels", "x[..., :1]"),
        (torch.rand(1, 2, 8, 8, 3), "video", "x.reshape(-1, *x.shape[2:])"),
        (torch.randint(2, 256, (1, 8, 8, 3)).byte(), "0..255", "x.float() / 255"),
        (torch.randint(2, 256, (1, 8, 8, 3)), "whole numbers", "x.float() / 255"),
        (torch.ones((1, 8, 8, 3), dtype=torch.int32), "whole numbers", "x.float()"),
        (torch.rand(1, 8, 8, 3) * 255, "0..255", "x / 255"),
        (torch.randint(2, 256, (3, 8, 8)).byte(), "[C,H,W]", "x.permute(1, 2, 0).float() / 255"),
        (torch.ones(1, 8, 8, 3, dtype=torch.complex64), "complex", "x.abs()"),
    ],
)
def test_another_layout_as_image_says_what_it_looks_like_and_a_fix_that_works(
    tensor: torch.Tensor, looks: str, fix: str
) -> None:
    message = refusal(tensor, "IMAGE")
    assert looks in message
    assert message.endswith(f"Use {fix}.")
    assert str(list(tensor.shape)) in message
    assert coerce(eval(fix, {"x": tensor}), "IMAGE").ndim == 4


@pytest.mark.parametrize(
    ("tensor", "looks", "fix"),
    [
        (torch.rand(8, 8, 3), "image [H,W,C]", "x[..., 0]"),
        (torch.rand(4, 4, 3), "image [H,W,C]", "x[..., 0]"),
        (torch.rand(8, 8, 4), "image [H,W,C]", "1 - x[..., 3]"),
        (torch.rand(1, 8, 8, 3), "image [B,H,W,C]", "x[..., 0]"),
        (torch.rand(1, 1, 8, 8), "[B,1,H,W]", "x[:, 0]"),
        (torch.rand(2, 3, 8, 8), "[B,C,H,W]", "x[:, 0]"),
        (torch.randint(2, 256, (8, 8)).byte(), "0..255", "x.float() / 255"),
        (torch.randint(2, 256, (8, 8, 4)).byte(), "image [H,W,C]", "1 - x[..., 3].float() / 255"),
        (torch.rand(1, 8, 8) * 255, "0..255", "x / 255"),
    ],
)
def test_another_layout_as_mask_says_what_it_looks_like_and_a_fix_that_works(
    tensor: torch.Tensor, looks: str, fix: str
) -> None:
    message = refusal(tensor, "MASK")
    assert looks in message
    assert message.endswith(f"Use {fix}.")
    mask = coerce(eval(fix, {"x": tensor}), "MASK")
    assert mask.ndim == 3
    assert 0 <= mask.min() <= mask.max() <= 1


def test_the_fix_for_an_array_is_written_for_arrays() -> None:
    array = np.zeros((3, 8, 8), np.uint8)
    assert refusal(array, "IMAGE").endswith("Use x.transpose(1, 2, 0).")
    assert coerce(array.transpose(1, 2, 0), "IMAGE").shape == (1, 8, 8, 3)


def test_what_cannot_be_repaired_is_described() -> None:
    assert "7 channels" in refusal(torch.rand(1, 8, 8, 7), "IMAGE")
    assert "1 axes" in refusal(torch.rand(8), "MASK")
    assert "0 axes" in refusal(torch.tensor(1.0), "IMAGE")


def test_arrays_of_other_integers_are_refused_with_a_way_out() -> None:
    message = refusal(np.zeros((8, 8, 3), np.int64), "IMAGE")
    assert "int64" in message
    assert "x.astype(np.uint8)" in message


def test_bright_highlights_are_not_taken_for_bytes() -> None:
    image = torch.full((1, 8, 8, 3), 4.0)
    assert coerce(image, "IMAGE") is image


def test_the_range_is_seen_past_nan_and_infinity_and_in_strided_tensors() -> None:
    image = torch.full((1, 3, 64, 64), 200.0).permute(0, 2, 3, 1)
    image[0, 0, 0] = float("nan")
    image[0, 4, 4] = float("inf")
    assert "0..255" in refusal(image, "IMAGE")


def test_masks_gain_a_batch_axis_and_bools_become_floats() -> None:
    flags = torch.tensor([[True, False], [False, True]])
    assert torch.equal(coerce(flags, "MASK"), flags.float()[None])
    assert coerce(np.ones((4, 6), bool), "MASK").dtype == torch.float32


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (picture("L", color=51), 0.2),
        (picture("1", color=1), 1.0),
        (picture("I;16", color=65535), 1.0),
        (picture("RGBA", color=(9, 9, 9, 51)), 0.8),
        (picture("LA", color=(9, 51)), 0.8),
    ],
    ids=["grey", "bits", "deep grey", "alpha of colour", "alpha of grey"],
)
def test_a_mask_is_the_grey_or_the_inverted_alpha_of_a_picture(source: Image.Image, expected: float) -> None:
    mask = coerce(source, "MASK")
    assert mask.shape == (1, 4, 6)
    assert torch.allclose(mask, torch.tensor(expected))


def test_a_colour_picture_is_not_a_mask() -> None:
    assert 'picture.convert("L")' in refusal(picture("RGB"), "MASK")


@pytest.mark.parametrize("socket", ["IMAGE", "MASK"])
def test_a_latent_is_not_an_image(socket: str) -> None:
    assert "VAEDecode" in refusal({"samples": torch.rand(1, 4, 8, 8)}, socket)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.rand(1, 4, 8, 8), '{"samples": x}'),
        (np.zeros((1, 4, 8, 8)), '{"samples": x}'),
        ({"waveform": 1}, "'samples'; this one has 'waveform'"),
        ({}, "no keys"),
        ({"samples": torch.rand(4, 8, 8)}, "Use samples[None]"),
        ({"samples": torch.rand(8, 8)}, "[B,C,H,W]"),
        ({"samples": torch.zeros(1, 4, 8, 8, dtype=torch.int64)}, "int64"),
        ({"samples": np.zeros((1, 4, 8, 8), np.uint8)}, "uint8"),
    ],
)
def test_a_wrong_latent_is_refused(value: object, said: str) -> None:
    assert said in refusal(value, "LATENT")


def test_samples_given_as_an_array_become_a_tensor_beside_what_else_is_there() -> None:
    given = {"samples": np.ones((1, 4, 8, 8)), "batch_index": [3]}
    latent = coerce(given, "LATENT")
    assert latent["samples"].dtype == torch.float32
    assert latent["batch_index"] is given["batch_index"]
    assert isinstance(given["samples"], np.ndarray)


def test_samples_of_an_unknown_kind_pass_unchanged() -> None:
    latent = {"samples": object()}
    assert coerce(latent, "LATENT") is latent


def test_a_waveform_of_an_unknown_kind_passes_unchanged() -> None:
    audio = {"waveform": object(), "sample_rate": 44100}
    assert coerce(audio, "AUDIO") is audio


@pytest.mark.parametrize("shape", [(100,), (2, 100), (1, 2, 100)])
def test_a_waveform_gains_the_axes_it_lacks(shape: tuple[int, ...]) -> None:
    audio = coerce({"waveform": np.zeros(shape), "sample_rate": np.int64(48000)}, "AUDIO")
    assert audio["waveform"].shape == (1, *shape[-2:]) if len(shape) > 1 else (1, 1, 100)
    assert audio["waveform"].dtype == torch.float32
    assert type(audio["sample_rate"]) is int


def test_a_whole_sample_rate_becomes_an_int() -> None:
    audio = coerce({"waveform": torch.zeros(1, 1, 9), "sample_rate": 44100.0}, "AUDIO")
    assert type(audio["sample_rate"]) is int


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.rand(1, 2, 100), "waveform alone"),
        ({"samples": 1}, "'waveform'"),
        ({"waveform": torch.rand(1, 2, 100)}, "'sample_rate'"),
        ({"waveform": torch.rand(100, 2), "sample_rate": 44100}, "Use x.swapaxes(-1, -2)."),
        ({"waveform": torch.rand(1, 1, 2, 100), "sample_rate": 44100}, "[1, 1, 2, 100]"),
        ({"waveform": torch.zeros(2, 100, dtype=torch.int16), "sample_rate": 44100}, "x.float() / 32768"),
        ({"waveform": np.zeros(100, np.int16), "sample_rate": 44100}, "x.astype(np.float32) / 32768"),
        ({"waveform": torch.rand(1, 2, 100), "sample_rate": "44100"}, "'44100'"),
        ({"waveform": torch.rand(1, 2, 100), "sample_rate": 44100.5}, "44100.5"),
        ({"waveform": torch.rand(1, 2, 100), "sample_rate": float("nan")}, "nan"),
        ({"waveform": torch.rand(1, 2, 100), "sample_rate": True}, "True"),
        ({"waveform": torch.rand(1, 2, 100), "sample_rate": 0}, "not 0"),
    ],
)
def test_a_wrong_audio_is_refused(value: object, said: str) -> None:
    assert said in refusal(value, "AUDIO")
