"""A run in a terminal and in a log."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from comfy_nb.ui.run.model import RunModel
from comfy_nb.ui.run.terminal import LINES_MAX, to_rich, watch
from tests.ui.scripted import ScriptedRun, all_cached, done, failed, finished, node, progress, started


def console(is_terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=is_terminal, width=100, color_system=None)


def printed(screen: Console) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.file.getvalue())


def test_a_run_has_a_headline_and_a_row_with_a_bar_for_each_node():
    model = RunModel()
    model.apply([started(3), node("1", title="Soften"), progress("1", 5, 20), node("2", class_type="Sum")])
    screen = console(is_terminal=True)
    screen.print(to_rich(model.snapshot(), now=2.0))
    lines = printed(screen).splitlines()
    assert lines[0] == "▶ running: 0 of 3 nodes, 2.00 s"
    assert "Soften (ImageBlur)" in lines[1] and "━" in lines[1] and "5/20" in lines[1]
    assert "Sum" in lines[2]


def test_a_terminal_keeps_the_final_rows():
    run, screen = ScriptedRun(), console(is_terminal=True)
    watch(run, screen)
    run.emit(started(1), node("1"))
    run.emit(done("1", 0.31), finished("done", 0.4))
    assert printed(screen).rstrip().splitlines()[-2].startswith("✓ done: 1 of 1 node, 0.40 s")
    assert "✓ done" in printed(screen).rstrip().splitlines()[-1]


def test_a_log_has_a_line_for_each_node_that_ran_and_one_for_the_run():
    run, screen = ScriptedRun(), console(is_terminal=False)
    watch(run, screen)
    run.emit(*all_cached(1), started(2, cached=1), node("1"), done("1", 0.31))
    assert printed(screen).splitlines() == ["✓ ImageBlur  done  0.31 s"]
    run.emit(node("2"), failed("2", ValueError("[bad] size"), time=1.0), finished("failed", 1.0))
    assert printed(screen).splitlines()[1:] == [
        "✗ ImageBlur  failed  1.00 s  [bad] size",
        "✗ failed: 2 of 3 nodes, 1 from cache, 1.00 s",
    ]


def test_a_long_log_is_cut_but_never_its_failures():
    run, screen = ScriptedRun(), console(is_terminal=False)
    watch(run, screen)
    run.emit(started(500), *(event for number in range(200) for event in (node(str(number)), done(str(number)))))
    run.emit(node("x"), failed("x", ValueError("bad")), finished("failed"))
    lines = printed(screen).splitlines()
    assert len(lines) == LINES_MAX + 3
    assert lines[LINES_MAX] == "… further nodes are not listed"
    assert lines[-2].startswith("✗ ImageBlur")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_run_all_from_the_cache_is_one_line(is_terminal):
    run, screen = ScriptedRun(), console(is_terminal)
    watch(run, screen)
    run.emit(*all_cached(4), finished("done", 0.002))
    assert printed(screen) == "✓ 4 nodes from cache, 2 ms\n"
