"""Nodes on latents: `{"samples": [B, C, H/8, W/8], "noise_mask"?, "batch_index"?}`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from comfy_nb.library.declare import count_input, float_input, int_input, legacy_combo_input, offset_input, size_input
from comfy_nb.library.images import FLIPS, ROTATIONS
from comfy_nb.library.masks import as_batch
from comfy_nb.library.overlap import overlap
from comfy_nb.library.resample import CROPS, LATENT_METHODS, common_upscale, repeat_to_batch_size

Latent = dict[str, Any]

CELL_PX = 8
SMALLEST_PX = 64


class EmptyLatentImage:
    """Make a batch of all-zero latents for a sampler to fill."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "generate"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "width": size_input(low=16, step=8),
                "height": size_input(low=16, step=8),
                "batch_size": count_input(),
            }
        }

    def generate(self, width: int, height: int, batch_size: int = 1) -> tuple[Latent]:
        return ({"samples": torch.zeros(batch_size, 4, height // CELL_PX, width // CELL_PX)},)


class LatentUpscale:
    """Resize latents to a width and height in pixels; 0 for one of them keeps the proportions."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "upscale"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "samples": ("LATENT",),
                "upscale_method": legacy_combo_input(*LATENT_METHODS),
                "width": size_input(low=0, step=8),
                "height": size_input(low=0, step=8),
                "crop": legacy_combo_input(*CROPS),
            }
        }

    def upscale(self, samples: Latent, upscale_method: str, width: int, height: int, crop: str) -> tuple[Latent]:
        if width == 0 and height == 0:
            return (samples,)
        old = samples["samples"]
        rows, columns = old.shape[-2:]
        given = (width, height)
        width = max(SMALLEST_PX, given[0] or round(columns * max(SMALLEST_PX, given[1]) / rows))
        height = max(SMALLEST_PX, given[1] or round(rows * max(SMALLEST_PX, given[0]) / columns))
        resized = common_upscale(old, width // CELL_PX, height // CELL_PX, upscale_method, crop)
        return (samples | {"samples": resized},)


class LatentUpscaleBy:
    """Resize latents by a factor."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "upscale"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "samples": ("LATENT",),
                "upscale_method": legacy_combo_input(*LATENT_METHODS),
                "scale_by": float_input(1.5, 0.01, 8.0, 0.01),
            }
        }

    def upscale(self, samples: Latent, upscale_method: str, scale_by: float) -> tuple[Latent]:
        old = samples["samples"]
        height, width = (max(1, round(side * scale_by)) for side in old.shape[-2:])
        return (samples | {"samples": common_upscale(old, width, height, upscale_method, "disabled")},)


class LatentBlend:
    """Mix two latents in the size of the first; `blend_factor` is the share of the first."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "blend"
    CATEGORY = "_for_testing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "samples1": ("LATENT",),
                "samples2": ("LATENT",),
                "blend_factor": float_input(0.5, 0, 1, 0.01),
            }
        }

    def blend(self, samples1: Latent, samples2: Latent, blend_factor: float) -> tuple[Latent]:
        first, second = samples1["samples"], samples2["samples"]
        if first.shape != second.shape:
            second = common_upscale(second, first.shape[-1], first.shape[-2], "bicubic", "center")
        return (samples1 | {"samples": first * blend_factor + second * (1 - blend_factor)},)


class LatentComposite:
    """Paste a latent onto another at (x, y), in pixels, its inner edges faded over `feather` pixels."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "composite"
    CATEGORY = "latent"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "samples_to": ("LATENT",),
                "samples_from": ("LATENT",),
                "x": offset_input(8),
                "y": offset_input(8),
                "feather": offset_input(8),
            }
        }

    def composite(self, samples_to: Latent, samples_from: Latent, x: int, y: int, feather: int) -> tuple[Latent]:
        output = samples_to["samples"].clone()
        left, top, cells = x // CELL_PX, y // CELL_PX, feather // CELL_PX
        below, above = overlap(output, samples_from["samples"], left, top)
        opacity = torch.ones_like(above)
        ends_inside = (top + above.shape[-2] < output.shape[-2], left + above.shape[-1] < output.shape[-1])
        _fade(opacity, -2, cells, near=top != 0, far=ends_inside[0])
        _fade(opacity, -1, cells, near=left != 0, far=ends_inside[1])
        below.copy_(above * opacity + below * (1 - opacity))
        return (samples_to | {"samples": output},)


