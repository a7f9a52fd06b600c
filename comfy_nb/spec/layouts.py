"""The layouts of pictures, masks, latents and audio: what live objects are brought to.

    IMAGE   torch.float32 [B,H,W,C] in 0..1, C 3 or 4
    MASK    torch.float32 [B,H,W] in 0..1
    LATENT  {"samples": [B,C,H,W], ...}
    AUDIO   {"waveform": [B,C,T], "sample_rate": int, ...}

Values with only one possible meaning are converted; one that looks like another layout raises `LayoutError` with the
expression that converts it. The values of numpy arrays are copied, never shared: an in-place edit of an array would go
unnoticed, whereas a tensor counts its edits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from comfy_nb.errors import LayoutError
from comfy_nb.spec.contents.tensors import has_storage
from comfy_nb.spec.pixels import BYTE_VALUES_ABOVE, UNREADABLE, is_grey, pixels_of

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Array = npt.NDArray[Any]

RGBA_CHANNELS = 4
COLOUR_CHANNELS = (3, RGBA_CHANNELS)
PIXEL_CHANNELS = (1, 3, 4)
SAMPLES_PER_AXIS = 16
SAMPLED_PICTURES = 4
IMAGE_IS = "An IMAGE is float [B,H,W,C] in 0..1, C 3 or 4"
MASK_IS = "A MASK is float [B,H,W] in 0..1"
MOST_AUDIO_CHANNELS = 8


class Fault(NamedTuple):
    """Why a value does not fit: what it looks like, and an expression on `{}` that fixes it, if there is one."""

    looks: str
    fix: str = ""


def to_image(value: Any) -> Any:
    """Bring pictures, arrays and tensors to an IMAGE; other values pass unchanged."""
    if isinstance(value, Tensor):
        return _image_tensor(value)
    if isinstance(value, np.ndarray):
        pixels = value[..., None] if value.ndim == 2 else value
        return _image_tensor(_unit_values(pixels, "IMAGE"), of_array=True)
    if _is_picture(value):
        return _read(value).unsqueeze(0)
    if _is_batch(value):
        return _join([to_image(item) for item in value], "IMAGE")
    _refuse_dict(value, "IMAGE")
    return value


def to_mask(value: Any) -> Any:
    """Bring pictures, arrays and tensors to a MASK; other values pass unchanged."""
    if isinstance(value, Tensor):
        return _mask_tensor(value)
    if isinstance(value, np.ndarray):
        return _mask_tensor(_unit_values(value, "MASK"), of_array=True)
    if _is_picture(value):
        return _mask_picture(value)
    if _is_batch(value):
        return _join([to_mask(item) for item in value], "MASK")
    _refuse_dict(value, "MASK")
    return value


def to_latent(value: Any) -> Any:
    """Check the dict of a LATENT, and copy an array in it to a tensor; other values pass unchanged."""
    if isinstance(value, Tensor | np.ndarray):
        raise LayoutError(f'A LATENT is a dict; {_name(value)} is its samples alone. Use {{"samples": x}}.')
    if not isinstance(value, Mapping):
        return value
    if "samples" not in value:
        raise LayoutError(_missing(value, "LATENT", "samples"))
    samples = value["samples"]
    if not isinstance(samples, Tensor | np.ndarray):
        return value
    if samples.ndim < 4 and not (samples.ndim == 3 and "type" in value):
        # a latent of sound or of a mesh has three axes, and is marked by its "type"
        fix = ", as if [C,H,W]. Use samples[None]" if samples.ndim == 3 else ""
        raise LayoutError(f"The samples of a LATENT are [B,C,H,W]; these are {_name(samples)}{fix}.")
    if not _is_float(samples):
        raise LayoutError(f"The samples of a LATENT are floats; these are {_name(samples)}.")
    return value if isinstance(samples, Tensor) else {**value, "samples": _float_copy(samples)}


def to_audio(value: Any) -> Any:
    """Check the dict of an AUDIO, and bring its waveform to [B, C, T]; other values pass unchanged."""
    if isinstance(value, Tensor | np.ndarray):
        fix = '{"waveform": x, "sample_rate": 44100} with its own rate'
        raise LayoutError(f"An AUDIO is a dict; {_name(value)} is its waveform alone. Use {fix}.")
    if not isinstance(value, Mapping):
        return value
    for key in ("waveform", "sample_rate"):
        if key not in value:
            raise LayoutError(_missing(value, "AUDIO", key))
    waveform, rate = _waveform(value["waveform"]), _sample_rate(value["sample_rate"])
    if waveform is value["waveform"] and rate is value["sample_rate"]:
        return value
    return {**value, "waveform": waveform, "sample_rate": rate}


def _image_tensor(x: Tensor, of_array: bool = False) -> Tensor:
    _refuse(x, IMAGE_IS, image_fault(x.shape), of_array)
    x = x.float()
    if x.ndim == 3:
        x = x.unsqueeze(0)
    return x if x.shape[3] in COLOUR_CHANNELS else x.repeat(1, 1, 1, 3)


def _mask_tensor(x: Tensor, of_array: bool = False) -> Tensor:
    _refuse(x, MASK_IS, mask_fault(x.shape), of_array)
    x = x.float()
    return x.unsqueeze(0) if x.ndim == 2 else x


def image_fault(shape: Sequence[int]) -> Fault | None:
    """Return why a shape is not that of an IMAGE, of one picture without a batch, or of a grey one."""
    axes = len(shape)
    if axes in (3, 4) and shape[-1] in PIXEL_CHANNELS:
        return None
    if axes == 4 and shape[1] in PIXEL_CHANNELS:
        return Fault("looks like [B,C,H,W]", "{}.permute(0, 2, 3, 1)")
    if axes == 3 and shape[0] in COLOUR_CHANNELS:
        return Fault("looks like [C,H,W]", "{}.permute(1, 2, 0)")
    if axes in (3, 4) and shape[-1] == 2:
        return Fault("has 2 channels (grey and alpha?)", "{}[..., :1]")
    if axes == 3:
        return Fault("looks like a mask [B,H,W]", "{}[..., None]")
    if axes == 2:
        return Fault("looks like one mask [H,W]", "{}[..., None]")
    if axes == 5:
        return Fault("looks like video [B,F,H,W,C]", "{}.reshape(-1, *x.shape[2:])")
    return Fault(f"has {axes} axes and {shape[-1] if axes else 0} channels")


def mask_fault(shape: Sequence[int]) -> Fault | None:
    """Return why a shape is not that of a MASK, with or without a batch."""
    axes = len(shape)
    if axes == 3 and shape[-1] in PIXEL_CHANNELS and min(shape[:2]) > shape[-1]:
        return Fault("looks like an image [H,W,C]", _one_channel(shape[-1]))
    if axes in (2, 3):
        return None
    if axes == 4 and shape[1] == 1:
        return Fault("looks like [B,1,H,W]", "{}[:, 0]")
    if axes == 4 and shape[-1] in PIXEL_CHANNELS:
        return Fault("looks like an image [B,H,W,C]", _one_channel(shape[-1]))
    if axes == 4 and shape[1] in COLOUR_CHANNELS:
        return Fault("looks like [B,C,H,W]", "{}[:, 0]")
    return Fault(f"has {axes} axes")


def _one_channel(channels: int) -> str:
    return "1 - {}[..., 3]" if channels == 4 else "{}[..., 0]"


def _refuse(x: Tensor, promise: str, layout: Fault | None, of_array: bool) -> None:
    message = misfit(x, promise, layout, value_fault(x, largest_sampled), of_array)
    if message:
        raise LayoutError(message)


def misfit(x: Tensor, promise: str, layout: Fault | None, value: Fault | None, of_array: bool = False) -> str:
    """Say why a tensor does not fit and which expression converts it, if one does; nothing where it has no fault."""
    if layout is None and value is None:
        return ""
    beyond_repair = layout is not None and not layout.fix
    faults = [fault for fault in (layout, None if beyond_repair else value) if fault is not None]
    looks = " and ".join(fault.looks for fault in faults)
    kind = "array" if of_array else f"{_dtype(x)} tensor"
    message = f"{promise}; this {kind} of shape {list(x.shape)} {looks}."
    if beyond_repair:
        return message
    fix = "x"
    for fault in faults:
        fix = fault.fix.format(fix)
    return f"{message} Use {fix.replace('.permute(', '.transpose(') if of_array else fix}."


def value_fault(x: Tensor, largest_of: Callable[[Tensor], float]) -> Fault | None:
    """Return why the elements are not those of a picture, as far as dtype and the largest of a few tell."""
    if x.dtype == torch.bool:
        return None
    if x.dtype == torch.uint8:
        return Fault("holds whole numbers 0..255", "{}.float() / 255")
    if x.is_complex():
        return Fault("holds complex numbers", "{}.abs()")
    largest = largest_of(x)
    if not x.is_floating_point():
        return Fault("holds whole numbers", "{}.float() / 255" if largest > 1 else "{}.float()")
    if largest > BYTE_VALUES_ABOVE:
        return Fault(f"has values up to about {largest:.4g}, as if 0..255", "{} / 255")
    return None


def largest_sampled(x: Tensor) -> float:
    """Return the largest finite value on a coarse grid of at most 4,096 elements of pictures."""
    if x.layout != torch.strided or x.is_meta or x.numel() == 0 or not has_storage(x):
        return 0.0
    most = [SAMPLES_PER_AXIS] * x.ndim if x.ndim < 4 else [SAMPLED_PICTURES, *[SAMPLES_PER_AXIS] * (x.ndim - 1)]
    grid = tuple(slice(None, None, -(-size // few)) for size, few in zip(x.shape, most, strict=True))
    sample = x.detach()[grid].float()
    try:
        return float(sample.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).max())
    except RuntimeError:  # a fake tensor has a shape alone
        return 0.0


def _unit_values(array: Array, socket: str) -> Tensor:
    """Copy an array as float32, unsigned 8 and 16 bit numbers scaled to 0..1."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind in "fb":
        return _float_copy(array)
    if kind == "u" and size <= 2:
        largest = np.float32(255 if size == 1 else 65535)
        return torch.from_numpy(np.divide(array, largest, dtype=np.float32, order="C"))
    raise LayoutError(
        f"The {socket} is {_name(array)}; arrays are float, bool, uint8 or uint16. "
        "Use x.astype(np.uint8) when the values are 0..255."
    )


