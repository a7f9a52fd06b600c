"""Nodes that make, resize, cut, turn and batch images (float32 [B, H, W, C] in 0..1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from comfy_nb.errors import LayoutError
from comfy_nb.library.declare import count_input, float_input, int_input, legacy_combo_input, offset_input, size_input
from comfy_nb.library.resample import CROPS, IMAGE_METHODS, match_channels, resize_images

FLIPS = ("x-axis: vertically", "y-axis: horizontally")
ROTATIONS = ("none", "90 degrees", "180 degrees", "270 degrees")


class EmptyImage:
    """Make images of a single colour."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "generate"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "width": size_input(),
                "height": size_input(),
                "batch_size": count_input(),
                "color": int_input(0, 0, 0xFFFFFF, 1, display="color"),
            }
        }

    def generate(self, width: int, height: int, batch_size: int = 1, color: int = 0) -> tuple[Tensor]:
        rgb = torch.tensor([(color >> shift & 0xFF) / 0xFF for shift in (16, 8, 0)])
        return (rgb.expand(batch_size, height, width, 3).contiguous(),)


class ImageScale:
    """Resize images to a width and height; 0 for one of them keeps the proportions."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"
    CATEGORY = "image/upscaling"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE",),
                "upscale_method": legacy_combo_input(*IMAGE_METHODS),
                "width": size_input(low=0),
                "height": size_input(low=0),
                "crop": legacy_combo_input(*CROPS),
            }
        }

    def upscale(self, image: Tensor, upscale_method: str, width: int, height: int, crop: str) -> tuple[Tensor]:
        if width == 0 and height == 0:
            return (image,)
        old_height, old_width = image.shape[1:3]
        if width == 0:
            width = max(1, round(old_width * height / old_height))
        elif height == 0:
            height = max(1, round(old_height * width / old_width))
        return (resize_images(image, width, height, upscale_method, crop),)


class ImageScaleBy:
    """Resize images by a factor."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"
    CATEGORY = "image/upscaling"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE",),
                "upscale_method": legacy_combo_input(*IMAGE_METHODS),
                "scale_by": float_input(1.0, 0.01, 8.0, 0.01),
            }
        }

    def upscale(self, image: Tensor, upscale_method: str, scale_by: float) -> tuple[Tensor]:
        width, height = (max(1, round(side * scale_by)) for side in (image.shape[2], image.shape[1]))
        return (resize_images(image, width, height, upscale_method),)


class ImageInvert:
    """Turn images into their negatives."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "invert"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",)}}

    def invert(self, image: Tensor) -> tuple[Tensor]:
        return (1.0 - image,)


class ImageBatch:
    """Join two batches of images; the second is resized to the size of the first."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "batch"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image1": ("IMAGE",), "image2": ("IMAGE",)}}

    def batch(self, image1: Tensor, image2: Tensor) -> tuple[Tensor]:
        channels = max(image1.shape[-1], image2.shape[-1])
        first, second = match_channels(image1, channels), match_channels(image2, channels)
        if first.shape[1:] != second.shape[1:]:
            second = resize_images(second, first.shape[2], first.shape[1], "bilinear", "center")
        return (torch.cat((first, second)),)


class ImagePadForOutpaint:
    """Add grey margins to images, and return a mask that is 1 where they are to be painted."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "expand_image"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        margins = {side: offset_input(8) for side in ("left", "top", "right", "bottom")}
        return {"required": {"image": ("IMAGE",), **margins, "feathering": int_input(40, 0, step=1)}}

    def expand_image(
        self, image: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
    ) -> tuple[Tensor, Tensor]:
        count, height, width, channels = image.shape
        inside = (slice(top, top + height), slice(left, left + width))
        padded = image.new_full((count, top + height + bottom, left + width + right, channels), 0.5)
        padded[:, *inside] = image
        mask = torch.ones(padded.shape[1:3])
        mask[inside] = _feathered(height, width, (left, top, right, bottom), feathering)
        return (padded, mask.unsqueeze(0))


def _feathered(height: int, width: int, margins: tuple[int, int, int, int], feathering: int) -> Tensor:
    """Return a [H, W] mask that falls from 1 to 0 over `feathering` pixels from each edge that has a margin."""
    if not 0 < feathering * 2 < min(height, width):
        return torch.zeros(height, width)
    left, top, right, bottom = margins
    x, y = torch.arange(width), torch.arange(height)
    far = torch.tensor(max(height, width))
    across = torch.minimum(x if left else far, width - x if right else far)
    down = torch.minimum(y if top else far, height - y if bottom else far)
    distance = torch.minimum(down.expand(height)[:, None], across.expand(width)[None, :])
    return ((feathering - distance).clamp(min=0) / feathering).square()


class ImageCrop:
    """Cut a rectangle out of images; parts outside of them are left off."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "crop"
    CATEGORY = "image/transform"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": ("IMAGE",),
                "width": size_input(),
                "height": size_input(),
                "x": offset_input(),
                "y": offset_input(),
            }
        }

    def crop(self, image: Tensor, width: int, height: int, x: int, y: int) -> tuple[Tensor]:
        left, top = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
        return (image[:, top : top + height, left : left + width],)


class ImageFlip:
    """Mirror images top to bottom ("x-axis") or left to right ("y-axis")."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "flip"
    CATEGORY = "image/transform"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "flip_method": legacy_combo_input(*FLIPS)}}

    def flip(self, image: Tensor, flip_method: str) -> tuple[Tensor]:
        return (image.flip(1 if flip_method.startswith("x") else 2),)


class ImageRotate:
    """Rotate images clockwise by quarter turns."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "rotate"
    CATEGORY = "image/transform"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "rotation": legacy_combo_input(*ROTATIONS)}}

    def rotate(self, image: Tensor, rotation: str) -> tuple[Tensor]:
        return (torch.rot90(image, k=ROTATIONS.index(rotation), dims=(2, 1)),)


class ImageFromBatch:
    """Take images out of a batch; a start or length beyond its end is limited to the images there are."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "frombatch"
    CATEGORY = "image/batch"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "batch_index": int_input(0, 0, 4095), "length": count_input()}}

    def frombatch(self, image: Tensor, batch_index: int, length: int) -> tuple[Tensor]:
        first = min(batch_index, image.shape[0] - 1)
        return (image[first : first + length].clone(),)


class RepeatImageBatch:
    """Repeat a batch of images."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "repeat"
    CATEGORY = "image/batch"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",), "amount": count_input()}}

    def repeat(self, image: Tensor, amount: int) -> tuple[Tensor]:
        return (image.repeat(amount, 1, 1, 1),)


class RebatchImages:
    """Regroup a list of image batches into batches of one size; the last one may be smaller."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"
    CATEGORY = "image/batch"
    INPUT_IS_LIST = True
    OUTPUT_IS_LIST = (True,)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"images": ("IMAGE",), "batch_size": count_input()}}

    def execute(self, images: Sequence[Tensor], batch_size: Sequence[int]) -> tuple[list[Tensor]]:
        singles = [single for several in images for single in torch.split(several, 1)]
        batches = [singles[at : at + batch_size[0]] for at in range(0, len(singles), batch_size[0])]
        return ([_joined(each) for each in batches],)


def _joined(images: Sequence[Tensor]) -> Tensor:
    layouts = sorted({tuple(image.shape[1:]) for image in images})
    if len(layouts) > 1:
        raise LayoutError(
            f"the images of a batch must all have the same [H, W, C], got {', '.join(map(str, layouts))}. "
            "Scale them to one size first (ImageScale), or use batch_size 1."
        )
    return torch.cat(list(images))
