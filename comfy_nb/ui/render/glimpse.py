"""A value at a glance: one small picture, or a few words."""

from __future__ import annotations

from typing import Any

import torch

from comfy_nb.ui.render.thumbnails import Thumbnail, of_picture, of_tensor
from comfy_nb.wording import short

WORDS_MAX = 160


def picture_of(value: Any, kind: str | None, max_px: int) -> Thumbnail | None:
    """Return the first picture of an IMAGE [B, H, W, C], MASK [B, H, W] or PIL value; None for what has none."""
    if isinstance(value, torch.Tensor) and value.numel() and not value.is_complex():
        if value.ndim == 4 and value.shape[-1] in (1, 3, 4) and kind in ("IMAGE", "*", None):
            return of_tensor(value[0], max_px)
        if value.ndim in (2, 3) and kind == "MASK":
            return of_tensor(value[0] if value.ndim == 3 else value, max_px)
    if hasattr(value, "thumbnail") and hasattr(value, "getpixel"):
        return of_picture(value, max_px)
    return None


def words_of(value: Any) -> str:
    """Return a value in a line or two: numbers and text as they are, all else as its kind and shape."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_complex():
        return f"{value.item():.6g}"
    return value[:WORDS_MAX] if isinstance(value, str) else short(value, WORDS_MAX)
