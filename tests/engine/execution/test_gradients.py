"""Nodes run without gradients unless they ask for them (docs/semantics.md, "Gradients")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import torch

import comfy_nb as nb
from comfy_nb.spec.function import spec_from_function
from tests.engine.signs import Sign, sleeper
from tests.engine.support import Pack, listed, made
from tests.reference.classes import INT

pytestmark = pytest.mark.usefixtures("zoo")


def sync_mode(n: int) -> bool:
    return torch.is_grad_enabled()


async def async_mode(n: int) -> bool:
    before = torch.is_grad_enabled()
    await asyncio.sleep(0)
    assert torch.is_grad_enabled() == before
    return before


@pytest.mark.parametrize("function", [sync_mode, async_mode])
@pytest.mark.parametrize("grad", [False, True])
async def test_nodes_run_without_gradients_unless_they_ask_for_them(function: Callable[..., Any], grad: bool) -> None:
    mode_of = nb.node(function) if not grad else nb.node(grad=True)(function)
    assert await mode_of(1) is grad
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("function", [sync_mode, async_mode])
async def test_the_calls_of_a_list_run_in_the_mode_too(pack: Pack, function: Callable[..., Any]) -> None:
    pack.registry.register(spec_from_function(function, class_type="Mode", grad=True))
    run = await pack.graph({"1": listed(5, 6), "2": made("Mode", n=["1", 0])}).run()
    assert run.outputs("2") == ([True, True],)


async def test_the_mode_of_one_node_is_not_left_on_for_the_next(pack: Pack) -> None:
    pack.node("Mode", lambda self, n: (torch.is_grad_enabled(),), {"n": INT})

    def train(self: Any) -> tuple[int]:
        torch.set_grad_enabled(True)
        return (1,)

    pack.node("Train", train)
    run = await pack.graph({"1": made("Train"), "2": made("Mode", n=["1", 0])}).run()
    assert run["2"] is False


async def test_what_a_node_gives_is_an_ordinary_tensor(pack: Pack) -> None:
    pack.node("Ones", lambda self: (torch.ones(2),), None, ("*",))
    value = (await pack.graph({"1": made("Ones")}).run())["1"]
    assert not value.is_inference()
    assert torch.nn.Parameter(value.clone()).requires_grad


async def test_async_nodes_have_no_gradients_and_what_runs_beside_them_has():
    inside: list[bool] = []
    beside: list[bool] = []

    @nb.node(cache="off")
    async def steps() -> int:
        for _ in range(20):
            inside.append(torch.is_grad_enabled())
            await asyncio.sleep(0)
        return 1

    @nb.node(cache="off", grad=True)
    async def trains() -> bool:
        await asyncio.sleep(0)
        return torch.is_grad_enabled()

    async def watch() -> None:
        while len(inside) < 20:
            beside.append(torch.is_grad_enabled())
            await asyncio.sleep(0)

    _, _, trained = await asyncio.gather(steps().run(), watch(), trains().run())
    assert (set(inside), set(beside), trained) == ({False}, {True}, True)
    assert len(beside) > 3 and torch.is_grad_enabled()


async def test_a_stopped_async_node_does_not_leave_gradients_off():
    begun = Sign()
    job = sleeper(begun, Sign()).start()
    await begun.seen()
    job.cancel()
    with pytest.raises(nb.Stopped):
        await job
    assert torch.is_grad_enabled()
