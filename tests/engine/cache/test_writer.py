"""The background writer never keeps anyone waiting."""

from __future__ import annotations

import threading

from comfy_nb.engine.cache import writer as writer_module
from comfy_nb.engine.cache.writer import Writer
from tests.engine.cache.making import entry


def names(written):
    return [each.outputs[0][0] for each in written]


def test_entries_are_written_in_order_by_one_thread_which_ends_when_idle(monkeypatch):
    monkeypatch.setattr(writer_module, "IDLE_SECONDS", 0.0)
    written, threads = [], set()

    def write(made):
        written.append(made)
        threads.add(threading.current_thread())

    writer = Writer(write)
    for number in range(5):
        assert writer.put(entry(str(number), number))
    assert writer.flush()
    assert names(written) == list(range(5))
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    writer.put(entry("later", 9))
    assert writer.flush()
    assert names(written)[-1] == 9


def test_a_write_that_raises_ends_its_thread_but_no_wait_hangs_and_the_next_entry_goes_on(monkeypatch):
    written = []
    reported = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda failure: reported.set())

    def write(made):
        if made.outputs[0][0] == "bad":
            raise AssertionError("a bug")
        written.append(made)

    writer = Writer(write)
    writer.put(entry("a", "bad"))
    assert writer.flush(30)
    assert reported.wait(30)
    writer.put(entry("b", "good"))
    assert writer.flush(30)
    assert names(written) == ["good"]


def test_flushing_gives_up_after_its_time():
    go_on = threading.Event()
    writer = Writer(lambda made: go_on.wait(30))
    writer.put(entry("a", 1))
    assert not writer.flush(0.01)
    go_on.set()
    assert writer.flush()
