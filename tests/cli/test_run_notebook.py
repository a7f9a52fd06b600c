"""A notebook run without a browser, as the demo does."""

from __future__ import annotations

import base64
import io

import nbformat
import pytest
from PIL import Image

from comfy_nb.cli.run_notebook import run_notebook
from tests.ui.scripted import jpeg

pytestmark = pytest.mark.kernel

SHOW = """
from IPython.display import HTML, Image, display
import base64
picture = base64.b64decode({data!r})
display(Image(data=picture, format="jpeg"))
display(HTML('<p><img src="data:image/jpeg;base64,{data}"></p>'))
"""


def notebook_at(path, *cells: str):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell("# Title"), *map(nbformat.v4.new_code_cell, cells)]
    nbformat.write(notebook, path)
    return path


def test_the_notebook_runs_where_it_lies_and_its_pictures_are_written(tmp_path):
    source = notebook_at(
        tmp_path / "lesson.ipynb",
        "# the first cell\nimport os; print(os.getcwd())",
        SHOW.format(data=base64.b64encode(jpeg()).decode()),
    )
    before = source.read_bytes()
    progress: list[str] = []
    done = run_notebook(source, tmp_path / "results", progress.append)
    assert done.error == ""
    assert progress == ["[1/2] # the first cell", "[2/2] from IPython.display import HTML, Image, display"]
    assert [path.name for path in done.pictures] == ["lesson_cell03_1.jpg", "lesson_cell03_2.jpg"]
    assert [Image.open(io.BytesIO(path.read_bytes())).size for path in done.pictures] == [(8, 8), (8, 8)]
    executed = nbformat.read(done.notebook, as_version=4)
    assert executed.cells[1].outputs[0].text.strip() == str(tmp_path)
    assert source.read_bytes() == before


def test_a_cell_that_fails_is_named_and_what_was_before_is_kept(tmp_path):
    source = notebook_at(tmp_path / "lesson.ipynb", "print('before')", "1 / 0", "print('after')")
    done = run_notebook(source, tmp_path / "results", lambda line: None)
    assert done.error == "Cell 2 failed: ZeroDivisionError: division by zero"
    cells = nbformat.read(done.notebook, as_version=4).cells
    assert cells[1].outputs[0].text == "before\n" and cells[3].outputs == []
