"""Existing objects are frozen for the garbage collector while a large graph is planned or run."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

import comfy_nb as nb
from comfy_nb.graph.gc_freeze import LARGE, GCFreeze, gc_frozen


@pytest.fixture(autouse=True)
def nothing_frozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    assert gc.get_freeze_count() == 0


def test_objects_stay_frozen_until_the_last_user_leaves():
    with gc_frozen(LARGE):
        with gc_frozen(LARGE):
            assert gc.get_freeze_count() > 0
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_they_thaw_after_an_error():
    with pytest.raises(ValueError, match="no"), gc_frozen(LARGE):
        raise ValueError("no")
    assert gc.get_freeze_count() == 0


def test_what_somebody_else_froze_stays_frozen():
    gc.freeze()
    with GCFreeze():
        pass
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_small_graphs_do_not_freeze_anything():
    with gc_frozen(LARGE - 1):
        assert gc.get_freeze_count() == 0
    with gc_frozen(LARGE):
        assert gc.get_freeze_count() > 0


@pytest.mark.parametrize("nodes", [3, 2 * LARGE])
async def test_a_run_freezes_them_if_it_is_large_and_thaws_them(nodes: int):
    frozen: list[bool] = []

    @nb.node
    def add(value: int, by: int) -> int:
        if value in (0, nodes - 1):  # it counts them all each time
            frozen.append(gc.get_freeze_count() > 0)
        return value + by

    handle = add(0, by=1)
    for _ in range(nodes - 1):
        handle = add(handle, by=1)
    assert await handle == nodes
    assert frozen == [nodes >= LARGE] * 2
    assert gc.get_freeze_count() == 0


async def test_a_large_run_that_fails_thaws_them():
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
