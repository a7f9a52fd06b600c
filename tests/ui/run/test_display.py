"""The display of the runs of one cell: when it appears, what it draws, and what stays."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Collection
from types import SimpleNamespace

import pytest

import comfy_nb as nb
from comfy_nb.engine.estimate import Estimate
from comfy_nb.engine.run import Run
from comfy_nb.engine.session import default_session
from comfy_nb.ui.run import display as display_module
from comfy_nb.ui.run.display import Display
from comfy_nb.ui.run.monitor import BLOCKED_S, RunMonitor, monitor_of
from comfy_nb.ui.run.snapshot import RunSnapshot
from comfy_nb.ui.run_views import RunViews
from tests.ui.scripted import (
    ScriptedOutput,
    ScriptedRun,
    all_cached,
    done,
    failed,
    finished,
    jpeg,
    node,
    preview,
    started,
)

LATER = 1e12


class ScriptedTicker:
    """A ticker that ticks when the test calls `tick`."""

    def __init__(self) -> None:
        self.ticks = []

    def add(self, tick) -> None:
        self.ticks = [*(each for each in self.ticks if each != tick), tick]

    def remove(self, tick) -> None:
        self.ticks = [each for each in self.ticks if each != tick]

    def tick(self, now: float = LATER) -> None:
        for tick in list(self.ticks):
            tick(now)


class ScriptedScreen:
    """A screen that remembers what it has drawn."""

    every_s = 1.0
    unfolded: Collection[str] = ()

    def __init__(self, display: Display) -> None:
        self.press_stop = display.press_stop
        self.newest_run = display.newest_run
        self.snapshots: list[RunSnapshot] = []
        self.is_closed = False

    def open(self) -> ScriptedScreen:
        return self

    def draw(self, snapshot: RunSnapshot, now: float) -> None:
        self.snapshots.append(snapshot)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def ticker(monkeypatch) -> ScriptedTicker:
    ticker = ScriptedTicker()
    monkeypatch.setattr(display_module, "ticker", ticker)
    return ticker


@pytest.fixture
def output() -> ScriptedOutput:
    return ScriptedOutput()


class ScriptedViews:
    """Views that name the runs they were told of."""

    def __init__(self) -> None:
        self.runs: list[ScriptedRun] = []

    def add(self, run: ScriptedRun) -> None:
        self.runs.append(run)

    def html(self) -> dict[str, str]:
        return {"Runs": f"{len(self.runs)} runs"}


@pytest.fixture
def run() -> ScriptedRun:
    return ScriptedRun()


@pytest.fixture
def cell() -> SimpleNamespace:
    return SimpleNamespace(is_running=False)


@pytest.fixture
def show(ticker, output, cell):
    """Show runs; called on the loop."""

    def show(*runs: ScriptedRun) -> Display:
        display = Display(ScriptedScreen, output, ScriptedViews, show_after_s=0.15, cell_runs=lambda: cell.is_running)
        for run in runs:
            display.add(RunMonitor(run))
        return display

    return show


def in_a_box(static: dict[str, str]) -> bool:
    return "cnb-panel" in static["text/html"]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_run_that_takes_long_gets_a_screen_and_ends_as_html_in_its_place(run, show, ticker, output):
    show(run)
    run.emit(started(1), node("1", title="Soften"))
    ticker.tick()
    (screen,) = output.shown
    assert [row.title for row in screen.snapshots[0].rows] == ["Soften"]
    run.emit(preview("1", jpeg()), done("1", 0.31), finished("done", 0.4))
    await settled()
    last = output.shown[-1]
    assert "Soften" in last["text/html"] and "data:image/jpeg;base64," in last["text/html"]
    assert last["text/plain"].splitlines()[0] == "✓ done: 1 of 1 node, 0.40 s"
    assert screen.is_closed and ticker.ticks == []


async def test_a_screen_is_drawn_as_often_as_it_wants_to_be(run, show, ticker, output):
    show(run)
    run.emit(started(1), node("1"))
    for now in (LATER, LATER + 0.5, LATER + 1.0, LATER + 1.5, LATER + 2.0):
        ticker.tick(now)
    assert len(output.shown[0].snapshots) == 3


async def test_draws_that_take_long_come_seldom(run, show, ticker, output, monkeypatch):
    show(run)
    run.emit(started(1), node("1"))
    monkeypatch.setattr(ScriptedScreen, "every_s", 0.0)
    draw = ScriptedScreen.draw
    monkeypatch.setattr(ScriptedScreen, "draw", lambda *drawn: (time.sleep(0.05), draw(*drawn)))
    for now in (LATER, LATER + 0.01, LATER + 0.1, LATER + 10.0):
        ticker.tick(now)
    assert len(output.shown[0].snapshots) == 3


async def test_nothing_is_drawn_after_the_end(run, show, ticker, output):
    display = show(run)
    run.emit(started(1), node("1"), done("1", 0.31), finished("done", 0.4))
    display.tick(LATER)
    await settled()
    assert [type(each) for each in output.shown] == [dict]


async def test_a_run_over_at_once_leaves_one_line_and_no_screen(run, show, output):
    show(run)
    run.emit(*all_cached(4), finished("done", 0.002))
    await settled()
    (line,) = output.shown
    assert line["text/plain"] == "✓ 4 nodes from cache, 2 ms" and not in_a_box(line)


async def test_runs_that_all_came_from_the_cache_are_a_line_however_long_that_took(show, ticker, output):
    first, second = ScriptedRun(), ScriptedRun()
    show(first, second)
    first.emit(*all_cached(1), finished("done", 0.3))
    second.emit(*all_cached(1), finished("done", 0.3))
    await settled()
    (line,) = output.shown
    assert line["text/plain"] == "✓ 2 nodes from cache in 2 runs, 0.30 s" and not in_a_box(line)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([node("1"), preview("1", jpeg()), done("1", 0.01), finished("done", 0.02)], id="picture"),
        pytest.param([node("1"), failed("1", ValueError("no")), finished("failed", 0.02)], id="failure"),
        pytest.param([node("1"), done("1", 3.0), finished("done", 3.0)], id="loop was blocked for long"),
    ],
)
async def test_a_quick_run_that_has_something_to_show_shows_it(run, show, output, events):
    show(run)
    run.emit(started(1), *events)
    await settled()
    (box,) = output.shown
    assert in_a_box(box) and "1 runs" in box["text/html"]


async def test_several_runs_of_a_cell_are_one_view_until_the_last_has_ended(show, ticker, output):
    first, second = ScriptedRun(), ScriptedRun()
    show(first, second)
    first.emit(started(2), node("1"), done("1"), node("2"))
    second.emit(started(1), node("7"))
    ticker.tick()
    (screen,) = output.shown
    assert [row.node_id for row in screen.snapshots[0].rows] == ["1", "2", "7"]
    assert (screen.snapshots[0].total, screen.snapshots[0].done) == (3, 1)
    second.emit(done("7"), finished())
    await settled()
    assert len(output.shown) == 1
    first.emit(done("2"), finished())
    await settled()
    assert output.shown[-1]["text/plain"].startswith("✓ done: 3 of 3 nodes")


async def test_runs_one_after_the_other_share_a_screen_that_stays_until_their_cell_ends(show, ticker, output, cell):
    cell.is_running = True
    first, second = ScriptedRun(), ScriptedRun()
    display = show(first)
    first.emit(started(1), node("1", title="First"))
    ticker.tick()
    (screen,) = output.shown
    first.emit(done("1", 0.5), finished("done", 0.5))
    ticker.tick(2 * LATER)
    assert screen.snapshots[-1].headline(0.0) == "done: 1 of 1 node, 0.50 s" and not screen.is_closed
    assert ticker.ticks == []
    display.add(RunMonitor(second))
    second.emit(started(1, time=10.0), node("1", title="Second"))
    ticker.tick(3 * LATER)
    assert screen.snapshots[-1].state == "running"
    assert [(row.title, row.state) for row in screen.snapshots[-1].rows] == [("First", "done"), ("Second", "running")]
    second.emit(done("1", 0.25), finished("done", 0.25))
    await settled()
    assert output.shown == [screen] and not screen.is_closed
    display.end_cell()
    assert output.shown[-1]["text/plain"].startswith("✓ done: 2 of 2 nodes in 2 runs, 0.75 s") and screen.is_closed
    assert "2 runs" in output.shown[-1]["text/html"] and ticker.ticks == []


async def test_quick_runs_one_after_the_other_get_a_screen_once_they_have_taken_long(show, ticker, output, cell):
    cell.is_running = True
    display = show(first := ScriptedRun())
    first.emit(started(1), node("1"), done("1", 0.1), finished("done", 0.1))
    ticker.tick(time.perf_counter() + 0.1)
    display.add(RunMonitor(second := ScriptedRun()))
    second.emit(started(1), node("1"))
    ticker.tick(time.perf_counter() + 1.0)
    assert [type(each) for each in output.shown] == [dict, ScriptedScreen]
    assert output.shown[-1].snapshots[-1].state == "running"


async def test_what_comes_from_the_cache_before_does_not_count_as_long(show, ticker, output, cell):
    cell.is_running = True
    display = show(first := ScriptedRun())
    first.emit(*all_cached(1), finished("done", 0.3))
    ticker.tick(time.perf_counter() + 0.3)
    display.add(RunMonitor(second := ScriptedRun()))
    second.emit(started(1), node("1"))
    ticker.tick(time.perf_counter() + 0.1)
    assert not any(isinstance(each, ScriptedScreen) for each in output.shown)


async def test_how_much_is_left_is_not_said_of_a_cell_that_has_begun_more_than_one(show, ticker, output, cell):
    cell.is_running = True
    first, second = ScriptedRun(), ScriptedRun()
    first.remaining = second.remaining = lambda: Estimate(9.0, 1, 0)
    display = show(first)
    first.emit(started(1), node("1"))
    ticker.tick()
    (screen,) = output.shown
    assert screen.snapshots[-1].eta is not None
    first.emit(done("1", 0.5), finished("done", 0.5))
    display.add(RunMonitor(second))
    second.emit(started(1), node("1"))
    ticker.tick(2 * LATER)
    assert screen.snapshots[-1].state == "running" and screen.snapshots[-1].eta is None


async def test_a_run_begins_and_ends_while_the_screen_is_being_drawn(show, ticker, output, monkeypatch):
    display = show(first := ScriptedRun())
    first.emit(started(1), node("1"))
    is_drawing, may_end, is_drawn = threading.Event(), threading.Event(), threading.Event()

    def draw_for_long(screen, snapshot, now) -> None:
        is_drawing.set()
        may_end.wait(5.0)
        is_drawn.set()

    monkeypatch.setattr(ScriptedScreen, "draw", draw_for_long)
    drawing = asyncio.create_task(asyncio.to_thread(ticker.tick))
    await asyncio.to_thread(is_drawing.wait, 20.0)
    display.add(RunMonitor(second := ScriptedRun()))
    second.emit(started(1), node("1"), done("1", 0.1), finished("done", 0.1))
    assert not is_drawn.is_set()
    may_end.set()
    await drawing


async def test_what_is_unfolded_stays_so_at_the_end(run, show, ticker, output):
    show(run)
    run.emit(started(1), node("1"))
    ticker.tick()
    output.shown[0].unfolded = ["Runs"]
    run.emit(done("1", 0.5), finished("done", 0.5))
    await settled()
    assert '<details class="cnb-view" open><summary class="cnb-label">Runs' in output.shown[-1]["text/html"]


async def test_a_run_that_its_cell_begins_after_its_end_is_shown_in_the_same_place(show, ticker, output):
    first, second = ScriptedRun(), ScriptedRun()
    display = show(first)
    first.emit(started(1), node("1"), done("1", 0.5), finished("done", 0.5))
    await settled()
    display.add(RunMonitor(second))
    second.emit(started(1), node("1"))
    ticker.tick()
    assert [type(each) for each in output.shown] == [dict, ScriptedScreen]


async def test_thousands_of_quick_runs_are_one_line_that_is_redrawn_seldom(show, ticker, output, cell):
    cell.is_running = True
    display = show()
    for number in range(300):
        run = ScriptedRun()
        display.add(RunMonitor(run))
        run.emit(
            *all_cached(3), started(1, cached=3, time=float(number)), node("1"), done("1"), finished("done", 0.001)
        )
        if number % 100 == 0:
            await settled()
            ticker.tick(LATER + number / 10_000)
    assert len(output.shown) == 1
    ticker.tick(2 * LATER)
    ticker.tick(3 * LATER)
    assert len(output.shown) == 2 and ticker.ticks == []
    assert output.shown[-1]["text/plain"].startswith("✓ done: 1,200 of 1,200 nodes in 300 runs, 900 from cache, 0.30 s")
    assert not in_a_box(output.shown[-1])


async def test_a_line_is_true_when_its_cell_ends(show, ticker, output, cell):
    cell.is_running = True
    display = show()
    for number in range(3):
        run = ScriptedRun(started_at=float(number))
        display.add(RunMonitor(run))
        run.emit(*all_cached(1), finished("done", 0.001))
        ticker.tick()
    display.end_cell()
    assert [each["text/plain"] for each in output.shown] == [
        "✓ 1 node from cache, 1 ms",
        "✓ 3 nodes from cache in 3 runs, 3 ms",
    ]


async def test_a_screen_or_a_view_that_fails_does_not_cost_the_end(show, run, ticker, output, monkeypatch):
    show(run)
    run.emit(started(1), node("1"))
    ticker.tick()
    (screen,) = output.shown

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(ScriptedScreen, "draw", fail)
    monkeypatch.setattr(ScriptedViews, "html", fail)
    run.emit(done("1", 0.5), finished("done", 0.5))
    with pytest.warns(nb.ComfyNBWarning, match="broken"):
        await settled()
    assert output.shown[-1]["text/plain"].startswith("✓ done: 1 of 1 node") and screen.is_closed


async def test_a_screen_that_fails_goes_on_watching_the_loop(show, run, ticker, monkeypatch):
    monkeypatch.setattr(ScriptedScreen, "draw", lambda *_: 1 / 0)
    show(run)
    run.emit(started(1), node("1"))
    with pytest.warns(nb.ComfyNBWarning, match="ZeroDivisionError"):
        ticker.tick()
    assert len(ticker.ticks) == 1


async def test_a_run_that_is_over_is_shown_too(show, run, ticker, output):
    run.emit(started(1), node("1"), done("1", 0.5))
    monitor = RunMonitor(run)
    run.emit(started(1), node("1"), done("1", 0.5), finished("done", 0.5))
    show().add(monitor)
    await settled()
    assert output.shown[-1]["text/plain"].startswith("✓ done: 1 of 1 node") and ticker.ticks == []


async def test_a_run_and_its_values_are_let_go_when_it_has_ended(ticker, output):
    display = Display(ScriptedScreen, output, RunViews, show_after_s=0.0, cell_runs=lambda: True)

    @nb.node
    async def shown_and_gone(words: str) -> str:
        display.add(monitor_of(current()))
        ticker.tick()
        display.views.timeline(display.live_runs())
        return words

    runs: list = []
    stop_listening = default_session().on_run(lambda run: runs.append(run))

    def current() -> Run:
        return runs[-1]

    await shown_and_gone("a")
    stop_listening()
    gone = weakref.ref(runs.pop())
    await nb.nodes.PrimitiveInt(value=1)
    gc.collect()
    assert gone() is None and len(output.shown) == 1


async def test_where_nobody_watches_what_goes_on_is_shown_when_the_cell_ends(run, ticker, output):
    display = Display(ScriptedScreen, output, ScriptedViews, show_after_s=0.15, is_live=False)
    display.add(RunMonitor(run))
    run.emit(started(1), node("1"))
    ticker.tick()
    assert output.shown == []
    display.end_cell()
    assert output.shown[-1]["text/plain"].startswith("▶ running: 0 of 1 node")


async def test_stop_stops_all_its_runs_and_the_headline_shows_it(show, ticker, output):
    first, second = ScriptedRun(), ScriptedRun()
    show(first, second)
    first.emit(started(1), node("1"))
    second.emit(started(1), node("1"))
    ticker.tick()
    await asyncio.to_thread(output.shown[0].press_stop)
    ticker.tick(LATER + 1)
    assert (first.stops, second.stops) == (1, 1)
    assert output.shown[0].snapshots[-1].headline(0.0).startswith("stopping: 0 of 2 nodes")


async def test_a_screen_asks_for_the_newest_of_the_runs_that_go_on(show, ticker, output):
    first, second = ScriptedRun(), ScriptedRun()
    show(first, second)
    first.emit(started(1), node("1"))
    ticker.tick()
    (screen,) = output.shown
    found = [screen.newest_run()]
    for run in (second, first):
        run.state = "done"
        found.append(screen.newest_run())
    assert found == [second, first, second]


async def test_a_blocked_loop_is_reported_with_the_node_that_blocks_it(run, show, ticker, output):
    run.loop = asyncio.get_running_loop()
    show(run)
    run.emit(started(1), node("1", title="Greedy"))
    step = SimpleNamespace(named='"Greedy" (node 1, greedy)')
    other = SimpleNamespace(loop=run.loop, holding_loop=step)
    ticker.tick(LATER)
    ticker.tick(LATER)
    run.session.live_runs = lambda: [other]
    ticker.tick(LATER + 2 * BLOCKED_S + 1)
    (screen,) = output.shown
    assert screen.snapshots[0].describe_block() == ""
    assert '"Greedy" (node 1, greedy)' in screen.snapshots[-1].describe_block()
    run.session.live_runs = list
    ticker.tick(LATER + 3)
    assert "a cell or a callback" in screen.snapshots[-1].describe_block()
    await settled()
    ticker.tick(LATER + 4)
    assert screen.snapshots[-1].describe_block() == ""


async def test_all_views_of_a_run_share_one_monitor(run):
    assert monitor_of(run) is monitor_of(run)
    assert monitor_of(ScriptedRun()) is not monitor_of(run)
    assert len(run.subscribers) == 1


async def test_the_time_left_is_that_of_earlier_runs_where_all_that_is_left_was_timed(run):
    run.emit(started(2), node("1"))
    monitor = monitor_of(run)
    assert monitor.snapshot().eta is None
    run.remaining = lambda: Estimate(12.0, 2, 0)
    known = RunMonitor(run)
    assert 11.0 < known.snapshot().eta <= 12.0
    run.emit(done("1", 0.3), finished("done", 0.4))
    assert known.snapshot().eta is None


async def test_a_loop_that_is_blocked_from_the_start_has_a_clock_all_the_same(run):
    run.started_at, run.total = 5.0, 3
    snapshot = monitor_of(run).snapshot()
    assert (snapshot.elapsed(now=7.0), snapshot.total) == (2.0, 3)


def test_a_run_whose_loop_was_closed_is_shown_as_cancelled(run, show, ticker, output):
    loop = asyncio.new_event_loop()
    run.loop = loop

    async def begins() -> None:
        show(run)
        run.emit(started(1), node("1"))

    loop.run_until_complete(begins())
    ticker.tick()
    (screen,) = output.shown
    loop.close()
    ticker.tick()
    assert output.shown[-1]["text/plain"].startswith("■ cancelled: 0 of 1 node")
    assert screen.is_closed and ticker.ticks == []


async def test_a_display_made_on_a_thread_without_a_loop_ends_with_its_run(run, show, ticker, output):
    await asyncio.to_thread(show, run)
    run.emit(started(1), node("1"))
    ticker.tick()
    run.emit(done("1", 0.3), finished("done", 0.4))
    await settled()
    assert output.shown[0].is_closed and output.shown[-1]["text/plain"].startswith("✓ done")


def test_a_display_made_on_a_loop_that_has_gone_ends_with_its_run(run, show, ticker, output):
    async def watches() -> None:
        show(run)

    async def runs() -> None:
        run.emit(started(1), node("1"))
        ticker.tick()
        run.emit(done("1", 0.3), finished("done", 0.4))
        await settled()

    asyncio.run(watches())
    asyncio.run(runs())
    assert output.shown[0].is_closed and output.shown[-1]["text/plain"].startswith("✓ done")
