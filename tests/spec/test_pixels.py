"""The pixels of pictures of every mode, against numpy's arithmetic; files, constants and views show the same.

`MODES` is the inventory: all modes that Pillow can make.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import comfy_nb as nb
from comfy_nb.library import Folders, use_folders
from comfy_nb.library.image_files import LoadImage, LoadImageMask
from comfy_nb.spec.coerce import coerce
from comfy_nb.spec.pixels import pixels_of
from comfy_nb.ui.inspect.parts import parts_of
from comfy_nb.ui.render.thumbnails import value_thumbnail

NAN, INF = float("nan"), float("inf")
HEIGHT, WIDTH = 4, 5
PALETTE = np.random.default_rng(7).integers(0, 256, (256, 4), dtype=np.uint8)

Levels = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> Iterator[Folders]:
    with use_folders(Folders(tmp_path)) as folders:
        folders.input.mkdir()
        yield folders


def levels_of(channels: int, top: int = 256, dtype: Any = np.uint8) -> Levels:
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return np.random.default_rng(channels).integers(0, top, shape).astype(dtype)


def picture_of(mode: str, levels: Levels) -> Image.Image:
    """Make a picture from its raw levels, without a conversion of Pillow's."""
    if mode == "1":
        return Image.fromarray(levels.astype(bool))
    raw = {"I;16N": "I;16N", "I;16B": "I;16B", "I;16L": "I;16L"}.get(mode)
    picture = Image.frombytes(mode, (WIDTH, HEIGHT), levels.tobytes(), *(("raw", raw) if raw else ()))
    if mode in ("P", "PA"):
        picture.putpalette(PALETTE[:, :3].tobytes())
    return picture


def grey(values: Levels) -> Levels:
    return np.repeat(values[..., None], 3, axis=-1)


def straight(pixels: Levels) -> Levels:
    """Divide colours [H, W, C] by the alpha in their last channel."""
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    divided = np.clip(colours / np.where(alpha == 0, 1, alpha), 0, 1)
    return np.concatenate((np.where(alpha == 0, colours, divided), alpha), axis=-1)


def grey_and_alpha(pixels: Levels) -> Levels:
    return np.concatenate((grey(pixels[..., 0]), pixels[..., 1:]), axis=-1)


def cmyk(levels: Levels) -> Levels:
    ink = levels / 255
    return (1 - ink[..., :3]) * (1 - ink[..., 3:])


def ycbcr(levels: Levels) -> Levels:
    y, blue, red = (levels[..., each].astype(float) for each in range(3))
    blue, red = blue - 128, red - 128
    colours = (y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue)
    return np.clip(np.stack(colours, axis=-1) / 255, 0, 1)


def hsv(levels: Levels) -> Levels:
    import colorsys

    return np.array([[colorsys.hsv_to_rgb(*(each / 255)) for each in row] for row in levels])