def _fade(opacity: Tensor, dim: int, cells: int, *, near: bool, far: bool) -> None:
    """Fade one or both ends of a dimension over some cells, in place."""
    length = opacity.shape[dim]
    for step in range(cells):
        rate = (step + 1) / cells
        if near and step < length:
            opacity.select(dim, step).mul_(rate)
        # As in ComfyUI, a feather wider than the latent continues from its other end, and loses one step.
        index = length - 1 - step
        if far and index != -1 and index >= -length:
            opacity.select(dim, index).mul_(rate)


class LatentCrop:
    """Cut a rectangle, given in pixels, out of latents; its corner stays 64 pixels from the far edges."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "crop"
    CATEGORY = "latent/transform"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        sides = {side: size_input(low=SMALLEST_PX, step=8) for side in ("width", "height")}
        return {"required": {"samples": ("LATENT",), **sides, "x": offset_input(8), "y": offset_input(8)}}

    def crop(self, samples: Latent, width: int, height: int, x: int, y: int) -> tuple[Latent]:
        old = samples["samples"]
        rows, columns = _cut(old.shape[-2], y, height), _cut(old.shape[-1], x, width)
        return (samples | {"samples": old[..., rows, columns]},)


def _cut(cells: int, start_px: int, length_px: int) -> slice:
    # As in ComfyUI, in a latent of less than 64 px the start is negative and counts from the end.
    start = min(start_px // CELL_PX, cells - SMALLEST_PX // CELL_PX)
    return slice(start, start + length_px // CELL_PX)


class LatentFlip:
    """Mirror latents top to bottom ("x-axis") or left to right ("y-axis")."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "flip"
    CATEGORY = "latent/transform"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"samples": ("LATENT",), "flip_method": legacy_combo_input(*FLIPS)}}

    def flip(self, samples: Latent, flip_method: str) -> tuple[Latent]:
        return (samples | {"samples": samples["samples"].flip(2 if flip_method.startswith("x") else 3)},)


class LatentRotate:
    """Rotate latents clockwise by quarter turns."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "rotate"
    CATEGORY = "latent/transform"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"samples": ("LATENT",), "rotation": legacy_combo_input(*ROTATIONS)}}

    def rotate(self, samples: Latent, rotation: str) -> tuple[Latent]:
        turned = torch.rot90(samples["samples"], k=ROTATIONS.index(rotation), dims=(3, 2))
        return (samples | {"samples": turned},)


class RepeatLatentBatch:
    """Repeat a batch of latents, with its masks and with new batch indices."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "repeat"
    CATEGORY = "latent/batch"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"samples": ("LATENT",), "amount": count_input(64)}}

    def repeat(self, samples: Latent, amount: int) -> tuple[Latent]:
        old = samples["samples"]
        changed: Latent = {"samples": torch.cat([old] * amount)}
        mask = samples.get("noise_mask")
        if mask is not None and mask.shape[0] > 1:
            per_item = repeat_to_batch_size(mask, max(mask.shape[0], old.shape[0]))
            changed["noise_mask"] = torch.cat([per_item] * amount)
        if "batch_index" in samples:
            indices = samples["batch_index"]
            span = max(indices) - min(indices) + 1
            changed["batch_index"] = [index + turn * span for turn in range(amount) for index in indices]
        return (samples | changed,)


