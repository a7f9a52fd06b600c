"""Pictures from wherever a person names them in Python; what a graph file names stays in its folders."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from pathlib import Path
from typing import Any

from torch import Tensor

from comfy_nb.engine.blocking import process_loop
from comfy_nb.errors import LayoutError
from comfy_nb.library.folders import pictures_beside
from comfy_nb.library.pictures import read_picture
from comfy_nb.library.web import download
from comfy_nb.spec.coerce import coerce
from comfy_nb.wording import clip, short

DOWNLOAD_S = 60.0
SHOWN_MAX = 60


def image(source: Any) -> Tensor:
    """Return a picture as IMAGE, float32 [batch, height, width, 3] in 0..1, one for each frame.

    `source` is a path (`~` is the home folder), an http:, https: or data: address, the bytes of a file or an open one,
    a PIL picture, a numpy array, a tensor, or a list of these that have one size. Transparency is left out: a MASK
    input takes a PIL picture's, and `nb.nodes.LoadImage` gives both.

    Raises FileNotFoundError, ConnectionError, and LayoutError where it is no picture; each names the source.

    >>> nb.image("~/Pictures/cat.jpg").shape  # doctest: +SKIP
    torch.Size([1, 768, 1024, 3])
    """
    if isinstance(source, (list, tuple)):
        return _layout([image(each) for each in source])
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        return read_picture(_downloaded(source), source)[0]
    if isinstance(source, str) and source.startswith("data:"):
        return read_picture(_decoded(source), clip(source, SHOWN_MAX))[0]
    if isinstance(source, (str, os.PathLike)):
        return read_picture(_found(Path(source).expanduser()), str(source))[0]
    if isinstance(source, (bytes, bytearray, memoryview)):
        return read_picture(bytes(source), "the file whose bytes were given")[0]
    if callable(read := getattr(source, "read", None)):
        return read_picture(_bytes_of(read(), source), _name_of(source))[0]
    return _layout(source)


def _name_of(file: Any) -> str:
    return str(getattr(file, "name", "the open file"))


def _bytes_of(data: object, file: Any) -> bytes:
    if not isinstance(data, bytes):
        advice = 'Open it by open(path, "rb"), or give the path.'
        raise LayoutError(f"nb.image: {_name_of(file)!r} gives {short(data)}, not bytes. {advice}")
    return data


def _layout(value: Any) -> Tensor:
    try:
        picture = coerce(value, "IMAGE")
    except LayoutError as error:
        raise LayoutError(f"nb.image: {error}") from error
    if not isinstance(picture, Tensor):
        expected = "a path, an address, the bytes of a file, a picture, an array or a tensor"
        raise LayoutError(f"nb.image takes {expected}, got {short(value)}.")
    return picture


def _found(path: Path) -> Path:
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder. Name a picture in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no file {str(path)!r}: {str(path.parent)!r} is no folder.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path.name!r} in {path.parent.resolve()}. {pictures_beside(path)}")
    return path


def _downloaded(url: str) -> bytes:
    """Download on a loop of ours: the person's own may be the one that is running this."""
    future = asyncio.run_coroutine_threadsafe(download(url, DOWNLOAD_S), process_loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _decoded(url: str) -> bytes:
    """Return what a data: address of base64 holds (RFC 2397)."""
    head, _, content = url.partition(",")
    try:
        if not head.endswith(";base64"):
            raise binascii.Error("it is not base64")
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise LayoutError(f"{clip(url, SHOWN_MAX)!r} cannot be read: {error}.") from error
