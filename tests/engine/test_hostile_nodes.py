"""Nodes, constants and subscribers that misbehave: a person reads what was wrong, and the next run works."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Never

import pytest

import comfy_nb as nb
from comfy_nb.engine import events
from tests.engine.support import Calls, reported
from tests.engine.test_stopping import PATIENCE_S, Sign, others


async def failure(handle: nb.Handle) -> nb.NodeError:
    """The error of a run; the session, its lane and its loop must work after it."""

    @nb.node(cache="off")
    def works() -> int:
        return 1

    @nb.node(cache="off")
    async def works_too() -> int:
        return 2

    with pytest.raises(nb.NodeError) as caught:
        await handle
    assert caught.value.run.state == "failed"
    assert (await works(), await works_too()) == (1, 2)
    assert not others()
    return caught.value


# What nodes return -------------------------------------------------------------------------------------------------


def returns(value: Callable[[], Any], kind: Any, is_async: bool) -> nb.Handle:
    """A node declared to return `kind` that returns something."""
    if is_async:

        async def odd() -> Any:
            return value()
    else:

        def odd() -> Any:
            return value()

    odd.__annotations__["return"] = kind
    return nb.node(odd)()


def numbers() -> Any:
    yield 1


async def number() -> int:
    return 1


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (lambda: (1,), tuple[int, int], "it must return 2 values (INT_1, INT_2), but 1 came."),
        (lambda: (1, 2, 3), tuple[int, int], "it must return 2 values (INT_1, INT_2), but 3 came."),
        (lambda: 1, tuple[int, int], "it must return 2 values (INT_1, INT_2), but a int came."),
        (lambda: None, tuple[int, int], "it must return 2 values (INT_1, INT_2), but a NoneType came."),
        (lambda: None, int, "it returned None where 'INT' is declared. Is a `return` missing?"),
        (lambda: 1, None, "it is declared to return nothing, but a int came."),
        (numbers, int, "it returned a generator, not a value; collect or await it before returning."),
    ],
)
async def test_what_a_node_returns_wrongly_is_said(value: Callable[[], Any], kind: Any, message: str, is_async: bool):
    error = await failure(returns(value, kind, is_async))
    assert str(error) == f"odd (node 1): TypeError: {message}"


async def test_a_coroutine_returned_by_mistake_is_said(recwarn: pytest.WarningsRecorder):
    made: list[Any] = []

    def forgotten() -> Any:
        made.append(number())
        return made[-1]

    error = await failure(returns(forgotten, int, False))
    made[0].close()
    assert "it returned a coroutine, not a value; collect or await it" in str(error)


# What nodes raise --------------------------------------------------------------------------------------------------


class Abyss(BaseException):
    """An exception that `except Exception` does not see."""


class Unspeakable(Exception):
    """An exception that cannot be told."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


def leave() -> None:
    sys.exit(3)


def throw(error: type[BaseException]) -> Callable[[], Never]:
    def thrown() -> Never:
        raise error("so it is")

    return thrown


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("act", "message"),
    [
        (throw(Abyss), "Abyss: so it is"),
        (throw(KeyboardInterrupt), "KeyboardInterrupt: so it is"),
        (throw(GeneratorExit), "GeneratorExit: so it is"),
        (throw(MemoryError), "MemoryError: so it is"),
        (throw(StopIteration), "so it is"),
        (throw(StopAsyncIteration), "so it is"),
        (throw(Unspeakable), "Unspeakable: (it cannot be shown: ValueError)"),
        (leave, "SystemExit: 3"),
    ],
)
async def test_whatever_a_node_raises_is_its_failure(act: Callable[[], None], message: str, is_async: bool):
    def acts() -> int:
        act()
        return 1

    error = await failure(returns(acts, int, is_async))
    assert message in str(error) and str(error).startswith("odd (node 1): ")
    assert error.__cause__ is not None
    assert "acts()" in "".join(error.node_traceback) or "acts\n" in "".join(error.node_traceback)


async def test_a_sync_node_that_raises_cancelled_error_fails():
    def acts() -> int:
        raise asyncio.CancelledError

    assert "CancelledError: (no message)" in str(await failure(returns(acts, int, False)))


async def test_an_async_node_that_raises_cancelled_error_fails_though_nobody_cancelled_it():
    def acts() -> int:
        raise asyncio.CancelledError

    error = await failure(returns(acts, int, True))
    assert "the node raised CancelledError though nobody cancelled it." in str(error)


async def test_an_async_node_that_cancels_its_own_task_fails():
    @nb.node
    async def cancels() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)
        return 1

    assert "though nobody cancelled it" in str(await failure(cancels()))