class LatentFromBatch:
    """Take latents out of a batch; their batch indices let them keep their noise."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "frombatch"
    CATEGORY = "latent/batch"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"samples": ("LATENT",), "batch_index": int_input(0, 0, 63), "length": count_input(64)}}

    def frombatch(self, samples: Latent, batch_index: int, length: int) -> tuple[Latent]:
        old = samples["samples"]
        first = min(batch_index, old.shape[0] - 1)
        taken = slice(first, first + min(length, old.shape[0] - first))
        changed: Latent = {"samples": old[taken].clone()}
        mask = samples.get("noise_mask")
        if mask is not None and mask.shape[0] > 1:
            changed["noise_mask"] = repeat_to_batch_size(mask, max(mask.shape[0], old.shape[0]))[taken].clone()
        indices = samples.get("batch_index", range(old.shape[0]))
        return (samples | changed | {"batch_index": list(indices[taken])},)


class LatentAdd:
    """Add two latents; the second is fitted to the size and batch of the first."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "execute"
    CATEGORY = "latent/advanced"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"samples1": ("LATENT",), "samples2": ("LATENT",)}}

    def execute(self, samples1: Latent, samples2: Latent) -> tuple[Latent]:
        first = samples1["samples"]
        return (samples1 | {"samples": first + _shaped_like(first, samples2["samples"])},)


class LatentSubtract(LatentAdd):
    """Subtract the second latent, fitted to the size and batch of the first, from the first."""

    def execute(self, samples1: Latent, samples2: Latent) -> tuple[Latent]:
        first = samples1["samples"]
        return (samples1 | {"samples": first - _shaped_like(first, samples2["samples"])},)


def _shaped_like(first: Tensor, second: Tensor) -> Tensor:
    if second.shape[1:] != first.shape[1:]:
        second = common_upscale(second, first.shape[-1], first.shape[-2], "bilinear", "center")
    return repeat_to_batch_size(second, first.shape[0])


class LatentMultiply:
    """Multiply latents by a number."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "execute"
    CATEGORY = "latent/advanced"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"samples": ("LATENT",), "multiplier": float_input(1.0, -10.0, 10.0, 0.01)}}

    def execute(self, samples: Latent, multiplier: float) -> tuple[Latent]:
        return (samples | {"samples": samples["samples"] * multiplier},)


class RebatchLatents:
    """Regroup a list of latents into batches of one size; another image size starts a new batch."""

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "execute"
    CATEGORY = "latent/batch"
    INPUT_IS_LIST = True
    OUTPUT_IS_LIST = (True,)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"latents": ("LATENT",), "batch_size": count_input()}}

    def execute(self, latents: Sequence[Latent], batch_size: Sequence[int]) -> tuple[list[Latent]]:
        whole_batches: list[Latent] = []
        seen = 0
        for latent in latents:
            whole_batches.append(_with_all_entries(latent, seen))
            seen += latent["samples"].shape[0]
        dealt: list[Latent] = []
        for _, same_size in groupby(whole_batches, lambda latent: latent["samples"].shape[-2:]):
            dealt += _deal(list(same_size), batch_size[0])
        return (dealt,)


def _with_all_entries(latent: Latent, seen: int) -> Latent:
    """Fill in the mask [B, 1, 8H, 8W] and the batch indices of a latent that comes after `seen` others."""
    samples = latent["samples"]
    count, height, width = samples.shape[0], samples.shape[-2] * CELL_PX, samples.shape[-1] * CELL_PX
    mask = latent.get("noise_mask")
    mask = torch.ones(count, 1, height, width) if mask is None else as_batch(mask).unsqueeze(1)
    mask = repeat_to_batch_size(F.interpolate(mask, size=(height, width), mode="bilinear"), count)
    indices = latent.get("batch_index", range(seen, seen + count))
    return {"samples": samples, "noise_mask": mask, "batch_index": list(indices)}


def _deal(latents: Sequence[Latent], batch_size: int) -> list[Latent]:
    samples = torch.split(torch.cat([latent["samples"] for latent in latents]), batch_size)
    masks = torch.split(torch.cat([latent["noise_mask"] for latent in latents]), batch_size)
    indices = [index for latent in latents for index in latent["batch_index"]]
    dealt: list[Latent] = []
    for turn, (some, mask) in enumerate(zip(samples, masks, strict=True)):
        entry: Latent = {"samples": some, "batch_index": indices[turn * batch_size : (turn + 1) * batch_size]}
        dealt.append(entry if mask.mean() == 1.0 else entry | {"noise_mask": mask})
    return dealt
