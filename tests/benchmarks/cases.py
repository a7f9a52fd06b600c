"""The engine's benchmarks and their targets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from comfy_nb.engine.planning.inside import KnownInside
from comfy_nb.engine.planning.planned import plan_of
from comfy_nb.engine.session import Session, use_session
from comfy_nb.graph.handle import Handle, NodeFactory
from comfy_nb.graph.model import Graph
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.registry import Registry
from tests.benchmarks import looking, picture_work, waiting, watching
from tests.benchmarks.case import SIZES, Case, Seconds, Timed
from tests.benchmarks.drawing import DRAWING
from tests.benchmarks.peers import peers
from tests.benchmarks.shapes import CHAIN, WIDE, parents

REGISTRY = Registry()


def _declare(function: Callable[..., Any], **options: Any) -> NodeFactory:
    return NodeFactory(REGISTRY.register(spec_from_function(function, **options)), REGISTRY)


def first(start: int) -> int:
    return start


def no_op(x: int, salt: int = 0) -> int:
    return x


async def async_no_op(x: int, salt: int = 0) -> int:
    return x


async def slow(x: int, seconds: float = 0.1) -> int:
    await asyncio.sleep(seconds)
    return x


def blocks(x: int, seconds: float = 1.0) -> int:
    time.sleep(seconds)
    return x


def multiplies(x: int, seconds: float = 1.0) -> int:
    matrix, until = torch.rand(512, 512), time.perf_counter() + seconds
    while time.perf_counter() < until:
        matrix = (matrix @ matrix).clamp(0, 1)
    return x


FIRST, NO_OP, ASYNC_NO_OP = _declare(first), _declare(no_op), _declare(async_no_op)
SLOW, BLOCKS, MULTIPLIES = _declare(slow), _declare(blocks), _declare(multiplies)


def prompt(shape: str, n: int, class_type: str = "no_op") -> dict[str, Any]:
    """The graph of a shape as a prompt; the nodes differ by their salt, so that none equals another."""
    nodes: dict[str, Any] = {"0": {"class_type": "first", "inputs": {"start": 1}}}
    for index, reads in enumerate(parents(shape, n)):
        if reads:
            inputs = {"x": [str(reads[0]), 0], "salt": index}
            nodes[str(index)] = {"class_type": class_type, "inputs": inputs}
    return nodes


def graph_of(shape: str, n: int, class_type: str = "no_op") -> Graph:
    return Graph.from_prompt(prompt(shape, n, class_type), REGISTRY)


def listening() -> Session:
    """A session with a subscriber on every run, as in a notebook."""
    session = Session()
    session.on_run(lambda run: run.subscribe(lambda batch: None) and None)
    return session


def cold(shape: str, class_type: str, n: int) -> Timed:
    graph, session = graph_of(shape, n, class_type), listening()
    return partial(_run, session, graph)


async def _run(session: Session, graph: Graph, outputs: list[str] | None = None) -> Any:
    return await session.run(graph, outputs)


def cached(shape: str, n: int) -> Timed:
    """An equal prompt, parsed again, with everything cached; validation is timed separately and subtracted."""
    session, source = listening(), prompt(shape, n)

    async def run() -> Seconds:
        await session.run(Graph.from_prompt(source, REGISTRY))
        started = time.perf_counter()
        graph = Graph.from_prompt(source, REGISTRY)
        plan_of(graph, session.inside)
        await session.run(graph)
        return Seconds(time.perf_counter() - started)

    return run


def validation(shape: str, n: int) -> Timed:
    """Checking every input of a fresh graph, its plan and keys included."""
    return partial(plan_of, graph_of(shape, n), KnownInside())


def unchanged(shape: str, n: int) -> Timed:
    graph, session = graph_of(shape, n), listening()
    wanted = [str(n - 1)]

    async def run() -> Seconds:
        await session.run(graph, wanted)
        started = time.perf_counter()
        await session.run(graph, wanted)
        return Seconds(time.perf_counter() - started)

    return run


def changed_leaf(shape: str, n: int) -> Timed:
    graph, session = graph_of(shape, n), listening()
    wanted = [str(n - 1)]

    async def run() -> Seconds:
        await session.run(graph, wanted)
        graph[wanted[0]].inputs["salt"] = -1
        started = time.perf_counter()
        await session.run(graph, wanted)
        return Seconds(time.perf_counter() - started)

    return run


def changed_middle(n: int) -> Timed:
    graph, session = graph_of(CHAIN, n), listening()
    wanted = [str(n - 1)]

    async def run() -> Seconds:
        await session.run(graph, wanted)
        graph[str(n // 2)].inputs["salt"] = -1
        started = time.perf_counter()
        await session.run(graph, wanted)
        return Seconds(time.perf_counter() - started)

    return run


def build(shape: str, n: int) -> Timed:
    def run() -> Handle:
        made = [FIRST(start=1)]
        for index, reads in enumerate(parents(shape, n)):
            if reads:
                made.append(NO_OP(made[reads[0]], salt=index))
        return made[-1]

    return run


def overlap(n: int) -> Timed:
    handles = [SLOW(index) for index in range(n)]

    async def run() -> None:
        with use_session(listening()):
            await asyncio.gather(*(handle.run() for handle in handles))

    return run


def beside(order: str, n: int) -> Timed:
    pair = [SLOW(1, seconds=1.0), BLOCKS(2)]
    pair = pair if order == "async first" else pair[::-1]

    async def run() -> None:
        graph = Graph(*pair)
        await listening().run(graph)

    return run


def loop_lag(n: int) -> Timed:
    """The 99th percentile of how late the loop's timer is while a torch node runs, less that of an idle loop."""

    async def run() -> Seconds:
        idle = await _lags(asyncio.sleep(1.0))
        busy = await _lags(listening().run(Graph(MULTIPLIES(n))))
        return Seconds(max(0.0, _p99(busy) - _p99(idle)))

    return run


