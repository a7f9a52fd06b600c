"""Resizing of image and latent batches, as ComfyUI's nodes and packs expect it."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

IMAGE_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
LATENT_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "bislerp")
CROPS = ("disabled", "center")
SAME_DIRECTION = 1 - 1e-5


def common_upscale(samples: Tensor, width: int, height: int, upscale_method: str, crop: str) -> Tensor:
    """Resize `samples` to `width` x `height`, channels first.

    Takes [B, C, H, W], or [B, C, T, H, W] where each of the T frames is resized on its own, and keeps the
    dtype. With `crop="center"` the source is first cut to the new aspect ratio. `upscale_method` is a mode of
    torch's `interpolate`, "lanczos" (Pillow, in steps of 1/255) or "bislerp" (spherical, for latents).
    """
    if samples.ndim > 4:
        frames = samples.movedim(2, 1)
        flat = common_upscale(frames.flatten(0, 1), width, height, upscale_method, crop)
        return flat.reshape(*frames.shape[:2], *flat.shape[1:]).movedim(1, 2)
    if crop == "center":
        samples = crop_to_aspect(samples, width / height)
    if upscale_method == "bislerp":
        return bislerp(samples, width, height)
    if upscale_method == "lanczos":
        return lanczos(samples, width, height)
    return F.interpolate(samples, size=(height, width), mode=upscale_method)


def resize_images(images: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """Resize [B, H, W, C] images; see `common_upscale`."""
    return common_upscale(images.movedim(-1, 1), width, height, method, crop).movedim(1, -1)


def crop_to_aspect(samples: Tensor, aspect: float) -> Tensor:
    """Cut equal margins off [..., H, W] so that width / height comes close to `aspect`."""
    height, width = samples.shape[-2:]
    old = width / height
    cut_x = round((width - width * (aspect / old)) / 2) if old > aspect else 0
    cut_y = round((height - height * (old / aspect)) / 2) if old < aspect else 0
    return samples[..., cut_y : height - cut_y, cut_x : width - cut_x]


def lanczos(samples: Tensor, width: int, height: int) -> Tensor:
    """Resize [B, C, H, W] in 0..1 with Pillow's Lanczos filter; values are clipped, in steps of 1/255."""
    pixels = (samples.detach().float().cpu() * 255).clamp(0, 255).to(torch.uint8).movedim(1, -1).numpy()
    resized = np.stack([_lanczos_one(picture, width, height) for picture in pixels])
    return torch.from_numpy(resized.astype(np.float32) / 255).movedim(-1, 1).to(samples.device, samples.dtype)


def _lanczos_one(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    # Pillow takes 3 or 4 channels (it weights the colours by alpha); other counts are resized channel by channel.
    if picture.shape[-1] in (3, 4):
        return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
    planes = [np.ascontiguousarray(picture[..., index]) for index in range(picture.shape[-1])]
    resized = [Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS) for plane in planes]
    return np.stack([np.asarray(plane) for plane in resized], axis=-1)


def bislerp(samples: Tensor, width: int, height: int) -> Tensor:
    """Resize [B, C, H, W] by spherical interpolation of the vectors that the channels of each point form."""
    wide = _slerp_last(samples.float(), width)
    return _slerp_last(wide.movedim(-2, -1), height).movedim(-1, -2).to(samples.dtype)


def _slerp_last(samples: Tensor, length: int) -> Tensor:
    """Resize the last of four dimensions; the second has the channels."""
    old = samples.shape[-1]
    ramp = torch.arange(old, dtype=torch.float32, device=samples.device)
    position = _stretch(ramp, length)
    left, right = position.long(), _stretch((ramp + 1).clamp(max=old - 1), length).long()
    return _slerp(samples[..., left], samples[..., right], position - position.floor())


def _stretch(values: Tensor, length: int) -> Tensor:
    return F.interpolate(values.reshape(1, 1, 1, -1), size=(1, length), mode="bilinear").reshape(-1)


def _slerp(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Move from `start` to `end`, both [B, C, ...], by `share` (broadcast) of the arc between them."""
    start_length, end_length = start.norm(dim=1, keepdim=True), end.norm(dim=1, keepdim=True)
    start_unit = torch.where(start_length == 0, 0.0, start / start_length)
    end_unit = torch.where(end_length == 0, 0.0, end / end_length)
    cosine = (start_unit * end_unit).sum(1, keepdim=True)
    angle = cosine.acos()
    arc = ((1 - share) * angle).sin() * start_unit + (share * angle).sin() * end_unit
    turned = arc / angle.sin() * (start_length * (1 - share) + end_length * share)
    straight = start * (1 - share) + end * share
    turned = torch.where(cosine < -SAME_DIRECTION, straight, turned)
    return torch.where(cosine > SAME_DIRECTION, start, turned)


def repeat_to_batch_size(tensor: Tensor, batch_size: int, dim: int = 0) -> Tensor:
    """Repeat or cut a tensor along `dim` until it has `batch_size` items."""
    count = tensor.shape[dim]
    if count < batch_size:
        repeats = [1] * tensor.ndim
        repeats[dim] = math.ceil(batch_size / count)
        tensor = tensor.repeat(repeats)
    return tensor.narrow(dim, 0, batch_size)


def image_alpha_fix(destination: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Give `source` [..., C] the channel count of `destination`: extra channels are cut, added ones are opaque."""
    return destination, match_channels(source, destination.shape[-1])


def match_channels(image: Tensor, channels: int) -> Tensor:
    """Cut or add (filled with 1, so opaque) channels at the end of a [..., C] image."""
    missing = channels - image.shape[-1]
    return F.pad(image, (0, missing), value=1.0) if missing > 0 else image[..., :channels]
