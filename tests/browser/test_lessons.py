"""The notebooks of this project as they are saved: what a reader sees without running them."""

from __future__ import annotations

import pytest

from tests.browser.lessons import NOTEBOOKS, Lesson

SAVED_MAX_BYTES = 500_000
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def test_a_notebook_is_kept_with_small_outputs_and_without_errors(name):
    lesson = Lesson(name)
    kept = [output for cell in lesson.cells if cell.cell_type == "code" for output in cell.outputs]
    assert kept and not [output for output in kept if output.output_type == "error"]
    assert not [output for output in kept if WIDGET in output.get("data", {})]
    assert lesson.path.stat().st_size < SAVED_MAX_BYTES