async def _lags(work: Any, tick_s: float = 0.005) -> list[float]:
    task, lags = asyncio.ensure_future(work), []
    while not task.done():
        due = time.perf_counter() + tick_s
        await asyncio.sleep(tick_s)
        lags.append(time.perf_counter() - due)
    await task
    return lags


def _p99(lags: list[float]) -> float:
    return sorted(lags)[int(len(lags) * 0.99)]


def cancel(n: int) -> Timed:
    async def run() -> Seconds:
        job = listening().start(Graph(SLOW(n, seconds=60.0)))
        while not (job.run.task.executor and job.run.task.executor.tasks):
            await asyncio.sleep(0)
        started = time.perf_counter()
        job.cancel()
        await job
        assert len(asyncio.all_tasks()) == 1
        return Seconds(time.perf_counter() - started)

    return run


def importing(n: int) -> Timed:
    """Importing comfy_nb beyond what importing torch takes, in a fresh process."""
    code = "import time, torch; started = time.perf_counter(); import comfy_nb; print(time.perf_counter() - started)"

    def run() -> Seconds:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return Seconds(done.stdout)

    return run


def _sync_target(n: int) -> float:
    return 20 if n <= 1_000 else 26


def _async_target(n: int) -> float:
    return (20 if n <= 10_000 else 40) + 1_000 / n


def _cached_target(n: int) -> float:
    return 6.5 if n <= 10_000 else 15


def _shapes(name: str, prepare: Callable[..., Timed], **options: Any) -> list[Case]:
    return [Case(name, shape, prepare=partial(prepare, shape), **options) for shape in (CHAIN, WIDE)]


def _cold(name: str, class_type: str, **options: Any) -> list[Case]:
    return [Case(name, shape, prepare=partial(cold, shape, class_type), **options) for shape in (CHAIN, WIDE)]


CASES = [
    *_cold("cold, sync", "no_op", sizes=SIZES, target=_sync_target, floor="one hop"),
    *_cold("cold, async", "async_no_op", sizes=SIZES, target=_async_target, floor="task per node"),
    *_shapes("equal prompt, all cached", cached, sizes=SIZES, target=_cached_target),
    *_shapes("plan and validation", validation, sizes=SIZES, target=lambda n: 10 + 1_000 / n),
    *_shapes("unchanged graph", unchanged, sizes=SIZES, target=1.0, unit="ms"),
    *_shapes("one leaf changed", changed_leaf, sizes=SIZES, target=1.005, unit="ms"),
    Case("middle changed", CHAIN, SIZES, changed_middle, target=lambda n: 1 + n // 2 * 0.016, unit="ms"),
    *_shapes("build by nb.nodes", build, sizes=SIZES, target=10),
    *_cold("memory, sync", "no_op", sizes=(10_000, 100_000), target=3_000, unit="B/node"),
    *_cold("memory, async", "async_no_op", sizes=(10_000, 100_000), target=6_000, unit="B/node"),
    Case("async nodes of 0.1 s", "50 at once", (50,), overlap, target=0.12, unit="s"),
    Case("async 1 s beside sync 1 s", "async first", (2,), partial(beside, "async first"), target=1.05, unit="s"),
    Case("async 1 s beside sync 1 s", "sync first", (2,), partial(beside, "sync first"), target=1.05, unit="s"),
    Case("timer lag beside torch, p99", "one node", (1,), loop_lag, target=10, unit="ms"),
    Case("cancel a waiting node", "one node", (1,), cancel, target=50, unit="ms"),
    Case("import beyond torch", "process", (1,), importing, target=150, unit="ms"),
    *picture_work.CASES,
    *looking.CASES,
    *watching.CASES,
    *waiting.CASES,
    *peers(),
    *DRAWING,
]
