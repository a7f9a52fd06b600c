"""The graph that ComfyUI leaves in the pictures, sounds and videos it saves.

Only the containers are walked, nothing is decoded: a picture whose pixels are damaged or cut off still gives
its graph, text larger than Pillow's limits is read, and any bytes at all end in a dict or a `PromptError`.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator

from comfy_nb.errors import PromptError

ENTRIES = ("prompt", "workflow")
LARGEST_TEXT = 256 * 1024 * 1024  # bytes of one entry once inflated; a deflate bomb ends here
JSON_STARTS = ("{", "[", '"')
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
TIFF_BYTE_TYPES = (1, 2, 7)  # BYTE, ASCII, UNDEFINED
ID3_TEXT_CODECS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
FLAC_VORBIS_COMMENT = 4

Entries = Iterator[tuple[str, str]]


def sniff(data: bytes) -> str:
    """Name a format by its first bytes: png, webp, jpeg, flac, mp4, mp3, json or unknown."""
    head = bytes(data[:64])
    if head.startswith(PNG_MAGIC):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"fLaC"):
        return "flac"
    if head[4:8] == b"ftyp":
        return "mp4"
    if head.startswith(b"ID3") or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 == 0xE2):
        return "mp3"
    text = head.decode(json.detect_encoding(head), "ignore")
    return "json" if text.lstrip("\ufeff \t\r\n").startswith(JSON_STARTS) else "unknown"


def read_metadata(data: bytes) -> dict[str, str]:
    """Return the text entries `prompt` and `workflow` that PNG, WebP, JPEG, FLAC, MP3 or MP4 data carries.

    An entry that is not there is left out; a file that is cut off or damaged gives what can be read of it.
    Raises PromptError when the data is in none of these formats.
    """
    form = sniff(data)
    reader = READERS.get(form)
    if reader is None:
        what = "JSON text" if form == "json" else "in a format that is not known here"
        raise PromptError(f"Graphs are read from PNG, WebP, JPEG, FLAC, MP3 and MP4 files; this is {what}.")
    found: dict[str, str] = {}
    for key, text in reader(data):
        if key.lower() in ENTRIES:
            found.setdefault(key.lower(), text)
    return found


def _png(data: bytes) -> Entries:
    at = len(PNG_MAGIC)
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            key, _, rest = data[at + 8 : at + 8 + size].partition(b"\0")
            name = key.decode("latin-1")
            if name.lower() in ENTRIES:
                yield name, _png_text(kind, rest)
        at += 12 + size


def _png_text(kind: bytes, body: bytes) -> str:
    if kind == b"tEXt":
        return _text(body)
    if kind == b"zTXt":
        return _text(_inflate(body[1:]))
    text = body[2:].split(b"\0", 2)[-1]  # after a language and a translated key
    return _text(_inflate(text) if body[:1] == b"\1" else text)


def _webp(data: bytes) -> Entries:
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            yield from _exif(data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2


def _jpeg(data: bytes) -> Entries:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker == 0xDA:  # the pixels
            return
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + size]
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            yield from _exif(body)
        at += 2 + max(size, 2)


def _exif(data: bytes) -> Entries:
    """The texts "key:value" of the first directory; ComfyUI uses the tags 0x0110, 0x010F and on downwards."""
    data = data.removeprefix(b"Exif\0\0")
    order = TIFF_ORDERS.get(bytes(data[:4]))
    if order is None or len(data) < 8:
        return
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return
    (count,) = struct.unpack_from(order + "H", data, start)
    for at in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        kind, size, offset = struct.unpack_from(order + "2xHII", data, at)
        key = _text(data[offset : offset + 9]).partition(":")[0]
        if kind in TIFF_BYTE_TYPES and key.lower() in ENTRIES:
            yield key, _text(data[offset + len(key) + 1 : offset + size].rstrip(b"\0"))


def _flac(data: bytes) -> Entries:
    at, last = 4, False
    while not last and at + 4 <= len(data):
        last, kind = data[at] >= 0x80, data[at] & 0x7F
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if kind == FLAC_VORBIS_COMMENT:
            yield from _vorbis_comment(data[at + 4 : at + 4 + size])
        at += 4 + size


def _vorbis_comment(data: bytes) -> Entries:
    at = 4 + int.from_bytes(data[:4], "little") + 4  # past the vendor and the count
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        key, equals, text = _text(data[at + 4 : at + 4 + size]).partition("=")
        if equals:
            yield key, text
        at += 4 + size


def _mp3(data: bytes) -> Entries:
    """The TXXX frames of an ID3 tag, version 2.3 or 2.4."""
    if data[:3] != b"ID3" or len(data) < 10 or data[3] not in (3, 4):
        return
    at, end = 10, min(10 + _seven_bit(data[6:10]), len(data))
    while at + 10 <= end and data[at] != 0:
        length = data[at + 4 : at + 8]
        size = _seven_bit(length) if data[3] == 4 else int.from_bytes(length, "big")
        body = data[at + 10 : at + 10 + size]
        if data[at : at + 4] == b"TXXX" and body and body[0] < len(ID3_TEXT_CODECS):
            key, _, text = body[1:].decode(ID3_TEXT_CODECS[body[0]], "replace").partition("\0")
            yield key, text.lstrip("\ufeff").rstrip("\0")
        at += 10 + size


def _mp4(data: bytes) -> Entries:
    """The tags below moov/udta/meta: named by a table of keys, or one comment that holds JSON."""
    for meta in _boxes(memoryview(data), b"moov", b"udta", b"meta"):
        tags = meta[4:]
        names = [_text(bytes(key)) for table in _boxes(tags, b"keys") for _, key in _children(table[8:])]
        for items in _boxes(tags, b"ilst"):
            for kind, item in _children(items):
                index = int.from_bytes(kind, "big")
                key = names[index - 1] if 1 <= index <= len(names) else ""
                for value in _boxes(item, b"data"):
                    text = _text(bytes(value[8:]))
                    yield from _comment(text) if kind == b"\xa9cmt" or key == "comment" else [(key, text)]


def _comment(text: str) -> Entries:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        return  # a comment of a person
    if isinstance(entries, dict):
        for key, value in entries.items():
            yield key, value if isinstance(value, str) else json.dumps(value)


def _boxes(data: memoryview, *path: bytes) -> Iterator[memoryview]:
    for kind, body in _children(data):
        if kind == path[0]:
            yield from _boxes(body, *path[1:]) if len(path) > 1 else [body]


def _children(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= len(data):
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head:
            return
        yield kind, data[at + head : at + size]
        at += size


def _seven_bit(data: bytes) -> int:
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
    return number


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, LARGEST_TEXT)
    except zlib.error as error:
        raise PromptError(f"A compressed text entry of the PNG picture is damaged ({error}).") from error


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


READERS: dict[str, Callable[[bytes], Entries]] = {
    "png": _png,
    "webp": _webp,
    "jpeg": _jpeg,
    "flac": _flac,
    "mp3": _mp3,
    "mp4": _mp4,
}
