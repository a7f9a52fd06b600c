"""Nodes that return, raise or start what they should not: the error says what was wrong, and the next run works."""

from __future__ import annotations

import asyncio
import linecache
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Never

import pytest
import torch

import comfy_nb as nb
from comfy_nb.engine import events
from tests.engine import failing
from tests.engine.failing import Unspeakable, failure, returns
from tests.engine.signs import PATIENCE_S, Sign
from tests.engine.support import Calls, reported

# What nodes return -------------------------------------------------------------------------------------------------


def numbers() -> Any:
    yield 1


async def number() -> int:
    return 1


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (lambda: (1,), tuple[int, int], "it must return 2 values (INT_1, INT_2), but returned 1."),
        (lambda: (1, 2, 3), tuple[int, int], "it must return 2 values (INT_1, INT_2), but returned 3."),
        (lambda: 1, tuple[int, int], "it must return 2 values (INT_1, INT_2), but returned a value of type int."),
        (
            lambda: None,
            tuple[int, int],
            "it must return 2 values (INT_1, INT_2), but returned a value of type NoneType.",
        ),
        (lambda: None, int, "it is declared to return 'INT', but returned None. Is a `return` missing?"),
        (lambda: 1, None, "it is declared to return nothing, but returned a value of type int."),
        (numbers, int, "it returned a generator, not a value; collect or await it before returning."),
    ],
)
async def test_a_wrong_return_value_is_reported(value: Callable[[], Any], kind: Any, message: str, is_async: bool):
    error = await failure(returns(value, kind, is_async))
    assert str(error) == f"odd (node 1): TypeError: {message}"


class Answering(type):
    def __getattr__(cls, name: str) -> Callable[..., str]:
        return lambda *_: name


class Refusing(type):
    known: ClassVar[dict[str, int]] = {}

    def __getattr__(cls, name: str) -> int:
        return cls.known[name]


@pytest.mark.parametrize("metaclass", [Answering, Refusing])
async def test_an_object_may_have_a_metaclass_that_answers_to_any_name_or_fails(metaclass: type):
    kind: Any = metaclass("Item", (), {"number": 3})

    @nb.node
    def makes() -> Any:
        return kind()

    @nb.node
    def reads(item: Any) -> int:
        return item.number  # type: ignore[no-any-return]

    assert await reads(makes()) == await reads(kind()) == 3


async def test_a_coroutine_returned_by_mistake_is_reported(recwarn: pytest.WarningsRecorder):
    made: list[Any] = []

    def forgotten() -> Any:
        made.append(number())
        return made[-1]

    error = await failure(returns(forgotten, int, False))
    made[0].close()
    assert "it returned a coroutine, not a value; collect or await it" in str(error)


# What nodes raise --------------------------------------------------------------------------------------------------


