"""The least that the same graph can cost: no keys, no cache, no events, no checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from tests.benchmarks.case import Timed
from tests.benchmarks.shapes import parents


def no_op(*inputs: object) -> int:
    return len(inputs)


async def async_no_op(*inputs: object) -> int:
    return len(inputs)


def run_all(graph: list[tuple[int, ...]]) -> list[int]:
    values: list[int] = []
    for reads in graph:
        values.append(no_op(*[values[parent] for parent in reads]))
    return values


def plain_loop(shape: str, n: int) -> Timed:
    """A loop that calls each function in topological order."""
    return partial(run_all, parents(shape, n))


def one_hop(shape: str, n: int) -> Timed:
    """The plain loop, all of it in one hop to a thread and back."""
    graph = parents(shape, n)

    async def run() -> list[int]:
        return await asyncio.to_thread(run_all, graph)

    return run


def task_per_node(shape: str, n: int) -> Timed:
    """One asyncio task for each node, which awaits the tasks of the nodes it reads."""
    graph = parents(shape, n)

    async def run() -> list[int]:
        tasks: list[asyncio.Task[int]] = []

        async def node(reads: tuple[int, ...]) -> int:
            return await async_no_op(*[await tasks[parent] for parent in reads])

        for reads in graph:
            tasks.append(asyncio.create_task(node(reads)))
        return [await task for task in tasks]

    return run


FLOORS: dict[str, Callable[[str, int], Timed]] = {
    "plain loop": plain_loop,
    "one hop": one_hop,
    "task per node": task_per_node,
}
