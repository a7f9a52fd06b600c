"""Pictures from wherever a person names them in Python; what a graph file names stays in its folders."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from comfy_nb.engine.blocking import process_loop
from comfy_nb.engine.execution.loops import running_loop
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

    Raises FileNotFoundError, IsADirectoryError, ConnectionError, TimeoutError after 60 s, ValueError for what is no
    address, and LayoutError where it is no picture; each names the source.

    >>> nb.image("~/Pictures/cat.jpg").shape  # doctest: +SKIP
    torch.Size([1, 768, 1024, 3])
    """
    if isinstance(source, (list, tuple)):
        return _layout([image(each) for each in source])
    if isinstance(source, str) and source[:8].lower().startswith(("http://", "https://")):
        return read_picture(_downloaded(source), source)[0]
    if isinstance(source, str) and source[:5].lower() == "data:":
        return read_picture(_decoded(source), clip(source, SHOWN_MAX))[0]
    if isinstance(source, (str, os.PathLike)):
        name = os.fsdecode(source)
        return read_picture(_found(Path(os.path.expanduser(name)), name), name)[0]
    if isinstance(source, (bytes, bytearray, memoryview)):
        return read_picture(bytes(source), "the file whose bytes were given")[0]
    if not isinstance(source, type) and callable(read := getattr(source, "read", None)):
        name = str(getattr(source, "name", "the open file"))
        return read_picture(_content(read, name), name)[0]
    return _layout(source)


def _layout(value: Any) -> Tensor:
    try:
        picture = coerce(value, "IMAGE")
    except LayoutError as error:
        raise LayoutError(f"nb.image: {error}") from error
    if not isinstance(picture, Tensor):
        expected = "a path, an address, the bytes of a file, a picture, an array or a tensor"
        raise LayoutError(f"nb.image takes {expected}, got {short(value)}.")
    return picture


def _found(path: Path, source: str) -> Path:
    if not source or "://" in source[:SHOWN_MAX]:
        raise FileNotFoundError(
            f"There is no file {clip(source, SHOWN_MAX)!r}. Give a path, or an http:, https: or data: address."
        )
    try:
        is_there = path.is_file()
    except OSError as error:  # a name that is too long: the content of a file, perhaps
        raise FileNotFoundError(f"There is no file {clip(source, SHOWN_MAX)!r}: {error.strerror}.") from None
    if is_there:
        return path
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder. Name a picture in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no file {str(path)!r}: {str(path.parent)!r} is no folder.")
    raise FileNotFoundError(f"There is no file {path.name!r} in {path.parent.resolve()}. {pictures_beside(path)}")


def _content(read: Callable[[], Any], name: str) -> bytes:
    """Return what an open file holds."""
    try:
        content = read()
    except ValueError as error:  # it is closed, or its text is none
        raise LayoutError(f"nb.image: {name!r} cannot be read: {error}. Open it again, by open(path, 'rb').") from error
    if not isinstance(content, (bytes, bytearray, memoryview)):
        what = f"its read() gave {short(content)}, not bytes"
        raise LayoutError(f"nb.image: {name!r} cannot be read: {what}. Open a file by open(path, 'rb').")
    return bytes(content)


def _downloaded(url: str) -> bytes:
    """Download on a loop that is not the one that is running this, be it the person's own or ours."""
    future = asyncio.run_coroutine_threadsafe(download(url, DOWNLOAD_S), process_loop(beside=running_loop()))
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
    except ValueError as error:
        raise LayoutError(f"{clip(url, SHOWN_MAX)!r} cannot be read: {error}.") from error