def lab(levels: Levels) -> Levels:
    """CIE L*a*b* (D50) to sRGB by way of XYZ adapted to D65; a and b are stored as signed bytes."""
    lightness = levels[..., 0] / 255 * 100
    a, b = (levels[..., each].astype(np.int8).astype(float) for each in (1, 2))
    y = (lightness + 16) / 116
    f = np.stack((y + a / 500, y, y - b / 200), axis=-1)
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 108 / 841) * (0.96422, 1.0, 0.82521)
    matrix = np.array(((3.1338561, -1.6168667, -0.4906146), (-0.9787684, 1.9161415, 0.0334540)))
    matrix = np.vstack((matrix, (0.0719453, -0.2289914, 1.4052427)))
    linear = np.clip(xyz @ matrix.T, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


ONE_LEVEL = 1.01 / 255
EXACT = 1e-6

MODES: dict[str, tuple[Levels, Callable[[Levels], Levels], float]] = {
    "1": (levels_of(1, 2), lambda x: grey(x.astype(float)), EXACT),
    "L": (levels_of(1), lambda x: grey(x / 255), EXACT),
    "LA": (levels_of(2), lambda x: grey_and_alpha(x / 255), EXACT),
    "La": (levels_of(2), lambda x: grey_and_alpha(straight(x / 255)), EXACT),
    "P": (levels_of(1), lambda x: PALETTE[x][..., :3] / 255, EXACT),
    "PA": (
        levels_of(2),
        lambda x: np.concatenate((PALETTE[x[..., 0]][..., :3], x[..., 1:]), axis=-1) / 255,
        EXACT,
    ),
    "RGB": (levels_of(3), lambda x: x / 255, EXACT),
    "RGBA": (levels_of(4), lambda x: x / 255, EXACT),
    "RGBa": (levels_of(4), lambda x: straight(x / 255), EXACT),
    "RGBX": (levels_of(4), lambda x: x[..., :3] / 255, EXACT),
    "CMYK": (levels_of(4), cmyk, ONE_LEVEL),
    "YCbCr": (levels_of(3), ycbcr, 2 * ONE_LEVEL),
    "HSV": (levels_of(3), hsv, ONE_LEVEL),
    "LAB": (levels_of(3, 20) + np.array((150, 0, 0), np.uint8), lab, 3 * ONE_LEVEL),
    "I": (levels_of(1, 65536, np.int32), lambda x: grey(x / 65535), EXACT),
    "I;16": (levels_of(1, 65536, "<u2"), lambda x: grey(x / 65535), EXACT),
    "I;16L": (levels_of(1, 65536, "<u2"), lambda x: grey(x / 65535), EXACT),
    "I;16B": (levels_of(1, 65536, ">u2"), lambda x: grey(x.astype(float) / 65535), EXACT),
    "I;16N": (levels_of(1, 65536, "=u2"), lambda x: grey(x / 65535), EXACT),
    "F": (levels_of(1).astype(np.float32) / 255, grey, EXACT),
}


def test_the_inventory_has_every_mode() -> None:
    assert set(Image.MODES) <= set(MODES)


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_of_every_mode_is_what_arithmetic_says(mode: str) -> None:
    levels, arithmetic, tolerance = MODES[mode]
    pixels = pixels_of(picture_of(mode, levels))
    assert pixels.dtype == torch.float32
    np.testing.assert_allclose(pixels.numpy(), arithmetic(levels), atol=tolerance)


@pytest.mark.parametrize("mode", MODES)
def test_a_constant_a_mask_a_view_and_a_thumbnail_are_of_the_same_pixels(mode: str) -> None:
    picture = picture_of(mode, MODES[mode][0])
    pixels = pixels_of(picture)
    image = coerce(picture, "IMAGE")
    assert torch.equal(image, pixels[None])
    (part,) = parts_of(picture)
    assert (part.kind, part.text) == ("IMAGE", f"Image, mode {mode}")
    assert torch.equal(torch.as_tensor(part.array), image)
    if pixels.shape[2] == 4:
        assert torch.equal(coerce(picture, "MASK"), 1 - pixels[None, ..., 3])
    thumbnail = value_thumbnail(picture, None, 64)
    assert thumbnail is not None
    with Image.open(io.BytesIO(thumbnail.data)) as small:
        assert small.mode == ("RGBA" if pixels.shape[2] == 4 else "RGB")
        if thumbnail.format == "png":
            np.testing.assert_allclose(np.asarray(small) / 255, pixels, atol=ONE_LEVEL)


FILES: dict[str, tuple[str, ...]] = {
    "a.png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "a.tif": ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I", "I;16", "F"),
    "a.gif": ("1", "L", "P"),
    "a.bmp": ("1", "L", "P", "RGB"),
    "a.webp": ("RGB", "RGBA"),
    "a.tga": ("L", "LA", "P", "RGB", "RGBA"),
}


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, modes in FILES.items() for mode in modes])
def test_a_file_gives_what_the_picture_in_it_gives(folders: Folders, name: str, mode: str) -> None:
    options: dict[str, Any] = {"lossless": True, "exact": True} if name == "a.webp" else {}
    picture_of(mode, MODES[mode][0]).save(folders.input / name, **options)
    with Image.open(folders.input / name) as opened:
        pixels = pixels_of(opened)
    image, mask = LoadImage().load_image(name)
    assert torch.equal(image, pixels[None, ..., :3])
    has_alpha = pixels.shape[2] == 4
    assert has_alpha == (mode in ("LA", "PA", "RGBA"))
    assert torch.equal(mask, 1 - pixels[None, ..., 3] if has_alpha else torch.zeros(1, 64, 64))
    for place, channel in enumerate(("red", "green", "blue")):
        assert torch.equal(LoadImageMask().load_image(name, channel)[0], image[..., place])
    (alpha,) = LoadImageMask().load_image(name, "alpha")
    assert torch.equal(alpha, mask if has_alpha else torch.zeros(1, HEIGHT, WIDTH))
    np.testing.assert_allclose(pixels, MODES[mode][1](MODES[mode][0]), atol=max(MODES[mode][2], ONE_LEVEL))


