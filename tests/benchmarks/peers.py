"""The same graphs on other engines, if they are installed (`pip install '.[bench]'`).

Building their graphs is not timed; each runs cold, as none of them is asked to cache.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from types import FunctionType
from typing import Any

from tests.benchmarks.case import Case, Timed
from tests.benchmarks.floors import async_no_op, no_op
from tests.benchmarks.shapes import CHAIN, WIDE, parents, wanted

SHALLOW = (100, 500)
"""Hamilton walks a chain recursively, and 1,000 nodes are beyond Python's own limit."""
SMALL = (100, 1_000)
MEDIUM = (100, 1_000, 10_000)


def dask_threaded(shape: str, n: int) -> Timed:
    from dask.threaded import get

    graph = {f"n{index}": (no_op, *[f"n{i}" for i in reads]) for index, reads in enumerate(parents(shape, n))}
    return partial(get, graph, [f"n{index}" for index in wanted(shape, n)])


def hamilton(shape: str, n: int) -> Timed:
    from hamilton import ad_hoc_utils, base, driver

    functions = [_hamilton_node(index, reads) for index, reads in enumerate(parents(shape, n))]
    module = ad_hoc_utils.create_temporary_module(*functions)
    built = driver.Builder().with_modules(module).with_adapter(base.DictResult()).build()
    return partial(built.execute, [f"n{index}" for index in wanted(shape, n)])


def _hamilton_node(index: int, reads: tuple[int, ...]) -> FunctionType:
    """Hamilton reads a graph from functions whose parameters are named after other functions."""
    arguments = ", ".join(f"n{parent}: int" for parent in reads)
    values = ", ".join(f"n{parent}" for parent in reads)
    namespace: dict[str, Any] = {"no_op": no_op}
    exec(f"def n{index}({arguments}) -> int:\n    return no_op({values})", namespace)
    return namespace[f"n{index}"]


def pocketflow_chain(n: int) -> Timed:
    from pocketflow import Flow, Node

    class NoOp(Node):
        def exec(self, prepared: object) -> int:
            return no_op(prepared)

    nodes = [NoOp() for _ in range(n)]
    for before, after in pairwise(nodes):
        before >> after
    return partial(Flow(start=nodes[0]).run, {})


def pocketflow_wide(n: int) -> Timed:
    from pocketflow import AsyncFlow, AsyncParallelBatchNode

    class NoOps(AsyncParallelBatchNode):
        async def prep_async(self, shared: object) -> list[int]:
            return list(range(n))

        async def exec_async(self, item: object) -> int:
            return await async_no_op(item)

    async def run() -> object:
        return await AsyncFlow(start=NoOps()).run_async({})

    return run


def peers() -> list[Case]:
    """A case for each installed peer and shape; none has a target."""
    found: list[Case] = []
    if find_spec("dask"):
        found.append(Case("dask.threaded", CHAIN, MEDIUM, partial(dask_threaded, CHAIN)))
        found.append(Case("dask.threaded", WIDE, MEDIUM, partial(dask_threaded, WIDE)))
    if find_spec("hamilton"):
        found.append(Case("Hamilton", CHAIN, SHALLOW, partial(hamilton, CHAIN)))
        found.append(Case("Hamilton", WIDE, SMALL, partial(hamilton, WIDE)))
    if find_spec("pocketflow"):
        found.append(Case("PocketFlow", CHAIN, MEDIUM, pocketflow_chain))
        found.append(Case("PocketFlow", WIDE, MEDIUM, pocketflow_wide))
    return found
