"""The pixels of PIL pictures of every mode: what nodes get of them, and so what files and views show.

A picture is turned upright by its EXIF entry, becomes RGB, and has alpha only where the picture has it: in a band, in a
palette, or as one transparent colour. Colours that were multiplied by their alpha are divided by it.

Levels become fractions by their depth: of 255 for 8 bits, of 65535 for 16 (the modes I;16 and I). Values of 32 bits
above 65535 are measurements, such as depths: the largest becomes 1. Floats (mode F) in 0..1 are taken as they are, and
so are all up to 16, since a render's highlights lie above 1. Larger floats are levels: of 255 up to 255, of 65535 up to
65535, and beyond that the largest becomes 1. What is not finite, and what is 1e9 or more (Blender writes 1e10 where a
ray hits nothing), does not count for the largest.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Array = npt.NDArray[Any]

TOP_8_BIT = 255
TOP_16_BIT = 0xFFFF
BYTE_VALUES_ABOVE = 16.0  # a float picture with larger values counts 0..255; HDR highlights stay below
NOTHING_FROM = 1e9  # renderers write such distances, 1e10 in Blender, where a ray hit nothing
EXIF_ORIENTATION = 0x0112
TIFF_SAMPLE_FORMAT, UNSIGNED = 339, 1
GREY_MODES = frozenset({"1", "L", "I", "F"})  # and all that begin with I;16
AS_THEY_ARE = frozenset({"RGB", "RGBX", "LA", "RGBA", "La", "RGBa"})
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error)  # what PIL raises for a damaged picture
BAD_EXIF = (SyntaxError, ValueError, TypeError, KeyError, IndexError, OSError, struct.error)


def pixels_of(picture: Picture, stride: int = 1) -> Tensor:
    """Return a picture's current frame as float32 [H, W, 3], or [H, W, 4] where it has transparency; 1 is opaque.

    Values are in 0..1, but for the floats of renders. With a stride only each so many pixels are read. Raises what PIL
    raises for a picture that it cannot read.
    """
    picture.load()  # PNG may hold its EXIF after the pixels
    pixels = _pixels(picture, stride)
    return torch.from_numpy(np.ascontiguousarray(_turned(pixels, _orientation(picture))))


def levels_of(values: Tensor) -> Array:
    """Return values in 0..1 as the 8-bit levels that files and views have: 255 times each, cut off as in ComfyUI.

    NaN becomes 0. What came from 8 bits comes back as it was.
    """
    scaled = values.detach().float().cpu() * TOP_8_BIT
    levels: Array = scaled.nan_to_num(0).clamp(0, TOP_8_BIT).to(torch.uint8).numpy()
    return levels


def is_grey(picture: Picture) -> bool:
    """Whether a picture has one value a pixel, which is no palette's index."""
    return picture.mode in GREY_MODES or picture.mode.startswith("I;16")


def _pixels(picture: Picture, stride: int) -> Array:
    """Return float32 [H, W, 3] or [H, W, 4], as the picture lies."""
    mode = picture.mode
    if mode == "P" and not isinstance(picture.info.get("transparency", 0), int | bytes):
        picture = picture.copy()
        del picture.info["transparency"]
    if mode == "PA" or (mode == "P" and _has_transparent_colours(picture)):
        picture = picture.convert("RGBA")
    elif not is_grey(picture) and mode not in AS_THEY_ARE:
        picture = picture.convert("RGB")
    levels = np.asarray(picture)
    if mode == "I" and _is_unsigned(picture):
        levels = levels.astype(np.uint32)
    top = _top_of(levels, mode)
    levels = levels[::stride, ::stride, :3] if mode == "RGBX" else levels[::stride, ::stride]
    values: Array = np.divide(levels, np.float32(top), dtype=np.float32)
    if mode == "I":
        values = values.clip(0, 1)
    if picture.mode == "RGBA":
        return values
    if mode in ("LA", "La", "RGBa"):
        colours, alpha = values[..., :-1], values[..., -1:]
        if mode != "LA":
            colours = np.divide(colours, alpha, out=colours.copy(), where=alpha > 0).clip(0, 1)
        return _joined(colours, alpha)
    values, levels = np.atleast_3d(values), np.atleast_3d(levels)
    return _joined(values, _keyed_alpha(levels * TOP_8_BIT if mode == "1" else levels, picture))


def _joined(colours: Array, alpha: Array | None) -> Array:
    """Return colours [H, W, 1 or 3] as RGB, with an alpha [H, W, 1] if there is one."""
    rgb = np.repeat(colours, 3, axis=2) if colours.shape[2] == 1 else colours
    return rgb if alpha is None else np.concatenate((rgb, alpha), axis=2)


def _is_unsigned(picture: Picture) -> bool:
    """Whether the 32 bits of a TIFF picture have no sign, which PIL reads as if they had one."""
    return getattr(picture, "tag_v2", {}).get(TIFF_SAMPLE_FORMAT) == (UNSIGNED,)


def _has_transparent_colours(picture: Picture) -> bool:
    palette = picture.palette
    return "transparency" in picture.info or (palette is not None and palette.mode.endswith("A"))


def _keyed_alpha(levels: Array, picture: Picture) -> Array | None:
    """Return the alpha [H, W, 1] of a picture of which one colour is transparent: 0 there, 1 elsewhere."""
    key = picture.info.get("transparency")
    colour = (key,) if isinstance(key, int) else key
    if not isinstance(colour, tuple) or len(colour) != levels.shape[2]:
        return None
    alpha: Array = np.any(levels != np.array(colour), axis=2, keepdims=True).astype(np.float32)
    return alpha


def _top_of(levels: Array, mode: str) -> float:
    """Return the level that becomes 1, by the rule above."""
    if mode == "1":
        return 1
    if mode == "F":
        known = levels[np.isfinite(levels) & (levels < NOTHING_FROM)]
        largest = float(known.max(initial=0))
        if largest <= BYTE_VALUES_ABOVE:
            return 1
        return TOP_8_BIT if largest <= TOP_8_BIT else max(TOP_16_BIT, largest)
    if mode == "I":
        return max(TOP_16_BIT, float(levels.max(initial=0)))
    return TOP_16_BIT if mode.startswith("I;16") else TOP_8_BIT


def _orientation(picture: Picture) -> object:
    """Return the orientation of EXIF or XMP, 1 to 8; without readable EXIF data a picture stays as it is."""
    try:
        return picture.getexif().get(EXIF_ORIENTATION)
    except BAD_EXIF:
        return None


def _turned(pixels: Array, orientation: object) -> Array:
    """Turn and mirror pixels as EXIF says that they lie (Exif 2.32, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels
