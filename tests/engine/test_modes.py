"""The modes and the context that surround a run: all its nodes see them, and none sees those of another."""

from __future__ import annotations

import asyncio
import decimal
from contextvars import ContextVar
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

import comfy_nb as nb
from tests.engine.mode_blocks import BLOCKS, Block


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


@pytest.mark.parametrize("is_async", [False, True])
async def test_each_try_of_a_node_starts_from_the_same_context(is_async: bool) -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)
    found: list[tuple[int, int]] = []

    def attempt() -> int:
        found.append((decimal.getcontext().prec, variable.get()))
        decimal.getcontext().prec = 3
        variable.set(7)
        return 1 // (len(found) // 3)

    @nb.node(retries=2, backoff=0.001, cache="off")
    def careless() -> int:
        return attempt()

    @nb.node(retries=2, backoff=0.001, cache="off")
    async def careless_async() -> int:
        await asyncio.sleep(0)
        return attempt()

    for own in (False, True):
        found.clear()
        if own:
            decimal.getcontext()  # from here on the caller has a decimal context of its own
        await (careless_async if is_async else careless)()
        assert found == [(28, 0)] * 3


async def test_what_an_async_node_sets_in_its_context_lasts_over_its_awaits() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    @nb.node
    async def setter() -> int:
        token = variable.set(7)
        await asyncio.sleep(0)
        seen = variable.get() + await asyncio.create_task(read())
        variable.reset(token)
        return seen

    async def read() -> int:
        return variable.get()

    assert await setter() == 14


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
