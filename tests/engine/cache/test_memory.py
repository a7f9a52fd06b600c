"""The memory tier holds what is expensive to compute again, within its budget."""

from __future__ import annotations

import gc
import random
import threading
import types
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from comfy_nb.engine.cache.memory import CLEARED, DROPPED, EVICTED, REASONS_KEPT, TOO_LARGE, MemoryCache
from comfy_nb.engine.cache.policies import ByRun, Nothing
from tests.engine.cache.making import MB, entry, key_of


def megabyte() -> torch.Tensor:
    return torch.zeros(MB, dtype=torch.uint8)


def held(cache: MemoryCache) -> set[str]:
    return {each.key.decode().rstrip(".") for each in cache.entries()}


def test_what_was_put_is_got_and_each_use_counts():
    cache = MemoryCache(MB)
    cache.put(entry("a", 5))
    assert cache.get(key_of("a")).outputs == ([5],)
    assert cache.get(key_of("a")).hits == 2
    assert cache.get(key_of("b")) is None
    assert key_of("a") in cache and len(cache) == 1


def of_two_runs():
    """A cache with `a` of run 1, and `b` of run 2."""
    policy = ByRun(1, run=1)
    cache = MemoryCache(MB, policy)
    cache.put(entry("a", 1, seconds=100))
    policy.run = 2
    cache.put(entry("b", 2))
    return cache


def test_peeking_leaves_no_trace():
    cache = of_two_runs()
    assert cache.peek(key_of("a")).hits == 0
    cache.evict(1, below=3)
    assert held(cache) == {"b"}


def test_views_of_one_storage_count_once_in_an_entry_and_between_entries():
    cache = MemoryCache(100 * MB)
    whole = megabyte()
    cache.put(entry("a", whole, whole[:10], {"samples": whole.view(1000, 1000)}))
    assert MB < cache.total < 1.01 * MB
    cache.put(entry("b", whole[5:]))
    assert MB < cache.total < 1.01 * MB
    cache.drop(key_of("a"))
    assert MB < cache.total < 1.01 * MB
    cache.drop(key_of("b"))
    assert cache.total == 0


def test_a_small_view_counts_as_the_storage_it_keeps_alive():
    cache = MemoryCache(100 * MB)
    cache.put(entry("a", megabyte()[:1]))
    assert cache.total > MB
    assert cache.peek(key_of("a")).size > MB


def test_an_array_and_the_tensor_on_its_memory_count_once():
    cache = MemoryCache(100 * MB)
    array = np.zeros((1000, 1000), np.uint8)
    cache.put(entry("a", array[10:], array.T, torch.from_numpy(array), torch.from_numpy(array).numpy()[3:]))
    assert MB < cache.total < 1.01 * MB


