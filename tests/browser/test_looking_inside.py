"""The notebook on looking inside in a real JupyterLab."""

from __future__ import annotations

import pytest

from tests.browser.lessons import Lesson

pytestmark = pytest.mark.browser

LOOKING = Lesson("03_looking_inside.ipynb")
PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def looking(lab):
    """The notebook after a run of all its cells."""
    with LOOKING.run_in(lab) as notebook:
        yield notebook


def test_no_cell_fails_and_every_widget_renders(looking):
    looking.check()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("await glow", "ImageBlend"),
        ("run.inspect(", "from the cache in memory"),
        ('float("nan")', "48 of 307,200 values are NaN; the first is at [0, 200, 100, 0]"),
        ("* 255)", "divide by 255"),
        (".permute(", "x.permute"),
        ("graph.show()", "4 nodes, 4 links"),
        ("nb.draw(", "UpscaleModelLoader (#2)"),
        ("point = nb.breakpoint", "continued with another value"),
        ("pause.resume(", "ImageBlend"),
        ("controls = ", "blend_factor"),
        ("sweep = ", "done: 6 of 6 cells"),
        ("%comfy cache", "ImageBlur"),
        ("%comfy nodes", "ImageBlur"),
        ("%comfy why", "posterize"),
    ],
)
def test_what_there_is_to_see(looking, source, words):
    cell = LOOKING.cell_with(source)
    looking.output(cell).get_by_text(words).first.wait_for(timeout=PATIENCE_MS, state="attached")
