"""What Pillow's pictures hold: pixels, palette, and all that their file said of them."""

from __future__ import annotations

from contextlib import suppress
from typing import IO, Any

from xxhash import xxh3_128

from comfy_nb.spec.digest import Digest
from comfy_nb.spec.locality import is_local
from comfy_nb.spec.readers import Parts, Unreadable, Whole, reads_named

# How the file is read, which the pixels and the notes below tell already, and how the picture was last written.
_HANDLES = {
    "decoderconfig", "decodermaxblock", "encoderconfig", "encoderinfo", "fp", "im", "map", "palette", "png", "pyaccess",
    "readonly", "tile",
}  # fmt: skip
# What Pillow itself keeps of a picture under private names, which a person's subclass may have more of.
_PRIVATE = {"_exif", "_fp", "_im", "_mode", "_size", "_text"}
PIECE_BYTES = 1 << 20
WIDEST_PIXEL_BYTES = 4
EXIF_DIRECTORIES = (0x8769, 0x8825, 0xA005)


@reads_named("PIL", "Image")
def _(value: Any) -> Parts:
    frames = (value.tell(), _file_of_frames(value)) if getattr(value, "is_animated", False) else ()
    try:
        pixels = _digest_of_pixels(value)
    except OSError as error:
        raise Unreadable(f"a picture that cannot be read ({error})") from error
    palette = _palette(value) if value.palette is not None and value.mode in ("P", "PA") else None
    texts = None if frames else getattr(value, "_text", None)  # of a PNG, which its load has completed
    facts = (value.mode, value.size, pixels, palette, value.format, value.getexif(), texts)
    return Whole((*facts, *frames, *_notes(value)))


@reads_named("PIL", "Exif")
def _(value: Any) -> Parts:
    directories = [dict(value.get_ifd(number)) for number in EXIF_DIRECTORIES]
    return Whole((value.endian, value.bigtiff, dict(value), directories, *_notes(value)))


@reads_named("PIL", "ImageFileDirectory_v2")
def _(value: Any) -> Parts:
    """Return the tags of a TIFF file, which are decoded when they are first asked for."""
    tags = [(tag, value[tag]) for tag in sorted(value)]
    return Whole((value.prefix, value.group, getattr(value, "next", None), value.tagtype, tags))


@reads_named("PIL", "ImageDraw")
def _(value: Any) -> Parts:
    return Whole((value._image, value.mode, value.ink, value.fontmode, value.fill, value.font, *_notes(value, "draw")))


@reads_named("PIL", "ImageCmsProfile")
def _(value: Any) -> Parts:
    return Whole((value.filename, value.tobytes(), *_notes(value, "profile")))


@reads_named("PIL", "FreeTypeFont")
def _(value: Any) -> Parts:
    """Return the file that a font came from; how the axes of a variable font are set, it does not tell."""
    with suppress(OSError):
        raise Unreadable(f"a variable font (of {len(value.font.getvaraxes())} axes)")
    notes = _notes(value, "font")
    if hasattr(value, "font_bytes"):
        return Whole(notes)
    with open(value.path, "rb") as file:
        return Whole((*notes, _digest_of_file(file)))


def _digest_of_pixels(value: Any) -> Digest:
    """Digest the pixels of a picture, some rows at a time."""
    width, height = value.size
    rows = max(1, PIECE_BYTES // max(1, width * WIDEST_PIXEL_BYTES))
    found = xxh3_128()
    for top in range(0, height, rows):
        found.update(value.crop((0, top, width, min(top + rows, height))).tobytes())
    return Digest(found.digest())


def _file_of_frames(value: Any) -> Digest:
    """Digest the open file of a picture of several frames, which can be sought, and leave it where it stands."""
    file = getattr(value, "_fp", None)
    if file is None or file.closed:
        raise Unreadable("an animated picture, whose frames can be sought")
    stands_at = file.tell()
    try:
        return _digest_of_file(file)
    finally:
        file.seek(stands_at)


def _digest_of_file(file: IO[bytes]) -> Digest:
    found = xxh3_128()
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        found.update(piece)
    return Digest(found.digest())


def _palette(value: Any) -> tuple[Any, ...]:
    """Return the colours by which the pixels are shown, and those that its palette object tells, which may differ."""
    told = value.palette
    return value.getpalette(told.mode), told.mode, told.palette


def _notes(value: Any, handle: str = "") -> list[Any]:
    """Return the attributes that say something of a picture or the like: what a file or a person noted of it."""
    is_own = is_local(type(value).__module__)
    noted = [name for name in vars(value) if not (name in _PRIVATE if is_own else name.startswith("_"))]
    return [part for name in noted if name not in _HANDLES and name != handle for part in (name, vars(value)[name])]
