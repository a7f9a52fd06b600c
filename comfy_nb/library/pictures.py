"""Conversion between image files and tensors; the only module that deals with Pillow's file formats."""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageSequence, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from comfy_nb.errors import LayoutError
from comfy_nb.spec.pixels import pixels_of

NO_MASK_PX = 64
STILL_FORMATS = frozenset({"MPO"})
PNG_MODES: Mapping[int, str] = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
MAX_NESTING = 100


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
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
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
