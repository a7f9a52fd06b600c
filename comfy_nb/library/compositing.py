"""Nodes that composite images and latents, and nodes for the alpha channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from comfy_nb.errors import LayoutError
from comfy_nb.library.declare import bool_input, combo_input, offset_input
from comfy_nb.library.masks import as_batch
from comfy_nb.library.overlap import overlap
from comfy_nb.library.resample import image_alpha_fix, repeat_to_batch_size, resize_images

LATENT_CELL_PX = 8
OPAQUE_ABOVE = 1e-5


def composite(
    destination: Tensor,
    source: Tensor,
    x: int,
    y: int,
    mask: Tensor | None = None,
    multiplier: int = 8,
    resize_source: bool = False,
) -> Tensor:
    """Paste `source` onto `destination` (changed in place and returned), both [B, C, H, W], at (`x`, `y`).

    `x` and `y` are in pixels, `multiplier` of which make a cell. `mask` [B, H, W] is the opacity of the source,
    to whose size it is stretched. A smaller batch is repeated; parts outside of the destination are cut off.
    """
    source = source.to(destination.device)
    if resize_source:
        source = F.interpolate(source, size=destination.shape[-2:], mode="bilinear")
    source = repeat_to_batch_size(source, destination.shape[0])
    opacity = torch.ones_like(source) if mask is None else _stretched(mask.to(source), source)
    left, top = x // multiplier, y // multiplier
    below, above = overlap(destination, source, left, top)
    _, shown = overlap(destination, opacity, left, top)
    below.copy_(shown * above + (1 - shown) * below)
    return destination


def _stretched(mask: Tensor, source: Tensor) -> Tensor:
    flat = as_batch(mask).unsqueeze(1)
    stretched = repeat_to_batch_size(F.interpolate(flat, size=source.shape[-2:], mode="bilinear"), source.shape[0])
    return stretched if source.ndim == 4 else stretched.unsqueeze(1)


def _paste_inputs(type: str, step: int) -> dict[str, Any]:
    return {
        "required": {
            "destination": (type,),
            "source": (type,),
            "x": offset_input(step),
            "y": offset_input(step),
            "resize_source": bool_input(False),
        },
        "optional": {"mask": ("MASK",)},
    }


class ImageCompositeMasked:
    """Paste an image onto another at (x, y), where the mask is 1."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "composite"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return _paste_inputs("IMAGE", 1)

    def composite(
        self,
        destination: Tensor,
        source: Tensor,
        x: int,
        y: int,
        resize_source: bool,
        mask: Tensor | None = None,
    ) -> tuple[Tensor]:
        below, above = image_alpha_fix(destination, source)
        channels_first = below.clone().movedim(-1, 1)
        pasted = composite(channels_first, above.movedim(-1, 1), x, y, mask, 1, resize_source)
        return (pasted.movedim(1, -1),)


