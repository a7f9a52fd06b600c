"""What is kept of a graph lives as long as the graph, and no longer."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.engine.planning.inside import KnownInside
from comfy_nb.engine.planning.planned import current_plan, plan_of
from tests.engine.signs import PATIENCE_S


@nb.node
def takes(x: Any = None, n: int = 1) -> int:
    return n


async def a_closure(graph: nb.Graph) -> Any:
    return lambda: graph


async def a_run(graph: nb.Graph) -> Any:
    return await graph.run()


@pytest.mark.parametrize("make", [a_closure, a_run])
async def test_a_graph_with_a_constant_that_leads_back_to_it_is_freed(
    make: Callable[[nb.Graph], Coroutine[Any, Any, Any]],
) -> None:
    async def use() -> weakref.ref[nb.Graph]:
        with nb.use_session(nb.Session()):
            graph = nb.Graph(takes(n=3))
            graph["1"].inputs["x"] = await make(graph)
            graph.validate()
            return weakref.ref(graph)

    graph = await use()
    async with asyncio.timeout(PATIENCE_S):
        while graph() is not None:  # the lane's thread may still be on its way out of the run
            await asyncio.sleep(0.01)
            gc.collect()


def test_a_plan_is_current_until_an_edit_of_the_graph() -> None:
    graph = nb.Graph(takes(n=3))
    assert current_plan(graph) is None
    inside = KnownInside()
    plan = plan_of(graph, inside)
    assert current_plan(graph) is plan
    graph["1"].inputs["n"] = 4
    assert current_plan(graph) is None
    assert plan_of(graph, inside) is plan and current_plan(graph) is plan
    graph.node("takes", n=5)
    assert current_plan(graph) is None


def test_a_copy_has_no_plan_of_its_own_yet() -> None:
    graph = nb.Graph(takes(n=3))
    plan_of(graph, KnownInside())
    assert current_plan(graph.copy()) is None
