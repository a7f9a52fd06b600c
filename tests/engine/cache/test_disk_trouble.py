"""A full disk or a folder that cannot be written gives one warning, and the run goes on."""

from __future__ import annotations

import resource
import subprocess
import warnings

import pytest
import torch

from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.errors import ComfyNBWarning
from tests.engine.cache.making import entry, key_of


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 kB."""
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path], capture_output=True)
    if made.returncode:
        pytest.skip("file systems can only be mounted by root")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def megabyte():
    return torch.zeros(250_000)


def put_three(cache: DiskCache) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in "abc":
            cache.put(entry(name, megabyte()))
            cache.flush()
    return caught


@pytest.mark.process
def test_a_full_disk_gives_one_warning_that_says_what_to_do(tiny_disk):
    cache = DiskCache(tiny_disk / "cache", rest_seconds=0)
    (warning,) = put_three(cache)
    assert issubclass(warning.category, ComfyNBWarning)
    assert "the disk is full" in str(warning.message)
    assert "nb.cache.clear(disk=True)" in str(warning.message)
    assert list((tiny_disk / "cache").glob("*/*")) == []
    cache.put(entry("small", 1))
    cache.flush()
    assert cache.get(key_of("small")).outputs == ([1],)


def test_a_limit_on_file_sizes_is_reported_like_a_full_disk(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    cache = DiskCache(tmp_path, rest_seconds=0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        (warning,) = put_three(cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "limit on file sizes" in str(warning.message)
    assert list(tmp_path.glob("*/*")) == []


@pytest.mark.parametrize("folder", ["file/cache", "/proc/cache"])
def test_a_folder_that_cannot_be_written_gives_one_warning_that_names_it(tmp_path, folder):
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / folder, rest_seconds=0)
    (warning,) = put_three(cache)
    assert str(tmp_path / folder) in str(warning.message)
    assert "nb.configure(cache_dir=...)" in str(warning.message)
    assert cache.get(key_of("a")) is None
    assert str(tmp_path / folder) in cache.why_missing(entry("a", 1))


def test_after_a_failed_write_nothing_is_tried_for_a_while(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = DiskCache(tmp_path / "file" / "cache", rest_seconds=1000)
    assert len(put_three(cache)) == 1
    assert not cache.put(entry("d", 1))
