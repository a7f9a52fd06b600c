"""Loading image files of all kinds, and saving images without loss."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import comfy_nb as nb
from comfy_nb.errors import ComfyNBWarning, LayoutError
from comfy_nb.library import Folders, use_folders
from comfy_nb.library.image_files import LoadImage, LoadImageMask, PreviewImage, SaveImage
from comfy_nb.spec.registry import Registry
from tests.engine.support import Outside

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> Iterator[Folders]:
    with use_folders(Folders(tmp_path)) as folders:
        folders.input.mkdir()
        yield folders


def load(folders: Folders, picture: Image.Image, name: str = "a.png", **options: Any) -> tuple[Any, Any]:
    picture.save(folders.input / name, **options)
    return LoadImage().load_image(name)


def plain(mode: str, colour: Any, size: tuple[int, int] = (4, 3)) -> Image.Image:
    return Image.new(mode, size, colour)


def test_a_picture_becomes_fractions(folders: Folders) -> None:
    levels = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    image, mask = load(folders, Image.fromarray(levels))
    torch.testing.assert_close(image, torch.from_numpy(levels.astype(np.float32) / 255)[None])
    assert torch.equal(mask, torch.zeros(1, 64, 64))


def test_alpha_becomes_a_mask_of_what_is_transparent(folders: Folders) -> None:
    image, mask = load(folders, plain("RGBA", (255, 0, 0, 51)))
    assert torch.equal(image, torch.tensor([1.0, 0, 0]).expand(1, 3, 4, 3))
    torch.testing.assert_close(mask, torch.full((1, 3, 4), 0.8))


def test_grey_with_alpha_is_read(folders: Folders) -> None:
    image, mask = load(folders, plain("LA", (51, 102)))
    torch.testing.assert_close(image, torch.full((1, 3, 4, 3), 0.2))
    torch.testing.assert_close(mask, torch.full((1, 3, 4), 0.6))


def test_exif_orientation_turns_the_picture_upright(folders: Folders) -> None:
    lying = Image.new("RGB", (40, 24), RED)
    lying.paste(BLUE, (0, 0, 20, 24))
    exif = Image.Exif()
    exif[0x0112] = 6
    image, _ = load(folders, lying, "a.jpg", exif=exif, quality=95)
    assert image.shape == (1, 40, 24, 3)
    assert image[0, 5, 12].argmax() == 2
    assert image[0, 35, 12].argmax() == 0


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_a_picture_with_unreadable_exif_stays_as_it_is(folders: Folders, name: str) -> None:
    image, _ = load(folders, plain("RGB", RED, (16, 8)), name, exif=b"Exif\0\0nonsense")
    assert image.shape == (1, 8, 16, 3)


@pytest.mark.parametrize(("name", "dtype"), [("a.png", np.uint16), ("a.tif", np.uint16), ("a.tif", np.int32)])
def test_grey_of_16_bits_keeps_its_depth(folders: Folders, name: str, dtype: Any) -> None:
    levels = np.array([[0, 1, 256], [32768, 65534, 65535]], dtype=dtype)
    image, mask = load(folders, Image.fromarray(levels), name)
    expected = torch.from_numpy(levels.astype(np.float32) / 65535)
    torch.testing.assert_close(image, expected[None, ..., None].expand(1, 2, 3, 3), atol=1e-7, rtol=0)
    assert torch.equal(mask, torch.zeros(1, 64, 64))


def test_grey_of_32_bits_spans_its_whole_range(folders: Folders) -> None:
    levels = np.array([[0, 2**30, 2**31 - 1]], dtype=np.int32)
    image, _ = load(folders, Image.fromarray(levels), "a.tif")
    torch.testing.assert_close(image[0, 0, :, 0], torch.tensor([0.0, 0.5, 1.0]))


def test_a_palette_gives_its_colours(folders: Folders) -> None:
    image, mask = load(folders, plain("RGB", GREEN).quantize(4))
    assert torch.equal(image[0, 0, 0], torch.tensor([0.0, 1.0, 0.0]))
    assert torch.equal(mask, torch.zeros(1, 64, 64))


def test_a_transparent_palette_colour_becomes_a_mask(folders: Folders) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    image, mask = load(folders, picture, transparency=1)
    assert torch.equal(image[0, 0], torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]))
    assert torch.equal(mask, torch.tensor([[[0.0, 1.0]]]))


def test_cmyk_becomes_rgb(folders: Folders) -> None:
    image, _ = load(folders, plain("CMYK", (0, 255, 255, 0), (8, 8)), "a.tif")
    assert torch.equal(image[0, 0, 0], torch.tensor([1.0, 0.0, 0.0]))


def test_black_and_white_becomes_grey(folders: Folders) -> None:
    image, _ = load(folders, plain("1", 1))
    assert torch.equal(image, torch.ones(1, 3, 4, 3))


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif"])
def test_the_frames_of_an_animation_are_a_batch(folders: Folders, name: str) -> None:
    frames = [plain("RGB", colour, (16, 16)) for colour in (RED, GREEN, BLUE)]
    lossless = {"lossless": True} if name == "a.webp" else {}
    image, mask = load(folders, frames[0], name, save_all=True, append_images=frames[1:], **lossless)
    assert image[:, 8, 8].argmax(-1).tolist() == [0, 1, 2]
    assert mask.shape[0] == 3


def test_frames_of_another_size_are_left_out(folders: Folders) -> None:
    frames = [plain("RGB", RED), plain("RGB", GREEN, (9, 9)), plain("RGB", BLUE)]
    image, mask = load(folders, frames[0], "a.tif", save_all=True, append_images=frames[1:])
    assert image[:, 0, 0].argmax(-1).tolist() == [0, 2]
    assert mask.shape == (2, 64, 64)


def test_opaque_frames_beside_transparent_ones_get_masks_of_the_same_size(folders: Folders) -> None:
    frames = [plain("RGB", RED), plain("RGBA", (0, 0, 255, 0))]
    image, mask = load(folders, frames[0], "a.tif", save_all=True, append_images=frames[1:])
    assert image.shape == (2, 3, 4, 3)
    assert torch.equal(mask, torch.stack((torch.zeros(3, 4), torch.ones(3, 4))))


def test_of_a_phones_picture_series_the_first_is_taken(folders: Folders) -> None:
    pair = [plain("RGB", RED, (16, 16)), plain("RGB", BLUE, (16, 16))]
    image, _ = load(folders, pair[0], "a.mpo", save_all=True, append_images=pair[1:])
    assert image.shape[0] == 1


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_truncated_picture_is_an_error_that_says_what_to_do(folders: Folders, name: str) -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, format="JPEG" if name == "a.jpg" else "PNG")
    (folders.input / name).write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    with pytest.raises(LayoutError, match=rf"'{name}' is damaged or cut short.*LOAD_TRUNCATED_IMAGES"):
        LoadImage().load_image(name)


@pytest.mark.parametrize(("content", "words"), [(b"", "is empty"), (b"hello" * 99, "is not an image")])
def test_a_file_that_is_not_a_picture_is_an_error_that_names_it(folders: Folders, content: bytes, words: str) -> None:
    (folders.input / "a.png").write_bytes(content)
    with pytest.raises(LayoutError, match=f"'a.png' {words}"):
        LoadImage().load_image("a.png")
    with pytest.raises(LayoutError, match=f"'a.png' {words}"):
        LoadImageMask().load_image("a.png", "red")


def test_an_enormous_picture_is_refused(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    plain("RGB", RED, (100, 100)).save(folders.input / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(LayoutError, match=r"'a.png' is too large.*MAX_IMAGE_PIXELS"):
        LoadImage().load_image("a.png")


def test_validation_names_the_folder_and_near_names(folders: Folders) -> None:
    plain("RGB", RED).save(folders.input / "photo.png")
    assert LoadImage.VALIDATE_INPUTS("photo.png") is True
    answer = LoadImage.VALIDATE_INPUTS("foto.png")
    assert str(folders.input) in answer
    assert "Did you mean 'photo.png'" in answer
    assert "leads out of" in LoadImageMask.VALIDATE_INPUTS("../photo.png")
    assert "is a folder" in LoadImage.VALIDATE_INPUTS(".")
    assert LoadImage.VALIDATE_INPUTS(None) is True


def test_a_missing_file_is_an_error(folders: Folders) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file 'a.png \[output\]' in .*output\. It contains no images"):
        LoadImage().load_image("a.png [output]")


def test_the_fingerprint_is_that_of_the_content(folders: Folders) -> None:
    (folders.input / "a.png").write_bytes(b"one")
    assert LoadImage.IS_CHANGED("a.png") == hashlib.sha256(b"one").hexdigest()
    assert LoadImageMask.IS_CHANGED("a.png", "red") == hashlib.sha256(b"one").hexdigest()
    assert math.isnan(LoadImage.IS_CHANGED(None))


def test_the_choice_lists_the_input_folder(folders: Folders) -> None:
    plain("RGB", RED).save(folders.input / "b.png")
    assert LoadImage.INPUT_TYPES()["required"]["image"][0] == ["b.png"]


@pytest.mark.parametrize(("channel", "value"), [("red", 0.2), ("green", 0.4), ("blue", 0.6), ("alpha", 0.2)])
def test_a_channel_is_read_as_a_mask(folders: Folders, channel: str, value: float) -> None:
    plain("RGBA", (51, 102, 153, 204)).save(folders.input / "a.png")
    (mask,) = LoadImageMask().load_image("a.png", channel)
    torch.testing.assert_close(mask, torch.full((1, 3, 4), value))


def test_the_channels_of_deep_grey_keep_their_depth(folders: Folders) -> None:
    Image.fromarray(np.array([[0, 1, 65535]], dtype=np.uint16)).save(folders.input / "a.png")
    torch.testing.assert_close(LoadImageMask().load_image("a.png", "red")[0], torch.tensor([[[0, 1 / 65535, 1]]]))
    assert torch.equal(LoadImageMask().load_image("a.png", "alpha")[0], torch.zeros(1, 1, 3))


def saved(folders: Folders, result: dict[str, Any], index: int = 0) -> Image.Image:
    entry = result["ui"]["images"][index]
    return Image.open(folders.of(entry["type"]) / entry["subfolder"] / entry["filename"])


def test_a_saved_picture_holds_the_graph(folders: Folders) -> None:
    prompt = {"1": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ü \ud83d"}}}
    extra = {"workflow": {"nodes": [1]}, "note": "hello"}
    result = SaveImage().save_images(torch.zeros(1, 2, 2, 3), "sub/pic", prompt, extra)
    assert result == {"ui": {"images": [{"filename": "pic_00001_.png", "subfolder": "sub", "type": "output"}]}}
    with saved(folders, result) as picture:
        texts = picture.text  # type: ignore[attr-defined]
    assert {key: json.loads(value) for key, value in texts.items()} == {"prompt": prompt, **extra}


def test_live_objects_in_the_graph_are_named(folders: Folders) -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    inputs = {
        "tensor": torch.zeros(2, 3),
        "array": np.zeros(4, dtype=np.int16),
        "number": np.float32(0.5),
        "nan": math.nan,
        "infinite": [math.inf, (1, 2.5, True, None)],
        "object": folders,
        5: "key",
    }
    result = SaveImage().save_images(torch.zeros(1, 2, 2, 3), "a", {"1": {"inputs": inputs}}, {"loop": loop})
    with saved(folders, result) as picture:
        texts = picture.text  # type: ignore[attr-defined]

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(texts["prompt"], parse_constant=refuse)["1"]["inputs"] == {
        "tensor": "<Tensor torch.float32 [2, 3]>",
        "array": "<ndarray int16 [4]>",
        "number": 0.5,
        "nan": "NaN",
        "infinite": {"__value__": ["Infinity", [1, 2.5, True, None]]},
        "object": "<comfy_nb.library.folders.Folders>",
        "5": "key",
    }
    assert "<builtins.dict>" in texts["loop"]


def test_values_are_cut_off_not_rounded(folders: Folders) -> None:
    values = torch.tensor([-1.0, 0.999 / 255, 1.999 / 255, 254.9 / 255, 1.0, 7.0, math.nan, math.inf])
    result = SaveImage().save_images(values.reshape(1, 1, -1, 1).expand(1, 1, 8, 3))
    with saved(folders, result) as picture:
        assert np.asarray(picture)[0, :, 0].tolist() == [0, 0, 1, 254, 255, 255, 0, 255]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_every_number_of_channels_is_saved(folders: Folders, channels: int, mode: str) -> None:
    image = torch.rand(1, 3, 4, channels, generator=torch.Generator().manual_seed(0))
    with saved(folders, SaveImage().save_images(image)) as picture:
        assert picture.mode == mode
        levels = torch.from_numpy(np.array(picture)).reshape(3, 4, channels)
    assert torch.equal(levels, (image[0] * 255).to(torch.uint8))


def test_a_batch_is_numbered(folders: Folders) -> None:
    images = torch.zeros(2, 2, 2, 3)
    names = [entry["filename"] for entry in SaveImage().save_images(images, "a")["ui"]["images"]]
    names += [entry["filename"] for entry in SaveImage().save_images(images, "b%batch_num%")["ui"]["images"]]
    assert names == ["a_00001_.png", "a_00002_.png", "b0_00001_.png", "b1_00002_.png"]


@pytest.mark.parametrize("shape", [(2, 2, 3), (1, 2, 2, 5), (1, 1, 2, 2, 3), (0, 2, 2, 3)])
def test_a_tensor_that_is_not_an_image_is_not_saved(folders: Folders, shape: tuple[int, ...]) -> None:
    with pytest.raises(LayoutError):
        SaveImage().save_images(torch.zeros(shape))
    assert not folders.output.exists()


def test_saving_does_not_leave_the_output_folder(folders: Folders) -> None:
    with pytest.raises(ValueError, match="leads out of"):
        SaveImage().save_images(torch.zeros(1, 2, 2, 3), "../a")
    assert sorted(path.name for path in folders.base.iterdir()) == ["input"]


def test_a_preview_keeps_its_prefix_in_temp(folders: Folders) -> None:
    node, other = PreviewImage(), PreviewImage()
    entries = [node.save_images(torch.zeros(1, 2, 2, 3))["ui"]["images"][0] for _ in range(2)]
    assert [entry["type"] for entry in entries] == ["temp", "temp"]
    stems = [entry["filename"].rsplit("_", 2)[0] for entry in entries]
    assert stems[0] == stems[1] == f"ComfyUI{node.prefix_append}"
    assert len(node.prefix_append.removeprefix("_temp_")) == 5
    assert node.prefix_append != other.prefix_append


def test_a_node_knows_whether_its_files_are_still_there(folders: Folders) -> None:
    ui = PreviewImage().save_images(torch.zeros(2, 2, 2, 3))["ui"]
    assert PreviewImage.STILL_THERE(ui)
    (folders.temp / ui["images"][1]["filename"]).unlink()
    assert not PreviewImage.STILL_THERE(ui)


def test_what_is_saved_can_be_loaded(folders: Folders) -> None:
    image = torch.rand(1, 5, 7, 4, generator=torch.Generator().manual_seed(1))
    name = SaveImage().save_images(image, "sub/a")["ui"]["images"][0]["filename"]
    loaded, mask = LoadImage().load_image(f"sub/{name} [output]")
    torch.testing.assert_close(loaded, image[..., :3], atol=1 / 255, rtol=0)
    torch.testing.assert_close(mask, 1 - image[..., 3], atol=1 / 255, rtol=0)


async def test_a_picture_in_the_place_of_the_one_that_was_saved_is_not_taken_for_it(folders: Folders) -> None:
    red, blue = (nb.Graph(nb.nodes.SaveImage(nb.nodes.EmptyImage(4, 4, color=each))) for each in (0xFF0000, 0x0000FF))
    (entry,) = (await red.run()).ui["2"]["images"]
    (folders.output / entry["filename"]).unlink()
    assert (await blue.run()).ui["2"]["images"] == [entry]
    run = await red.run()
    assert run.why("2") == "its file is gone"
    (other,) = run.ui["2"]["images"]
    assert other["filename"] != entry["filename"]
    with Image.open(folders.output / other["filename"]) as picture:
        assert picture.getpixel((0, 0)) == RED
    assert (await red.run()).why("2") != "its file is gone"


async def test_a_saved_picture_that_was_only_touched_is_still_there(folders: Folders) -> None:
    graph = nb.Graph(nb.nodes.SaveImage(nb.nodes.EmptyImage(4, 4)))
    (entry,) = (await graph.run()).ui["2"]["images"]
    file = folders.output / entry["filename"]
    data = file.read_bytes()
    os.utime(file, ns=(0, 0))
    assert (await graph.run()).why("2") != "its file is gone"
    file.unlink()
    file.write_bytes(data)
    assert (await graph.run()).ui["2"]["images"] == [entry]
    before = file.stat()
    file.write_bytes(data[:-1] + b"?")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await graph.run()).why("2") == "its file is gone"


REPLACED = ["write", "same time", "rename", "copy"]


@pytest.mark.parametrize("way", REPLACED)
@pytest.mark.parametrize("source", ["graph", "picture", "file"])
async def test_an_edited_photo_is_seen_however_it_was_replaced(
    folders: Folders, tmp_path: Path, way: str, source: str
) -> None:
    """Also where its size and times are as they were, and where the graph comes out of a picture of the old run."""
    photo, other = folders.input / "a.bmp", tmp_path / "b.bmp"
    plain("RGB", RED).save(photo)
    plain("RGB", BLUE).save(other)
    before = photo.stat()
    loaded = nb.nodes.LoadImage("a.bmp")
    graph: Any = nb.Graph(nb.nodes.SaveImage(loaded.IMAGE, filename_prefix="own"))
    (entry,) = (await graph.run()).ui["2"]["images"]
    if source == "picture":
        graph = nb.load(folders.output / entry["filename"])
    elif source == "file":
        graph.save(tmp_path / "a.json")
        graph = nb.load(tmp_path / "a.json")
    if way == "rename":
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(photo)
    elif way == "copy":
        shutil.copyfile(other, photo)
    else:
        photo.write_bytes(other.read_bytes())
    if way in ("same time", "copy"):
        os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert photo.stat().st_size == before.st_size
    run = await graph.run()
    (entry,) = run.ui["2"]["images"]
    with Image.open(folders.output / entry["filename"]) as picture:
        assert picture.getpixel((0, 0)) == BLUE


async def test_a_photo_that_changes_during_the_run_is_not_kept_under_what_it_was(folders: Folders) -> None:
    class Photo(LoadImage):
        """Loads a photo that somebody writes just then."""

        def load_image(self, image: str) -> tuple[torch.Tensor, torch.Tensor]:
            if world.colour is not None:
                plain("RGB", world.colour).save(folders.input / image)
            return super().load_image(image)

    world = Outside(colour=BLUE)
    registry = Registry()
    nb.register(Photo, registry=registry)
    plain("RGB", RED).save(folders.input / "a.png")
    graph = nb.Graph(registry=registry)
    graph.node("Photo", id="1", image="a.png")

    async def colour() -> tuple[int, ...]:
        run = await graph.run()
        return tuple((run["1"][0][0, 0, 0] * 255).int().tolist())

    with pytest.warns(ComfyNBWarning, match=r"Photo \(node 1\): 'a.png' changed while the run went on"):
        assert await colour() == BLUE
    world.colour = None
    plain("RGB", RED).save(folders.input / "a.png")
    assert await colour() == RED
    assert await colour() == RED
