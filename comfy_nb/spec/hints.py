"""Annotations for node functions: classes that name socket types, and hints for the widgets of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


class Image(torch.Tensor):
    """Annotation for IMAGE: float32 [B, H, W, C] in 0..1, C 3 or 4."""


class Mask(torch.Tensor):
    """Annotation for MASK: float32 [B, H, W] in 0..1."""


class Latent(dict[str, Any]):
    """Annotation for LATENT: `{"samples": [B, C, H/8, W/8], "noise_mask"?, "batch_index"?}`."""


class Audio(dict[str, Any]):
    """Annotation for AUDIO: `{"waveform": [B, C, T], "sample_rate": int}`."""


class Conditioning(list[Any]):
    """Annotation for CONDITIONING: `[[tensor, {...}], ...]`."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds and step of a number's widget: `Annotated[float, Range(0, 1, step=0.01)]`."""

    min: float | None = None
    max: float | None = None
    step: float | None = None

    def options(self) -> dict[str, Any]:
        """Return the bounds as ComfyUI's input options."""
        named = {"min": self.min, "max": self.max, "step": self.step}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Multiline:
    """A text input shown as a box of several lines."""

    def options(self) -> dict[str, Any]:
        """Return the hint as ComfyUI's input options."""
        return {"multiline": True}


@dataclass(frozen=True, slots=True)
class Tooltip:
    """A line of help shown next to an input."""

    text: str

    def options(self) -> dict[str, Any]:
        """Return the hint as ComfyUI's input options."""
        return {"tooltip": self.text}


HINTS = (Range, Multiline, Tooltip)
