"""The async nodes: calls to a real server on this machine, progress, and the rate limit."""

from __future__ import annotations

import asyncio
import io
import itertools
import json

import pytest
import torch
from aiohttp import web
from PIL import Image

import comfy_nb as nb
from comfy_nb.engine.events import NodeProgress
from comfy_nb.engine.node_api.context import CallContext, current_call
from comfy_nb.errors import InterruptProcessingException, LayoutError
from comfy_nb.library import web as library_web
from comfy_nb.library.web import FetchImage, FetchJSON, RateLimitedCall, RateLimiter, SleepWithProgress

PATIENCE_S = 30.0


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (4, 3), (255, 0, 0, 51)).save(file, format="PNG")
    return file.getvalue()


REACHED = web.AppKey("reached", asyncio.Event)
CLOSING = web.AppKey("closing", asyncio.Event)


async def never(request: web.Request) -> web.Response:
    request.app[REACHED].set()
    await request.app[CLOSING].wait()
    return web.Response()


async def answer(request: web.Request) -> web.Response:
    bodies = {
        "/picture": png(),
        "/json": b'\xef\xbb\xbf{"a": [1, "\xc3\xbc"]}',
        "/page": b"<html>" * 99,
        "/empty": b"",
    }
    if request.path not in bodies:
        return web.Response(status=404, text="no such page " * 50)
    return web.Response(body=bodies[request.path])


@pytest.fixture
async def app():
    app = web.Application()
    app[REACHED], app[CLOSING] = asyncio.Event(), asyncio.Event()
    app.router.add_get("/never", never)
    numbers = itertools.count(1)

    async def counted(_: web.Request) -> web.Response:
        return web.json_response(next(numbers))

    app.router.add_get("/count", counted)
    app.router.add_get("/{path}", answer)
    return app


