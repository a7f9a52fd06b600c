"""Resources: opened at first use, shared by the nodes that ask for them, closed when nobody uses them any more."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Annotated, Any

import pytest

import comfy_nb as nb

salts = itertools.count()
PATIENCE_S = 10.0


class Log:
    """What was opened and closed. A node whose code uses it does not count as changed when it is."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.threads: list[str] = []

    def __comfy_nb_key__(self) -> bytes:
        return b"log"

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.threads.append(threading.current_thread().name)


log = nb.constant(Log())


@pytest.fixture(autouse=True)
def empty_log():
    log.lines, log.threads = [], []


async def until(condition: Any) -> None:
    """Wait for what happens on another thread or task."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def make_http(idle: float | None = None) -> Any:
    @nb.resource(idle=idle)
    async def http():
        log.add("open http")
        yield f"session {log.lines.count('open http')}"
        log.add("close http")

    return http


def make_model(idle: float | None = None) -> Any:
    @nb.resource(idle=idle)
    def model():
        log.add("open model")
        yield f"model {log.lines.count('open model')}"
        log.add("close model")

    return model


# Asking for them ------------------------------------------------------------------------------------------------------


async def test_a_node_that_asks_for_a_resource_gets_it_and_a_second_one_gets_the_same():
    http = make_http()

    @nb.node
    async def fetch(url: str, *, session: http) -> str:
        return f"{url} by {session}"

    assert log.lines == []
    assert await fetch("a") == "a by session 1"
    assert await fetch("b") == "b by session 1"
    assert log.lines == ["open http"]
    await http.close()


async def test_annotated_asks_for_it_too_which_type_checkers_understand():
    http = make_http()

    @nb.node
    async def fetch(url: str, session: Annotated[str, http]) -> str:
        return session

    assert await fetch("a") == "session 1"
    assert list(fetch.spec.interface().declared) == ["url"]
    await http.close()


async def test_a_sync_node_gets_a_sync_resource_opened_on_its_lane_and_an_async_node_the_same_one():
    model = make_model()

    @nb.node
    def classify(x: int, model: model) -> str:
        return model

    @nb.node
    async def ask(x: int, model: model) -> str:
        return model

    assert await classify(next(salts)) == "model 1"
    assert await ask(next(salts)) == "model 1"
    assert log.threads[0].startswith("comfy-nb-lane")
    await model.close()
    assert log.lines == ["open model", "close model"]


async def test_an_async_node_does_not_hold_the_loop_while_a_sync_resource_opens():
    may_open = threading.Event()

    @nb.resource
    def slow():
        assert may_open.wait(PATIENCE_S)
        yield "slow"

    @nb.node
    async def ask(x: int, slow: slow) -> str:
        return slow

    job = asyncio.ensure_future(ask(next(salts)).run())
    await until(lambda: "opening" in repr(slow))
    may_open.set()
    await job
    await slow.close()


async def test_a_node_that_takes_lists_gets_the_resource_itself():
    http, model = make_http(), make_model()

    @nb.node
    async def longest(texts: list[str], session: http, model: model) -> str:
        return f"{session}, {model}"

    @nb.node
    def shortest(texts: list[str], model: model) -> str:
        return model

    assert await longest(["a", "b"]) == "session 1, model 1"
    assert await shortest(["a", "b"]) == "model 1"
    await http.close()
    await model.close()


async def test_a_resource_may_ask_for_another_which_is_open_for_as_long():
    http = make_http()

    @nb.resource(idle=None)
    async def api(session: http):
        log.add("open api")
        yield f"api by {session}"
        log.add("close api")

    async with api as opened:
        assert opened == "api by session 1"
        http.close()
    await api.close()
    assert log.lines == ["open http", "open api", "close api", "close http"]


async def test_a_resource_is_no_part_of_a_key():
    def made(opens: str) -> tuple[Any, Any]:
        @nb.resource(idle=None)
        async def http():
            yield opens

        @nb.node(class_type="asks_for_it")
        async def fetch(url: str, session: http) -> str:
            async with http as again:
                return session + again

        return http, fetch

    url = f"{next(salts)}"
    for opens in ("one", "other"):
        http, fetch = made(opens)
        assert await fetch(url) == "oneone"
        await http.close()


# What is refused ------------------------------------------------------------------------------------------------------


def test_a_sync_node_cannot_ask_for_an_async_resource():
    http = make_http()
    with pytest.raises(nb.SpecError, match=r"fetch\(session\) asks for http, which is async.*async def fetch"):

        @nb.node
        def fetch(url: str, session: http) -> str:
            return url

    with pytest.raises(nb.SpecError, match=r"client\(session\) asks for http, which is async"):

        @nb.resource
        def client(session: http):
            yield session


def test_a_resource_has_no_default():
    http = make_http()
    with pytest.raises(nb.SpecError, match=r"fetch\(session\) has a default"):

        @nb.node
        async def fetch(url: str, session: http = None) -> str:
            return url


def test_a_function_that_does_not_yield_opens_nothing():
    with pytest.raises(nb.SpecError, match="http does not yield"):

        @nb.resource
        async def http():
            return 1


@pytest.mark.parametrize("idle", [-1, "60", float("nan"), True])
def test_idle_is_seconds(idle):
    with pytest.raises(nb.SpecError, match="idle must be seconds"):
        make_http(idle)


def test_a_parameter_of_a_resource_that_nothing_fills_is_refused():
    with pytest.raises(nb.SpecError, match=r"http\(url\): a resource is opened without arguments"):

        @nb.resource
        async def http(url: str):
            yield url


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_function_that_ends_before_its_yield_fails_the_node(is_async):
    async def ends():
        if log.lines:
            yield 1

    def ends_too():
        if log.lines:
            yield 1

    missing = nb.resource(ends if is_async else ends_too)

    @nb.node
    async def ask(x: int, value: missing) -> int:
        return value

    with pytest.raises(nb.NodeError, match="did not yield"):
        await ask(1)


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_second_yield_is_said_when_it_closes(is_async):
    async def twice():
        yield 1
        yield 2

    def twice_too():
        yield 1
        yield 2

    opened = nb.resource(twice if is_async else twice_too)
    async with opened:
        pass
    with pytest.warns(nb.ComfyNBWarning, match="yielded twice"):
        await opened.close()
    assert repr(opened).endswith(": closed")


# Opening --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [True, False])
async def test_an_error_names_the_resource_and_the_node_and_the_next_use_opens_it_anew(is_async):
    def fails_at_first() -> None:
        log.add("open")
        if len(log.lines) == 1:
            raise ConnectionError("no network")

    async def http():
        fails_at_first()
        yield "open"

    def disk():
        fails_at_first()
        yield "open"

    opened = nb.resource(http if is_async else disk)

    @nb.node
    async def fetch(url: str, it: opened) -> str:
        return it

    with pytest.raises(nb.NodeError, match=rf"fetch.*the resource {opened.name} could not.*no network") as caught:
        await fetch("a")
    assert isinstance(caught.value.__cause__, nb.ResourceError)
    assert isinstance(caught.value.__cause__.__cause__, ConnectionError)
    assert await fetch("a") == "open"
    await opened.close()


class Gate:
    """Lets an opening go on when the test says so."""

    def __init__(self) -> None:
        self.reached, self.opens = asyncio.Event(), asyncio.Event()


def gated(gate: Gate) -> Any:
    @nb.resource(idle=None)
    async def http():
        log.add("begin")
        gate.reached.set()
        await gate.opens.wait()
        log.add("open")
        yield "session"
        log.add("close")

    return http


async def use(http: Any) -> str:
    async with http as session:
        return session


async def test_two_that_ask_at_once_get_one_opening_and_the_second_keeps_it_if_the_first_is_cancelled():
    gate = Gate()
    http = gated(gate)
    first, second = asyncio.create_task(use(http)), asyncio.create_task(use(http))
    await gate.reached.wait()
    first.cancel()
    await asyncio.wait([first])
    gate.opens.set()
    assert first.cancelled() and await second == "session"
    assert log.lines == ["begin", "open"]
    await http.close()


async def test_an_opening_that_nobody_waits_for_any_more_is_cancelled_and_the_next_use_opens_it_anew():
    gate = Gate()
    http = gated(gate)
    first = asyncio.create_task(use(http))
    await gate.reached.wait()
    first.cancel()
    await asyncio.wait([first])
    gate.opens.set()
    assert await use(http) == "session"
    assert log.lines == ["begin", "begin", "open"]
    await http.close()


async def test_threads_share_one_opening_of_a_sync_resource():
    model = make_model()
    values = []

    def use() -> None:
        with model as value:
            values.append(value)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        await asyncio.to_thread(each.join)
    assert values == ["model 1"] * 8
    await model.close()


# Giving it back and closing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_http, make_model])
async def test_an_idle_one_is_closed_and_the_next_use_opens_it_anew(make):
    made = make(0.01)
    async with made as value:
        assert value.endswith("1")
    await until(lambda: repr(made).endswith(": closed"))
    async with made as value:
        assert value.endswith("2")
    await made.close()


@pytest.mark.parametrize("make", [make_http, make_model])
async def test_one_in_use_is_not_closed_by_the_timer_and_says_who_has_it(make):
    made = make(0)
    async with made:
        async with made:
            assert repr(made) == f"{made.name}: open, used by 2"
        assert len(log.lines) == 1
        assert repr(made) == f"{made.name}: open, used by 1"
    await until(lambda: repr(made) == f"{made.name}: closed")
    assert len(log.lines) == 2


@pytest.mark.parametrize("make", [make_http, make_model])
async def test_closing_waits_for_its_users(make):
    made = make()
    leave = asyncio.Event()

    async def use() -> None:
        async with made:
            await leave.wait()

    user = asyncio.create_task(use())
    await until(lambda: "used by 1" in repr(made))
    closing = asyncio.ensure_future(made.close())
    await asyncio.sleep(0)
    assert not closing.done() and len(log.lines) == 1
    leave.set()
    await closing
    assert len(log.lines) == 2
    await user


@pytest.mark.parametrize("make", [make_http, make_model])
async def test_code_that_waits_for_the_end_of_what_it_has_itself_is_told_so(make):
    made = make()
    with pytest.raises(nb.GraphError, match="has it itself"):
        async with made:
            await made.close()
    await until(lambda: repr(made).endswith("closed"))


async def test_a_node_that_is_stopped_gives_it_back():
    http = make_http()
    begun = asyncio.Event()

    @nb.node
    async def fetch(x: int, session: http) -> int:
        begun.set()
        await asyncio.Event().wait()
        return x

    run = asyncio.ensure_future(fetch(next(salts)).run())
    await begun.wait()
    assert "used by 1" in repr(http)
    nb.default_session().stop_all()
    with pytest.raises(nb.Stopped):
        await run
    assert "open, idle" in repr(http)
    await http.close()


async def test_a_node_that_takes_too_long_gives_it_back():
    http = make_http()

    @nb.node(timeout=0.02)
    async def fetch(x: int, session: http) -> int:
        await asyncio.Event().wait()
        return x

    with pytest.raises(nb.NodeTimeout):
        await fetch(1)
    assert "open, idle" in repr(http)
    await http.close()


async def test_a_sync_node_that_is_stopped_while_it_opens_leaves_it_closed():
    is_opening = threading.Event()

    @nb.resource
    def slow():
        is_opening.set()
        while True:
            pass
        yield

    @nb.node
    def ask(x: int, slow: slow) -> int:
        return x

    run = asyncio.ensure_future(ask(next(salts)).run())
    await until(is_opening.is_set)
    nb.default_session().stop_all()
    with pytest.raises(nb.Stopped):
        await run
    await until(lambda: repr(slow) == "slow: closed")


async def test_stop_all_closes_what_is_not_in_use_and_the_rest_when_it_is_given_back():
    http, model = make_http(), make_model()
    async with http:
        with model:
            pass
        nb.stop_all()
        assert log.lines == ["open http", "open model", "close model"]
    await until(lambda: log.lines[-1] == "close http")


async def test_a_definition_of_the_same_name_closes_the_old_one_when_it_is_idle():
    scope: dict[str, Any] = {"nb": nb, "__name__": "cells", "log": log}
    cell = "@nb.resource(idle=None)\nasync def http():\n    yield 1\n    log.add('close')\n"
    exec(cell, scope)
    old = scope["http"]
    async with old:
        exec(cell, scope)
        assert log.lines == []
    await until(lambda: log.lines == ["close"])
    async with scope["http"]:
        pass
    assert "open" in repr(scope["http"])
    await scope["http"].close()


async def test_an_error_while_it_closes_is_a_warning():
    @nb.resource
    async def http():
        yield 1
        raise OSError("broken pipe")

    async with http:
        pass
    with pytest.warns(nb.ComfyNBWarning, match="http failed while it was closed: OSError: broken pipe"):
        await http.close()


def test_the_end_of_a_loop_closes_what_is_open_on_it():
    http = make_http()

    async def main() -> str:
        async with http as session:
            return session

    assert asyncio.run(main()) == "session 1"
    assert asyncio.run(main()) == "session 2"
    assert log.lines == ["open http", "close http"] * 2
    assert repr(http) == "http: closed"


def test_a_script_shares_one_opening_on_the_loop_of_the_process():
    http = make_http()

    @nb.node
    async def fetch(x: int, session: http) -> str:
        return session

    assert [fetch(next(salts)).run_sync() for _ in range(2)] == ["session 1"] * 2
    nb.stop_all()