FLOATS = [
    ([0.0, 0.25, 1.0], [0.0, 0.25, 1.0]),
    ([0.0, 1e-3, 2e-3], [0.0, 1e-3, 2e-3]),
    ([-0.5, 1.0, 12.0], [-0.5, 1.0, 12.0]),
    ([0.0, 51.0, 200.0], [0.0, 0.2, 200 / 255]),
    ([0.0, 300.0, 13107.0], [0.0, 300 / 65535, 0.2]),
    ([0.0, 50_000.0, 100_000.0], [0.0, 0.5, 1.0]),
    ([0.5, NAN, INF], [0.5, NAN, INF]),
    ([51.0, 255.0, 1e10], [0.2, 1.0, 1e10 / 255]),
    ([NAN, INF, -INF], [NAN, INF, -INF]),
]


@pytest.mark.parametrize(("values", "expected"), FLOATS)
def test_floats_are_fractions_levels_or_measurements(
    folders: Folders, values: list[float], expected: list[float]
) -> None:
    picture = Image.fromarray(np.array([values], np.float32))
    picture.save(folders.input / "a.tif")
    image, _ = LoadImage().load_image("a.tif")
    np.testing.assert_allclose(image[0, 0].numpy(), grey(np.array(expected, np.float32)), rtol=1e-6)
    torch.testing.assert_close(coerce(picture, "IMAGE"), image, equal_nan=True)
    torch.testing.assert_close(coerce(picture, "MASK"), image[..., 0], equal_nan=True)
    torch.testing.assert_close(LoadImageMask().load_image("a.tif", "red")[0], image[..., 0], equal_nan=True)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_thumbnail_has_the_scale_of_the_whole_picture(mode: str) -> None:
    levels = np.full((512, 512), 50_000, MODES[mode][0].dtype)
    levels[1, 1] = 100_000
    picture = Image.fromarray(levels)
    assert pixels_of(picture)[0, 0, 0] == pixels_of(picture, 2)[0, 0, 0] == 0.5


def test_32_bits_without_a_sign_are_no_negative_numbers(folders: Folders) -> None:
    levels = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    Image.fromarray(levels.view(np.int32)).save(folders.input / "a.tif")
    data = bytearray((folders.input / "a.tif").read_bytes())
    at = data.index(b"\x53\x01\x03\x00\x01\x00\x00\x00\x02\x00")  # SampleFormat 2: signed
    data[at + 8] = 1
    (folders.input / "a.tif").write_bytes(data)
    image, _ = LoadImage().load_image("a.tif")
    torch.testing.assert_close(image[0, 0, :, 0], torch.tensor([0.0, 0.5, 1.0]))


def with_key(mode: str, levels: Levels, key: Any) -> Image.Image:
    picture = picture_of(mode, levels)
    picture.info["transparency"] = key
    return picture


def keyed(mode: str) -> tuple[Image.Image, Levels]:
    """Return a picture of which one colour is transparent, and its alpha."""
    levels = MODES[mode][0]
    if mode == "P":
        return with_key(mode, levels, PALETTE[:, 3].tobytes()), PALETTE[levels][..., 3] / 255
    if mode == "RGB":
        return with_key(mode, levels, tuple(levels[1, 2].tolist())), (levels != levels[1, 2]).any(-1)
    key = 255 if mode == "1" else int(levels[1, 2])
    return with_key(mode, levels, key), (levels * 255 if mode == "1" else levels) != key


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_a_transparent_colour_is_alpha(folders: Folders, mode: str) -> None:
    picture, alpha = keyed(mode)
    pixels = pixels_of(picture)
    np.testing.assert_allclose(pixels[..., 3], alpha, atol=EXACT)
    assert torch.equal(pixels[..., :3], pixels_of(picture_of(mode, MODES[mode][0])))
    picture.save(folders.input / "a.png", transparency=picture.info["transparency"])
    image, mask = LoadImage().load_image("a.png")
    assert torch.equal(image, pixels[None, ..., :3])
    assert torch.equal(mask, 1 - pixels[None, ..., 3])


