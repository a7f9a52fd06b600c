"""The graph in pictures, sounds and videos is found, also in damaged files, and never by accident."""

from __future__ import annotations

import io
import json
import struct
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from comfy_nb.errors import PromptError
from comfy_nb.graph.media import read_metadata, sniff
from comfy_nb.graph.prompt import parse_prompt

PROMPT = json.dumps({"1": {"class_type": "LoadImage", "inputs": {"image": "é 日本.png"}}}, ensure_ascii=False)
WORKFLOW = json.dumps({"nodes": [], "links": [], "version": 0.4})
BOTH = {"prompt": PROMPT, "workflow": WORKFLOW}


def saved(form: str, size: tuple[int, int] = (8, 8), **options: object) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(file, form, **options)  # type: ignore[arg-type]
    return file.getvalue()


def png(*, compressed: bool = False, international: bool = False) -> bytes:
    entries = PngImagePlugin.PngInfo()
    for key, text in BOTH.items():
        if international:
            entries.add_itxt(key, text, lang="en", tkey="tätig", zip=compressed)
        else:
            entries.add_text(key, json.dumps(json.loads(text)), zip=compressed)
    entries.add_text("Software", "prompt")
    return saved("png", (64, 64), pnginfo=entries)


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x0110] = f"prompt:{json.dumps(json.loads(PROMPT))}"
    tags[0x010F] = f"workflow:{WORKFLOW}"
    tags[0x010E] = "a: plain description"
    return tags


def graph(data: bytes) -> dict[str, object]:
    return {key: json.loads(text) for key, text in read_metadata(data).items()}


EXPECTED = {key: json.loads(text) for key, text in BOTH.items()}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(*chunks: bytes) -> bytes:
    whole = saved("png")
    return whole[:33] + b"".join(chunks) + whole[33:]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("international", [False, True])
def test_png_text_of_every_kind_is_read(compressed: bool, international: bool) -> None:
    data = png(compressed=compressed, international=international)
    assert sniff(data) == "png"
    assert graph(data) == EXPECTED


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_plain_png_text_may_be_latin_1_or_utf_8(encoding: str) -> None:
    data = png_with(chunk(b"tEXt", b"prompt\0" + "é".encode(encoding)))
    assert read_metadata(data) == {"prompt": "é"}


def test_a_png_whose_pixels_are_cut_off_still_gives_its_graph() -> None:
    data = png()
    cut = data[: data.index(b"IDAT") + 40]
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(cut)).load()
    assert graph(cut) == EXPECTED


def test_a_png_with_text_after_its_pixels_or_with_wrong_checksums_is_read() -> None:
    whole = saved("png")
    text = struct.pack(">I", 9) + b"tEXtprompt\0{}" + b"\0\0\0\0"
    assert read_metadata(whole[:-12] + text + whole[-12:]) == {"prompt": "{}"}


def test_png_text_beyond_pillows_limit_is_read() -> None:
    text = " " * (PngImagePlugin.MAX_TEXT_CHUNK + 1)
    data = png_with(chunk(b"zTXt", b"prompt\0\0" + zlib.compress(text.encode())))
    assert read_metadata(data) == {"prompt": text}


def test_the_first_of_two_entries_counts() -> None:
    data = png_with(chunk(b"tEXt", b"prompt\0{}"), chunk(b"tEXt", b"prompt\0[]"))
    assert read_metadata(data) == {"prompt": "{}"}


def test_damaged_compressed_text_says_so_and_only_where_it_matters() -> None:
    with pytest.raises(PromptError, match="damaged"):
        read_metadata(png_with(chunk(b"zTXt", b"prompt\0\0nonsense")))
    assert read_metadata(png_with(chunk(b"zTXt", b"Comment\0\0nonsense"))) == {}


@pytest.mark.parametrize("body", [b"", b"prompt", b"prompt\0", b"prompt\0\1", b"prompt\0\0\0", b"prompt\0\0\0a\0b"])
def test_malformed_png_text_gives_no_graph_but_no_crash(body: bytes) -> None:
    assert read_metadata(png_with(chunk(b"iTXt", body))).get("prompt", "") in ("", "b", "a")


