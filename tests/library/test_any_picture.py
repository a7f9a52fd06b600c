"""`nb.image` reads a picture from wherever a person names it, and `nb.sample` gives one that is always there."""

from __future__ import annotations

import base64
import functools
import io
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import comfy_nb as nb

RED = (255, 0, 0)


def encoded(size: tuple[int, int] = (3, 2)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, RED).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture outside of the input folder, in the working directory."""
    path = tmp_path / "photo.png"
    path.write_bytes(encoded())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return path


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def address(photo: Path) -> Iterator[str]:
    """Where the folder of the picture is served, by a thread of its own: a download blocks this one."""
    handler = functools.partial(QuietHandler, directory=str(photo.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


SOURCES: dict[str, Callable[[Path], Any]] = {
    "a path": lambda path: path,
    "the text of a path": str,
    "a path from here": lambda path: path.name,
    "a path from home": lambda path: f"~/{path.name}",
    "bytes": lambda path: path.read_bytes(),
    "a file in memory": lambda path: io.BytesIO(path.read_bytes()),
    "a data address": lambda path: "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode(),
    "a PIL picture": lambda path: Image.open(path),
    "an array": lambda path: np.array(Image.open(path)),
    "an array of floats": lambda path: np.array(Image.open(path)).astype("float32") / 255,
    "a tensor": lambda path: torch.tensor(np.array(Image.open(path)) / 255, dtype=torch.float32),
    "a list": lambda path: [path],
}


@pytest.mark.parametrize("form", SOURCES)
def test_a_picture_from_anywhere_is_one_image(photo: Path, form: str):
    picture = nb.image(SOURCES[form](photo))
    assert picture.shape == (1, 2, 3, 3) and picture.dtype == torch.float32
    assert torch.equal(picture[0, 0, 0], torch.tensor([1.0, 0.0, 0.0]))


def test_an_open_file_is_read_from_where_it_is(photo: Path):
    with photo.open("rb") as file:
        assert nb.image(file).shape == (1, 2, 3, 3)


def test_pictures_of_one_size_are_a_batch(photo: Path):
    assert nb.image([photo, Image.new("RGB", (3, 2)), str(photo)]).shape == (3, 2, 3, 3)


async def test_an_address_is_downloaded_even_while_a_loop_runs(address: str):
    assert nb.image(f"{address}/photo.png").shape == (1, 2, 3, 3)


def test_an_address_that_answers_otherwise_is_named(address: str):
    with pytest.raises(ConnectionError, match=r"http://.*/gone.png answered 404"):
        nb.image(f"{address}/gone.png")


FAULTS: dict[str, tuple[Any, type[Exception], str]] = {
    "a name that is nearly there": (
        "fhoto.png",
        FileNotFoundError,
        "'fhoto.png' in .*Did you mean 'photo.png'",
    ),
    "a folder that is not there": ("nowhere/a.png", FileNotFoundError, "'nowhere/a.png': 'nowhere' is no folder"),
    "a folder": (".", IsADirectoryError, "is a folder"),
    "no picture": (b"text", nb.LayoutError, "whose bytes were given' is not an image"),
    "a damaged address": ("data:image/png;base64,?", nb.LayoutError, "'data:image/png;base64,.' cannot be read"),
    "a file of text": (io.StringIO("text"), nb.LayoutError, "'the open file' cannot be read: .*not bytes. Open"),
    "pictures of two sizes": ([encoded(), encoded((5, 5))], nb.LayoutError, "nb.image: .*size"),
    "a number": (3, nb.LayoutError, "nb.image"),
    "nothing": (None, nb.LayoutError, "nb.image"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_about_a_picture_names_it(photo: Path, fault: str):
    source, kind, message = FAULTS[fault]
    with pytest.raises(kind, match=message):
        nb.image(source)


def test_a_text_in_place_of_a_picture_is_answered_by_how_to_read_it():
    with pytest.raises(nb.LayoutError, match=r"'image': expected IMAGE, got the text 'p.jpg'.*nb\.image\('p.jpg'\)"):
        nb.nodes.ImageInvert("p.jpg")
    with pytest.raises(nb.LayoutError, match=r"expected MASK, got the text 'm.png'.*PIL\.Image\.open\('m.png'\)"):
        nb.nodes.InvertMask("m.png")


@pytest.mark.parametrize(
    ("socket", "given", "words"),
    [
        (nb.Image, 3, r"expected IMAGE, got 3\. Give a picture, such as nb\.image\('photo\.png'\), or a node"),
        (nb.Mask, 0.5, r"expected MASK, got 0\.5\. Give a mask, such as PIL"),
        (nb.Latent, "x.latent", r"expected LATENT, got the text 'x\.latent'\. Give a dict of a tensor, \{'samples'"),
        (nb.Audio, True, r"expected AUDIO, got True\. Give a dict of a tensor and its rate"),
    ],
)
def test_a_number_or_text_in_place_of_a_live_value_is_answered_by_what_to_give(socket, given, words):
    @nb.node
    def takes(value: socket) -> int:
        return 1

    with pytest.raises(nb.LayoutError, match=r"takes, input 'value': " + words):
        takes(given)
    assert takes(None).run_sync() == 1


def test_the_sample_is_a_node_whose_graph_can_be_saved(tmp_path: Path):
    inverted = nb.nodes.ImageInvert(nb.sample("portrait"))
    inverted.graph.save(tmp_path / "graph.json")
    run = nb.load(tmp_path / "graph.json").run_sync()
    assert run[inverted.graph.id_of(inverted)].shape == (1, 512, 512, 3)


def test_a_sample_that_is_not_there_is_answered_by_those_that_are():
    with pytest.raises(nb.ValidationError, match="portrait"):
        nb.sample("cat").run_sync()


@nb.node
async def read_within(source: str) -> nb.Image:
    return nb.image(source)


def test_an_async_node_of_a_script_may_read_an_address(address: str):
    assert read_within(f"{address}/photo.png").run_sync().shape == (1, 2, 3, 3)


def test_the_scheme_of_an_address_may_be_in_capitals(address: str):
    assert nb.image(f"{address.replace('http', 'HTTP')}/photo.png").shape == (1, 2, 3, 3)


def closed_file(photo: Path) -> Any:
    with photo.open("rb") as file:
        return file


UNREADABLE: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "a closed file": (closed_file, nb.LayoutError, "photo.png' cannot be read: read of closed file.*open"),
    "a file open as text": (
        lambda _: io.StringIO("text"),
        nb.LayoutError,
        "gave 'text', not bytes. Open a file by open",
    ),
    "an address with an odd letter": (lambda _: "data:image/png;base64,é", nb.LayoutError, "cannot be read"),
    "an address of an odd host": (lambda _: "http://ex..ample/", ValueError, "not a valid address"),
    "an address of another kind": (lambda _: "ftp://host/a.png", FileNotFoundError, "http:, https: or data: address"),
    "nothing": (lambda _: "", FileNotFoundError, "no file ''. Give a path"),
    "the content of a file": (lambda _: "iVBOR" * 1000, FileNotFoundError, "^.{,150}$"),
    "the home of nobody": (lambda _: "~nobody_here/a.png", FileNotFoundError, "no folder"),
    "a class": (lambda _: io.BytesIO, nb.LayoutError, "nb.image takes a path"),
}


@pytest.mark.parametrize("form", UNREADABLE)
def test_what_cannot_be_read_is_answered_by_what_can(photo: Path, form: str):
    make, error, message = UNREADABLE[form]
    with pytest.raises(error, match=message):
        nb.image(make(photo))
