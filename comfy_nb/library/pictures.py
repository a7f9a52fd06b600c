"""Conversion between image files and tensors; the only module that deals with Pillow's file formats."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageSequence, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from comfy_nb.errors import LayoutError
from comfy_nb.graph.prompt_json import picture_text
from comfy_nb.spec.pixels import UNREADABLE, levels_of, pixels_of

NO_MASK_PX = 64
STILL_FORMATS = frozenset({"MPO"})
PNG_MODES: Mapping[int, str] = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
LONGEST_KEYWORD = 79


def read_picture(source: Path | bytes, name: str) -> tuple[Tensor, Tensor]:
    """Read a picture; messages call it `name`.

    Returns the frames that have the size of the first one as IMAGE [B, H, W, 3] and their MASK, 1 where they are
    transparent: [B, H, W], or [B, 64, 64] of zeros without transparency. What their pixels become is said in
    `spec/pixels.py`. Raises LayoutError where it is not a picture.
    """
    frames: list[Tensor] = []
    with _opened(source, name) as picture:
        for frame in ImageSequence.Iterator(picture):
            pixels = pixels_of(frame)
            if not frames or pixels.shape[:2] == frames[0].shape[:2]:
                frames.append(pixels)
            if picture.format in STILL_FORMATS:
                break
    return torch.stack([frame[..., :3] for frame in frames]), _transparency(frames)


def read_channel(source: Path | bytes, name: str, channel: str) -> Tensor:
    """Read the "red", "green", "blue" or "alpha" channel of a picture's first frame as MASK [1, H, W].

    Alpha is inverted, so that 1 is transparent. Raises LayoutError where it is not a picture.
    """
    with _opened(source, name) as picture:
        pixels = pixels_of(picture)
    if channel == "alpha":
        return _mask_of(pixels).unsqueeze(0)
    return pixels[None, ..., ("red", "green", "blue").index(channel)]


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[Image.Image]:
    """Open a picture; the errors of Pillow, even those raised while it is read, become a LayoutError that names it."""
    if not (len(source) if isinstance(source, bytes) else source.stat().st_size):
        raise LayoutError(f"{name!r} is empty (0 bytes). Copy or download it again.")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            yield picture
    except Image.DecompressionBombError as error:
        raise LayoutError(
            f"{name!r} is too large: {error} If you trust it, raise PIL.Image.MAX_IMAGE_PIXELS."
        ) from error
    except UnidentifiedImageError as error:
        raise LayoutError(
            f"{name!r} is not an image that can be read. Expected a PNG, JPEG, WebP, GIF, TIFF or the like; "
            "open it in another program and save it as one of these."
        ) from error
    except PermissionError:
        raise
    except UNREADABLE as error:
        raise LayoutError(
            f"{name!r} is damaged or cut short: {error}. Copy or download it again, or set "
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True to load the part that is there."
        ) from error


def _transparency(frames: Sequence[Tensor]) -> Tensor:
    if all(frame.shape[2] == 3 for frame in frames):
        return torch.zeros(len(frames), NO_MASK_PX, NO_MASK_PX)
    return torch.stack([_mask_of(frame) for frame in frames])


def _mask_of(pixels: Tensor) -> Tensor:
    return torch.zeros(pixels.shape[:2]) if pixels.shape[2] == 3 else 1 - pixels[..., 3]


def to_png(image: Tensor, texts: Mapping[str, Any] | None = None, compress_level: int = 4) -> bytes:
    """Encode [H, W, C] in 0..1, C 1 to 4, as an 8-bit PNG; values are truncated, not rounded.

    Each value of `texts` is written as JSON into a text chunk under its key; see `graph/prompt_json.py`.
    """
    if image.ndim != 3 or image.shape[-1] not in PNG_MODES:
        raise LayoutError(
            f"an image of a batch must be [height, width, 1 to 4 channels], got {list(image.shape)}. "
            "IMAGE is [batch, height, width, channels]: reshape it with unsqueeze or movedim."
        )
    levels = levels_of(image)
    entries = PngImagePlugin.PngInfo()
    for key, value in (texts or {}).items():
        entries.add_text(_keyword(key), picture_text(value, is_prompt=key == "prompt"))
    file = io.BytesIO()
    picture = Image.fromarray(levels[..., 0] if image.shape[-1] == 1 else levels)
    picture.save(file, format="PNG", pnginfo=entries, compress_level=compress_level)
    return file.getvalue()


def _keyword(key: object) -> str:
    """Return a key as PNG takes it: 1 to 79 characters of Latin-1 (PNG specification, 11.3.4.2)."""
    return str(key).encode("latin-1", "replace").decode("latin-1")[:LONGEST_KEYWORD] or "-"
