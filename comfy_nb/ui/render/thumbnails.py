"""Small pictures of values and files, encoded to be put into a page; and a few words for values without a picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from comfy_nb.library.folders import reported_file
from comfy_nb.spec.pixels import levels_of, pixels_of
from comfy_nb.spec.sockets import ANY, SOCKETS
from comfy_nb.ui.render.drawings import drawing_of
from comfy_nb.wording import short

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SMALLER = ((256, 75), (160, 60), (96, 45))  # (max_px, JPEG quality) to try, the largest first
JPEG_QUALITY = 85
WORDS_MAX = 160


class Thumbnail(NamedTuple):
    """An encoded picture: `format` is "jpeg" or "png"."""

    format: str
    data: bytes

    @property
    def uri(self) -> str:
        """The picture as a `data:` URI."""
        return f"data:image/{self.format};base64,{base64.b64encode(self.data).decode()}"


def value_thumbnail(value: Any, kind: str | None, max_px: int) -> Thumbnail | None:
    """Return the first picture of a PIL value, or of a tensor of a socket type of pictures; None if it has none.

    Without a type, or of any type ("*"), a tensor [B, H, W, C] is taken for an IMAGE.
    """
    if issubclass(type(value), torch.Tensor):
        return _first_picture(value, "IMAGE" if kind in (ANY, None) else kind, max_px)
    return picture_thumbnail(value, max_px) if is_picture(value) else None


def is_picture(value: Any) -> bool:
    """Whether a value is a PIL picture, by what it can do."""
    names = ("thumbnail", "mode", "getpixel")
    return not issubclass(type(value), type) and all(hasattr(value, name) for name in names)


def _first_picture(value: torch.Tensor, kind: str, max_px: int) -> Thumbnail | None:
    if kind not in SOCKETS or not SOCKETS[kind].is_picture or not value.numel() or value.is_complex():
        return None
    try:
        first = drawing_of(kind).thumbnail(value)
        return tensor_thumbnail(first, max_px) if first is not None else None
    except KeyboardInterrupt:
        raise
    except BaseException:  # a tensor without readable values, or a drawing of somebody else's that fails on it
        return None


def describe_value(value: Any) -> str:
    """Describe a value in a line or two: numbers and text as they are, everything else by its type and shape."""
    if issubclass(type(value), float):
        return f"{value:.6g}"
    if issubclass(type(value), torch.Tensor) and value.numel() == 1 and not value.is_complex():
        return f"{value.item():.6g}"
    return value[:WORDS_MAX] if issubclass(type(value), str) else short(value, WORDS_MAX)


def tensor_thumbnail(pixels: torch.Tensor, max_px: int, quality: int = JPEG_QUALITY) -> Thumbnail:
    """Return a picture of [H, W] or [H, W, C] values in 0..1, at most `max_px` wide and high; NaN is black.

    It is a PNG if it has alpha, otherwise a JPEG.
    """
    from PIL import Image

    stride = _stride(pixels.shape[:2], max_px)
    values = levels_of(pixels[::stride, ::stride])
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    picture = Image.fromarray(values)
    picture.thumbnail((max_px, max_px))
    buffer = io.BytesIO()
    if picture.mode in ("L", "RGB"):
        picture.save(buffer, "JPEG", quality=quality)
        return Thumbnail("jpeg", buffer.getvalue())
    picture.save(buffer, "PNG")
    return Thumbnail("png", buffer.getvalue())


def picture_thumbnail(picture: Picture, max_px: int, quality: int = JPEG_QUALITY) -> Thumbnail:
    """Return a PIL picture as nodes get it, at most `max_px` wide and high; see `tensor_thumbnail`."""
    return tensor_thumbnail(pixels_of(picture, _stride(picture.size, max_px)), max_px, quality)


def _stride(size: Sequence[int], max_px: int) -> int:
    """Return the step between pixels to read, for a picture of twice the size that is shown."""
    return max(1, max(size) // (2 * max_px))


def shrink_to_fit(data: bytes, max_bytes: int) -> Thumbnail | None:
    """Return an encoded picture in at most 256 px and `max_bytes`; None if it is unreadable or cannot be that small."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            if len(data) <= max_bytes and max(picture.size) <= SMALLER[0][0]:
                return Thumbnail(str(picture.format).lower(), data)
            flat = Image.fromarray(levels_of(pixels_of(picture)[..., :3]))
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    return _largest_fitting(flat, max_bytes)


def ui_thumbnail(ui: Mapping[str, Sequence[Any]] | None, max_bytes: int) -> Thumbnail | None:
    """Return the first picture that an output node reported in its `ui`, in at most `max_bytes`.

    None if it reported no picture, or one that is unreadable or cannot be that small.
    """
    from PIL import Image

    entries = (ui or {}).get("images") or (None,)
    path = reported_file(entries[0])
    if path is None:
        return None
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (2 * SMALLER[0][0], 2 * SMALLER[0][0]))
            return _largest_fitting(picture, max_bytes)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def _largest_fitting(picture: Picture, max_bytes: int) -> Thumbnail | None:
    attempts = (picture_thumbnail(picture, max_px, quality) for max_px, quality in SMALLER)
    return next((small for small in attempts if len(small.data) <= max_bytes), None)
