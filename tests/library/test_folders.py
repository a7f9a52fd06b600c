"""The folders that files are read from and written to, and that no name leads out of them."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from comfy_nb.library import folders as folders_module
from comfy_nb.library.folders import (
    Folders,
    current_folders,
    expand_prefix,
    set_default_folders,
    use_folders,
)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "comfy")


def save(folders: Folders, prefix: str, type: str = "output") -> str:
    paths = folders.save_paths(prefix, 8, 6, type)
    name, _ = paths.write_new(b"data", paths.counter)
    return f"{paths.subfolder}/{name}"


def test_naming_folders_makes_none(folders: Folders) -> None:
    folders.resolve_input("a.png")
    assert folders.listing() == []
    assert not folders.base.exists()


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a.png", "input/a.png"),
        ("sub/a.png", "input/sub/a.png"),
        ("sub/../a.png", "input/a.png"),
        ("a.png [output]", "output/a.png"),
        ("sub/a.png [temp]", "temp/sub/a.png"),
        ("a.png [input]", "input/a.png"),
        ("a [1].png", "input/a [1].png"),
        ("a.png [elsewhere]", "input/a.png [elsewhere]"),
    ],
)
def test_an_annotation_names_the_folder(folders: Folders, name: str, place: str) -> None:
    assert folders.resolve_input(name) == folders.base / place


@pytest.mark.parametrize("name", ["../a.png", "sub/../../a.png", "/etc/passwd", "../inputs/a.png", "../../x [temp]"])
def test_a_name_that_leaves_its_folder_is_refused(folders: Folders, name: str) -> None:
    with pytest.raises(ValueError, match="leads out of"):
        folders.resolve_input(name)


def test_a_link_that_leaves_its_folder_is_refused(folders: Folders, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "a.png").touch()
    folders.input.mkdir(parents=True)
    folders.output.mkdir()
    (folders.input / "way").symlink_to(secret)
    (folders.output / "way").symlink_to(secret)
    with pytest.raises(ValueError, match="leads out of"):
        folders.resolve_input("way/a.png")
    with pytest.raises(ValueError, match="leads out of"):
        folders.save_paths("way/a", 8, 6)


def test_a_folder_may_itself_be_a_link(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    folders.base.mkdir()
    folders.output.symlink_to(tmp_path / "real")
    assert save(folders, "sub/a") == "sub/a_00001_.png"
    assert (tmp_path / "real" / "sub" / "a_00001_.png").read_bytes() == b"data"


def test_a_null_character_is_refused(folders: Folders) -> None:
    with pytest.raises(ValueError, match="null character"):
        folders.resolve_input("a\0.png")


def test_the_listing_has_the_images_in_order(folders: Folders) -> None:
    folders.input.mkdir(parents=True)
    for name in ("b.PNG", "a.jpg", "notes.txt", "c.webp"):
        (folders.input / name).touch()
    (folders.input / "folder.png").mkdir()
    assert folders.listing() == ["a.jpg", "b.PNG", "c.webp"]


def test_a_prefix_is_filled_in() -> None:
    now = time.struct_time((2024, 3, 9, 5, 7, 8, 0, 0, 0))
    prefix = "%year%-%month%-%day%/%hour%%minute%%second%_%width%x%height%_%batch_num%_%other%_50%"
    assert expand_prefix(prefix, 640, 480, now) == "2024-03-09/050708_640x480_%batch_num%_%other%_50%"


def test_the_counter_goes_on_from_the_highest_of_the_prefix(folders: Folders) -> None:
    folders.output.mkdir(parents=True)
    others = ("a_00041_x.png", "ab_00090_.png", "a_b_00095_.png", "a_99.png", "b_00007_.png", "a_-5_.png")
    for name in (*others, "a_00002_.png"):
        (folders.output / name).touch()
    assert save(folders, "a") == "/a_00042_.png"
    assert save(folders, "a") == "/a_00043_.png"
    assert save(folders, "b") == "/b_00008_.png"
    assert save(folders, "new") == "/new_00001_.png"


@pytest.mark.parametrize(
    ("prefix", "written"),
    [
        ("a/b/c", "a/b/c_00001_.png"),
        ("a/../c", "/c_00001_.png"),
        ("./c", "/c_00001_.png"),
        ("%width%/%height%", "8/6_00001_.png"),
        ("", "/ComfyUI_00001_.png"),
        (".", "/ComfyUI_00001_.png"),
        ("a/", "/a_00001_.png"),
        ("..hidden", "/..hidden_00001_.png"),
    ],
)
def test_a_prefix_may_hold_folders(folders: Folders, prefix: str, written: str) -> None:
    assert save(folders, prefix) == written
    assert (folders.output / written.lstrip("/")).read_bytes() == b"data"


@pytest.mark.parametrize("prefix", ["../a", "a/../../b", "/tmp/a", "..", "../output2/a"])
def test_a_prefix_that_leaves_the_folder_is_refused(folders: Folders, prefix: str) -> None:
    with pytest.raises(ValueError, match="leads out of"):
        folders.save_paths(prefix, 8, 6)


def test_an_unknown_type_of_folder_is_refused(folders: Folders) -> None:
    with pytest.raises(ValueError, match="There are: input, output, temp"):
        folders.save_paths("a", 8, 6, "elsewhere")


def test_two_saves_that_saw_the_same_counter_write_two_files(folders: Folders) -> None:
    first, second = folders.save_paths("a", 8, 6), folders.save_paths("a", 8, 6)
    assert first.counter == second.counter == 1
    assert first.write_new(b"first", first.counter) == ("a_00001_.png", 1)
    assert second.write_new(b"second", second.counter) == ("a_00002_.png", 2)
    assert (folders.output / "a_00001_.png").read_bytes() == b"first"


def test_many_saves_at_once_lose_nothing(folders: Folders) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: save(folders, "a"), range(64)))
    assert len(set(names)) == 64
    assert len(os.listdir(folders.output)) == 64


def test_the_batch_number_goes_into_each_name(folders: Folders) -> None:
    paths = folders.save_paths("a_%batch_num%", 8, 6)
    assert [paths.write_new(b"", 1, number)[0] for number in (0, 1)] == ["a_0_00001_.png", "a_1_00001_.png"]
    assert paths.write_new(b"", 1, 1)[0] == "a_1_00002_.png"


def test_the_default_is_comfy_where_it_is_first_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders_module, "_default", None)
    monkeypatch.chdir(tmp_path)
    first = current_folders()
    monkeypatch.chdir("/")
    assert first.input == tmp_path / "comfy" / "input"
    assert current_folders() is first


def test_folders_belong_to_a_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders_module, "_default", None)
    default = set_default_folders(tmp_path / "default")
    mine, theirs = Folders(tmp_path / "mine"), Folders(tmp_path / "theirs")

    async def session(own: Folders) -> Folders:
        with use_folders(own):
            await asyncio.sleep(0)
            return current_folders()

    async def both() -> list[Folders]:
        return await asyncio.gather(session(mine), session(theirs))

    assert asyncio.run(both()) == [mine, theirs]
    with use_folders(mine):
        assert current_folders() is mine
    assert current_folders() is default