@pytest.mark.parametrize("form", ["webp", "jpeg"])
def test_exif_of_webp_and_jpeg_is_read_also_when_pillow_saved_it_again(form: str) -> None:
    data = saved(form, exif=exif())
    assert sniff(data) == form
    assert graph(data) == EXPECTED
    again = io.BytesIO()
    with Image.open(io.BytesIO(data)) as picture:
        picture.save(again, form, exif=picture.getexif())
    assert graph(again.getvalue()) == EXPECTED


def test_a_jpeg_cut_off_in_its_pixels_still_gives_its_graph() -> None:
    data = saved("jpeg", (64, 64), exif=exif())
    assert graph(data[: len(data) - 200]) == EXPECTED


def test_exif_in_big_endian_order_is_read() -> None:
    text = b"Prompt:{}\0"
    tiff = b"MM\0*" + struct.pack(">IHHHII", 8, 1, 0x0110, 2, len(text), 26) + b"\0\0\0\0" + text
    data = b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", len(tiff)) + tiff
    assert read_metadata(data) == {"prompt": "{}"}


@pytest.mark.parametrize("form", ["png", "webp", "jpeg"])
def test_a_picture_without_a_graph_has_no_entries(form: str) -> None:
    assert read_metadata(saved(form)) == {}


def flac(*entries: str) -> bytes:
    texts = [entry.encode() for entry in entries]
    body = struct.pack("<I", 4) + b"Lavf" + struct.pack("<I", len(texts))
    body += b"".join(struct.pack("<I", len(text)) + text for text in texts)
    stream_info = b"\x00" + (34).to_bytes(3, "big") + bytes(34)
    return b"fLaC" + stream_info + b"\x84" + len(body).to_bytes(3, "big") + body + b"\xff\xf8"


def test_flac_comments_are_read_in_any_case() -> None:
    data = flac("TITLE=x", f"PROMPT={PROMPT}", f"workflow={WORKFLOW}")
    assert sniff(data) == "flac"
    assert graph(data) == EXPECTED


def id3(version: int, encoding: int) -> bytes:
    codec = ("latin-1", "utf-16", "utf-16-be", "utf-8")[encoding]
    zero = "\0".encode(codec).removeprefix(b"\xff\xfe")
    frames = b""
    for key, text in {"title": "x", **BOTH}.items():
        plain = json.dumps(json.loads(text)) if key in BOTH else text
        body = bytes([encoding]) + key.encode(codec) + zero + plain.encode(codec)
        size = syncsafe(len(body)) if version == 4 else struct.pack(">I", len(body))
        frames += b"TXXX" + size + b"\0\0" + body
    return b"ID3" + bytes([version, 0, 0]) + syncsafe(len(frames) + 10) + frames + bytes(10) + b"\xff\xfb"


def syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("encoding", [0, 1, 2, 3])
def test_the_text_frames_of_an_mp3_are_read(version: int, encoding: int) -> None:
    data = id3(version, encoding)
    assert sniff(data) == "mp3"
    assert graph(data) == EXPECTED


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def mp4(items: dict[bytes, str], keys: tuple[str, ...] = ()) -> bytes:
    names = [box(b"mdta", key.encode()) for key in keys]
    table = box(b"keys", bytes(4), struct.pack(">I", len(keys)), *names)
    values = [box(kind, box(b"data", struct.pack(">II", 1, 0), text.encode())) for kind, text in items.items()]
    meta = box(b"meta", bytes(4), box(b"hdlr", bytes(25)), table, box(b"ilst", *values))
    large = struct.pack(">I4sQ", 1, b"mdat", 24) + bytes(8)
    return box(b"ftyp", b"isom", bytes(4)) + large + box(b"moov", box(b"mvhd", bytes(8)), box(b"udta", meta))


def test_the_tags_of_an_mp4_are_read_by_their_table_of_keys() -> None:
    items = {b"\0\0\0\1": "x", b"\0\0\0\2": PROMPT, b"\0\0\0\3": WORKFLOW}
    data = mp4(items, ("title", "prompt", "workflow"))
    assert sniff(data) == "mp4"
    assert graph(data) == EXPECTED


