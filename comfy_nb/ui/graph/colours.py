"""One colour per socket type: chosen for the usual ones, derived from the name for any other."""

from __future__ import annotations

import zlib

SOCKET_COLOURS = {
    "MODEL": "#9a82d8",
    "CLIP": "#d9a514",
    "VAE": "#e0605c",
    "CONDITIONING": "#e08a3c",
    "LATENT": "#d973c0",
    "IMAGE": "#4a94e6",
    "MASK": "#58a868",
    "AUDIO": "#38a8a0",
    "SIGMAS": "#a8b03a",
    "NOISE": "#9a9a9a",
    "INT": "#6f9e8a",
    "FLOAT": "#7fa25c",
    "STRING": "#8d8fa6",
    "BOOLEAN": "#b07a8c",
    "COMBO": "#8d8fa6",
    "*": "#8a929a",
}


def colour_of(kind: str) -> str:
    """Return the CSS colour of a socket type."""
    return SOCKET_COLOURS.get(kind) or f"hsl({zlib.crc32(kind.encode('utf-8', 'replace')) % 360} 48% 56%)"
