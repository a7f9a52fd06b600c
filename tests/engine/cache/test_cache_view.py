"""`nb.cache` lets a person drop, pin and clear what is held."""

from __future__ import annotations

import pytest

from comfy_nb.engine.cache.cache_view import CacheView
from comfy_nb.engine.cache.memory import MemoryCache
from tests.engine.cache.making import MB, entry, key_of


@pytest.fixture
def memory():
    return MemoryCache(100 * MB)


@pytest.fixture
def view(memory):
    return CacheView(lambda: (memory, None))


@pytest.fixture
def both(memory, disk):
    return CacheView(lambda: (memory, disk))


def test_it_iterates_over_what_is_held(view, memory):
    memory.put(entry("a", 1))
    memory.put(entry("b", 2))
    assert [each.outputs for each in view] == [([1],), ([2],)]
    assert len(view) == 2
    assert view.total == memory.total


def test_the_budget_is_set_in_words(view, memory):
    view.budget = "2 GB"
    assert view.budget == memory.budget == 2 * 10**9


class Handle:
    def cache_keys(self):
        return [key_of("a"), key_of("c")]


@pytest.mark.parametrize(
    ("what", "left"),
    [
        (key_of("a"), {"b", "c"}),
        (entry("a"), {"b", "c"}),
        ("Blur", {"c"}),
        (Handle(), {"b"}),
        ("Nothing", {"a", "b", "c"}),
    ],
)
def test_values_are_dropped_by_entry_key_class_or_handle(view, memory, what, left):
    for name in "abc":
        memory.put(entry(name, 1, class_type="Sharpen" if name == "c" else "Blur"))
    assert view.drop(what) == 3 - len(left)
    assert {name for name in "abc" if key_of(name) in view} == left


def test_what_is_no_name_of_values_is_answered_with_what_would_be(view):
    with pytest.raises(TypeError, match=r"a list stands for.*ImageBlur"):
        view.drop([1])


def test_dropping_reaches_the_disk_also_for_classes_of_an_earlier_kernel(both, memory, disk):
    for name in "abc":
        made = entry(name, 1, class_type="Sharpen" if name == "c" else "Blur")
        disk.put(made)
        if name == "a":
            memory.put(made)
    disk.flush()
    assert both.drop("Blur") == 2
    assert [key_of(name) in disk for name in "abc"] == [False, False, True]
    assert both.drop(key_of("c")) == 1


def test_pinned_values_survive_clearing_until_unpinned(view, memory):
    memory.put(entry("a", 1))
    memory.put(entry("b", 1))
    assert view.pin(key_of("a")) == 1
    assert view.clear() == 1
    assert [each.pinned for each in view] == [True]
    assert view.unpin("Blur") == 1
    assert view.clear() == 1


def test_the_disk_is_cleared_only_when_asked(both, memory, disk):
    made = entry("a", 1)
    memory.put(made)
    disk.put(made)
    disk.flush()
    assert both.clear() == 1
    assert key_of("a") in disk
    assert both.clear(disk=True) == 1
    assert key_of("a") not in disk
