"""Nodes that make, convert and combine masks (float32 [B, H, W] in 0..1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from comfy_nb.errors import LayoutError
from comfy_nb.library.declare import bool_input, float_input, int_input, legacy_combo_input, offset_input, size_input
from comfy_nb.library.overlap import overlap

CHANNELS = ("red", "green", "blue", "alpha")


def as_batch(mask: Tensor) -> Tensor:
    """Return a mask with any number of leading dimensions, even none, as [B, H, W]."""
    return mask.reshape(-1, *mask.shape[-2:])


class MaskToImage:
    """Show masks as grey images."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "mask_to_image"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}}

    def mask_to_image(self, mask: Tensor) -> tuple[Tensor]:
        return (as_batch(mask).unsqueeze(-1).expand(-1, -1, -1, 3),)


class ImageToMask:
    """Take one channel of images as a mask."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "image_to_mask"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "channel": legacy_combo_input(*CHANNELS)}}

    def image_to_mask(self, image: Tensor, channel: str) -> tuple[Tensor]:
        index = CHANNELS.index(channel)
        if index >= image.shape[-1]:
            has = ", ".join(CHANNELS[: image.shape[-1]])
            raise LayoutError(
                f"the image has no {channel} channel, only {has}. Choose one of these, or add an alpha "
                "channel first (JoinImageWithAlpha)."
            )
        return (image[..., index],)


class ImageColorToMask:
    """Mark the pixels that have exactly one colour."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "image_to_mask"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "color": int_input(0, 0, 0xFFFFFF, 1, display="color")}}

    def image_to_mask(self, image: Tensor, color: int) -> tuple[Tensor]:
        levels = (image.clamp(0, 1) * 255).round().to(torch.int32)
        packed = (levels[..., 0] << 16) + (levels[..., 1] << 8) + levels[..., 2]
        return ((packed == color).float(),)


class SolidMask:
    """Make a mask of one value."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "solid"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": float_input(1.0, 0.0, 1.0, 0.01), "width": size_input(), "height": size_input()}}

    def solid(self, value: float, width: int, height: int) -> tuple[Tensor]:
        return (torch.full((1, height, width), value, dtype=torch.float32),)


class InvertMask:
    """Invert masks: 0 becomes 1, and 1 becomes 0."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "invert"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",)}}

    def invert(self, mask: Tensor) -> tuple[Tensor]:
        return (1.0 - mask,)


class CropMask:
    """Cut a rectangle out of masks."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "crop"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "mask": ("MASK",),
                "x": offset_input(),
                "y": offset_input(),
                "width": size_input(),
                "height": size_input(),
            }
        }

    def crop(self, mask: Tensor, x: int, y: int, width: int, height: int) -> tuple[Tensor]:
        return (as_batch(mask)[:, y : y + height, x : x + width],)


def _logical(combine: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda below, above: combine(below.round().bool(), above.round().bool()).float()


COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "multiply": torch.mul,
    "add": torch.add,
    "subtract": torch.sub,
    "and": _logical(torch.logical_and),
    "or": _logical(torch.logical_or),
    "xor": _logical(torch.logical_xor),
}


class MaskComposite:
    """Combine a mask with another one placed on it at (x, y)."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "combine"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "destination": ("MASK",),
                "source": ("MASK",),
                "x": offset_input(),
                "y": offset_input(),
                "operation": legacy_combo_input(*COMBINE),
            }
        }

    def combine(self, destination: Tensor, source: Tensor, x: int, y: int, operation: str) -> tuple[Tensor]:
        output = as_batch(destination).clone()
        below, above = overlap(output, as_batch(source), x, y)
        below.copy_(COMBINE[operation](below, above))
        return (output.clamp(0, 1),)


class FeatherMask:
    """Fade masks out towards their edges."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "feather"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        sides = {side: offset_input() for side in ("left", "top", "right", "bottom")}
        return {"required": {"mask": ("MASK",), **sides}}

    def feather(self, mask: Tensor, left: int, top: int, right: int, bottom: int) -> tuple[Tensor]:
        output = as_batch(mask).clone()
        for dim, near, far in ((2, left, right), (1, top, bottom)):
            length = output.shape[dim]
            for step, rate in _fade(min(near, length)):
                output.select(dim, step).mul_(rate)
            for step, rate in _fade(min(far, length)):
                # As in ComfyUI, the first step of the far side lands on the near edge.
                output.select(dim, -step).mul_(rate)
        return (output,)


def _fade(width: int) -> list[tuple[int, float]]:
    return [(step, (step + 1) / width) for step in range(width)]


class GrowMask:
    """Grow masks by some pixels, or shrink them by a negative number."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "expand_mask"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"mask": ("MASK",), "expand": int_input(0, -16384, step=1), "tapered_corners": bool_input(True)}
        }

    def expand_mask(self, mask: Tensor, expand: int, tapered_corners: bool) -> tuple[Tensor]:
        sign = 1.0 if expand > 0 else -1.0
        grown = as_batch(mask) * sign
        for _ in range(abs(expand)):
            before, grown = grown, _grow(grown, tapered_corners)
            if torch.equal(before, grown):
                break
        return (grown * sign,)


def _grow(mask: Tensor, tapered_corners: bool) -> Tensor:
    """Give each pixel of [B, H, W] the highest value among its eight neighbours, or four with tapered corners."""
    if not tapered_corners:
        return F.max_pool2d(mask, 3, stride=1, padding=1)
    across = F.max_pool2d(mask, (1, 3), stride=1, padding=(0, 1))
    down = F.max_pool2d(mask, (3, 1), stride=1, padding=(1, 0))
    return torch.maximum(across, down)


class ThresholdMask:
    """Make masks binary: 1 where they are above a value, else 0."""

    RETURN_TYPES = ("MASK",)
    FUNCTION = "image_to_mask"
    CATEGORY = "mask"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"mask": ("MASK",), "value": float_input(0.5, 0.0, 1.0, 0.01)}}

    def image_to_mask(self, mask: Tensor, value: float) -> tuple[Tensor]:
        return ((mask > value).float(),)
