"""How tensors are drawn: the drawings that socket types name, in a table that is open to additions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from comfy_nb.spec.sockets import SOCKETS


class Layout(NamedTuple):
    """Which axes of a tensor are rows, columns, channels, batch and frames of a video; None for no such axis."""

    rows: int
    columns: int
    channels: int | None = None
    batch: int | None = None
    frames: int | None = None


def _last_two(axes: int) -> Layout:
    return Layout(axes - 2, axes - 1)


def _no_thumbnail(x: torch.Tensor) -> torch.Tensor | None:
    return None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A way to draw a tensor.

    `fits(shape)` returns whether a tensor of that shape can be drawn like this; otherwise it is drawn as any tensor is.
    `layout(number of axes)` is what a view shows first. `is_unit` says that 0..1 is drawn from dark to light, rather
    than the range that the values have. `thumbnail(tensor)` returns the first picture, [H, W] or [H, W, C] in 0..1, or
    None. The front end knows the names of the built-in drawings.
    """

    name: str
    fits: Callable[[Sequence[int]], bool]
    layout: Callable[[int], Layout] = _last_two
    is_unit: bool = False
    view: Literal["pixels", "plot"] = "pixels"
    thumbnail: Callable[[torch.Tensor], torch.Tensor | None] = _no_thumbnail


def _first_image(x: torch.Tensor) -> torch.Tensor | None:
    return x[0] if x.ndim == 4 and x.shape[-1] in (1, 3, 4) else None


def _first_mask(x: torch.Tensor) -> torch.Tensor | None:
    return (x[0] if x.ndim == 3 else x) if x.ndim in (2, 3) else None


def _first_plane(x: torch.Tensor) -> torch.Tensor | None:
    """Return the first plane, its lowest finite value dark and its highest light."""
    if x.ndim < 2:
        return None
    plane = x[(0,) * (x.ndim - 2)].detach().float()
    finite = plane[torch.isfinite(plane)]
    if not finite.numel():
        return torch.zeros_like(plane)
    low, high = finite.min(), finite.max()
    return (plane - low) / (high - low) if high > low else torch.full_like(plane, 0.5)


TENSOR = Drawing("tensor", fits=lambda shape: False)
DRAWINGS: dict[str, Drawing] = {
    drawing.name: drawing
    for drawing in (
        TENSOR,
        Drawing(
            "image",
            fits=lambda shape: len(shape) in (3, 4) and shape[-1] in (1, 3, 4),
            layout=lambda axes: Layout(axes - 3, axes - 2, channels=axes - 1, batch=0 if axes == 4 else None),
            is_unit=True,
            thumbnail=_first_image,
        ),
        Drawing(
            "mask",
            fits=lambda shape: len(shape) in (2, 3),
            layout=lambda axes: Layout(axes - 2, axes - 1, batch=0 if axes == 3 else None),
            is_unit=True,
            thumbnail=_first_mask,
        ),
        Drawing(
            "latent",
            fits=lambda shape: len(shape) in (4, 5),
            layout=lambda axes: Layout(axes - 2, axes - 1, channels=1, batch=0, frames=2 if axes == 5 else None),
        ),
        Drawing("plane", fits=lambda shape: len(shape) >= 2, thumbnail=_first_plane),
        Drawing("wave", fits=lambda shape: len(shape) in (1, 2, 3), view="plot"),
    )
}


def drawing_of(kind: str) -> Drawing:
    """Return how the tensors of a socket type are drawn; those of an unknown type as any tensor is."""
    return DRAWINGS.get(SOCKETS[kind].drawn_as, TENSOR) if kind in SOCKETS else TENSOR
