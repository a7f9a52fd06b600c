"""Timeouts and retries, strange constants, subscribers that misbehave, and what packs keep between calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Never

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from comfy_nb.engine.execution.node_run import NodeRun
from comfy_nb.engine.execution.scheduler import Scheduler
from tests.engine.failing import Unspeakable, failure
from tests.engine.signs import PATIENCE_S, Sign, others
from tests.engine.support import Calls, reported

# Timeouts and retries ----------------------------------------------------------------------------------------------


async def test_a_node_that_takes_too_long_is_timed_out_and_cleaned_up():
    ended = Sign()

    @nb.node(timeout=0.05)
    async def slow() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return 1

    error = await failure(slow())
    assert isinstance(error, nb.NodeTimeout)
    assert str(error) == "slow (node 1): it took longer than its timeout of 0.05 s."
    assert ended.is_set()


async def test_what_a_node_returns_after_it_swallowed_its_timeout_is_too_late():
    @nb.node(timeout=0.01)
    async def goes_on() -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return 1

    error = await failure(goes_on())
    assert isinstance(error, nb.NodeTimeout)
    assert str(error) == "goes_on (node 1): it took longer than its timeout of 0.01 s."


async def test_a_node_that_goes_on_after_its_timeout_is_said_to_while_it_does():
    is_said = asyncio.Event()

    @nb.node(timeout=0.01)
    async def goes_on() -> int:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await is_said.wait()
        return 1

    def notice(found: Sequence[events.Event]) -> None:
        if any(isinstance(each, events.NodeOverdue) for each in found):
            is_said.set()

    unsubscribe = nb.default_session().on_run(lambda run: run.subscribe(notice))
    try:
        async with asyncio.timeout(10):
            assert isinstance(await failure(goes_on()), nb.NodeTimeout)
    finally:
        unsubscribe()
    assert is_said.is_set()


async def test_each_try_has_the_whole_timeout():
    calls = Calls()

    @nb.node(timeout=0.05, retries=2, backoff=0.001)
    async def slow() -> int:
        calls["slow"] += 1
        await asyncio.sleep(60 if calls["slow"] < 3 else 0)
        return calls["slow"]

    assert await slow() == 3

    @nb.node(timeout=0.02, retries=1, backoff=0.001)
    async def never() -> int:
        await asyncio.sleep(60)
        return 1

    assert str(await failure(never())) == "never (node 1): it took longer than its timeout of 0.02 s 2 times."


async def test_a_timeout_error_that_a_node_raises_itself_is_an_ordinary_failure():
    @nb.node(timeout=60)
    async def asks() -> int:
        raise TimeoutError("the server is slow")

    error = await failure(asks())
    assert str(error) == "asks (node 1): TimeoutError: the server is slow"
    assert type(error) is nb.NodeError


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_failed_call_is_made_again_after_growing_waits(is_async: bool):
    calls = Calls()

    def attempt() -> int:
        calls["made"] += 1
        if calls["made"] < 4:
            raise OSError(f"try {calls['made']}")
        return calls["made"]

    @nb.node(retries=3, backoff=0.001)
    def flaky() -> int:
        return attempt()

    @nb.node(retries=3, backoff=0.001)
    async def flaky_too() -> int:
        return attempt()

    run = await (flaky_too() if is_async else flaky()).graph.run()
    assert run["1"] == 4
    assert [event.reason for event in reported(run, events.NodeWaiting)] == [
        "retry 1 of 3 in 0.001 s after OSError: try 1",
        "retry 2 of 3 in 0.002 s after OSError: try 2",
        "retry 3 of 3 in 0.004 s after OSError: try 3",
    ]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_stop_ends_the_wait_before_a_retry(is_async: bool):
    tried = Sign()

    def attempt() -> int:
        tried.set()
        raise OSError("no")

    @nb.node(retries=3, backoff=60)
    def flaky() -> int:
        return attempt()

    @nb.node(retries=3, backoff=60)
    async def flaky_too() -> int:
        return attempt()

    job = (flaky_too() if is_async else flaky()).graph.start()
    await tried.seen()
    job.cancel()
    assert (await job).state == "cancelled"
    assert not others()


@pytest.mark.parametrize("thread_safe", [False, True])
async def test_a_sync_node_that_waits_for_its_next_try_leaves_its_lane_to_others(thread_safe: bool):
    calls, tried, again = Calls(), Sign(), Sign()

    @nb.node(retries=1, backoff=60, thread_safe=thread_safe)
    def flaky() -> int:
        calls["made"] += 1
        tried.set()
        raise OSError("no")

    @nb.node
    def other() -> int:
        return 1

    @nb.node
    def in_the_same_run() -> int:
        again.set()
        return 2

    job = nb.Graph(flaky(), in_the_same_run()).start()
    equal = flaky().graph.start()
    await tried.seen()
    await again.seen()
    async with asyncio.timeout(PATIENCE_S):
        assert await other() == 1
    assert not job.done() and calls["made"] == 1
    equal.cancel()
    job.cancel()
    assert (await job).state == (await equal).state == "cancelled"
    assert not others()


async def test_an_equal_node_computes_when_a_stop_ended_the_wait_of_the_first():
    calls, tried = Calls(), Sign()

    @nb.node(retries=1, backoff=60)
    def flaky() -> int:
        calls["made"] += 1
        tried.set()
        if calls["made"] == 1:
            raise OSError("no")
        return 1

    first = flaky().graph.start()
    await tried.seen()
    second = flaky().start()
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 1
    assert (await first).state == "cancelled" and calls["made"] == 2


# Constants ---------------------------------------------------------------------------------------------------------


class Hostile:
    """An object that can be neither hashed, compared, copied, measured nor shown, and has no attributes."""

    def _refuse(self, *_: Any) -> Never:
        raise RuntimeError("leave me alone")

    __eq__ = __ne__ = __lt__ = __repr__ = __str__ = __len__ = __bool__ = __iter__ = __reduce_ex__ = _refuse  # type: ignore[assignment]
    __copy__ = __deepcopy__ = __sizeof__ = __array__ = __float__ = __int__ = _refuse
    __hash__ = _refuse  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Never:
        raise RuntimeError(f"no {name} for you")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


async def test_an_object_that_can_do_nothing_passes_through():
    hostile = Hostile()

    @nb.node
    def gives(value: Any) -> Any:
        return value

    @nb.node
    def takes(value: Any, other: Any) -> bool:
        return value is other

    handle = takes(gives(hostile), hostile)
    assert await handle is True
    other = Hostile()
    other.name = "another"
    assert await takes(gives(hostile), other) is False
    assert repr(handle).startswith("<takes(value=gives(…)")
    assert repr(handle.graph)


async def test_an_object_that_cannot_be_shown_does_not_hide_the_error():
    @nb.node
    def breaks(value: Any, many: Any) -> int:
        raise ValueError("no")

    error = await failure(breaks(Hostile(), many={1: Hostile(), "deep": nested(2_000)}))
    assert str(error) == "breaks (node 1): ValueError: no"
    assert error.inputs["value"] == "<Hostile whose repr raised RuntimeError>"


async def test_deeply_nested_constants_pass_through():
    @nb.node
    def depth(value: Any) -> int:
        count = 0
        while value:
            value, count = value[0], count + 1
        return count

    assert await depth(nested(50)) == 50
    assert await depth(nested(100_000)) == 100_000


async def test_equal_constants_of_equal_handles_are_computed_once():
    calls = Calls()

    @nb.node
    def keeps(value: Any) -> int:
        calls["keeps"] += 1
        return len(value)

    assert await keeps(nested(20)) == await keeps(nested(20)) == 1
    assert calls["keeps"] == 1


# Subscribers -------------------------------------------------------------------------------------------------------


@pytest.fixture
def one() -> nb.Handle:
    @nb.node(cache="off")
    def one() -> int:
        return 1

    return one()


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, Unspeakable])
async def test_a_subscriber_that_raises_is_reported_and_removed(error: type[BaseException]):
    calls, warned = Calls(), Sign()

    @nb.node
    async def waits() -> int:
        await warned.seen()
        return 1

    def breaks(batch: Any) -> None:
        calls["breaks"] += 1
        warned.set()
        raise error("no")

    seen: list[Any] = []

    def listen(run: nb.Run) -> None:
        run.subscribe(breaks)
        run.subscribe(seen.extend)

    nb.default_session().on_run(listen)
    with pytest.warns(nb.ComfyNBWarning, match="A subscriber of the run failed and was removed"):
        assert await waits() == 1
    assert calls["breaks"] == 1
    assert isinstance(seen[-1], events.RunFinished)


async def test_a_listener_that_raises_is_reported(one: nb.Handle):
    def breaks(run: nb.Run) -> None:
        raise ValueError("no")

    nb.default_session().on_run(breaks)
    with pytest.warns(nb.ComfyNBWarning, match="A listener for runs failed: ValueError"):
        assert await one == 1


async def test_a_slow_subscriber_is_named_once(one: nb.Handle):
    def slow(batch: Any) -> None:
        time.sleep(0.06)

    nb.default_session().on_run(lambda run: run.subscribe(slow))
    with pytest.warns(nb.ComfyNBWarning, match="keeps the event loop busy") as warned:
        assert await one == 1
        assert await one == 1
    assert len([each for each in warned if "keeps the event loop busy" in str(each.message)]) == 1


# From a script -----------------------------------------------------------------------------------------------------


class ClientSession:
    """Like aiohttp's: bound to the loop that it is first used on."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def get(self) -> int:
        self._loop = self._loop or asyncio.get_running_loop()
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError("attached to a different loop")
        await asyncio.sleep(0)
        return 200


