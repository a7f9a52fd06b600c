"""What is changed in place while a run goes on leaves nothing to use again (docs/semantics.md, "Changed in place")."""

from __future__ import annotations

import asyncio
import types
from typing import Any

import pytest
import torch

import comfy_nb as nb
from tests.engine.support import Calls


def test_what_was_computed_from_a_constant_that_changed_meanwhile_is_not_kept() -> None:
    @nb.node
    def appends(value: object) -> int:
        value.append(9)  # type: ignore[attr-defined]
        return len(value)  # type: ignore[arg-type]

    @nb.node
    def reads_both(count: int, value: object) -> list:  # type: ignore[type-arg]
        return list(value)  # type: ignore[call-overload]

    value = [1]
    with pytest.warns(nb.ComfyNBWarning, match="A constant of appends .* was changed while the run went on"):
        assert reads_both(appends(value), value).run_sync() == [1, 9]
    with pytest.warns(nb.ComfyNBWarning):
        assert reads_both(appends([1]), [1]).run_sync() == [1]


async def test_what_was_computed_while_a_global_changed_is_not_kept() -> None:
    world = types.SimpleNamespace(factor=1)
    begun, go_on = nb.constant(asyncio.Event()), nb.constant(asyncio.Event())

    @nb.node
    async def scales() -> int:
        begun.set()
        await go_on.wait()
        return world.factor

    @nb.node
    def below(value: int) -> int:
        return value

    job = nb.Graph(below(scales())).start()
    await begun.wait()
    world.factor = 2
    go_on.set()
    assert (await job)["2"] == 2
    world.factor = 1
    run = await nb.Graph(below(scales())).run()
    assert run["2"] == 1


async def test_a_result_that_the_cell_changes_while_a_node_reads_it_leaves_nothing_cached() -> None:
    begun, go_on = nb.constant(asyncio.Event()), nb.constant(asyncio.Event())

    @nb.node
    def zeros(n: int) -> torch.Tensor:
        return torch.zeros(n)

    @nb.node
    async def reads(x: torch.Tensor) -> float:
        begun.set()
        await go_on.wait()
        return float(x.sum())

    held = await zeros(2)
    job = reads(zeros(2)).start()
    await begun.wait()
    held.fill_(5)
    go_on.set()
    with pytest.warns(nb.ComfyNBWarning, match="in place"):
        await job
    run = await nb.Graph(reads(zeros(2))).run()
    assert run["2"] == 0
    assert run.why("2") != "from an earlier run"


@pytest.mark.parametrize("refuses", [False, True], ids=["gives a result", "fails on what was changed"])
async def test_a_node_that_runs_beside_one_that_changes_their_input_is_called_again(refuses: bool) -> None:
    begun, go_on = nb.constant(asyncio.Event()), nb.constant(asyncio.Event())
    calls = Calls()

    @nb.node
    def pair() -> list[int]:
        return [0]

    @nb.node
    async def reads(x: Any) -> Any:
        calls["reads"] += 1
        begun.set()
        await go_on.wait()
        if refuses and len(x) != 1:
            raise ValueError("too long")
        return list(x)

    @nb.node
    async def appends(x: Any) -> Any:
        await begun.wait()
        x.append(1)
        asyncio.get_running_loop().call_soon(go_on.set)
        return len(x)

    graph = nb.Graph(reads(pair()), appends(pair()))
    with pytest.warns(nb.ComfyNBWarning, match="changed its input"):
        run = await graph.run()
    assert run["2"] == [0]
    assert calls["reads"] == 2
