"""Runs that end quickly, in one line below their cell."""

from __future__ import annotations

from comfy_nb.ui.run.model import RunModel
from comfy_nb.ui.run.summary_line import ROWS_MAX, SummaryLines
from tests.ui.scripted import ScriptedOutput, all_cached, done, finished, node, started, until


async def test_quick_runs_of_one_cell_share_a_line_that_is_redrawn_seldom():
    line = ScriptedOutput()
    outputs = {"a": line, "b": ScriptedOutput()}
    lines = SummaryLines(make=lambda cell: outputs[cell["name"]], key=lambda cell: cell["name"])
    for name in "aab":
        here = lines.of({"name": name})
        for _ in range(50):
            model = RunModel()
            model.apply([*all_cached(3), started(1, cached=3), node("1"), done("1"), finished("done", 0.001)])
            here.add(model.snapshot())
    assert [len(output.shown) for output in outputs.values()] == [1, 1]
    await until(lambda: len(line.shown) == 2)
    summary, *rows = line.shown[-1]["text/plain"].splitlines()
    assert summary == "✓ 100 runs: 100 nodes ran, 300 from cache, 0.10 s" and summary in line.shown[-1]["text/html"]
    assert all(row == "  ✓ ImageBlur  done  0.50 s" for row in rows[:-1])
    assert len(rows) == ROWS_MAX + 1 and rows[-1] == "  …"
