"""The timeline of real runs."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import weakref

import pytest

import comfy_nb as nb


def titles(timeline) -> list[str]:
    return [bar.name for bar in timeline.spans.bars]


async def test_async_nodes_overlap_and_a_sync_one_runs_on_its_thread():
    @nb.node
    async def asks(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @nb.node
    def adds(a: float, b: float) -> float:
        return a + b

    total = adds(asks(0.05), asks(0.1))
    run = await total.graph.run()
    timeline = run.timeline()
    first, second, last = sorted(timeline.spans.bars, key=lambda bar: bar.end)
    assert (first.label, second.label) == ("seconds=0.05", "seconds=0.1")
    assert second.start < first.end and last.start >= second.end
    assert last.lane.startswith("comfy-nb-lane")
    assert timeline.critical_path == [second.node_id, last.node_id]


async def test_it_follows_a_run_that_goes_on():
    is_there, may_end = asyncio.Event(), asyncio.Event()

    @nb.node(cache="off")
    async def waits() -> int:
        is_there.set()
        await may_end.wait()
        return 1

    job = waits().start()
    await is_there.wait()
    timeline = job.run.timeline()
    assert [bar.state for bar in timeline.spans.bars] == ["running"]
    may_end.set()
    await job
    assert [bar.state for bar in timeline.spans.bars] == ["done"]


async def test_a_run_that_is_over_keeps_no_timeline():
    run = await nb.nodes.PrimitiveInt(value=7).graph.run()
    asked = weakref.ref(run.timeline())
    gc.collect()
    assert asked() is None


async def test_another_try_ends_a_pause():
    tries = []

    @nb.node(retries=1, backoff=0.02)
    async def flaky() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("503")
        return 1

    run = await flaky().graph.run()
    (bar,) = run.timeline().spans.bars
    (wait,) = bar.waits
    assert wait.seconds >= 0.02 and wait.note.startswith("retry 1 of 1") and bar.end >= wait.end


async def test_a_stall_is_in_the_picture_and_in_words():
    @nb.node
    async def greedy() -> int:
        time.sleep(0.12)
        return 1

    with pytest.warns(nb.ComfyNBWarning, match="kept the event loop busy"):
        run = await greedy().graph.run()
    assert "the loop was blocked for" in repr(run.timeline())


async def test_the_trace_is_written_as_json(tmp_path):
    run = await nb.nodes.PrimitiveInt(value=3).graph.run()
    path = run.timeline().save(tmp_path / "deep" / "trace.json")
    assert json.loads(path.read_text())["traceEvents"]


async def test_a_run_from_the_cache_says_so():
    graph = nb.nodes.PrimitiveInt(value=4).graph
    await graph.run()
    assert "all from the cache" in repr((await graph.run()).timeline())
