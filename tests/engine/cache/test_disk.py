"""The files of the disk tier: damaged ones, several kernels, room, and what is dropped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest
import torch

from comfy_nb.engine.cache import disk as disk_module
from comfy_nb.engine.cache.disk import DiskCache
from tests.engine.cache.making import MB, entry, key_of, only_value, stored

IMPORTS = """
import sys, torch
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.cache.entry import Entry
"""


# Damaged files


def test_a_file_cut_short_at_any_byte_counts_as_a_miss_and_is_removed(disk):
    assert stored(disk, "a", {"samples": torch.arange(4.0), "n": 3}, "text") is not None
    (path,) = disk.folder.glob("*/*")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert disk.get(key_of("a")) is None, length
        assert not path.exists()
    path.write_bytes(whole)
    assert disk.get(key_of("a")) is not None


def test_a_file_with_any_byte_altered_counts_as_a_miss_or_gives_the_same(disk):
    values = {"samples": torch.arange(4.0), "n": 3}
    before = stored(disk, "a", values)
    (path,) = disk.folder.glob("*/*")
    whole = path.read_bytes()
    survived = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        found = disk.get(key_of("a"))
        if found is not None:
            survived += 1
            value = only_value(found)
            assert torch.equal(value["samples"], values["samples"]) and value["n"] == 3
            assert found.seconds == before.seconds and found.class_type == before.class_type
        else:
            assert not path.exists()
    assert survived < 16


@pytest.mark.parametrize("swap", [(b"[2,3]", b"[3,2]"), (b'"F32"', b'"I32"')])
def test_a_header_altered_to_another_valid_one_counts_as_a_miss(disk, swap):
    stored(disk, "a", torch.ones(2, 3))
    (path,) = disk.folder.glob("*/*")
    whole = path.read_bytes()
    assert swap[0] in whole
    path.write_bytes(whole.replace(*swap))
    assert disk.get(key_of("a")) is None


def test_each_tensor_starts_at_a_multiple_of_its_elements_size(disk):
    stored(disk, "a", torch.ones(3, dtype=torch.bool), torch.ones(3, dtype=torch.float16), torch.ones(3))
    (path,) = disk.folder.glob("*/*")
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    sizes = {"BOOL": 1, "F16": 2, "F32": 4}
    starts = [(each["data_offsets"][0], sizes[each["dtype"]]) for name, each in header.items() if name.isdigit()]
    assert len(starts) == 3 and all((8 + length + start) % size == 0 for start, size in starts)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"not a cache file", bytes(range(256)) * 20])
def test_a_file_of_something_else_counts_as_a_miss(disk, content):
    path = disk.folder / key_of("a").hex()[:2] / f"{key_of('a').hex()}.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert disk.get(key_of("a")) is None
    assert not path.exists()


def test_a_file_under_the_name_of_another_key_is_not_taken_for_it(disk):
    stored(disk, "a", 1)
    (path,) = disk.folder.glob("*/*")
    other = disk.folder / key_of("b").hex()[:2] / f"{key_of('b').hex()}.safetensors"
    other.parent.mkdir(exist_ok=True)
    path.rename(other)
    assert disk.get(key_of("b")) is None


def test_a_pickle_is_never_opened(disk, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = disk.folder / key_of("a").hex()[:2] / f"{key_of('a').hex()}.safetensors"
    path.parent.mkdir(parents=True)
    torch.save(Trap(), path)
    assert disk.get(key_of("a")) is None
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_goes_while_it_is_opened_counts_as_a_miss_and_is_left_alone(disk, monkeypatch):
    assert stored(disk, "a", torch.ones(3)) is not None

    def gone(path, framework):
        raise RuntimeError(f"unable to open file <{path}> in read-only mode: No such file or directory (2)")

    with monkeypatch.context() as patched:
        patched.setattr("safetensors.safe_open", gone)
        assert disk.get(key_of("a")) is None
    assert disk.get(key_of("a")) is not None


# Several kernels


@pytest.mark.process
def test_another_kernel_reads_what_this_one_wrote(disk):
    stored(disk, "a", torch.arange(3.0))
    code = (
        "import sys; from comfy_nb.engine.cache.disk import DiskCache\n"
        "print(DiskCache(sys.argv[1]).get(bytes.fromhex(sys.argv[2])).outputs[0][0].tolist())"
    )
    command = [sys.executable, "-c", code, str(disk.folder), key_of("a").hex()]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[0.0, 1.0, 2.0]\n"


@pytest.mark.process
def test_what_waits_is_written_before_the_process_ends(tmp_path):
    code = IMPORTS + (
        "import time; from comfy_nb.engine.cache import disk; write = disk.write\n"
        "def slow_write(*arguments): time.sleep(0.5); return write(*arguments)\n"
        "disk.write = slow_write\n"
        "cache = DiskCache(sys.argv[1])\n"
        "for n in range(4): cache.put(Entry(bytes([n]) * 16, ([n],), durable=True))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    cache = DiskCache(tmp_path)
    assert all(cache.get(bytes([n]) * 16) is not None for n in range(4))


@pytest.mark.process
def test_a_process_killed_while_it_writes_leaves_only_whole_entries(tmp_path):
    code = (
        IMPORTS + "cache = DiskCache(sys.argv[1])\n"
        "for n in range(10**9):\n"
        "    cache.put(Entry(n.to_bytes(16, 'big'), ([torch.rand(500_000)],), durable=True))\n"
        "    cache.flush()\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    for _ in range(10):
        process.stdout.readline()
    process.kill()
    process.communicate()
    cache = DiskCache(tmp_path)
    assert all(cache.get(n.to_bytes(16, "big")) is not None for n in range(10))
    assert all(cache.get(bytes.fromhex(path.stem)) is not None for path in tmp_path.glob("*/*.safetensors"))


@pytest.mark.process
def test_two_kernels_may_write_the_same_keys_at_once(tmp_path):
    code = (
        IMPORTS + "cache = DiskCache(sys.argv[1], budget=3_000_000)\n"
        "for n in range(200):\n"
        "    key = bytes([n % 10]) * 16\n"
        "    found = cache.get(key)\n"
        "    assert found is None or found.outputs[0][0].eq(n % 10).all()\n"
        "    cache.put(Entry(key, ([torch.full((100_000,), n % 10)],), durable=True))\n"
        "    if n % 7 == 0: cache.flush(); cache.drop(key)\n"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    kernels = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for kernel in kernels:
        _, errors = kernel.communicate()
        assert kernel.returncode == 0, errors
    assert list(tmp_path.glob("*/*.part")) == []


# Room


def test_what_was_used_longest_ago_goes_when_the_folder_is_full(tmp_path):
    cache = DiskCache(tmp_path, budget=int(4.5 * MB))
    for name in "abcd":
        stored(cache, name, torch.zeros(MB, dtype=torch.uint8))
        path = cache._path(key_of(name))
        os.utime(path, (time.time() - 1000 + ord(name),) * 2)
    assert cache.get(key_of("a")) is not None
    stored(cache, "e", torch.zeros(MB, dtype=torch.uint8))
    assert {name for name in "abcde" if key_of(name) in cache} == {"a", "c", "d", "e"}
    assert cache.total <= cache.budget
    assert cache.total == sum(path.stat().st_size for path in tmp_path.glob("*/*"))
    cache.close()


def test_an_entry_larger_than_the_folder_may_be_is_not_written(tmp_path):
    cache = DiskCache(tmp_path, budget=MB)
    stored(cache, "small", 1)
    large = entry("large", torch.zeros(2 * MB, dtype=torch.uint8))
    cache.put(large)
    cache.flush()
    assert key_of("small") in cache and key_of("large") not in cache
    assert cache.why_missing(large) == "larger than the folder's 1.0 MB"


def test_files_that_vanish_do_no_harm(disk):
    for name in "abc":
        stored(disk, name, torch.zeros(1000))
    for path in disk.folder.glob("*/*"):
        path.unlink()
    assert disk.get(key_of("a")) is None
    disk.budget = 5000
    assert stored(disk, "d", torch.zeros(1000)) is not None


def test_a_folder_that_vanishes_is_made_again(disk):
    stored(disk, "a", 1)
    for path in sorted(disk.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    disk.folder.rmdir()
    assert stored(disk, "b", 2) is not None


def test_files_left_unfinished_long_ago_are_swept(tmp_path):
    cache = DiskCache(tmp_path, budget=10_000)
    stored(cache, "a", torch.zeros(2000))
    old, new = (cache._path(key_of("a")).with_suffix(suffix) for suffix in (".x.part", ".y.part"))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * disk_module.UNFINISHED_SECONDS,) * 2)
    stored(cache, "b", torch.zeros(2000))
    assert not old.exists() and new.exists()


# Writing and dropping


def test_a_value_changed_before_it_is_written_is_not_stored(disk, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    write = disk_module.write

    def slow_write(*arguments):
        begun.set()
        assert go_on.wait(30)
        return write(*arguments)

    monkeypatch.setattr(disk_module, "write", slow_write)
    tensor = torch.zeros(1000)
    made = entry("a", tensor)
    disk.put(made)
    assert begun.wait(30)
    tensor.add_(1)
    go_on.set()
    disk.flush()
    assert disk.get(key_of("a")) is None
    assert list(disk.folder.glob("*/*")) == []
    assert disk.why_missing(made) == "changed in place before it was written"


def test_dropping_reaches_what_waits_and_what_is_being_written(disk, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    write = disk_module.write

    def slow_write(*arguments):
        begun.set()
        assert go_on.wait(30)
        return write(*arguments)

    monkeypatch.setattr(disk_module, "write", slow_write)
    disk.put(entry("a", 1))
    assert begun.wait(30)
    disk.put(entry("b", 2))
    assert disk.drop(key_of("b"))
    dropper = threading.Thread(target=disk.drop, args=(key_of("a"),))
    dropper.start()
    go_on.set()
    dropper.join()
    disk.flush()
    assert len(disk) == 0 and key_of("a") not in disk


def test_too_much_waiting_is_refused_not_waited_for(disk, monkeypatch):
    go_on = threading.Event()
    write = disk_module.write

    def slow_write(*arguments):
        assert go_on.wait(30)
        return write(*arguments)

    monkeypatch.setattr(disk_module, "write", slow_write)
    monkeypatch.setattr("comfy_nb.engine.cache.writer.WAITING_MAX_ENTRIES", 3)
    taken = [disk.put(entry(str(n), n)) for n in range(10)]
    assert taken[:3] == [True] * 3 and not taken[-1]
    assert disk.why_missing(entry("9", 9)) == "too much was waiting to be written"
    go_on.set()
    disk.flush()
    assert len(disk) == sum(taken)


def test_clearing_removes_everything_and_one_class_can_be_dropped(disk):
    for name in "abc":
        stored(disk, name, 1, class_type="Blur" if name == "a" else "Sharpen")
    assert disk.drop_class("Sharpen") == 2
    assert key_of("a") in disk
    assert disk.clear() == 1
    assert len(disk) == 0 and disk.total == 0


def test_after_closing_nothing_is_taken_but_reading_goes_on(disk):
    stored(disk, "a", 1)
    disk.close()
    assert not disk.put(entry("b", 2))
    assert disk.get(key_of("a")).outputs == ([1],)
