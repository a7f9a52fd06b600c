"""The modes and the context that surround a run: all its nodes see them, and its results are kept under them."""

from __future__ import annotations

import asyncio
import decimal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

import comfy_nb as nb


def read_modes() -> dict[str, Any]:
    """What a node can see of torch's modes."""
    return {
        "autocast": {each: torch.is_autocast_enabled(each) for each in ("cpu", "cuda", "xpu", "mps")},
        "dtypes": {each: torch.get_autocast_dtype(each) for each in ("cpu", "cuda", "xpu", "mps")},
        "cached": torch.is_autocast_cache_enabled(),
        "device": torch.ones(1).device.type,
        "default device": str(torch.get_default_device()),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.ones(1).dtype,
        "product": (torch.ones(2, 2, device="cpu") @ torch.ones(2, 2, device="cpu")).dtype,
        "grad": torch.is_grad_enabled(),
    }


@nb.node
def on_lane() -> object:
    return read_modes()


@nb.node(thread_safe=True)
def in_pool() -> object:
    return read_modes()


@nb.node
async def on_loop() -> object:
    await asyncio.sleep(0)
    return read_modes()


@nb.node(retries=1)
def by_a_whole_turn() -> object:
    return read_modes()


@nb.node(timeout=60)
async def in_time() -> object:
    await asyncio.sleep(0)
    return read_modes()


@nb.node
def nested_on_lane() -> object:
    return on_loop().run_sync()


@nb.node
async def nested_on_loop() -> object:
    await asyncio.sleep(0)
    return await on_lane()


NODES = [on_lane, in_pool, on_loop, by_a_whole_turn, in_time, nested_on_lane, nested_on_loop]