def _is_picture(value: Any) -> TypeGuard[Picture]:
    from PIL import Image

    return isinstance(value, Image.Image)


def _is_batch(value: Any) -> bool:
    """Return whether the value is a list of pictures, arrays or tensors, not a link or some other list."""
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(item, Tensor | np.ndarray) or _is_picture(item) for item in value)


def _join(batches: Sequence[Tensor], socket: str) -> Tensor:
    sizes = {tuple(batch.shape[1:]) for batch in batches}
    if len(sizes) > 1:
        found = ", ".join(str(list(size)) for size in sorted(sizes))
        raise LayoutError(
            f"A list given as {socket} is one batch, so its items have one size and number of channels; "
            f"these are {found}. Resize or convert them first."
        )
    return torch.cat(list(batches))


def _read(picture: Picture) -> Tensor:
    try:
        return pixels_of(picture)
    except UNREADABLE as error:
        raise LayoutError(
            f"This PIL picture cannot be read: {error}. Open its file again, and give it before the file is closed."
        ) from error


def _mask_picture(picture: Picture) -> Tensor:
    pixels = _read(picture)
    if pixels.shape[2] == RGBA_CHANNELS:
        return 1.0 - pixels[None, ..., 3]
    if not is_grey(picture):
        raise LayoutError(
            f"A MASK is grey or the alpha of a picture; this PIL picture of mode {picture.mode} is neither. "
            'Use picture.convert("L").'
        )
    return pixels[None, ..., 0]


