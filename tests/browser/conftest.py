"""`lab`: a JupyterLab and a Chromium for the tests of one module; `notebook`: a notebook open in them.

Not for the whole session: playwright keeps a running loop in the thread, and tests that have a loop follow.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.harness import Lab, NotebookPage, open_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with open_lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest.fixture(scope="module")
def prepared(lab: Lab, request: pytest.FixtureRequest) -> Iterator[NotebookPage]:
    """A notebook whose only cell, the module's `PREPARE`, has run."""
    with lab.open(lab.write("prepared.ipynb", [request.module.PREPARE.strip()])) as opened:
        opened.run_cell(0)
        yield opened


@pytest.fixture
def notebook(prepared: NotebookPage) -> Iterator[NotebookPage]:
    """The prepared notebook of the module. The cells that a test adds are checked and removed after it."""
    prepared.console_errors.clear()
    yield prepared
    try:
        prepared.check()
    finally:
        prepared.remove_cells(1)
