"""The folders that images are read from and written to."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfy_nb.engine.node_api.context import current_call, warn_in_call
from comfy_nb.library.save_names import (
    Lookup,
    either,
    fill_tokens,
    fit_name,
    fit_path,
    graph_values,
    size_and_time,
    split_prefix,
)
from comfy_nb.library.temp_files import TempFiles, temp_files
from comfy_nb.wording import suggest

IMAGE_SUFFIXES = frozenset(
    {".apng", ".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tga", ".tif", ".tiff", ".webp"}
)
TYPES = ("input", "output", "temp")
ANNOTATION = re.compile(rf"(?P<name>.*?)\s*\[(?P<type>{'|'.join(TYPES)})\]")
TOKENS = (
    "There are %date:yyyy-MM-dd%, %width%, %height%, %year%, %month%, %day%, %hour%, %minute%, %second%, %batch_num% "
    "and, for a constant of a node, its title or id with the input's name: %Photo.seed%."
)
FIRST = "_00001_.png"


class Folders:
    """The input, output and temp folders, by default `base_dir/input` and so on; created when first written to."""

    def __init__(
        self,
        base_dir: str | os.PathLike[str],
        *,
        input_dir: str | os.PathLike[str] | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        temp_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.base = Path(base_dir).absolute()
        self.input = Path(input_dir or self.base / "input").absolute()
        self.output = Path(output_dir or self.base / "output").absolute()
        self.temp = Path(temp_dir or self.base / "temp").absolute()

    def __repr__(self) -> str:
        return f"Folders(input={str(self.input)!r}, output={str(self.output)!r}, temp={str(self.temp)!r})"

    def of(self, type: str) -> Path:
        """Return the folder of a type: "input", "output" or "temp"; raises ValueError for any other."""
        if type not in TYPES:
            raise ValueError(f"There is no folder of type {type!r}. There are: {', '.join(TYPES)}.")
        folder: Path = getattr(self, type)
        return folder

    def resolve_input(self, name: str) -> Path:
        """Return the path of `name`, `name [output]` or `sub/name`, whether or not it exists.

        Raises ValueError for a name that leads out of its folder, even through links.
        """
        plain, type = split_annotation(name)
        return inside(self.of(type), plain)

    def listing(self, type: str = "input") -> list[str]:
        """Return the sorted names of the image files in a folder, not its subfolders; none if it does not exist."""
        folder = self.of(type)
        if not folder.is_dir():
            return []
        return sorted(each.name for each in folder.iterdir() if is_image_name(each.name) and each.is_file())

    def save_paths(
        self, prefix: str, width: int, height: int, type: str = "output", *, values: Lookup | None = None
    ) -> SavePaths:
        """Return where files with this prefix go, and create the folder.

        Tokens in it are filled in, those of nodes by `values` or else from the prompt of the run that goes on. The
        counter is the highest one of that prefix plus 1. A name that the platform does not allow is mended. Raises
        ValueError for a prefix that leads out of the folder.
        """
        root = self.of(type)
        call = current_call.get()
        if values is None and call is not None:
            values = graph_values(*call.run.prompt_and_pnginfo())
        name = split_prefix(expand_prefix(prefix, width, height, time.localtime(), values), sys.platform)
        name = fit_path(name, str(root.resolve()), sys.platform)
        folder = _without_files(root.resolve(), inside(root, "/".join(name.folders)))
        temp = temp_files(root.resolve()) if type == "temp" else None
        if temp is not None:
            temp.make_room()
        folder.mkdir(parents=True, exist_ok=True)
        subfolder = folder.relative_to(root.resolve()).as_posix()
        counter = next_counter(folder, name.stem)
        return SavePaths(folder, name.stem, counter, "" if subfolder == "." else subfolder, type, temp)


@dataclass(frozen=True, slots=True)
class SavePaths:
    """Where the files of a save go: `<folder>/<stem>_<counter>_.png`; `subfolder` is relative.

    `temp` keeps the number of files in a temp folder within bounds.
    """

    folder: Path
    stem: str
    counter: int
    subfolder: str
    type: str
    temp: TempFiles | None = None

    def write_new(self, data: bytes, counter: int, batch_number: int = 0, suffix: str = ".png") -> tuple[str, int]:
        """Write `data` to a new file with the first free counter from `counter` up.

        Returns its name and counter. `%batch_num%` in the stem becomes `batch_number`.
        """
        stem = self.stem.replace("%batch_num%", str(batch_number))
        while True:
            name = fit_name(stem, f"_{counter:05}_{suffix}", sys.platform)
            try:
                with open(self.folder / name, "xb") as file:
                    file.write(data)
            except FileExistsError:
                counter += 1
            else:
                if self.temp is not None:
                    self.temp.note(self.folder / name, len(data))
                return name, counter


def split_annotation(name: str) -> tuple[str, str]:
    """Split `photo.png [output]` into name and folder type; without an annotation the type is "input"."""
    match = ANNOTATION.fullmatch(name)
    return (match["name"], match["type"]) if match else (name, "input")


def inside(folder: Path, name: str) -> Path:
    """Return `folder / name` with links resolved; raises ValueError where that is outside of the folder."""
    root = folder.resolve()
    if "\0" in name:
        raise ValueError(f"{name!r} is not a file name: it contains a null character.")
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ValueError(
            f"{name!r} leads out of {folder}. Name a file inside that folder, or set another one "
            "by nb.configure(base_dir=...); in Python, nb.image(path) reads a picture from anywhere."
        )
    return path


def is_image_name(name: str) -> bool:
    """Tell by its suffix whether a file is probably an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def pictures_beside(path: Path) -> str:
    """Say which pictures are where a file is not, the nearest names first."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    names = sorted(each.name for each in beside if is_image_name(each.name))
    return suggest(path.name, names) if names else "It contains no images yet."


def expand_prefix(prefix: str, width: int, height: int, now: time.struct_time, values: Lookup | None = None) -> str:
    """Fill in the tokens of size and time, and of nodes by `values` (see `library/save_names.py`); others are kept.

    A warning names those that `values` does not know.
    """
    known = size_and_time(width, height, now)
    filled, unknown = fill_tokens(prefix, known if values is None else either((known, values)))
    if unknown and values is not None:
        warn_in_call(f"The name of a saved file keeps {', '.join(unknown)}, which cannot be filled in. {TOKENS}")
    return filled


def next_counter(folder: Path, stem: str) -> int:
    """Return one more than the highest counter of the files `<stem>_<counter>_...` in a folder."""
    own = os.path.normcase(fit_name(stem, FIRST, sys.platform).removesuffix(FIRST) + "_")
    counters = [0]
    for name in os.listdir(folder):
        digits = name[len(own) :].split("_")[0]
        if os.path.normcase(name[: len(own)]) == own and digits.isdecimal():
            counters.append(int(digits))
    return max(counters) + 1


def _without_files(root: Path, folder: Path) -> Path:
    """Return a folder below `root`; where one of its parts is a file, that part gets a "_" behind it."""
    path = root
    for part in folder.relative_to(root).parts:
        path /= part
        while path.exists() and not path.is_dir():
            path = path.with_name(path.name + "_")
    return path


_default: Folders | None = None
_current: ContextVar[Folders | None] = ContextVar("comfy_nb_folders", default=None)


def current_folders() -> Folders:
    """Return the folders of this context, or else the default: `comfy/` in the working directory of the first use."""
    global _default
    folders = _current.get()
    if folders is not None:
        return folders
    if _default is None:
        _default = Folders("comfy")
    return _default


def set_default_folders(base_dir: str | os.PathLike[str]) -> Folders:
    """Make `<base_dir>/input`, `/output` and `/temp` the default folders and return them."""
    global _default
    _default = Folders(base_dir)
    return _default


@contextmanager
def use_folders(folders: Folders) -> Iterator[Folders]:
    """Use these folders inside a `with` block and in the tasks started there."""
    token = _current.set(folders)
    try:
        yield folders
    finally:
        _current.reset(token)


def reported_file(entry: Any) -> Path | None:
    """Return the path of a file that a node reported as `{"filename", "subfolder", "type"}`; None for anything else."""
    if not isinstance(entry, Mapping) or "filename" not in entry:
        return None
    try:
        folder = current_folders().of(str(entry.get("type", "output")))
        return inside(folder, f"{entry.get('subfolder') or ''}/{entry['filename']}".lstrip("/"))
    except ValueError:
        return None
