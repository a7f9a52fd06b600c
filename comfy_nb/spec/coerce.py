"""Live objects given as constants, brought to the layout that their socket promises."""

from __future__ import annotations

from typing import Any

from comfy_nb.errors import InterruptProcessingException, LayoutError
from comfy_nb.spec.sockets import SOCKETS
from comfy_nb.wording import class_name, describe_error, short


def coerce(value: Any, socket: str) -> Any:
    """Bring a constant to the layout of its socket type; one that already has it is returned as the same object.

    IMAGE takes PIL pictures (the current frame, any mode, upright by EXIF; RGBA if there is alpha; `spec/pixels.py` has
    the rules), numpy arrays [H,W], [H,W,C] or [B,H,W,C] (uint8 and uint16 are scaled), float tensors [B,H,W,C] or
    [H,W,C], and lists of these of one size, which become one batch; grey (C 1) becomes RGB. MASK takes grey pictures or
    the alpha of others (mask = 1 - alpha), and arrays and tensors [H,W] or [B,H,W], bool too. LATENT takes its dict,
    AUDIO its dict with the waveform [B,C,T], [C,T] or [T]. Registered types take what their `layout` takes. Everything
    else passes unchanged.

    Raises LayoutError if the value has another layout, dtype or range; the message says how to convert it.
    """
    known = SOCKETS.get(str.__str__(socket))
    if known is None or known.layout is None or value is None or issubclass(type(value), (str, bytes, int, float)):
        return value
    try:
        return known.layout(value)
    except (LayoutError, InterruptProcessingException, KeyboardInterrupt):
        raise
    except BaseException as error:  # a value of somebody else's class may raise anything, and lie about its class
        reason = f"reading it raised {describe_error(error)}"
        raise LayoutError(f"expected {socket}, got {short(value)}, a {class_name(value)}; {reason}") from error


def has_layout(socket: str) -> bool:
    """Return whether values of a socket type are brought to a layout."""
    known = SOCKETS.get(socket)
    return known is not None and known.layout is not None
