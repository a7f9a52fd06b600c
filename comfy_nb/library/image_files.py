"""Nodes that load, save and preview images."""

from __future__ import annotations

import hashlib
import secrets
import string
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from xxhash import xxh3_128_digest

from comfy_nb.engine.node_api.context import confirm_fingerprint
from comfy_nb.errors import LayoutError
from comfy_nb.library.declare import Declaration, legacy_combo_input
from comfy_nb.library.folders import Folders, SavePaths, current_folders, inside, pictures_beside, split_annotation
from comfy_nb.library.pictures import read_channel, read_picture, to_png
from comfy_nb.library.save_names import graph_values

ANYWHERE = "Copy one there; in Python, nb.image(path) reads one from anywhere."


class LoadImage:
    """Load an image from the input folder: one image per frame, and a mask that is 1 where it is transparent."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "load_image"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": _file_choice()}}

    def load_image(self, image: str) -> tuple[Tensor, Tensor]:
        """Return the frames in 0..1 and their masks.

        Floats (renders, depth maps) up to 16 are taken as they are; larger ones are levels, of 255 up to 255 and of
        65535 up to 65535, and beyond that the largest becomes 1.
        """
        return read_picture(_content(image), image)

    @classmethod
    def IS_CHANGED(cls, image: str | None) -> str | float:
        return _digest(image)

    @classmethod
    def VALIDATE_INPUTS(cls, image: str | None) -> bool | str:
        return _check(image)


class LoadImageMask:
    """Load one channel of an image from the input folder as a mask; for alpha, 1 is transparent."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "load_image"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": _file_choice(), "channel": legacy_combo_input("alpha", "red", "green", "blue")}}

    def load_image(self, image: str, channel: str) -> tuple[Tensor]:
        return (read_channel(_content(image), image, channel),)

    @classmethod
    def IS_CHANGED(cls, image: str | None, channel: str | None) -> str | float:
        return _digest(image)

    @classmethod
    def VALIDATE_INPUTS(cls, image: str | None) -> bool | str:
        return _check(image)


class SavedFile(dict[str, str]):
    """A file as `ui` reports it, which knows what was written, to tell another file of that name from it."""

    __slots__ = ("digest", "stamp")

    def __init__(self, paths: SavePaths, name: str, data: bytes) -> None:
        super().__init__(filename=name, subfolder=paths.subfolder, type=paths.type)
        self.stamp = _stamp(paths.folder / name)
        self.digest = xxh3_128_digest(data)

    def is_at(self, path: Path) -> bool:
        """Whether a file is what was written; it is read only if it may have been changed."""
        if sys.platform != "win32" and _stamp(path) == self.stamp:  # its time of change cannot be set back there
            return path.is_file()
        try:
            return xxh3_128_digest(path.read_bytes()) == self.digest
        except OSError:
            return False


class SaveImage:
    """Save images as PNG files in the output folder, with the graph that made them embedded."""

    RETURN_TYPES = ()
    FUNCTION = "save_images"
    CATEGORY = "image"
    OUTPUT_NODE = True

    def __init__(self) -> None:
        # Packs subclass this node and set these.
        self.type = "output"
        self.prefix_append = ""
        self.compress_level = 4

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        prefix = (
            "STRING",
            {
                "default": "ComfyUI",
                "tooltip": "The beginning of the file names. May name subfolders, and contain %width%, %height%, "
                "%year%, %month%, %day%, %hour%, %minute%, %second%, %batch_num%, %date:yyyy-MM-dd% and the value of "
                "an input, %Node.input%.",
            },
        )
        return {"required": {"images": ("IMAGE",), "filename_prefix": prefix}, "hidden": _graph_inputs()}

    def save_images(
        self,
        images: Tensor,
        filename_prefix: str = "ComfyUI",
        prompt: Mapping[str, Any] | None = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        if not len(images):
            raise LayoutError(
                "there are no images to save: the batch is empty. Check the node that this one takes them from."
            )
        texts = ({} if prompt is None else {"prompt": prompt}) | dict(extra_pnginfo or {})
        encoded = [to_png(image, texts, self.compress_level) for image in images]
        height, width = images[0].shape[:2]
        values = None if prompt is None else graph_values(prompt, extra_pnginfo)
        paths = current_folders().save_paths(
            f"{filename_prefix}{self.prefix_append}", width, height, self.type, values=values
        )
        saved, counter = [], paths.counter
        for batch_number, data in enumerate(encoded):
            name, counter = paths.write_new(data, counter, batch_number)
            counter += 1
            saved.append(SavedFile(paths, name, data))
        return {"ui": {"images": saved}}

    @classmethod
    def STILL_THERE(cls, ui: Mapping[str, Any]) -> bool:
        """Tell whether the files that an earlier run reported in `ui` are as it wrote them; if not, it runs again."""
        folders = current_folders()
        return all(_is_as_written(_reported(folders, entry), entry) for entry in ui.get("images", ()))


class PreviewImage(SaveImage):
    """Show images; they are saved only in the temp folder."""

    def __init__(self) -> None:
        self.type = "temp"
        self.prefix_append = "_temp_" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
        self.compress_level = 1

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"images": ("IMAGE",)}, "hidden": _graph_inputs()}


def _graph_inputs() -> dict[str, str]:
    return {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}


def _file_choice() -> Declaration:
    return (current_folders().listing(), {"image_upload": True})


def _reported(folders: Folders, entry: Mapping[str, str]) -> Path:
    return inside(folders.of(entry["type"]), f"{entry['subfolder']}/{entry['filename']}".lstrip("/"))


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes with a file's content, whatever else is put back; nothing where there is no such file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return ()
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _is_as_written(path: Path, entry: Mapping[str, str]) -> bool:
    return entry.is_at(path) if isinstance(entry, SavedFile) else path.is_file()


def _existing(name: str) -> Path:
    path = current_folders().resolve_input(name)
    if not path.is_file():
        raise FileNotFoundError(_missing(name, path))
    return path


def _content(name: str) -> bytes:
    data = _existing(name).read_bytes()
    confirm_fingerprint(hashlib.sha256(data).hexdigest(), repr(name))
    return data


def _missing(name: str, path: Path) -> str:
    folder = current_folders().of(split_annotation(name)[1])
    if path.is_dir():
        return f"{name!r} is a folder. Name an image in it."
    shown = path.parent if path.parent.is_dir() else folder
    return f"there is no file {name!r} in {shown}. {pictures_beside(path)} {ANYWHERE}"


def _digest(name: str | None) -> str | float:
    if name is None:
        return float("nan")  # the name comes from a link and is not known yet
    with open(_existing(name), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(name: str | None) -> bool | str:
    if name is None:
        return True
    try:
        _existing(name)
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    return True