def _waveform(waveform: Any) -> Any:
    if not isinstance(waveform, Tensor | np.ndarray):
        return waveform
    promise = f"The waveform of an AUDIO is float [B,C,T] in -1..1; this is {_name(waveform)}"
    if not 1 <= waveform.ndim <= 3:
        raise LayoutError(f"{promise}.")
    if not _is_float(waveform):
        fix = "x.float()" if isinstance(waveform, Tensor) else "x.astype(np.float32)"
        raise LayoutError(f"{promise}. Use {fix} / 32768 for 16 bit.")
    if waveform.ndim > 1 and 0 < waveform.shape[-1] <= MOST_AUDIO_CHANNELS < waveform.shape[-2]:
        raise LayoutError(f"{promise}, as if [T,C]. Use x.swapaxes(-1, -2).")
    tensor = waveform if isinstance(waveform, Tensor) else _float_copy(waveform)
    while tensor.ndim < 3:
        tensor = tensor.unsqueeze(0)
    return tensor


def _sample_rate(rate: Any) -> int:
    if isinstance(rate, bool) or not isinstance(rate, Real) or not float(rate).is_integer() or rate <= 0:
        raise LayoutError(f"The sample_rate of an AUDIO is a whole number such as 44100, not {rate!r}.")
    return rate if isinstance(rate, int) else int(float(rate))


def _is_float(values: Tensor | Array) -> bool:
    return values.is_floating_point() if isinstance(values, Tensor) else values.dtype.kind == "f"


def _float_copy(array: Array) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))


def _refuse_dict(value: Any, socket: str) -> None:
    if isinstance(value, Mapping) and "samples" in value:
        raise LayoutError(f"The {socket} is a LATENT (a dict with samples). Decode it with VAEDecode first.")


def _missing(value: Mapping[Any, Any], socket: str, key: str) -> str:
    keys = ", ".join(repr(name) for name in islice(value, 8)) or "no keys"
    return f"{socket} is a dict with the key {key!r}; this one has {keys}."


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _name(value: Tensor | Array) -> str:
    kind = "tensor" if isinstance(value, Tensor) else "array"
    return f"a {str(value.dtype).removeprefix('torch.')} {kind} of shape {list(value.shape)}"
