"""Small pictures of tensors and files, encoded to be put into a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as Picture

SMALLER = ((256, 75), (160, 60), (96, 45))
JPEG_QUALITY = 85


class Thumbnail(NamedTuple):
    """An encoded picture: `format` is "jpeg" or "png"."""

    format: str
    data: bytes

    @property
    def uri(self) -> str:
        """The picture as a data: address."""
        return f"data:image/{self.format};base64,{base64.b64encode(self.data).decode()}"


def of_tensor(pixels: torch.Tensor, max_px: int) -> Thumbnail:
    """Return a picture of [H, W] or [H, W, C] values in 0..1, at most `max_px` wide and high; NaN black."""
    import torch
    from PIL import Image

    stride = max(1, max(pixels.shape[:2]) // (2 * max_px))
    small = pixels[::stride, ::stride].detach().float().cpu()
    small = torch.nan_to_num(small, nan=0.0, posinf=1.0, neginf=0.0).clamp(0, 1)
    values = (small * 255).round().to(torch.uint8).numpy()
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    return of_picture(Image.fromarray(values), max_px)


def of_picture(picture: Picture, max_px: int, quality: int = JPEG_QUALITY) -> Thumbnail:
    """Return a PIL picture at most `max_px` wide and high: PNG where it has alpha, JPEG otherwise."""
    small = picture.copy()
    small.thumbnail((max_px, max_px))
    has_alpha = small.mode in ("RGBA", "LA", "PA") or "transparency" in small.info
    buffer = io.BytesIO()
    if has_alpha:
        small.convert("RGBA").save(buffer, "PNG")
        return Thumbnail("png", buffer.getvalue())
    small.convert("L" if small.mode == "L" else "RGB").save(buffer, "JPEG", quality=quality)
    return Thumbnail("jpeg", buffer.getvalue())


def within(data: bytes, format: str, max_bytes: int) -> Thumbnail | None:
    """Return an encoded picture of at most 256 px and `max_bytes`, or None where it cannot be had."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            if len(data) <= max_bytes and max(picture.size) <= SMALLER[0][0]:
                return Thumbnail(format, data)
            flat = picture.convert("L" if picture.mode == "L" else "RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    return _fitting(flat, max_bytes)


def _fitting(picture: Picture, max_bytes: int) -> Thumbnail | None:
    attempts = (of_picture(picture, max_px, quality) for max_px, quality in SMALLER)
    return next((small for small in attempts if len(small.data) <= max_bytes), None)


def of_ui(ui: Mapping[str, Sequence[Any]] | None, max_bytes: int) -> Thumbnail | None:
    """Return the first picture that an output node reported in its `ui`, in at most `max_bytes`.

    None where there is none, it cannot be read, or it cannot be had so small.
    """
    from PIL import Image

    entries = (ui or {}).get("images") or (None,)
    path = file_of(entries[0])
    if path is None:
        return None
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (2 * SMALLER[0][0], 2 * SMALLER[0][0]))
            return _fitting(picture, max_bytes)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def file_of(entry: Any) -> Path | None:
    """Return the path of a file that a node reported, `{"filename", "subfolder", "type"}`; else None."""
    from comfy_nb.library.folders import current_folders, inside

    if not isinstance(entry, Mapping) or "filename" not in entry:
        return None
    try:
        folder = current_folders().of(str(entry.get("type", "output")))
        return inside(folder, f"{entry.get('subfolder') or ''}/{entry['filename']}".lstrip("/"))
    except ValueError:
        return None
