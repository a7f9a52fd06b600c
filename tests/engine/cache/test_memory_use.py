"""Memory limits of containers, and sizes as people write them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from comfy_nb.engine.cache.memory_use import default_budget, usable_memory
from comfy_nb.wording import format_seconds, format_size, parse_size

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def group(root, path, name, text):
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_the_tightest_limit_up_the_tree_of_control_groups_counts(tmp_path):
    memberships = tmp_path / "cgroup"
    memberships.write_text("0::/outer/middle/inner\n")
    group(tmp_path / "fs", "outer/middle/inner", "memory.max", "max\n")
    group(tmp_path / "fs", "outer/middle", "memory.max", "300000000\n")
    group(tmp_path / "fs", "outer", "memory.max", "200000000\n")
    assert usable_memory(memberships, tmp_path / "fs") == 200_000_000


def test_the_limit_at_the_root_counts_where_a_container_hides_the_path(tmp_path):
    memberships = tmp_path / "cgroup"
    memberships.write_text("0::/docker/abc\n")
    group(tmp_path / "fs", "", "memory.max", "123456789\n")
    assert usable_memory(memberships, tmp_path / "fs") == 123_456_789


def test_version_1_control_groups_count(tmp_path):
    memberships = tmp_path / "cgroup"
    memberships.write_text("9:name=systemd:/\n4:cpu,memory:/job\n0::/\n")
    group(tmp_path / "fs", "memory", "memory.limit_in_bytes", "9223372036854771712\n")
    group(tmp_path / "fs", "memory/job", "memory.limit_in_bytes", "77000000\n")
    assert usable_memory(memberships, tmp_path / "fs") == 77_000_000


def test_without_control_groups_the_machine_is_the_limit(tmp_path):
    assert usable_memory(tmp_path / "none", tmp_path / "none") <= PHYSICAL


@pytest.mark.process
def test_a_limit_of_the_process_itself_counts():
    code = (
        "import resource; from comfy_nb.engine.cache.memory_use import default_budget\n"
        "resource.setrlimit(resource.RLIMIT_AS, (10**10, 10**10)); print(default_budget())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 10**10 // 4


def test_the_default_budget_is_a_quarter_of_what_may_be_used():
    assert default_budget() == usable_memory() // 4


@pytest.mark.parametrize(
    ("text", "size"),
    [("2 GB", 2 * 10**9), ("512MiB", 512 << 20), ("1.5 gb", 15 * 10**8), ("100", 100), (7, 7), (1e3, 1000)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "2 GBB", "-1 GB", -1, float("nan"), float("inf"), True])
def test_a_text_that_is_not_a_size_is_answered_with_how_to_write_one(text):
    with pytest.raises(ValueError, match="2 GB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (34_567_890, "35 MB"), (1_234_567_890, "1.2 GB"),
     (999_600, "1.0 MB"), (5 * 10**12, "5.0 TB")],
)  # fmt: skip
def test_sizes_are_written_for_people(size, text):
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0004, "under 1 ms"),
        (0.002, "2 ms"),
        (0.31, "0.31 s"),
        (9.996, "10.0 s"),
        (12.44, "12.4 s"),
        (59.96, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3_905, "1 h 05 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds, words):
    assert format_seconds(seconds) == words
