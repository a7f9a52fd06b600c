"""What Pillow's pictures hold: pixels, palette, and all that their file said of them."""

from __future__ import annotations

from typing import Any

from comfy_nb.spec.readers import Parts, Unreadable, Whole, reads_named

# How the file is read, which the pixels and the notes below tell already.
_HANDLES = {"fp", "im", "map", "palette", "png", "pyaccess", "tile", "decoderconfig", "decodermaxblock", "readonly"}
EXIF_DIRECTORIES = (0x8769, 0x8825, 0xA005)


@reads_named("PIL", "Image")
def _(value: Any) -> Parts:
    if getattr(value, "is_animated", False):
        raise Unreadable("an animated picture, whose frames can be sought")
    pixels = value.tobytes()
    palette = value.getpalette(value.palette.mode) if value.palette is not None and value.mode in ("P", "PA") else None
    exif = value.getexif()
    directories = [dict(exif.get_ifd(number)) for number in EXIF_DIRECTORIES]
    notes = [part for name, note in vars(value).items() if _is_note(name) for part in (name, note)]
    return Whole((value.mode, value.size, pixels, palette, value.format, dict(exif), directories, *notes))


def _is_note(name: str) -> bool:
    return not name.startswith("_") and name not in _HANDLES