@pytest.fixture
async def server(app, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    app[CLOSING].set()
    await runner.cleanup()


async def test_a_picture_is_fetched(server):
    image, mask = await FetchImage().fetch(f"{server}/picture", PATIENCE_S)
    assert torch.equal(image, torch.tensor([1.0, 0, 0]).expand(1, 3, 4, 3))
    torch.testing.assert_close(mask, torch.full((1, 3, 4), 0.8))


async def test_an_address_is_asked_once_until_a_fresh_answer_is_wanted(app, server):
    with nb.use_session(nb.Session(budget=64 << 20)):
        fetched = nb.nodes.FetchJSON(url=f"{server}/count")
        assert [(await fetched)[0], (await fetched)[0]] == [1, 1]
        assert (await fetched.fresh())[0] == 2
        assert (await fetched)[0] == 1
        nb.cache.drop("FetchJSON")
        assert [(await fetched)[0], (await fetched)[0]] == [3, 3]


async def test_json_is_fetched_as_a_value_and_as_text(server):
    value, text = await FetchJSON().fetch(f"{server}/json", PATIENCE_S)
    assert value == {"a": [1, "ü"]} == json.loads(text)


async def test_a_page_instead_of_json_is_an_error_that_shows_it(server):
    with pytest.raises(ValueError, match=r"/page did not answer with JSON .*'<html>.*…'"):
        await FetchJSON().fetch(f"{server}/page", PATIENCE_S)


@pytest.mark.parametrize(("path", "words"), [("page", "is not an image"), ("empty", "is empty")])
async def test_a_file_that_is_not_a_picture_is_an_error_that_names_the_address(server, path, words):
    with pytest.raises(LayoutError, match=f"/{path}' {words}"):
        await FetchImage().fetch(f"{server}/{path}", PATIENCE_S)


async def test_a_refusal_is_an_error_with_its_status(server):
    with pytest.raises(ConnectionError, match=r"/gone answered 404 Not Found: 'no such page .*…'"):
        await FetchImage().fetch(f"{server}/gone", PATIENCE_S)


async def test_a_server_that_does_not_answer_is_given_up(server):
    with pytest.raises(TimeoutError, match=r"/never did not answer completely within 0\.05 s\. Raise `timeout`"):
        await FetchImage().fetch(f"{server}/never", 0.05)


async def test_nobody_there_is_an_error(server, unused_tcp_port):
    with pytest.raises(ConnectionError, match="could not be reached"):
        await FetchJSON().fetch(f"http://127.0.0.1:{unused_tcp_port}/", PATIENCE_S)


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/a", "http://"])
async def test_an_invalid_address_is_an_error(url):
    with pytest.raises(ValueError, match="Give a full http:// or https:// address"):
        await FetchJSON().fetch(url, PATIENCE_S)


async def test_an_answer_that_is_too_large_is_an_error(server, monkeypatch):
    monkeypatch.setattr(library_web, "MAX_DOWNLOAD_BYTES", 10)
    with pytest.raises(ValueError, match="more than"):
        await FetchImage().fetch(f"{server}/picture", PATIENCE_S)


async def test_a_fetch_that_is_cancelled_stops(app, server):
    task = asyncio.create_task(FetchImage().fetch(f"{server}/never", PATIENCE_S))
    await app[REACHED].wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Listener:
    """A run that keeps its events."""

    id = "run"
    stopping = False

    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


@pytest.fixture
def run():
    listener = Listener()
    token = current_call.set(CallContext(listener, "5"))
    yield listener
    current_call.reset(token)


async def test_a_sleeper_reports_each_step_and_passes_its_value_on(run):
    value = object()
    assert await asyncio.create_task(SleepWithProgress().sleep(value, 0.0, 3)) == (value,)
    steps = [(event.value, event.total) for event in run.events if isinstance(event, NodeProgress)]
    assert steps == [(1, 3), (2, 3), (3, 3)]


async def test_a_sleeper_of_a_run_that_is_to_stop_stops(run):
    run.stopping = True
    with pytest.raises(InterruptProcessingException):
        await SleepWithProgress().sleep(1, 0.0, 3)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 100.0
        self.sleepers = []

    def read(self):
        return self.now

    async def sleep(self, seconds):
        waiter = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.now + seconds, waiter))
        await waiter

    async def pass_until_all_are_done(self, tasks):
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            self.sleepers = [each for each in self.sleepers if not each[1].done()]
            if self.sleepers:
                self.now = max(self.now, min(when for when, _ in self.sleepers))
                for when, waiter in self.sleepers:
                    if when <= self.now:
                        waiter.set_result(None)


async def test_calls_are_let_through_at_the_rate_asked_for():
    clock, passed = Clock(), []
    limiter = RateLimiter(clock.read, clock.sleep)

    async def caller(number):
        await limiter.wait(4)
        passed.append((number, clock.now))

    tasks = [asyncio.create_task(caller(number)) for number in range(5)]
    await clock.pass_until_all_are_done(tasks)
    assert sorted(number for number, _ in passed) == [0, 1, 2, 3, 4]
    assert [when for _, when in passed] == [100.0, 100.25, 100.5, 100.75, 101.0]


async def test_a_cancelled_caller_takes_no_slot():
    clock = Clock()
    limiter = RateLimiter(clock.read, clock.sleep)
    await limiter.wait(1)
    gone = [asyncio.create_task(limiter.wait(1)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    last = asyncio.create_task(limiter.wait(1))
    await clock.pass_until_all_are_done([last])
    assert clock.now == 101.0


async def test_all_rate_limited_nodes_share_one_limit(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(RateLimitedCall, "LIMITER", RateLimiter(clock.read, clock.sleep))
    tasks = [asyncio.create_task(RateLimitedCall().call(value, 2.0)) for value in "ab"]
    await clock.pass_until_all_are_done(tasks)
    assert [task.result() for task in tasks] == [("a",), ("b",)]
    assert clock.now == 100.5


async def test_a_rate_of_zero_is_an_error():
    with pytest.raises(ValueError, match="above 0"):
        await RateLimitedCall().call(1, 0.0)
