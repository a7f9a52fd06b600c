"""The table that `nb.cache` is at the end of a cell."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine.cache import memory_use
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.cache.memory import MemoryCache
from comfy_nb.ui.render.cache_table import ROWS_SHOWN, CacheTable
from tests.engine.cache.making import MB, entry


@pytest.fixture
def memory():
    return MemoryCache(100 * MB)


@pytest.fixture
def disk(tmp_path):
    cache = DiskCache(tmp_path)
    yield cache
    cache.close()


@pytest.fixture
def view(memory):
    return CacheTable(lambda: (memory, None))


@pytest.fixture
def both(memory, disk):
    return CacheTable(lambda: (memory, disk))


def test_the_table_names_node_size_seconds_hits_place_and_pin_largest_first(both, memory, disk):
    large = entry("large", torch.zeros(MB), seconds=2.5, title="Soften", node_id="7")
    memory.put(entry("small", 1, seconds=0.012))
    memory.put(entry("odd", object(), class_type="Load"))
    for each in (*memory.entries(), large):
        each.made_at = 1_700_000_000.0
    made_at = time.strftime("%H:%M:%S", time.localtime(1_700_000_000.0))
    memory.put(large)
    memory.get(large.key)
    memory.pin(large.key)
    disk.put(large)
    disk.flush()
    first, second, head, *rows = repr(both).splitlines()
    assert first == "3 values in memory, 4.0 MB of 100 MB"
    assert second == f"4.0 MB of 20 GB on disk in {disk.folder}"
    cells = [re.split(r"\s{2,}", line.strip()) for line in [head, *rows]]
    assert cells == [
        ["node", "size", "took", "made at", "hits", "where"],
        ["Soften (node 7)", "4.0 MB", "2.50 s", made_at, "1", "both", "pinned"],
        ["Blur (node 3)", "580 B", "12 ms", made_at, "0", "memory (not written)"],
        ["Load (node 3)", "568 B", "1.00 s", made_at, "0", "memory (it holds a value of class object)"],
    ]


async def test_values_of_one_node_are_told_apart_by_their_constants():
    @nb.node
    def paint(size: int, gain: float = 0.5) -> nb.Image:
        return torch.full((1, size, size, 3), gain)

    with nb.use_session(nb.Session()) as session:
        view = CacheTable(lambda: (session.cache, None), lambda: session.history)
        for size in (8, 4):
            await paint(size)
        names = [re.split(r"\s{2,}", line)[0] for line in repr(view).splitlines()[2:]]
    assert names == ["paint size=8 (node 1)", "paint size=4 (node 1)"]


def test_what_lies_on_an_accelerator_is_told_apart(view, memory, monkeypatch):
    memory.put(entry("here", torch.zeros(MB)))
    monkeypatch.setattr(memory_use, "accelerator_of", lambda _: "cuda:0")  # as it answers for a tensor there
    memory.put(entry("there", torch.zeros(2 * MB), torch.zeros(MB)))
    assert repr(view).splitlines()[0] == "2 values in memory, 16 MB of 100 MB, 12 MB of it on cuda:0"


def test_a_long_table_is_cut_and_counts_the_rest(view, memory):
    for number in range(ROWS_SHOWN + 5):
        memory.put(entry(str(number), number))
    lines = repr(view).splitlines()
    assert len(lines) == 2 + ROWS_SHOWN + 1
    assert lines[-1] == "... and 5 smaller"


def test_an_empty_cache_says_so_in_a_line(view):
    assert repr(view) == "0 values in memory, 0 B of 100 MB"
    assert "<table" not in view._repr_html_()


class Cells(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.open, self.cells, self.tags = [], [], set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def test_in_a_notebook_it_is_a_small_table_that_inherits_its_colours(view, memory):
    memory.put(entry("a", 1, title="<script>alert(1)</script> & co"))
    html = view._repr_html_()
    page = Cells(html)
    assert page.open == []
    assert page.cells[6] == "<script>alert(1)</script> & co (node 3)"
    assert page.tags == {"div", "table", "tr", "th", "td"}
    assert "1 value in memory" in html
    assert set(re.findall(r"(?:color|background):([^;']*)", html)) == {"inherit", "none"}
