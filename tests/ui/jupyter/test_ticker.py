"""The clock of the displays."""

from __future__ import annotations

import threading
import time
import weakref

import pytest

from comfy_nb.errors import ComfyNBWarning
from comfy_nb.ui.jupyter.ticker import Ticker

PATIENCE_S = 10.0


def test_members_are_called_on_a_daemon_thread():
    ticker, called, threads = Ticker(), threading.Event(), []

    def tick(now: float) -> None:
        threads.append(threading.current_thread())
        called.set()

    ticker.add(tick)
    assert called.wait(PATIENCE_S)
    ticker.remove(tick)
    assert threads[0] is not threading.current_thread() and threads[0].daemon


def test_a_removed_member_is_not_called_and_another_still_is():
    ticker, first, second = Ticker(), threading.Event(), threading.Event()

    def once(now: float) -> None:
        ticker.remove(once)
        first.set()

    ticker.add(once)
    assert first.wait(PATIENCE_S)
    first.clear()
    ticker.add(lambda now: second.set())
    assert second.wait(PATIENCE_S)
    second.clear()
    assert second.wait(PATIENCE_S)
    assert not first.is_set()


def test_a_removed_member_is_let_go():
    class Member:
        def tick(self, now: float) -> None:
            called.set()

    ticker, called, member = Ticker(), threading.Event(), Member()
    seen = weakref.ref(member)
    ticker.add(member.tick)
    assert called.wait(PATIENCE_S)
    ticker.remove(member.tick)
    del member
    until = time.monotonic() + PATIENCE_S
    while seen() is not None and time.monotonic() < until:
        time.sleep(0.01)
    assert seen() is None


@pytest.mark.filterwarnings("error")
def test_a_member_that_raises_ends_no_other_where_warnings_are_errors():
    ticker, called = Ticker(), threading.Event()
    ticker.add(lambda now: 1 / 0)
    ticker.add(lambda now: called.set())
    assert called.wait(PATIENCE_S)


def test_a_member_that_raises_is_dropped_with_a_warning_and_the_others_go_on(monkeypatch):
    ticker, called, warned = Ticker(), threading.Event(), []
    monkeypatch.setattr("warnings.warn_explicit", lambda text, kind, *_, **__: warned.append((text, kind)))

    def broken(now: float) -> None:
        raise ValueError("the front end has gone")

    ticker.add(broken)
    ticker.add(lambda now: called.set() if warned else None)
    assert called.wait(PATIENCE_S)
    ((text, kind),) = warned
    assert "the front end has gone" in text and kind is ComfyNBWarning