@pytest.mark.parametrize("mode", sorted(MODES.keys() - {"1", "L", "P", "RGB", "RGBX", "I", "F"} - {"I;16"}))
def test_a_note_of_transparency_makes_no_alpha_where_it_means_nothing(mode: str) -> None:
    levels = MODES[mode][0]
    assert torch.equal(pixels_of(with_key(mode, levels, b"\0")), pixels_of(picture_of(mode, levels)))


def test_a_palette_may_hold_alpha() -> None:
    levels = MODES["P"][0]
    picture = picture_of("P", levels)
    picture.putpalette(PALETTE.tobytes(), "RGBA")
    np.testing.assert_allclose(pixels_of(picture), PALETTE[levels] / 255, atol=EXACT)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["P", "RGBA", "I;16", "F"])
def test_every_orientation_is_turned_upright(mode: str, orientation: int) -> None:
    picture = picture_of(mode, MODES[mode][0])
    lying = pixels_of(picture).numpy()
    picture.getexif()[0x0112] = orientation
    turned = {
        1: lying,
        2: np.fliplr(lying),
        3: np.rot90(lying, 2),
        4: np.flipud(lying),
        5: np.rot90(np.flipud(lying), -1),
        6: np.rot90(lying, -1),
        7: np.rot90(np.flipud(lying), 1),
        8: np.rot90(lying, 1),
    }
    np.testing.assert_array_equal(pixels_of(picture), turned[orientation])


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_a_lying_photo_stands_in_every_view(folders: Folders, name: str) -> None:
    picture = picture_of("RGB", MODES["RGB"][0])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(folders.input / name, exif=exif)
    image, _ = LoadImage().load_image(name)
    assert image.shape == (1, WIDTH, HEIGHT, 3)
    with Image.open(folders.input / name) as opened:
        (part,) = parts_of(opened)
        thumbnail = value_thumbnail(opened, None, 64)
    assert torch.equal(torch.as_tensor(part.array), image)
    assert thumbnail is not None
    with Image.open(io.BytesIO(thumbnail.data)) as small:
        assert small.size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", [0, 9, "6", (6, 6), b"6", 6.5, None])
def test_an_orientation_that_is_none_leaves_a_picture_as_it_is(orientation: Any) -> None:
    picture = picture_of("RGB", MODES["RGB"][0])
    picture.getexif()[0x0112] = orientation
    assert torch.equal(pixels_of(picture), pixels_of(picture_of("RGB", MODES["RGB"][0])))


@pytest.mark.parametrize("key", [None, 3.5, (1, 2), [1, 2, 3], "x"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_transparency_that_is_none_leaves_a_picture_opaque(mode: str, key: Any) -> None:
    picture = with_key(mode, MODES[mode][0], key)
    assert torch.equal(pixels_of(picture), pixels_of(picture_of(mode, MODES[mode][0])))
    assert picture.info["transparency"] is key


@pytest.mark.parametrize("fault", ["cut", "closed"])
def test_a_picture_that_cannot_be_read_is_an_error_that_names_node_and_input(folders: Folders, fault: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folders.input / "a.png")
    if fault == "cut":
        (folders.input / "a.png").write_bytes((folders.input / "a.png").read_bytes()[:2000])
    with Image.open(folders.input / "a.png") as picture:
        if fault == "closed":
            picture.close()
        graph = nb.Graph()
        words = r"ImageInvert \(node 1\).*image.*This PIL picture cannot be read"
        with pytest.raises(nb.ValidationError, match=words):
            graph.node("ImageInvert", image=picture)
            graph.run_sync()
