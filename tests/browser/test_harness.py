"""The browser harness itself: widgets that render are seen, and so is what fails."""

from __future__ import annotations

import re

import pytest
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

BAR = "import ipywidgets\nbar = ipywidgets.FloatProgress(value=3, max=10, description='steps')\nbar"
BROKEN = """
from IPython.display import display
display({"application/vnd.jupyter.widget-view+json":
    {"version_major": 2, "version_minor": 0, "model_id": "none such"}, "text/plain": "gone"}, raw=True)
"""


def test_a_progress_bar_renders_and_follows_the_kernel(lab, tmp_path):
    with lab.open(lab.write("bar.ipynb", [BAR, "bar.value = 8"])) as notebook:
        notebook.run_all()
        filled = notebook.output(0).locator(".progress-bar")
        expect(filled).to_have_attribute("style", re.compile(r"\bwidth: 80%"))
        whole = notebook.screenshot(tmp_path / "whole.png")
        part = notebook.screenshot(tmp_path / "part.png", cell=0)
        with Image.open(whole) as page, Image.open(part) as output:
            assert page.height > output.height
            assert len(output.convert("RGB").getcolors(output.width * output.height)) > 2


def test_a_failing_cell_is_reported_with_its_error(lab):
    with lab.open(lab.write("failing.ipynb", ["1", "1 / 0", "2"]), check=False) as notebook:
        notebook.run_all()
        assert notebook.cell_errors() == {1: "ZeroDivisionError: division by zero"}
        with pytest.raises(AssertionError, match="cell 1: ZeroDivisionError"):
            notebook.check()


def test_a_widget_that_cannot_render_is_reported(lab):
    with lab.open(lab.write("broken.ipynb", [BROKEN]), check=False) as notebook:
        notebook.run_all()
        assert notebook.cell_errors() == {}
        assert notebook.widget_failures()


def test_a_page_is_checked_at_its_end(lab):
    with (
        pytest.raises(AssertionError, match="cell 0: ZeroDivisionError"),
        lab.open(lab.write("unseen.ipynb", ["1 / 0"])) as notebook,
    ):
        notebook.run_all()


def test_cells_are_added_and_removed(lab):
    with lab.open(lab.write("cells.ipynb", ["1"])) as notebook:
        assert "3" in notebook.run("1 + 2").inner_text()
        assert [cell.source for cell in notebook.save()] == ["1", "1 + 2"]
        notebook.remove_cells(1)
        assert [cell.source for cell in notebook.save()] == ["1"]
