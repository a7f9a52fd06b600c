"""`nb.doctor()` says what surrounds comfy_nb, what is wrong first, and what to do about it."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

import comfy_nb as nb
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.library import Folders, use_folders
from comfy_nb.ui import doctor as doctors
from comfy_nb.ui.doctor import FINE, NOTED, WRONG, Finding, Report, _widget_manager

Usage = namedtuple("Usage", "total used free")


def said(topic: str) -> Finding:
    (found,) = [each for each in nb.doctor().findings if each.topic == topic]
    return found


def test_it_names_versions_folders_caches_and_devices():
    text = repr(nb.doctor())
    for topic in ("comfy_nb: 0.", "Python: 3.", "torch 2.", "input: ", "cache: ", "processor: ", "node classes: "):
        assert topic in text


def test_what_is_wrong_comes_first_and_is_counted():
    report = Report([Finding(FINE, "a", ""), Finding(WRONG, "b", "broken: mend it"), Finding(NOTED, "c", "")])
    assert repr(report).splitlines()[:2] == ["1 thing to mend.", "✗ b: broken: mend it"]
    assert [each.topic for each in report.findings] == ["b", "c", "a"]
    assert repr(Report([Finding(FINE, "a", "")])).startswith("Nothing is wrong.\n")


def test_pictures_are_counted_and_a_folder_that_is_not_there_is_fine(tmp_path: Path):
    with use_folders(Folders(tmp_path / "new")):
        assert said("input").mark == FINE and "made when it is needed" in said("input").text
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "a.png").touch()
    with use_folders(Folders(tmp_path)):
        assert "1 picture, " in said("input").text


def test_a_folder_below_a_file_is_wrong(tmp_path: Path):
    (tmp_path / "file").touch()
    with use_folders(Folders(tmp_path / "file")):
        assert said("output").mark == WRONG and "is a file. Name another by nb.configure" in said("output").text


def test_a_full_disk_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctors.shutil, "disk_usage", lambda path: Usage(2**40, 2**40, 2**20))
    with use_folders(Folders(tmp_path)):
        assert said("output").mark == WRONG and "only 1.0 MB free. Make room" in said("output").text
        assert said("input").mark == FINE


def test_the_disk_cache_is_described_where_it_is_on(tmp_path: Path):
    assert "nb.configure(cache_dir=" in said("disk cache").text
    session = nb.Session(disk=DiskCache(tmp_path))
    with nb.use_session(session):
        assert said("disk cache").text.startswith(f"{tmp_path}: 0 results, ")


@pytest.mark.parametrize(
    ("widgets", "manager", "mark", "advice"),
    [
        ("8.1.9", "3.0.17", FINE, "are drawn"),
        ("8.1.9", "1.1.1", WRONG, "pip install -U"),
        ("8.1.9", None, NOTED, "pip install ipywidgets"),
        ("9.0", "4.0", NOTED, "untried"),
        ("", "3.0.17", NOTED, "is missing"),
    ],
)
def test_a_widget_manager_of_another_version_is_wrong(widgets: str, manager: str | None, mark: str, advice: str):
    found = _widget_manager(widgets, manager)
    assert found.mark == mark and advice in found.text


async def test_a_loop_that_is_not_asyncios_own_is_wrong(monkeypatch: pytest.MonkeyPatch):
    assert "event loop" not in repr(nb.doctor())
    monkeypatch.setattr(doctors, "running_loop", object)
    assert said("event loop").mark == WRONG and "await instead" in said("event loop").text


def test_a_disk_cache_whose_folder_is_not_there_is_told_like_any_other(tmp_path: Path):
    nb.configure(cache_dir=tmp_path / "new")
    try:
        assert "0 results" in said("disk cache").text
    finally:
        nb.configure(cache_dir=None)