@pytest.mark.parametrize(
    "value",
    [
        torch.eye(1000).to_sparse(),
        torch.nn.Linear(1000, 1),
        "x" * 12_000,
        bytearray(12_000),
        [["x" * 12_000]],
        {"k": b"x" * 12_000},
        types.SimpleNamespace(inner=types.SimpleNamespace(text="x" * 12_000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_count_by_what_they_hold(value):
    cache = MemoryCache(100 * MB)
    cache.put(entry("a", value))
    least = 4_000 if isinstance(value, torch.nn.Module) else 12_000
    assert least < cache.total < 30_000


@pytest.mark.parametrize(("mode", "size"), [("RGB", 300_000), ("L", 100_000), ("F", 400_000)])
def test_a_picture_counts_its_pixels(mode, size):
    cache = MemoryCache(100 * MB)
    cache.put(entry("a", Image.new(mode, (1000, 100))))
    assert size < cache.total < size + 5_000


def test_a_value_that_contains_itself_can_be_held():
    ring: list[object] = [megabyte()]
    ring.append(ring)
    cache = MemoryCache(100 * MB)
    cache.put(entry("a", ring))
    assert MB < cache.total < 1.01 * MB


def test_what_is_cheapest_per_byte_goes_first():
    cache = MemoryCache(int(3.1 * MB))
    cache.put(entry("dear", megabyte(), seconds=10))
    cache.put(entry("cheap", megabyte(), seconds=0.1))
    cache.put(entry("small", torch.zeros(1000), seconds=0.1))
    cache.put(entry("middling", megabyte(), seconds=1))
    cache.put(entry("new", megabyte(), seconds=5))
    assert held(cache) == {"dear", "small", "middling", "new"}
    assert cache.total <= cache.budget
    assert cache.why_gone(key_of("cheap")) == EVICTED
    assert cache.why_gone(key_of("dear")) is None


def test_what_is_not_used_grows_old_however_dear_it_was():
    cache = MemoryCache(int(2.1 * MB))
    cache.put(entry("dear", megabyte(), seconds=3))
    for number in range(10):
        cache.put(entry(f"n{number}", megabyte(), seconds=1))
    assert "dear" not in held(cache)


def test_what_is_used_again_stays_among_equals():
    cache = MemoryCache(int(3.1 * MB))
    cache.put(entry("used", megabyte()))
    for number in range(10):
        cache.put(entry(f"n{number}", megabyte()))
        cache.get(key_of("used"))
    assert "used" in held(cache)


def test_an_entry_whose_key_never_comes_again_goes_before_all_others():
    cache = MemoryCache(int(2.1 * MB))
    cache.put(entry("once", megabyte(), seconds=100, reusable=False))
    cache.put(entry("a", megabyte(), seconds=0.001))
    cache.put(entry("b", megabyte(), seconds=0.001))
    assert held(cache) == {"a", "b"}


def test_a_pinned_entry_is_never_evicted_until_its_pin_is_taken_off():
    cache = MemoryCache(int(2.1 * MB))
    cache.put(entry("kept", megabyte(), seconds=0.001))
    assert cache.pin(key_of("kept"))
    for number in range(5):
        cache.put(entry(f"n{number}", megabyte(), seconds=1))
    assert held(cache) == {"kept", "n4"}
    cache.pin(key_of("kept"), False)
    cache.put(entry("last", megabyte(), seconds=1))
    assert held(cache) == {"n4", "last"}
    assert not cache.pin(key_of("unknown"))


def test_an_entry_pinned_after_others_had_to_go_is_spared_too():
    cache = MemoryCache(int(2.1 * MB))
    for name in "abc":
        cache.put(entry(name, megabyte(), seconds=0.001 if name == "b" else 1))
    cache.put(entry("cheap", torch.zeros(1000), seconds=1e-9))
    cache.pin(key_of("cheap"))
    cache.put(entry("d", megabyte(), seconds=1))
    assert "cheap" in held(cache)


def test_clearing_spares_pinned_entries_unless_asked():
    cache = MemoryCache(MB)
    for name in "abc":
        cache.put(entry(name, 1))
    cache.pin(key_of("a"))
    assert cache.clear() == 2
    assert held(cache) == {"a"}
    assert cache.why_gone(key_of("b")) == CLEARED
    assert cache.clear(pinned=True) == 1
    assert cache.total == 0


def test_an_entry_larger_than_the_whole_budget_is_not_kept_and_evicts_nothing():
    cache = MemoryCache(MB)
    cache.put(entry("a", 1))
    assert not cache.put(entry("huge", megabyte()))
    assert held(cache) == {"a"}
    assert cache.why_gone(key_of("huge")) == TOO_LARGE


def test_an_entry_of_nearly_the_whole_budget_is_kept():
    cache = MemoryCache(int(1.02 * MB))
    cache.put(entry("a", 1, seconds=1e-9))
    assert cache.put(entry("large", megabyte()))
    assert "large" in held(cache)


def test_putting_under_the_same_key_replaces():
    cache = MemoryCache(100 * MB)
    cache.put(entry("a", megabyte()))
    cache.put(entry("a", 2))
    assert cache.get(key_of("a")).outputs == ([2],)
    assert cache.total < 10_000
    assert len(cache) == 1


def test_a_dropped_entry_is_freed_and_its_reason_remembered():
    cache = MemoryCache(int(1.5 * MB))
    cache.put(entry("a", megabyte()))
    cache.put(entry("b", megabyte()))
    tensor = weakref.ref(cache.peek(key_of("b")).outputs[0][0])
    assert cache.drop(key_of("b"), "changed in place")
    gc.collect()
    assert tensor() is None
    assert cache.why_gone(key_of("b")) == "changed in place"
    assert not cache.drop(key_of("b"))
    cache.put(entry("b", 1))
    assert cache.why_gone(key_of("b")) is None
    cache.drop(key_of("b"))
    assert cache.why_gone(key_of("b")) == DROPPED


def test_reasons_are_remembered_only_so_far_back():
    cache = MemoryCache(MB)
    for number in range(REASONS_KEPT + 10):
        cache.put(entry(str(number), 1))
        cache.drop(key_of(str(number)))
    assert cache.why_gone(key_of("0")) is None
    assert cache.why_gone(key_of("10")) == DROPPED


def test_a_lower_budget_makes_room_at_once():
    cache = MemoryCache(10 * MB)
    for number in range(5):
        cache.put(entry(str(number), megabyte(), seconds=number + 1))
    cache.budget = int(2.5 * MB)
    assert held(cache) == {"3", "4"}


def test_what_older_runs_used_goes_first():
    cache = of_two_runs()
    cache.evict(1, below=3)
    assert held(cache) == {"b"}
    assert cache.why_gone(key_of("a")) == "evicted to make room"


def test_a_use_counts_for_the_run_that_began_last():
    cache = of_two_runs()
    cache.get(key_of("a"))
    cache.put(entry("c", 3))
    cache.evict(3, below=2)
    assert held(cache) == {"a", "b", "c"}


def test_a_pinned_entry_of_an_old_run_stays():
    cache = of_two_runs()
    cache.pin(key_of("a"))
    cache.evict(3, below=3)
    assert held(cache) == {"a"}


def test_nothing_is_held_where_the_policy_is_to_hold_nothing():
    cache = MemoryCache(MB, Nothing())
    cache.put(entry("a", 1))
    assert len(cache) == 0 and cache.total == 0


def test_random_use_keeps_the_books_straight():
    rng = random.Random(7)
    cache = MemoryCache(20 * MB)
    shared = [torch.zeros(rng.randrange(1, 2 * MB), dtype=torch.uint8) for _ in range(20)]
    for _ in range(3000):
        name = str(rng.randrange(60))
        match rng.randrange(8):
            case 0:
                cache.drop(key_of(name))
            case 1:
                cache.pin(key_of(name), rng.random() < 0.3)
            case 2 | 3:
                cache.get(key_of(name))
            case _:
                cache.put(entry(name, *rng.sample(shared, 2), seconds=rng.random()))
        unpinned = [each for each in cache.entries() if not each.pinned]
        assert cache.total <= cache.budget or not unpinned
    blocks = {block for each in cache.entries() for block in each.blocks}
    own = sum(each.size - sum(size for _, size in each.blocks) for each in cache.entries())
    assert cache.total == own + sum(size for _, size in blocks)


def test_threads_may_use_it_at_once():
    cache = MemoryCache(5 * MB)
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(2000):
                name = str(rng.randrange(50))
                if rng.random() < 0.5:
                    cache.put(entry(name, torch.zeros(100_000), seconds=rng.random()))
                elif rng.random() < 0.8:
                    cache.get(key_of(name))
                else:
                    cache.drop(key_of(name))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert cache.total == sum(each.size for each in cache.entries()) <= cache.budget
    cache.clear()
    assert cache.total == 0