class Interrupting(Exception):
    """An exception that looks like Ctrl-C when it is shown."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class Abyss(BaseException):
    """An exception that `except Exception` does not see."""


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
        (throw(GeneratorExit), "GeneratorExit: so it is"),
        (throw(MemoryError), "MemoryError: so it is"),
        (throw(StopIteration), "StopIteration"),
        (throw(StopAsyncIteration), "so it is"),
        (throw(Unspeakable), "Unspeakable: (it cannot be shown: ValueError)"),
        (throw(Interrupting), "Interrupting: (it cannot be shown: KeyboardInterrupt)"),
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


@pytest.mark.parametrize("is_async", [False, True])
async def test_one_of_several_calls_that_raises_stop_iteration_fails(is_async: bool):
    @nb.node(list_output=True)
    def several() -> int:
        return [1, 2]

    @nb.node
    def each(number: int) -> int:
        return next(iter(()))

    @nb.node
    async def each_too(number: int) -> int:
        return next(iter(()))

    assert "StopIteration" in str(await failure((each_too if is_async else each)(several())))


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

    @nb.node
    def breaks(value: int, names: str = "x") -> int:
        raise KeyError("missing")

    graph = breaks(first(), names="y").graph
    graph["2"].title = "Break it"
    error = await failure(graph.run())
    assert str(error) == "\"Break it\" (node 2, breaks): KeyError: 'missing'"
    assert (error.node_id, error.class_type, error.title) == ("2", "breaks", "Break it")
    assert error.inputs == {"value": 5, "names": "y"}
    assert isinstance(error.__cause__, KeyError)
    assert error.run["1"] == 5
    with pytest.raises(nb.NotKept, match='"Break it" .* failed: KeyError') as caught:
        error.run["2"]
    assert caught.value.__cause__ is error
    assert await first() == 5 and calls["first"] == 1


async def test_an_error_that_is_not_of_the_nodes_code_is_one_line():
    error = await failure(returns(lambda: None, int, False))
    assert error._render_traceback_() == [f"NodeError: {error}"]

    @nb.node(timeout=0.01)
    async def slow() -> int:
        await asyncio.sleep(60)
        return 1

    error = await failure(slow())
    assert error._render_traceback_() == [f"NodeTimeout: {error}"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_rendered_traceback_holds_the_nodes_code_only(is_async: bool):
    def deeper() -> int:
        return 1 // 0

    error = await failure(returns(deeper, int, is_async))
    shown = error._render_traceback_()
    files = {line.split('"')[1] for line in shown if line.strip().startswith("File ")}
    assert files == {__file__, failing.__file__}
    assert "    return 1 // 0" in shown
    assert shown[-1] == "NodeError: odd (node 1): ZeroDivisionError: integer division or modulo by zero"


# What nodes start --------------------------------------------------------------------------------------------------


async def test_a_thread_that_outlives_its_node_does_no_harm():
    release, printed = Sign(), Sign()
    threads: list[threading.Thread] = []

    @nb.node(cache="off")
    def spawns(*, progress: nb.Progress) -> int:
        def late() -> None:
            release.wait(PATIENCE_S)
            progress(1, 2, text="late")
            printed.set()

        threads.append(threading.Thread(target=late))
        threads[-1].start()
        return 1

    assert await spawns() == 1
    release.set()
    await printed.seen()
    threads[0].join()


async def test_a_sync_node_may_have_an_event_loop_of_its_own():
    @nb.node
    def own_loop() -> int:
        async def later() -> int:
            await asyncio.sleep(0)
            return 7

        return asyncio.run(later())

    assert await own_loop() == 7


async def test_an_async_node_that_starts_a_loop_is_advised_to_await():
    @nb.node
    async def nests() -> int:
        coroutine = number()
        try:
            return asyncio.run(coroutine)
        finally:
            coroutine.close()

    error = await failure(nests())
    assert "asyncio.run() cannot be called from a running event loop" in str(error)
    assert "The node is async and runs on that loop: `await` the coroutine there." in str(error)


async def test_an_async_node_that_keeps_the_loop_is_named():
    @nb.node
    async def hogs() -> int:
        time.sleep(0.15)
        return 1

    with pytest.warns(
        nb.ComfyNBWarning, match=r"hogs \(node 1\) kept the event loop busy for [\d.]+ s without an await"
    ) as warned:
        run = await hogs().graph.run()
    (stall,) = reported(run, events.LoopHeld)
    assert stall.node_id == "1" and stall.seconds >= 0.15
    assert linecache.getline(warned[0].filename, warned[0].lineno).strip() == "async def hogs() -> int:"


async def test_an_async_node_is_not_blamed_for_what_it_takes_to_begin_a_run_that_it_awaits(
    recwarn: pytest.WarningsRecorder,
):
    class SlowToRead:
        def __comfy_nb_key__(self) -> int:
            time.sleep(0.15)
            return 1

    @nb.node
    def takes(it: SlowToRead) -> int:
        return 1

    @nb.node(cache="off")
    async def waits() -> int:
        return await takes(SlowToRead())

    run = await waits().graph.run()
    assert run.state == "done" and not [each for each in recwarn if "event loop" in str(each.message)]


async def test_what_an_async_node_gave_and_another_wrote_to_is_computed_again_for_the_rest():
    @nb.node
    async def gives() -> nb.Image:
        return torch.ones(1, 1, 2, 1)

    @nb.node
    def writes(x: nb.Image) -> float:
        return x.mul_(5).sum().item()

    @nb.node
    def reads(x: nb.Image) -> float:
        return x.sum().item()

    given = gives()
    with pytest.warns(nb.ComfyNBWarning, match="in place"):
        async with asyncio.timeout(10):
            run = await nb.Graph(writes(given), reads(given)).run()
    assert run[run.graph.id_of(reads(given))] == 2.0
