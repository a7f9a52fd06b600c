"""One colour per socket type: that of its record, or one derived from its name."""

from __future__ import annotations

import zlib

from comfy_nb.spec.sockets import SOCKETS


def colour_of(kind: str) -> str:
    """Return the CSS colour of a socket type."""
    colour = SOCKETS[kind].colour if kind in SOCKETS else ""
    return colour or f"hsl({zlib.crc32(kind.encode('utf-8', 'replace')) % 360} 48% 56%)"
