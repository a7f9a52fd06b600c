"""What nodes print while their run is shown."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import sys
import threading
from types import SimpleNamespace

import pytest
import tqdm
import tqdm.auto
import tqdm.notebook

import comfy_nb as nb
from comfy_nb.engine.events import NodeFailed, NodeFinished, NodeLog, NodeText
from comfy_nb.ui.jupyter.capture import Capture, capture
from comfy_nb.ui.run.monitor import RunMonitor
from tests.ui.jupyter.captured import logged, progress_of, shown
from tests.ui.scripted import ScriptedRun, finished


async def test_what_a_sync_node_prints_becomes_its_log_and_shows_nowhere_else(console):
    @nb.node
    def talks(x: int) -> int:
        print("so far", x)
        return x

    events = await shown(talks(3))
    assert logged(events) == "so far 3\n"
    assert console.getvalue() == ""


async def test_so_is_what_an_async_node_prints_after_an_await_and_on_a_thread_it_awaits(console):
    @nb.node
    async def talks() -> int:
        await asyncio.sleep(0)
        print("on the loop")
        await asyncio.to_thread(print, "on a thread")
        return 1

    assert logged(await shown(talks())) == "on the loop\non a thread\n"
    assert console.getvalue() == ""


async def test_logging_through_a_handler_that_was_there_before_is_captured_too(console):
    handler = logging.StreamHandler(sys.stdout)
    logger = logging.getLogger("comfy_nb_test_pack")
    logger.addHandler(handler)

    @nb.node
    def warns() -> int:
        logger.warning("no model")
        return 1

    events = await shown(warns())
    logger.removeHandler(handler)
    assert logged(events) == "no model\n"
    assert console.getvalue() == ""


async def test_what_is_printed_outside_of_nodes_is_left_alone(console):
    @nb.node
    async def waits() -> int:
        await asyncio.sleep(0.01)
        return 1

    async def cell() -> None:
        print("from the cell")

    events, _ = await asyncio.gather(shown(waits()), cell())
    assert logged(events) == ""
    assert console.getvalue() == "from the cell\n"


async def test_the_nodes_of_two_runs_print_to_their_own(console):
    @nb.node
    async def talks(name: str) -> str:
        for _ in range(3):
            print(name)
            await asyncio.sleep(0)
        return name

    first, second = await asyncio.gather(shown(talks("one")), shown(talks("two")))
    assert (logged(first), logged(second)) == ("one\n" * 3, "two\n" * 3)


async def test_a_run_that_is_not_shown_prints_as_usual(console):
    @nb.node
    def talks(name: str) -> str:
        print(name)
        return name

    async def unseen() -> None:
        await talks("unseen")

    await asyncio.gather(shown(talks("seen")), unseen())
    assert console.getvalue() == "unseen\n"


async def test_the_log_comes_before_the_end_of_its_node(console):
    @nb.node
    def talks(x: int) -> int:
        print("last words", end="")
        if x:
            raise ValueError("no")
        return x

    for x, end in ((0, NodeFinished), (1, NodeFailed)):
        kinds = [type(event) for event in await shown(talks(x)) if isinstance(event, NodeLog | end)]
        assert kinds == [NodeLog, end]


async def test_a_flood_is_cut_to_its_end(console):
    @nb.node
    def floods() -> int:
        for number in range(20_000):
            print(number)
        return 1

    events = await shown(floods())
    assert logged(events).endswith("19998\n19999\n")
    assert max(len(event.text) for event in events if isinstance(event, NodeLog)) <= 4_000


async def test_of_a_flood_the_log_counts_what_is_left_out(console):
    @nb.node
    async def floods() -> int:
        for number in range(20_000):
            print(number)
        return 1

    head, *kept = logged(await shown(floods())).splitlines()
    left_out = int(head.split()[1].replace(",", ""))
    assert left_out + len(kept) == 20_000
    assert kept[-1] == "19999"


async def test_a_node_that_redirects_its_output_gets_it(console):
    @nb.node
    def reads() -> str:
        with contextlib.redirect_stdout(io.StringIO()) as mine:
            print("mine")
        return mine.getvalue()

    handle = reads()
    assert logged(await shown(handle)) == ""
    assert await handle == "mine\n"


def test_streams_are_put_back_when_the_last_run_has_ended(capsys):
    switch, runs = Capture(), [SimpleNamespace(id="1"), SimpleNamespace(id="2")]
    before = dict(vars(sys.stdout))
    for run in runs:
        switch.start(run)
    switch.stop(runs[0])
    assert "write" in vars(sys.stdout)
    switch.stop(runs[1])
    assert vars(sys.stdout) == before


def test_what_somebody_else_put_on_the_stream_stays(capsys):
    switch, run = Capture(), SimpleNamespace(id="3")
    theirs = sys.stdout.write
    sys.stdout.write = theirs
    switch.start(run)
    switch.stop(run)
    assert vars(sys.stdout)["write"] is theirs
    switch.start(run)
    sys.stdout.write = later = lambda text: theirs(f"[{text}]")
    switch.stop(run)
    assert vars(sys.stdout)["write"] is later


def test_without_a_console_the_other_stream_is_captured_and_put_back(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    switch, run = Capture(), SimpleNamespace(id="4")
    switch.start(run)
    assert sys.stdout is None and "write" in vars(sys.stderr)
    print("still written", file=sys.stderr)
    switch.stop(run)
    assert sys.stdout is None and "write" not in vars(sys.stderr)
    assert capsys.readouterr().err == "still written\n"


@pytest.mark.parametrize("kind", [tqdm.tqdm, tqdm.auto.tqdm, tqdm.notebook.tqdm])
async def test_a_tqdm_in_a_node_is_its_bar(console, kind):
    @nb.node(cache="off")
    def counts() -> int:
        return sum(kind(range(5), desc="counting", mininterval=0))

    events = await shown(counts())
    assert progress_of(events)[-1] == (5, 5)
    assert {event.text for event in events if isinstance(event, NodeText)} == {"counting"}
    assert console.getvalue() == "" and logged(events) == ""


async def test_so_is_one_in_an_async_node(console):
    @nb.node
    async def counts() -> int:
        with tqdm.tqdm(total=3, mininterval=0) as bar:
            for _ in range(3):
                await asyncio.sleep(0)
                bar.update()
        return 1

    assert progress_of(await shown(counts()))[-1] == (3, 3)


async def test_of_two_bars_the_outer_one_counts(console):
    @nb.node
    def counts() -> int:
        for _ in tqdm.trange(3, mininterval=0):
            for _ in tqdm.trange(100, mininterval=0):
                pass
        return 1

    assert {total for _, total in progress_of(await shown(counts()))} == {3}


class UpTo(tqdm.tqdm):
    """A kind of bar of somebody else, with a method and an option of its own."""

    def __init__(self, *args, **options) -> None:
        self.name = options.pop("name", "")
        super().__init__(*args, **options)

    def update_to(self, done: int) -> None:
        self.update(done - self.n)


async def test_a_kind_of_bar_of_somebody_elses_keeps_its_methods_and_options(console):
    @nb.node
    def counts() -> int:
        with UpTo(total=6, name="hub") as bar:
            bar.update_to(6)
        return 1

    assert progress_of(await shown(counts()))[-1] == (6, 6)


async def test_a_bar_that_is_written_to_a_file_of_its_own_is_left_alone(console):
    @nb.node
    def counts() -> str:
        file = io.StringIO()
        list(tqdm.tqdm(range(3), file=file))
        return file.getvalue()

    handle = counts()
    assert progress_of(await shown(handle)) == []
    assert "3/3" in await handle


def test_tqdm_is_put_back(capsys):
    switch, run = Capture(), SimpleNamespace(id="5")
    before = dict(vars(tqdm.tqdm))
    switch.start(run)
    assert dict(vars(tqdm.tqdm)) != before
    switch.stop(run)
    assert dict(vars(tqdm.tqdm)) == before


async def test_what_a_subscriber_prints_is_not_the_nodes_and_the_display_ends(console):
    @nb.node(cache="off")
    def talks() -> int:
        print("node")
        subscriber_called.wait(10)
        return 1

    subscriber_called = threading.Event()
    job = talks().start()
    events: list = []
    job.run.subscribe(events.extend)
    job.run.subscribe(lambda events: (print("subscriber"), subscriber_called.set()))
    monitor = RunMonitor(job.run)
    capture.start(job.run)
    try:
        await job
    finally:
        capture.stop(job.run)
    assert monitor.is_over
    assert logged(events) == "node\n"
    assert set(console.getvalue().split()) == {"subscriber"}


def test_a_run_ends_for_its_display_although_a_node_prints_on():
    run = ScriptedRun()
    monitor = RunMonitor(run)
    run.emit(finished("stopped"), NodeLog("run", 1.0, "1", "stdout", "still here"))
    assert monitor.is_over


async def test_a_later_run_captures_streams_that_came_since(console):
    @nb.node(cache="off")
    def talks() -> int:
        print("node")
        return 1

    first = SimpleNamespace(id="6")
    capture.start(first)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as other:
            assert logged(await shown(talks())) == "node\n"
    finally:
        capture.stop(first)
    assert other.getvalue() == ""


async def test_a_bar_outside_of_nodes_and_one_after_the_run_draw_themselves(console):
    @nb.node
    async def waits() -> int:
        await asyncio.sleep(0.05)
        return 1

    async def cell() -> None:
        for _ in tqdm.tqdm(range(2)):
            pass

    events, _ = await asyncio.gather(shown(waits()), cell())
    assert progress_of(events) == []
    assert "2/2" in console.getvalue()
    assert type(tqdm.tqdm(disable=True)) is tqdm.tqdm