class Fetch:
    """A V1 class of a pack, with what packs keep on their class."""

    limit = asyncio.Semaphore(1)
    session = ClientSession()
    RETURN_TYPES = ("INT",)
    FUNCTION = "fetch"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"number": ("INT", {"default": 0})}}

    async def fetch(self, number: int) -> tuple[int]:
        async with self.limit:
            return (await self.session.get() + number,)


def test_several_calls_of_run_sync_share_what_packs_keep_on_a_loop():
    nb.register(Fetch)
    for start in range(0, 9, 3):
        handles = [nb.nodes.Fetch(number=start + each) for each in range(3)]
        run = nb.Graph(*handles).run_sync()
        assert [run[node_id] for node_id in run.wanted] == [200 + start, 201 + start, 202 + start]


def test_run_sync_raises_what_a_node_raised_and_works_again():
    @nb.node
    async def breaks() -> int:
        raise ValueError("no")

    @nb.node
    async def works() -> int:
        return 1

    with pytest.raises(nb.NodeError, match="ValueError: no"):
        breaks().run_sync()
    assert works().run_sync() == 1


async def test_a_fault_of_the_engine_itself_ends_the_run_instead_of_hanging_it(monkeypatch: pytest.MonkeyPatch):
    @nb.node
    async def fine() -> int:
        return 1

    def broken(self: Scheduler) -> list[NodeRun]:
        raise LookupError("a fault in the scheduler")

    monkeypatch.setattr(Scheduler, "take_off_lane", broken)
    with pytest.raises(LookupError, match="a fault in the scheduler"):
        await asyncio.wait_for(fine().run(), PATIENCE_S)
