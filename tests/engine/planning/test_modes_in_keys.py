"""The modes and the context that surround a run, as part of the keys under which its results are kept."""

from __future__ import annotations

import asyncio
import decimal
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine.planning import torch_settings
from tests.engine.mode_blocks import BLOCKS, OTHERS, Block, default_dtype


@nb.node
def fixed() -> int:
    return 1


@nb.node
async def fixed_async(above: int) -> int:
    return above


@pytest.mark.parametrize("block", [*BLOCKS.values(), *OTHERS.values()], ids=[*BLOCKS, *OTHERS])
async def test_a_result_is_kept_under_the_modes_that_it_was_computed_in(block: Block) -> None:
    graph = nb.Graph(fixed_async(fixed()))
    plain = await graph.run()
    with block():
        inside = await graph.run()
        again = await graph.run()
    after = await graph.run()
    assert [run.counts["ran"] for run in (plain, inside, again, after)] == [2, 2, 0, 0]


async def test_no_two_modes_share_a_result() -> None:
    graph = nb.Graph(fixed())
    blocks = {name: block for name, block in (BLOCKS | OTHERS).items() if name != "a default device"}  # as "a device"
    for block in blocks.values():
        with block():
            assert (await graph.run()).counts["ran"] == 1


async def test_where_cudnn_is_its_determinism_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = nb.Graph(fixed())
    await graph.run()
    monkeypatch.setattr(torch_settings, "HAS_CUDNN", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    assert "deterministic algorithms changed the usual -> 'in cuDNN'" in (await graph.run()).why("1")


async def test_why_names_the_mode_that_changed() -> None:
    graph = nb.Graph(fixed())
    await graph.run()
    with torch.autocast("cpu", dtype=torch.bfloat16), decimal.localcontext(prec=5):
        run = await graph.run()
    assert "torch.autocast changed the usual -> 'cpu on torch.bfloat16'" in run.why("1")
    assert "decimal context changed" in run.why("1")


async def test_a_handle_gives_the_value_of_the_block_that_it_is_awaited_in() -> None:
    @nb.node
    def product(n: int) -> object:
        return torch.ones(2, 2) @ torch.ones(2, 2)

    handle = product(1)
    dtypes = []
    for _ in range(2):
        dtypes.append((await handle).dtype)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            dtypes.append((await handle).dtype)
    assert dtypes == [torch.float32, torch.bfloat16] * 2


async def test_whether_gradients_are_on_around_a_run_makes_no_difference_to_its_results() -> None:
    graph = nb.Graph(fixed())
    await graph.run()
    for block in (torch.no_grad, torch.enable_grad):
        with block():
            assert (await graph.run()).counts["ran"] == 0


async def test_inference_mode_makes_none_for_a_node_with_gradients_which_does_not_see_it() -> None:
    @nb.node(grad=True)
    def with_gradients() -> int:
        return 1

    graph = nb.Graph(with_gradients())
    await graph.run()
    with torch.inference_mode():
        assert (await graph.run()).counts["ran"] == 0


async def test_the_usual_modes_change_no_key() -> None:
    graph = nb.Graph(fixed())
    before = nb.Session().keys_of(graph, "1")
    with torch.autocast("cpu", enabled=False), torch.device("cpu"), decimal.localcontext(), np.errstate():
        assert nb.Session().keys_of(graph, "1") == before


async def test_equal_nodes_of_runs_under_other_modes_do_not_share_one_computation() -> None:
    @nb.node
    async def slow() -> object:
        await asyncio.sleep(0.05)
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype

    graph = nb.Graph(slow())
    plain = graph.start()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = graph.start()
    assert [(await job)["1"] for job in (plain, cast)] == [torch.float32, torch.bfloat16]


async def test_whether_a_handle_is_cached_is_said_for_the_modes_of_now() -> None:
    handle = fixed()
    await handle
    assert "cached" in repr(handle)
    with torch.autocast("cpu"):
        assert "cached" not in repr(handle)


async def test_what_is_computed_under_settings_that_changed_meanwhile_is_not_cached() -> None:
    @nb.node
    def ones() -> object:
        return torch.ones(1).dtype

    graph = nb.Graph(fixed_async(ones()))
    with default_dtype(torch.float64):
        job = graph.start()
    with pytest.warns(nb.ComfyNBWarning, match="default dtype changed 'torch.float64' -> the usual"):
        run = await job
    assert run["2"] is torch.float32
    with default_dtype(torch.float64):
        run = await graph.run()
    assert run["2"] is torch.float64 and run.counts["ran"] == 2
    assert "torch's settings changed" in run.why("1")


# Context variables


size: ContextVar[int] = ContextVar("size")


def helper() -> int:
    return size.get(0)


@nb.node
def of_helper() -> int:
    return helper()


@nb.node
async def of_variable() -> int:
    return size.get(0)


@pytest.mark.parametrize("node", [of_helper, of_variable])
async def test_a_context_variable_that_a_node_reads_counts_by_its_value(node: Any) -> None:
    graph = nb.Graph(node())
    found = []
    for value in (None, 2, 3, 2):
        token = size.set(value) if value is not None else None
        run = await graph.run()
        found.append((run["1"], run.counts["ran"]))
        if token is not None:
            size.reset(token)
    assert found == [(0, 1), (2, 1), (3, 1), (2, 0)]


async def test_why_names_the_context_variable() -> None:
    graph = nb.Graph(of_variable())
    size.set(1)
    await graph.run()
    size.set(2)
    assert "global `size` changed" in (await graph.run()).why("1")


async def test_runs_side_by_side_have_the_variables_of_their_own_context() -> None:
    async def under(value: int) -> Any:
        size.set(value)
        return await of_helper(), await of_variable()

    assert await asyncio.gather(under(5), under(6)) == [(5, 5), (6, 6)]
