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
BAD_EXIF = (SyntaxError, ValueError, TypeError, KeyError, IndexError, OSError, struct.error)


def pixels_of(picture: Picture, stride: int = 1) -> Tensor:
    """Return a picture's current frame as float32 [H, W, 3], or [H, W, 4] where it has transparency; 1 is opaque.

    Values are in 0..1, but for the floats of renders. With a stride only each so many pixels are read. Raises what PIL
    raises for a picture that it cannot read.
    """
    picture.load()  # PNG may hold its EXIF after the pixels
    colours, alpha = _colours_and_alpha(picture, stride)
    if colours.ndim == 2:
        colours = np.repeat(colours[..., None], 3, axis=2)
    pixels = colours if alpha is None else np.concatenate((colours, alpha[..., None]), axis=2)
    return torch.from_numpy(np.ascontiguousarray(_turned(pixels, _orientation(picture)), dtype=np.float32))


def is_grey(picture: Picture) -> bool:
    """Whether a picture has one value a pixel, which is no palette's index."""
    return picture.mode in GREY_MODES or picture.mode.startswith("I;16")


def _colours_and_alpha(picture: Picture, stride: int) -> tuple[Array, Array | None]:
    """Return the colours [H, W] or [H, W, 3], and the alpha [H, W] or None."""
    mode = picture.mode
    if mode == "PA" or (mode == "P" and _has_transparent_colours(picture)):
        picture = picture.convert("RGBA")
    elif not is_grey(picture) and mode not in AS_THEY_ARE:
        picture = picture.convert("RGB")
    levels = np.asarray(picture)[::stride, ::stride]
    if mode == "I" and _is_unsigned(picture):
        levels = levels.astype(np.uint32)
    if mode == "1":
        levels = levels * np.uint8(TOP_8_BIT)
    if is_grey(picture):
        return _unit(levels, mode), _keyed_alpha(levels[..., None], picture)
    if picture.mode in ("RGB", "RGBX"):
        return _unit(levels[..., :3], mode), _keyed_alpha(levels[..., :3], picture)
    colours, alpha = _split(_unit(levels, mode))
    if mode in ("La", "RGBa"):
        divisor = alpha if colours.ndim == 2 else alpha[..., None]
        colours = np.divide(colours, divisor, out=colours.copy(), where=divisor > 0).clip(0, 1)
    return colours, alpha


def _is_unsigned(picture: Picture) -> bool:
    """Whether the 32 bits of a TIFF picture have no sign, which PIL reads as if they had one."""
    return getattr(picture, "tag_v2", {}).get(TIFF_SAMPLE_FORMAT) == (UNSIGNED,)


def _split(pixels: Array) -> tuple[Array, Array]:
    colours = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
    return colours, pixels[..., -1]


def _has_transparent_colours(picture: Picture) -> bool:
    palette = picture.palette
    return "transparency" in picture.info or (palette is not None and palette.mode.endswith("A"))


def _keyed_alpha(levels: Array, picture: Picture) -> Array | None:
    """Return the alpha [H, W] of a picture of which one colour is transparent: 0 there, 1 elsewhere."""
    key = picture.info.get("transparency")
    colour = (key,) if isinstance(key, int) else key
    if not isinstance(colour, tuple) or len(colour) != levels.shape[2]:
        return None
    alpha: Array = np.any(levels != np.array(colour), axis=2).astype(np.float32)
    return alpha


def _unit(levels: Array, mode: str) -> Array:
    """Return levels as fractions, by the rule above."""
    values: npt.NDArray[np.float32] = levels.astype(np.float32)
    if mode == "F":
        known = values[np.isfinite(values) & (values < NOTHING_FROM)]
        largest = known.max(initial=0)
        return values if largest <= BYTE_VALUES_ABOVE else values / np.float32(max(_depth_of(largest), largest))
    if mode == "I":
        return (values / np.float32(max(TOP_16_BIT, values.max(initial=0)))).clip(0, 1)
    return values / np.float32(TOP_16_BIT if mode.startswith("I;16") else TOP_8_BIT)


def _depth_of(largest: float) -> int:
    return TOP_8_BIT if largest <= TOP_8_BIT else TOP_16_BIT


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
