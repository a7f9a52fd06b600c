"""Old objects are set aside from the garbage collector while a large graph is planned or run."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

import comfy_nb as nb
from comfy_nb.graph.gc_freeze import LARGE, OldHeap, old_heap


@pytest.fixture(autouse=True)
def nothing_aside() -> Iterator[None]:
    gc.unfreeze()
    yield
    assert gc.get_freeze_count() == 0


def test_old_objects_are_set_aside_until_the_last_user_leaves():
    with old_heap:
        with old_heap:
            assert gc.get_freeze_count() > 0
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_they_come_back_after_an_error():
    with pytest.raises(ValueError, match="no"), old_heap:
        raise ValueError("no")
    assert gc.get_freeze_count() == 0


def test_what_somebody_else_set_aside_stays_so():
    gc.freeze()
    with OldHeap():
        pass
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_small_graphs_do_not_set_anything_aside():
    with old_heap.aside_for(LARGE - 1):
        assert gc.get_freeze_count() == 0
    with old_heap.aside_for(LARGE):
        assert gc.get_freeze_count() > 0


@pytest.mark.parametrize("nodes", [3, 2 * LARGE])
async def test_a_run_sets_them_aside_if_it_is_large_and_puts_them_back(nodes: int):
    aside: list[bool] = []

    @nb.node
    def add(value: int, by: int) -> int:
        if value in (0, nodes - 1):  # it counts them all each time
            aside.append(gc.get_freeze_count() > 0)
        return value + by

    handle = add(0, by=1)
    for _ in range(nodes - 1):
        handle = add(handle, by=1)
    assert await handle == nodes
    assert aside == [nodes >= LARGE] * 2
    assert gc.get_freeze_count() == 0


async def test_a_large_run_that_fails_puts_them_back():
    @nb.node
    def count(value: int) -> int:
        if value == LARGE // 2:
            raise ValueError("half way")
        return value + 1

    handle = count(0)
    for _ in range(LARGE):
        handle = count(handle)
    with pytest.raises(nb.NodeError, match="half way"):
        await handle
    assert gc.get_freeze_count() == 0