def test_a_last_box_of_an_mp4_may_reach_to_the_end_of_the_file() -> None:
    data = mp4({b"\0\0\0\1": PROMPT}, ("prompt",))
    at = data.index(b"moov") - 4
    assert read_metadata(data[:at] + bytes(4) + data[at + 4 :]) == {"prompt": PROMPT}


@pytest.mark.parametrize("as_text", [True, False])
def test_a_comment_of_an_mp4_may_hold_both_entries(as_text: bool) -> None:
    comment = json.dumps(BOTH if as_text else EXPECTED)
    assert graph(mp4({b"\xa9cmt": comment})) == EXPECTED
    assert graph(mp4({b"\0\0\0\1": comment}, ("comment",))) == EXPECTED


@pytest.mark.parametrize("comment", ["a holiday", "[1]", "[" * 100_000])
def test_a_comment_of_a_person_is_not_a_graph(comment: str) -> None:
    assert read_metadata(mp4({b"\xa9cmt": comment})) == {}


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b'{"1": 2}', "json"),
        (b" \r\n\t[", "json"),
        ('\ufeff{"a"'.encode(), "json"),
        ('{"é"'.encode("utf-16"), "json"),
        ("{}".encode("utf-16-le"), "json"),
        (b"", "unknown"),
        (b"hello", "unknown"),
        (b"GIF89a", "unknown"),
        (b"RIFF\0\0\0\0WAVE", "unknown"),
        (b"\xff\xfb\x90", "mp3"),
        (b"\xff", "unknown"),
    ],
)
def test_formats_are_named_by_their_first_bytes(data: bytes, form: str) -> None:
    assert sniff(data) == form


@pytest.mark.parametrize(("data", "said"), [(b"{}", "JSON text"), (b"GIF89a", "not known")])
def test_what_is_not_media_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        read_metadata(data)


HEADS = (
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\0\0\0\0WEBP",
    b"\xff\xd8\xff",
    b"fLaC",
    b"\0\0\0\x08ftyp",
    b"ID3\4\0\0",
)
FLIPS = st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=8)
WHOLE = [png(), saved("webp", exif=exif()), saved("jpeg", exif=exif()), flac(f"prompt={PROMPT}"), id3(3, 1)]
WHOLE.append(mp4({b"\0\0\0\1": PROMPT}, ("prompt",)))


def ends_in_a_prompt_or_a_prompt_error(data: bytes) -> None:
    try:
        parse_prompt(data)
    except PromptError as error:
        assert str(error)


@given(st.sampled_from(HEADS), st.binary(max_size=2000))
@pytest.mark.filterwarnings("ignore::comfy_nb.errors.ComfyNBWarning")
@example(b"RIFF\0\0\0\0WEBP", b"EXIF\xff\xff\0\0II*\0\xff\xff\xff\xff")
@example(b"RIFF\0\0\0\0WEBP", b"EXIF\xff\xff\0\0II*\0\x08\0\0\0\xff\xff")
@example(b"\0\0\0\x08ftyp", b"\0\0\0\0moov\0\0\0\0udta\0\0\0\0meta")
def test_random_bytes_end_in_a_prompt_error(head: bytes, rest: bytes) -> None:
    ends_in_a_prompt_or_a_prompt_error(head + rest)


@given(st.sampled_from(WHOLE), FLIPS, st.integers(0))
@pytest.mark.filterwarnings("ignore::comfy_nb.errors.ComfyNBWarning")
def test_real_files_with_flipped_bytes_and_cut_ends_do_so_too(
    whole: bytes, flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(whole)
    for at, value in flips:
        data[at % len(data)] = value
    ends_in_a_prompt_or_a_prompt_error(bytes(data[: cut % (2 * len(data))]))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\1\0\0\0", b"prompt:\0"])
def test_a_megabyte_of_noise_behind_any_head_ends_too(head: bytes, filling: bytes) -> None:
    ends_in_a_prompt_or_a_prompt_error(head + filling * (1_000_000 // len(filling)))
