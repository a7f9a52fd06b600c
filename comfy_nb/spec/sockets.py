"""Socket types: one record for each, in the table that every part of the package reads.

>>> register_socket(SocketType("HEIGHTMAP", (Heightmap,), layout=to_heightmap, drawn_as="plane", is_picture=True))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from comfy_nb.errors import SpecError
from comfy_nb.spec.hints import Audio, Conditioning, Image, Latent, Mask
from comfy_nb.spec.layouts import to_audio, to_image, to_latent, to_mask

ANY = "*"


@dataclass(frozen=True, slots=True)
class SocketType:
    """A type of inputs and outputs; everything but its name is optional.

    annotations  the annotations that stand for it in a function's signature; a class named like it does so anyway
    layout       brings a constant to what nodes expect and returns one that fits as the same object, or raises
                 LayoutError
    colour       a CSS colour for its links and slots; without one, it is derived from the name
    drawn_as     the name of a drawing of tensors, such as "image", "mask" or "plane"; see `ui.render.drawings`
    is_picture   its values are shown on graph nodes, and a function may return a picture, array or list, which `layout`
                 converts
    tensors      for a dict: the keys of its tensors, each with the socket type of the tensor; the first one identifies
                 the dict
    rate_key     for a dict with sound: the key of the samples per second
    is_list      its values are lists, whose items have other types
    is_patched   packs change its values in place and mean to: a change is no reason to compute them again
    """

    name: str
    annotations: tuple[Any, ...] = ()
    layout: Callable[[Any], Any] | None = None
    colour: str = ""
    drawn_as: str = ""
    is_picture: bool = False
    tensors: Mapping[str, str] = field(default_factory=dict)
    rate_key: str = ""
    is_list: bool = False
    is_patched: bool = False


_MODELS = ("CLIP_VISION", "CONTROL_NET", "GLIGEN", "MODEL_PATCH", "STYLE_MODEL", "UPSCALE_MODEL")
_BUILT_IN = (
    SocketType("IMAGE", (Image,), layout=to_image, colour="#4a94e6", drawn_as="image", is_picture=True),
    SocketType("MASK", (Mask,), layout=to_mask, colour="#58a868", drawn_as="mask", is_picture=True),
    SocketType(
        "LATENT",
        (Latent,),
        layout=to_latent,
        colour="#d973c0",
        drawn_as="latent",
        tensors={"samples": "LATENT", "noise_mask": "MASK"},
    ),
    SocketType(
        "AUDIO",
        (Audio,),
        layout=to_audio,
        colour="#38a8a0",
        drawn_as="wave",
        tensors={"waveform": "AUDIO"},
        rate_key="sample_rate",
    ),
    SocketType("CONDITIONING", (Conditioning,), colour="#e08a3c", is_list=True),
    SocketType("MODEL", colour="#9a82d8", is_patched=True),
    SocketType("CLIP", colour="#d9a514", is_patched=True),
    SocketType("VAE", colour="#e0605c", is_patched=True),
    *(SocketType(name, is_patched=True) for name in _MODELS),
    SocketType("SIGMAS", colour="#a8b03a"),
    SocketType("NOISE", colour="#9a9a9a"),
    SocketType("INT", (int,), colour="#6f9e8a"),
    SocketType("FLOAT", (float,), colour="#7fa25c"),
    SocketType("STRING", (str,), colour="#8d8fa6"),
    SocketType("BOOLEAN", (bool,), colour="#b07a8c"),
    SocketType("COMBO", colour="#8d8fa6"),
    SocketType(ANY, (torch.Tensor, Any, object, type(None)), colour="#8a929a"),
)
SOCKETS: dict[str, SocketType] = {socket.name: socket for socket in _BUILT_IN}


def register_socket(socket: SocketType) -> SocketType:
    """Add a socket type, or replace the one of that name, and return it; of two with one annotation the later wins.

    Raises SpecError for a type without a name, and for an annotation that cannot be looked up.
    """
    if not socket.name:
        raise SpecError("A socket type needs a name, such as IMAGE.")
    try:
        hash(socket.annotations)
    except TypeError as error:
        raise SpecError(f"{socket.name}: an annotation must be hashable, such as a class ({error}).") from None
    SOCKETS.pop(socket.name, None)
    SOCKETS[socket.name] = socket
    return socket


def socket_of_annotation(annotation: Any) -> str | None:
    """Return the name of the socket type that an annotation stands for, or None if no record lists it."""
    names = {each: socket.name for socket in list(SOCKETS.values()) for each in socket.annotations}
    try:
        return names.get(annotation)
    except TypeError:
        return None


def socket_of_key(key: str, kind: str = "") -> str:
    """Return the socket type of the tensor under a key of a dict, as its own type `kind` or else any type lists it.

    "" if none does.
    """
    own = SOCKETS.get(kind)
    return next((each.tensors[key] for each in (own, *SOCKETS.values()) if each and key in each.tensors), "")


def tensor_of_dict(value: Mapping[Any, Any]) -> Any:
    """Return the entry by which a dict of some socket type is recognised, or None."""
    keys = (next(iter(socket.tensors)) for socket in list(SOCKETS.values()) if socket.tensors)
    return next((value[key] for key in keys if key in value), None)
