"""The disk tier gives back exactly what was stored, and nothing else."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from comfy_nb.engine.cache import disk as disk_module
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.cache.tree import DEEPEST
from tests.engine.cache.making import MB, entry, key_of

IMPORTS = """
import sys, torch
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.cache.entry import Entry
"""


@pytest.fixture
def disk(tmp_path):
    cache = DiskCache(tmp_path / "cache")
    yield cache
    cache.close()


def stored(cache, name, *values, **options):
    """Put an entry, wait until it is written, and read it back."""
    assert cache.put(entry(name, *values, **options))
    cache.flush()
    return cache.get(key_of(name))


def only_value(found):
    ((value,),) = found.outputs
    return value


DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint64,
        torch.uint32,
        torch.uint16,
        torch.uint8,
    ),
    *(torch.bool, torch.complex128, torch.complex64, torch.complex32),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 4), (1,)], ids=str)
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_a_tensor_comes_back_with_its_exact_dtype_shape_and_bits(disk, dtype, shape):
    generator = torch.Generator().manual_seed(3)
    size = math.prod(shape) * dtype.itemsize
    raw = torch.randint(0, 2 if dtype is torch.bool else 256, (size,), dtype=torch.uint8, generator=generator)
    tensor = raw.view(dtype).reshape(shape)
    back = only_value(stored(disk, "a", tensor))
    assert back.dtype is dtype and back.shape == tensor.shape
    assert back.reshape(-1).view(torch.uint8).tolist() == raw.tolist()


def test_tensors_of_mixed_widths_views_and_strides_come_back(disk):
    base = torch.arange(24.0).reshape(4, 6)
    complicated = torch.tensor([1 + 2j, 3 - 4j])
    values = [
        torch.tensor([True, False, True]),
        base,
        base[1:, ::2],
        base.t(),
        base[0, 0].expand(3, 2),
        torch.arange(3, dtype=torch.int16),
        complicated.conj(),
        complicated.conj().imag,
    ]
    back = [slot[0] for slot in stored(disk, "a", *values).outputs]
    for before, after in zip(values, back, strict=True):
        assert after.dtype is before.dtype
        assert torch.equal(after, before)


def test_the_same_tensor_in_two_places_is_one_tensor_again(disk):
    tensor = torch.ones(5)
    back = only_value(stored(disk, "a", {"x": tensor, "y": [tensor]}))
    assert back["x"] is back["y"][0]


def test_trees_of_plain_values_come_back_equal_in_value_and_class(disk):
    tree = {
        "none": None,
        "flags": (True, False, 1, 0, 1.0),
        "big": [2**53, -(2**53) - 1, 2**64, -(10**5000)],
        "floats": [0.1, -0.0, math.inf, -math.inf, 1e-320],
        "text": "é\u2028\x00 \ud800 \U0001f600",
        "nested": [[[]], (), {}, ((1,),)],
        5: "number key",
        (1, "a"): "tuple key",
        None: "no key",
    }
    back = only_value(stored(disk, "a", tree))
    assert back == tree
    assert repr(back["flags"]) == repr(tree["flags"]) and repr(back["floats"]) == repr(tree["floats"])
    assert list(back) == list(tree)


def test_nan_comes_back_as_nan(disk):
    assert math.isnan(only_value(stored(disk, "a", float("nan"))))


def test_slots_with_several_values_or_none_come_back(disk):
    made = entry("a")
    made.outputs = ([1, 2], [], ["x"])
    disk.put(made)
    disk.flush()
    assert disk.get(key_of("a")).outputs == ([1, 2], [], ["x"])


def test_the_label_and_the_ui_come_back(disk):
    back = stored(disk, "a", 1, seconds=2.5, title="Soften", ui={"images": [{"filename": "a.png"}]})
    assert (back.class_type, back.node_id, back.title, back.seconds) == ("Blur", "3", "Soften", 2.5)
    assert back.ui == {"images": [{"filename": "a.png"}]}
    assert back.source == "disk" and back.durable and back.reusable


def test_what_comes_back_is_sealed_and_writing_to_it_spoils_no_file(disk):
    back = stored(disk, "a", torch.zeros(3))
    back.outputs[0][0].add_(1)
    assert back.seal.broken() == "the tensor in output 0 was written to"
    assert disk.get(key_of("a")).outputs[0][0].tolist() == [0, 0, 0]


class Text(str):
    pass


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "it holds a value of class object"),
        (np.zeros(3), "it holds a value of class numpy.ndarray"),
        (b"x", "it holds a value of class bytes"),
        ({1}, "it holds a value of class set"),
        (Text("a"), "test_disk.Text"),
        ({"a": [object()]}, "it holds a value of class object"),
        (torch.nn.Parameter(torch.zeros(1)), "it holds a Parameter, a tensor class of its own"),
        (torch.zeros(1, requires_grad=True), "it holds a tensor that carries gradients"),
        (torch.eye(2).to_sparse(), "it holds a sparse or quantised tensor"),
        (torch.zeros(1, device="meta"), "it holds a tensor on meta"),
    ],
)
def test_other_values_are_refused_with_the_reason(disk, value, reason):
    made = entry("a", value)
    assert not disk.put(made)
    assert reason in disk.why_not(made.outputs)
    assert disk.why_missing(made) == disk.why_not(made.outputs)
    assert key_of("a") not in disk


def test_a_tree_that_is_too_deep_or_holds_itself_is_refused(disk):
    ring: list[object] = []
    ring.append(ring)
    assert str(DEEPEST) in disk.why_not(([ring],))


def test_entries_that_mean_nothing_later_are_refused(disk):
    assert not disk.put(entry("a", 1, durable=False))
    assert not disk.put(entry("a", 1, reusable=False))
    assert not disk.put(entry("a", 1, ui={"x": object()}))
    assert disk.why_missing(entry("a", 1, durable=False)) == "its key means nothing to another kernel"


def test_a_tensor_of_a_dtype_without_a_name_in_the_format_is_left_out(disk):
    made = entry("a", torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2))
    disk.put(made)
    disk.flush()
    assert disk.get(key_of("a")) is None
    assert disk.why_missing(made) == "it holds a tensor of torch.float4_e2m1fn_x2"


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


def test_a_file_that_goes_while_it_is_opened_counts_as_a_miss_and_is_left_alone(disk, monkeypatch):
    assert stored(disk, "a", torch.ones(3)) is not None

    def gone(path, framework):
        raise RuntimeError(f"unable to open file <{path}> in read-only mode: No such file or directory (2)")

    with monkeypatch.context() as patched:
        patched.setattr("safetensors.safe_open", gone)
        assert disk.get(key_of("a")) is None
    assert disk.get(key_of("a")) is not None


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


def test_files_that_vanish_are_no_trouble(disk):
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
