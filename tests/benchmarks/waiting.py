"""Benchmarks of pools and priority: what they cost nodes that use neither, and nodes that wait."""

from __future__ import annotations

import asyncio
import gc
import time
from functools import partial
from typing import Any

from comfy_nb.engine.pools.fair_queue import Demand
from comfy_nb.engine.session import Session
from comfy_nb.graph.model import Graph
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.registry import Registry
from tests.benchmarks.case import Case, Seconds, Timed

REGISTRY = Registry()
PAIRS = 3


def pool_no_op(x: int) -> int:
    return x


async def pool_no_op_async(x: int) -> int:
    return x


async def asks_pool(x: int) -> int:
    return x


for _function in (pool_no_op, pool_no_op_async):
    REGISTRY.register(spec_from_function(_function))
REGISTRY.register(spec_from_function(asks_pool, uses="desk"))


def graph_of(class_type: str, n: int) -> Graph:
    nodes = {str(number): {"class_type": class_type, "inputs": {"x": number}} for number in range(n)}
    return Graph.from_prompt(nodes, REGISTRY)


def beside_pools(class_type: str, n: int) -> Timed:
    """A cold run in a session with pools for other classes, while another node waits for one; times one without."""

    async def seconds(has_pools: bool) -> float:
        session, graph = Session(), graph_of(class_type, n)
        if has_pools:
            session.pools.define("desk", 1, 60, False)
            session.pools.assign("KSampler*", "desk")
            for number in range(2):
                session.pools.ask(Demand((("desk", 1),), lambda: None, source=number))
        gc.collect()
        began = time.perf_counter()
        await session.run(graph, [str(number) for number in range(n)], **({"priority": 10} if has_pools else {}))
        return time.perf_counter() - began

    async def run() -> Seconds:
        pairs = [(await seconds(True), await seconds(False)) for _ in range(PAIRS)]
        return Seconds(min(with_pools for with_pools, _ in pairs) / min(without for _, without in pairs))

    return run


def idle_wait(n: int) -> Timed:
    """The CPU that this process takes in a second in which nodes wait for a pool, beyond that of an idle second."""

    async def run() -> Seconds:
        session = Session()
        session.pools.define("desk", 1, None, False)
        session.pools.ask(Demand((("desk", 1),), lambda: None, source="somebody"))
        idle = await _cpu_of_a_second()
        job = session.start(graph_of("asks_pool", n), [str(number) for number in range(n)])
        while len(session.pools.states()[0].waiting) < n:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        waiting = await _cpu_of_a_second()
        job.cancel()
        await job
        return Seconds(max(0.0, waiting - idle))

    return run


async def _cpu_of_a_second() -> float:
    began = time.process_time()
    await asyncio.sleep(1.0)
    return time.process_time() - began


def drained(n: int) -> Timed:
    """Nodes that do nothing, each in a pool of one place."""
    session, graph = Session(), graph_of("asks_pool", n)
    session.pools.define("desk", 1, None, False)

    async def run() -> Any:
        await session.run(graph, [str(number) for number in range(n)])

    return run


_BESIDE: dict[str, Any] = {"sizes": (100_000,), "target": 1.05, "unit": "x"}
CASES = [
    Case("cold beside pools and priority, sync", "wide", prepare=partial(beside_pools, "pool_no_op"), **_BESIDE),
    Case("cold beside pools and priority, async", "wide", prepare=partial(beside_pools, "pool_no_op_async"), **_BESIDE),
    Case("CPU a second while nodes wait for a pool", "wide", (1_000,), idle_wait, target=1.0, unit="ms"),
    Case("cold, each in a pool of one place", "wide", (1_000, 10_000), drained),
]