@contextmanager
def set_autocast(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Autocast for a device that this machine may not have; torch's own block would switch itself off."""
    before = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    torch.set_autocast_enabled(device, True)
    torch.set_autocast_dtype(device, dtype)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device, before[0])
        torch.set_autocast_dtype(device, before[1])


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def precision(name: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


class Silent(TorchFunctionMode):
    """A function mode that changes nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


Block = Callable[[], AbstractContextManager[Any]]
BLOCKS: dict[str, Block] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast, float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "autocast without a cache": lambda: torch.autocast("cpu", cache_enabled=False),
    "autocast of cuda": lambda: set_autocast("cuda", torch.bfloat16),
    "autocast of mps": lambda: set_autocast("mps", torch.bfloat16),
    "a device": lambda: torch.device("meta"),
    "a default device": lambda: default_device("meta"),
    "inference mode": torch.inference_mode,
    "a default dtype": lambda: default_dtype(torch.float64),
}
OTHERS: dict[str, Block] = {
    "a precision": lambda: precision("medium"),
    "deterministic algorithms": deterministic,
    "the decimal context": lambda: decimal.localcontext(prec=5),
    "decimal rounding": lambda: decimal.localcontext(rounding=decimal.ROUND_UP),
    "a decimal trap": lambda: decimal.localcontext(traps=[decimal.Inexact]),
    "floating-point errors of numpy": lambda: np.errstate(divide="raise"),
    "a function mode": Silent,
    "a dispatch mode": lambda: FlopCounterMode(display=False),
}
all_nodes = pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
all_blocks = pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)


def seen_in(block: Block) -> dict[str, Any]:
    """What plain code sees inside the block, but for the gradients that nodes do not have."""
    with block():
        return {**read_modes(), "grad": False}


# What nodes see


@all_nodes
@all_blocks
async def test_every_node_sees_what_surrounds_the_await(node: Any, block: Block) -> None:
    with block():
        assert await node() == seen_in(block)
    assert await node() == seen_in(torch.no_grad)


@all_nodes
async def test_what_surrounds_run_sync_holds_in_a_script(node: Any) -> None:
    def script() -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.device("meta"):
            return node().run_sync()

    found = await asyncio.to_thread(script)
    assert found["autocast"]["cpu"] and found["device"] == "meta"


@all_nodes
@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "a default dtype"])
async def test_a_background_job_keeps_the_modes_in_which_it_was_started(node: Any, name: str) -> None:
    with BLOCKS[name]():
        job = node().start()
    assert await job == seen_in(BLOCKS[name])


@all_nodes
async def test_runs_side_by_side_have_the_modes_of_their_own_await(node: Any) -> None:
    async def under(block: Block) -> Any:
        with block():
            job = node().start()
        return await job

    blocks = [BLOCKS["autocast"], torch.no_grad, BLOCKS["a device"], BLOCKS["inference mode"]]
    assert await asyncio.gather(*(under(block) for block in blocks)) == [seen_in(block) for block in blocks]


async def test_all_of_a_gather_in_a_block_see_it() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = await asyncio.gather(*(node() for node in NODES))
    assert [each["product"] for each in found] == [torch.bfloat16] * len(NODES)


async def test_a_sweep_keeps_the_modes_in_which_it_was_begun() -> None:
    @nb.node
    def product(n: int) -> object:
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype

    with torch.autocast("cpu", dtype=torch.bfloat16):
        sweep = nb.sweep(product(0), {"n": [1, 2, 3]})
    assert (await sweep).values == [torch.bfloat16] * 3


async def test_a_node_with_gradients_has_them_under_any_mode_that_surrounds_it() -> None:
    @nb.node(grad=True)
    def trained_on_lane() -> float:
        x = torch.ones(1, requires_grad=True)
        (x * 3).backward()
        return float(x.grad)

    @nb.node(grad=True)
    async def trained_on_loop() -> float:
        await asyncio.sleep(0)
        x = torch.ones(1, requires_grad=True)
        (x * 4).backward()
        return float(x.grad)

    for block in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with block():
            assert (await trained_on_lane().fresh(), await trained_on_loop().fresh()) == (3.0, 4.0)


async def test_checks_and_fingerprints_see_the_modes_too() -> None:
    seen: list[bool] = []

    def note(**inputs: Any) -> bool:
        seen.append(torch.is_autocast_enabled("cpu"))
        return True

    @nb.node(validate=lambda n: note(), fingerprint=lambda n: note())
    async def checked(n: int) -> int:
        return n

    with torch.autocast("cpu"):
        await checked(1)
    assert seen == [True, True]


async def test_the_tasks_of_an_async_node_have_the_modes_in_which_it_starts_them() -> None:
    async def part() -> dict[str, Any]:
        await asyncio.sleep(0)
        return read_modes()

    @nb.node
    async def in_parts() -> object:
        await asyncio.sleep(0)
        with torch.device("meta"):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(part()) for _ in range(2)]
            nested = await asyncio.gather(on_lane(), on_loop())
        return [task.result() for task in tasks] + nested, await asyncio.gather(part(), on_loop())

    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = seen_in(torch.no_grad), seen_in(lambda: torch.device("meta"))
        inside, after = await in_parts()
    assert inside == [expected[1]] * 4 and after == [expected[0]] * 2
    factory = asyncio.get_running_loop().get_task_factory()
    assert factory is None


async def test_a_task_that_a_node_leaves_behind_leaves_nothing_on() -> None:
    left: list[asyncio.Task[None]] = []

    @nb.node
    async def leaves() -> int:
        with torch.inference_mode(), torch.autocast("cpu"), torch.device("meta"):
            left.append(asyncio.create_task(asyncio.sleep(60)))
            await asyncio.sleep(0)
        return 1

    await leaves()
    before = read_modes()
    left[0].cancel()
    await asyncio.wait(left)
    assert left[0].cancelled() and read_modes() == before == {**seen_in(torch.no_grad), "grad": True}


# What nodes leave behind


@pytest.mark.parametrize("leave", ["device", "autocast", "function mode"])
async def test_what_a_node_leaves_on_is_not_on_for_the_next_one(leave: str) -> None:
    @nb.node
    def careless(n: int) -> int:
        if leave == "device":
            torch.set_default_device("meta")
        elif leave == "autocast":
            torch.autocast("cpu").__enter__()
        else:
            TorchFunctionMode().__enter__()
        return n

    @nb.node
    def after(n: int) -> object:
        return torch.ones(1).device.type, torch.is_autocast_enabled("cpu"), torch._C._len_torch_function_stack()

    assert await after(careless(1)) == ("cpu", False, 0)
    assert await after(careless(2)) == ("cpu", False, 0)


async def test_a_block_of_an_async_node_is_on_after_its_await_and_nowhere_else() -> None:
    entered, ask = asyncio.Event(), asyncio.Event()

    @nb.node(grad=True)
    async def careful() -> object:
        with torch.autocast("cpu"), torch.device("meta"), torch.inference_mode():
            entered.set()
            await ask.wait()
            inside = read_modes()
        return inside, read_modes()

    job = careful().start()
    await entered.wait()
    outside, elsewhere = read_modes(), await on_loop()
    ask.set()
    inside, after = await job
    assert inside["autocast"]["cpu"] and inside["device"] == "meta" and inside["inference"]
    for plain in (outside, after):
        assert plain == {**seen_in(torch.no_grad), "grad": True}
    assert elsewhere == seen_in(torch.no_grad)
    assert torch.is_grad_enabled()


async def test_what_a_node_sets_in_its_context_is_not_for_the_next_one() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    @nb.node
    def careless(n: int) -> int:
        decimal.getcontext().prec = 3
        variable.set(n)
        return n

    @nb.node
    def after(n: int) -> str:
        return f"{decimal.Decimal(1) / 3} {variable.get()}"

    for own in (False, True):
        if own:
            decimal.getcontext()  # from here on the caller has a decimal context of its own
        assert await after(careless(int(own))) == f"{decimal.Decimal(1) / 3} 0"
    assert decimal.getcontext().prec == 28


async def test_a_job_keeps_the_decimal_context_that_is_changed_after_its_start() -> None:
    @nb.node
    def third() -> str:
        return str(decimal.Decimal(1) / 3)

    @nb.node
    async def third_async() -> str:
        return str(decimal.Decimal(1) / 3)

    with decimal.localcontext() as context:
        context.prec = 5
        jobs = [third().start(), third_async().start()]
        context.prec = 9
        assert [await job for job in jobs] == ["0.33333", "0.33333"]


# What is cached


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
