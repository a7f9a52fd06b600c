"""Conversion between image files and tensors; the only module that deals with Pillow's file formats."""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from comfy_nb.errors import LayoutError

DEEP_GREY = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})
MAX_16_BIT = 0xFFFF
MAX_32_BIT = 0x7FFFFFFF
NO_MASK_PX = 64
STILL_FORMATS = frozenset({"MPO"})
PNG_MODES: Mapping[int, str] = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
MAX_NESTING = 100


def read_picture(source: Path | bytes, name: str) -> tuple[Tensor, Tensor]:
    """Read a picture; messages call it `name`.

    Returns the frames that have the size of the first one as IMAGE [B, H, W, 3], upright, and their MASK, 1
    where they are transparent: [B, H, W], or [B, 64, 64] of zeros without transparency. Raises LayoutError
    where it is not a picture.
    """
    images: list[Tensor] = []
    masks: list[Tensor] = []
    with _opened(source, name) as picture:
        for frame in ImageSequence.Iterator(picture):
            image = _colours(upright := _upright(frame))
            if not images or image.shape == images[0].shape:
                images.append(image)
                masks.append(_transparency(upright))
            if picture.format in STILL_FORMATS:
                break
    sizes = {mask.shape for mask in masks}
    if len(sizes) > 1:
        masks = [mask if mask.shape == images[0].shape[:2] else torch.zeros(images[0].shape[:2]) for mask in masks]
    return torch.stack(images), torch.stack(masks)


def read_channel(source: Path | bytes, name: str, channel: str) -> Tensor:
    """Read the "red", "green", "blue" or "alpha" channel of a picture's first frame as MASK [1, H, W].

    Alpha is inverted, so that 1 is transparent. Raises LayoutError where it is not a picture.
    """
    with _opened(source, name) as picture:
        upright = _upright(picture)
        if upright.mode in DEEP_GREY:
            grey = _colours(upright)[None, ..., 0]
            return torch.zeros_like(grey) if channel == "alpha" else grey
        rgba = upright.convert("RGBA")
        values = _fractions(rgba.getchannel(channel[0].upper()))
    return (1 - values if channel == "alpha" else values).unsqueeze(0)


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
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise LayoutError(
            f"{name!r} is damaged or cut short: {error}. Copy or download it again, or set "
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True to load the part that is there."
        ) from error


def _upright(frame: Image.Image) -> Image.Image:
    """Rotate a frame as its EXIF data demands; without readable EXIF data it stays as it is."""
    frame.load()
    try:
        return ImageOps.exif_transpose(frame)
    except (SyntaxError, ValueError, struct.error):
        return frame


def _colours(frame: Image.Image) -> Tensor:
    """Return [H, W, 3] in 0..1; grey images of 16 or more bits keep their depth."""
    if frame.mode not in DEEP_GREY:
        return _fractions(frame.convert("RGB"))
    values = np.asarray(frame).astype(np.float32)
    top = MAX_16_BIT if values.max(initial=0) <= MAX_16_BIT else MAX_32_BIT
    return torch.from_numpy(values / top).clamp(0, 1).unsqueeze(-1).repeat(1, 1, 3)


def _transparency(frame: Image.Image) -> Tensor:
    if "A" in frame.getbands():
        return 1 - _fractions(frame.getchannel("A"))
    if frame.mode == "P" and "transparency" in frame.info:
        return 1 - _fractions(frame.convert("RGBA").getchannel("A"))
    return torch.zeros(NO_MASK_PX, NO_MASK_PX)


def _fractions(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(picture).astype(np.float32) / 255)


def to_png(image: Tensor, texts: Mapping[str, Any] | None = None, compress_level: int = 4) -> bytes:
    """Encode [H, W, C] in 0..1, C 1 to 4, as an 8-bit PNG; values are truncated, not rounded.

    Each value of `texts` is written as JSON into a text chunk under its key; see `to_json`.
    """
    if image.ndim != 3 or image.shape[-1] not in PNG_MODES:
        raise LayoutError(
            f"an image of a batch must be [height, width, 1 to 4 channels], got {list(image.shape)}. "
            "IMAGE is [batch, height, width, channels]: reshape it with unsqueeze or movedim."
        )
    levels = (image.detach().float().cpu() * 255).nan_to_num(0).clamp(0, 255).to(torch.uint8).numpy()
    entries = PngImagePlugin.PngInfo()
    for key, value in (texts or {}).items():
        entries.add_text(key, to_json(value))
    file = io.BytesIO()
    picture = Image.fromarray(levels[..., 0] if image.shape[-1] == 1 else levels)
    picture.save(file, format="PNG", pnginfo=entries, compress_level=compress_level)
    return file.getvalue()


def to_json(value: Any) -> str:
    """Encode a prompt or workflow as valid JSON: NaN and infinity as null, other objects as text."""
    return json.dumps(_plain(value, MAX_NESTING))


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item(), depth)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth and isinstance(value, Mapping):
        return {str(key): _plain(each, depth - 1) for key, each in value.items()}
    if depth and isinstance(value, (list, tuple)):
        return [_plain(each, depth - 1) for each in value]
    return _name(value)


def _name(value: Any) -> str:
    if isinstance(value, (Tensor, np.ndarray)):
        return f"<{type(value).__name__} {value.dtype} {list(value.shape)}>"
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
