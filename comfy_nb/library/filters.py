"""Nodes that blur, sharpen, blend and quantise images (float32 [B, H, W, C] in 0..1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from comfy_nb.errors import LayoutError
from comfy_nb.library.declare import combo_input, float_input, int_input
from comfy_nb.library.resample import match_channels, resize_images

DITHERS = ("none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16")


class ImageBlur:
    """Soften images with a Gaussian of a given radius in pixels."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"
    CATEGORY = "image/postprocessing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE",),
                "blur_radius": int_input(1, 1, 31, 1),
                "sigma": float_input(1.0, 0.1, 10.0, 0.1),
            }
        }

    def execute(self, image: Tensor, blur_radius: int, sigma: float) -> tuple[Tensor]:
        if blur_radius == 0:
            return (image,)
        return (_filtered(image, gaussian_kernel(blur_radius, sigma)),)


class ImageSharpen:
    """Sharpen images: the detail that a Gaussian would remove is added, ten times `alpha`."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"
    CATEGORY = "image/postprocessing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE",),
                "sharpen_radius": int_input(1, 1, 31, 1),
                "sigma": float_input(1.0, 0.1, 10.0, 0.01),
                "alpha": float_input(1.0, 0.0, 5.0, 0.01),
            }
        }

    def execute(self, image: Tensor, sharpen_radius: int, sigma: float, alpha: float) -> tuple[Tensor]:
        if sharpen_radius == 0:
            return (image,)
        kernel = gaussian_kernel(sharpen_radius, sigma) * -(alpha * 10)
        kernel[sharpen_radius, sharpen_radius] += 1 - kernel.sum()
        return (_filtered(image, kernel).clamp(0, 1),)


def gaussian_kernel(radius: int, sigma: float) -> Tensor:
    """Return a [2r+1, 2r+1] Gaussian that sums to 1; `sigma` is in units of the radius."""
    ramp = torch.linspace(-1, 1, 2 * radius + 1)
    squares = ramp.square()
    weights = torch.exp(-(squares[:, None] + squares[None, :]) / (2 * sigma * sigma))
    return weights / weights.sum()


def _filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """Convolve each channel of [B, H, W, C] with a square kernel; the image is mirrored at its edges."""
    radius, channels = kernel.shape[0] // 2, image.shape[-1]
    if radius >= min(image.shape[1:3]):
        height, width = image.shape[1:3]
        raise LayoutError(
            f"a radius of {radius} px needs images wider and higher than {radius} px, but these are "
            f"{width} x {height}. Choose a smaller radius, or scale the images up first."
        )
    padded = F.pad(image.movedim(-1, 1), (radius,) * 4, mode="reflect")
    weights = kernel.to(image).expand(channels, 1, *kernel.shape)
    return F.conv2d(padded, weights, groups=channels).movedim(1, -1)


class ImageBlend:
    """Blend a second image into the first one and its size, in one of the usual modes."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"
    CATEGORY = "image/postprocessing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image1": ("IMAGE",),
                "image2": ("IMAGE",),
                "blend_factor": float_input(0.5, 0.0, 1.0, 0.01),
                "blend_mode": combo_input(*BLENDS),
            }
        }

    def execute(self, image1: Tensor, image2: Tensor, blend_factor: float, blend_mode: str) -> tuple[Tensor]:
        second = match_channels(image2, image1.shape[-1]).to(image1.device)
        if second.shape != image1.shape:
            second = resize_images(second, image1.shape[2], image1.shape[1], "bicubic", "center")
        blended = BLENDS[blend_mode](image1, second)
        return ((image1 * (1 - blend_factor) + blended * blend_factor).clamp(0, 1),)


def _screen(below: Tensor, above: Tensor) -> Tensor:
    return 1 - (1 - below) * (1 - above)


def _overlay(below: Tensor, above: Tensor) -> Tensor:
    return torch.where(below <= 0.5, 2 * below * above, 1 - 2 * (1 - below) * (1 - above))


def _soft_light(below: Tensor, above: Tensor) -> Tensor:
    lifted = torch.where(below <= 0.25, ((16 * below - 12) * below + 4) * below, below.sqrt())
    darker = below - (1 - 2 * above) * below * (1 - below)
    lighter = below + (2 * above - 1) * (lifted - below)
    return torch.where(above <= 0.5, darker, lighter)


BLENDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "normal": lambda below, above: above,
    "multiply": torch.mul,
    "screen": _screen,
    "overlay": _overlay,
    "soft_light": _soft_light,
    "difference": torch.sub,
}


class ImageQuantize:
    """Reduce each image to a palette of a few colours, with or without dithering."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"
    CATEGORY = "image/postprocessing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "colors": int_input(256, 1, 256, 1), "dither": combo_input(*DITHERS)}}

    def execute(self, image: Tensor, colors: int, dither: str) -> tuple[Tensor]:
        result = image.clone()
        pixels = (image[..., :3].detach().cpu() * 255).clamp(0, 255).to(torch.uint8).numpy()
        for index, picture in enumerate(pixels):
            quantised = _quantise(Image.fromarray(picture), colors, dither).convert("RGB")
            result[index, ..., :3] = torch.from_numpy(np.array(quantised)) / 255
        return (result,)


def _quantise(picture: Image.Image, colors: int, dither: str) -> Image.Image:
    with_palette = picture.quantize(colors=colors)
    if dither == "floyd-steinberg":
        return picture.quantize(colors=colors, palette=with_palette, dither=Image.Dither.FLOYDSTEINBERG)
    if dither.startswith("bayer"):
        picture = _ordered(picture, len(with_palette.getpalette() or ()) // 3, int(dither.split("-")[1]))
    return picture.quantize(colors=colors, palette=with_palette, dither=Image.Dither.NONE)


def _ordered(picture: Image.Image, palette_size: int, order: int) -> Image.Image:
    """Add an `order` x `order` Bayer pattern to a picture, as strong as the palette is coarse."""
    pattern = 512 / palette_size * bayer_matrix(order) + 0.5
    pixels = np.asarray(picture, dtype=np.float32)
    height, width = pixels.shape[:2]
    tiled = np.tile(pattern, (math.ceil(height / order), math.ceil(width / order)))[:height, :width]
    return Image.fromarray((pixels + tiled[..., None].astype(np.float32)).clip(0, 255).astype(np.uint8))


def bayer_matrix(order: int) -> np.ndarray:
    """Return the [order, order] threshold matrix for an order that is a power of two, with a mean of zero."""
    if order == 1:
        return np.zeros((1, 1))
    cells = order * order
    coarse = bayer_matrix(order // 2)
    steps = np.array([[-1.5, 0.5], [1.5, -0.5]]) / cells
    return np.kron(np.ones((2, 2)), coarse) + np.kron(steps, np.ones_like(coarse))