class LatentCompositeMasked:
    """Paste a latent onto another at (x, y), in pixels, where the mask is 1."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "composite"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return _paste_inputs("LATENT", LATENT_CELL_PX)

    def composite(
        self,
        destination: dict[str, Any],
        source: dict[str, Any],
        x: int,
        y: int,
        resize_source: bool,
        mask: Tensor | None = None,
    ) -> tuple[dict[str, Any]]:
        below = destination["samples"].clone()
        pasted = composite(below, source["samples"], x, y, mask, LATENT_CELL_PX, resize_source)
        return (destination | {"samples": pasted},)


# Each operator takes premultiplied colour and alpha (source, its alpha, destination, its alpha) and returns colour
# and alpha, as Android's graphics define the Porter-Duff modes.
Operator = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def _union(a: Tensor, b: Tensor) -> Tensor:
    return a + b - a * b


def _overlay(s: Tensor, sa: Tensor, d: Tensor, da: Tensor) -> Tensor:
    return torch.where(2 * d < da, 2 * s * d, sa * da - 2 * (da - s) * (sa - d))


PORTER_DUFF: dict[str, Operator] = {
    "ADD": lambda s, sa, d, da: ((s + d).clamp(0, 1), (sa + da).clamp(0, 1)),
    "CLEAR": lambda s, sa, d, da: (torch.zeros_like(d), torch.zeros_like(da)),
    "DARKEN": lambda s, sa, d, da: ((1 - da) * s + (1 - sa) * d + torch.minimum(s, d), _union(sa, da)),
    "DST": lambda s, sa, d, da: (d, da),
    "DST_ATOP": lambda s, sa, d, da: (sa * d + (1 - da) * s, sa),
    "DST_IN": lambda s, sa, d, da: (d * sa, sa * da),
    "DST_OUT": lambda s, sa, d, da: ((1 - sa) * d, (1 - sa) * da),
    "DST_OVER": lambda s, sa, d, da: (d + (1 - da) * s, da + (1 - da) * sa),
    "LIGHTEN": lambda s, sa, d, da: ((1 - da) * s + (1 - sa) * d + torch.maximum(s, d), _union(sa, da)),
    "MULTIPLY": lambda s, sa, d, da: (s * d, sa * da),
    "OVERLAY": lambda s, sa, d, da: (_overlay(s, sa, d, da), _union(sa, da)),
    "SCREEN": lambda s, sa, d, da: (_union(s, d), _union(sa, da)),
    "SRC": lambda s, sa, d, da: (s, sa),
    "SRC_ATOP": lambda s, sa, d, da: (da * s + (1 - sa) * d, da),
    "SRC_IN": lambda s, sa, d, da: (s * da, sa * da),
    "SRC_OUT": lambda s, sa, d, da: ((1 - da) * s, (1 - da) * sa),
    "SRC_OVER": lambda s, sa, d, da: (s + (1 - sa) * d, sa + (1 - sa) * da),
    "XOR": lambda s, sa, d, da: ((1 - da) * s + (1 - sa) * d, (1 - da) * sa + (1 - sa) * da),
}


class PorterDuffImageComposite:
    """Combine two images with alpha by one of the Porter-Duff operators."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "execute"
    CATEGORY = "mask/compositing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "source": ("IMAGE",),
                "source_alpha": ("MASK",),
                "destination": ("IMAGE",),
                "destination_alpha": ("MASK",),
                "mode": combo_input(*PORTER_DUFF, default="DST"),
            }
        }

    def execute(
        self, source: Tensor, source_alpha: Tensor, destination: Tensor, destination_alpha: Tensor, mode: str
    ) -> tuple[Tensor, Tensor]:
        if source.shape[-1] != destination.shape[-1]:
            raise LayoutError(
                f"source has {source.shape[-1]} channels and destination {destination.shape[-1]}, but both must "
                "have the same number. Remove the alpha channel of one of them first (SplitImageWithAlpha)."
            )
        layers = (
            source,
            as_batch(source_alpha)[..., None],
            destination,
            as_batch(destination_alpha)[..., None],
        )
        count = min(len(layer) for layer in layers)
        height, width = destination.shape[1:3]
        s, s_mask, d, d_mask = (_fitted(layer[:count], height, width) for layer in layers)
        sa, da = 1 - s_mask, 1 - d_mask
        colour, coverage = PORTER_DUFF[mode](s * sa, sa, d * da, da)
        straight = torch.where(coverage > OPAQUE_ABOVE, colour / coverage, torch.zeros_like(colour))
        return (straight.clamp(0, 1), 1 - coverage.squeeze(-1))


def _fitted(layer: Tensor, height: int, width: int) -> Tensor:
    if layer.shape[1:3] == (height, width):
        return layer
    return resize_images(layer, width, height, "bicubic", "center")


class SplitImageWithAlpha:
    """Split images into their colours and a mask that is 1 where they are transparent."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "execute"
    CATEGORY = "mask/compositing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",)}}

    def execute(self, image: Tensor) -> tuple[Tensor, Tensor]:
        alpha = image[..., 3] if image.shape[-1] > 3 else torch.ones_like(image[..., 0])
        return (image[..., :3], 1 - alpha)


class JoinImageWithAlpha:
    """Give images an alpha channel: transparent where the mask is 1."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"
    CATEGORY = "mask/compositing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "alpha": ("MASK",)}}

    def execute(self, image: Tensor, alpha: Tensor) -> tuple[Tensor]:
        stretched = F.interpolate(as_batch(alpha).unsqueeze(1), size=image.shape[1:3], mode="bilinear")
        count = min(len(image), len(stretched))
        opacity = 1 - stretched[:count].movedim(1, -1).to(image)
        return (torch.cat((image[:count, ..., :3], opacity), dim=-1),)