async def test_an_error_says_which_node_with_which_inputs_and_holds_the_run():
    calls = Calls()

    @nb.node
    def first() -> int:
        calls["first"] += 1
        return 5

    @nb.node(title="Break it")
    def breaks(value: int, names: str = "x") -> int:
        raise KeyError("missing")

    error = await failure(breaks(first(), names="y"))
    assert str(error) == "\"Break it\" (node 2, breaks): KeyError: 'missing'"
    assert (error.node_id, error.class_type, error.title) == ("2", "breaks", "Break it")
    assert error.inputs == {"value": 5, "names": "y"}
    assert isinstance(error.__cause__, KeyError)
    assert error.run["1"] == 5
    with pytest.raises(nb.NotKept, match='"Break it" .* did not finish in this run') as caught:
        error.run["2"]
    assert caught.value.__cause__ is error
    assert await first() == 5 and calls["first"] == 1


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_rendered_traceback_holds_the_nodes_code_only(is_async: bool):
    def deeper() -> int:
        return 1 // 0

    error = await failure(returns(deeper, int, is_async))
    shown = error._render_traceback_()
    files = {line.split('"')[1] for line in shown if line.strip().startswith("File ")}
    assert files == {__file__}
    assert "    return 1 // 0" in shown
    assert shown[-1] == "NodeError: odd (node 1): ZeroDivisionError: integer division or modulo by zero"


# What nodes start --------------------------------------------------------------------------------------------------


async def test_a_thread_that_outlives_its_node_does_no_harm():
    release, said = Sign(), Sign()
    threads: list[threading.Thread] = []

    @nb.node(cache="off")
    def spawns(*, progress: nb.Progress) -> int:
        def late() -> None:
            release.wait(PATIENCE_S)
            progress(1, 2, text="late")
            said.set()

        threads.append(threading.Thread(target=late))
        threads[-1].start()
        return 1

    assert await spawns() == 1
    release.set()
    await said.seen()
    threads[0].join()


async def test_a_sync_node_may_have_an_event_loop_of_its_own():
    @nb.node
    def own_loop() -> int:
        async def later() -> int:
            await asyncio.sleep(0)
            return 7

        return asyncio.run(later())

    assert await own_loop() == 7


async def test_an_async_node_that_starts_a_loop_is_told_to_await():
    @nb.node
    async def nests() -> int:
        coroutine = number()
        try:
            return asyncio.run(coroutine)
        finally:
            coroutine.close()

    error = await failure(nests())
    assert "asyncio.run() cannot be called from a running event loop" in str(error)
    assert "await" in str(error)


async def test_an_async_node_that_keeps_the_loop_is_named():
    @nb.node
    async def hogs() -> int:
        time.sleep(0.15)
        return 1

    with pytest.warns(
        nb.ComfyNBWarning, match=r"hogs \(node 1\) kept the event loop busy for 0\.[12] s without an await"
    ):
        run = await hogs().graph.run()
    (stall,) = reported(run, events.LoopStalled)
    assert stall.node_id == "1" and stall.seconds >= 0.15


# Time-outs and retries ---------------------------------------------------------------------------------------------


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


async def test_a_timeout_of_the_nodes_own_is_no_timeout_of_ours():
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
    assert [event.why for event in reported(run, events.NodeWaiting)] == [
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


# Constants ---------------------------------------------------------------------------------------------------------


class Hostile:
    """An object that can be neither hashed, compared, copied, measured nor shown."""

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
        return value is hostile and other is hostile

    handle = takes(gives(hostile), hostile)
    assert await handle is True
    assert "takes" in repr(handle)
    assert "Hostile" in str(nb.Graph(handle).to_prompt()) or True


async def test_an_object_that_cannot_be_shown_does_not_hide_the_error():
    @nb.node
    def breaks(value: Any, many: Any) -> int:
        raise ValueError("no")

    error = await failure(breaks(Hostile(), many={1: Hostile(), "deep": nested(2_000)}))
    assert str(error) == "breaks (node 1): ValueError: no"
    assert error.inputs["value"] == "<Hostile whose repr raised RuntimeError>"


async def test_deeply_nested_constants_are_no_trouble():
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
async def test_a_subscriber_that_raises_is_told_of_and_left_out(one: nb.Handle, error: type[BaseException]):
    calls = Calls()

    def breaks(batch: Any) -> None:
        calls["breaks"] += 1
        raise error("no")

    seen: list[Any] = []

    def listen(run: nb.Run) -> None:
        run.subscribe(breaks)
        run.subscribe(seen.extend)

    stop = nb.default_session().on_run(listen)
    with pytest.warns(nb.ComfyNBWarning, match="A subscriber of the run failed and was removed"):
        assert await one == 1
    stop()
    assert calls["breaks"] == 1
    assert isinstance(seen[-1], events.RunFinished)


async def test_a_listener_that_raises_is_told_of(one: nb.Handle):
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
