"""The Stop button in a real JupyterLab, on the kernels that deliver a click in different ways."""

from __future__ import annotations

import pytest

from tests.kernel.harness import INSTALLED, OTHER_KERNELS

pytestmark = pytest.mark.browser

STOP = "button.cnb-stop-button"
PATIENCE_MS = 20_000
PREPARE = """
import asyncio, time
import comfy_nb as nb
nb.configure(display="panel")

@nb.node
async def waits(seconds: float, *, progress: nb.Progress) -> str:
    for step in progress.over(range(1000)):
        await asyncio.sleep(seconds / 1000)
    return "waited"

@nb.node
def works(seconds: float, *, progress: nb.Progress) -> str:
    for step in progress.over(range(1000)):
        time.sleep(seconds / 1000)
    return "worked"
"""


@pytest.fixture(scope="module")
def kernels(lab) -> dict[str, str]:
    return {INSTALLED: "python3", **{version: lab.server.add_kernel(version) for version in OTHER_KERNELS}}


@pytest.fixture
def open_notebook(lab, kernels):
    """Open a notebook of cells that follow the preparation, in a kernel of a version."""

    def opened(version: str, *cells: str):
        name = lab.write(f"stop-{version}.ipynb", [PREPARE, *cells], kernels[version])
        return lab.open(name)

    return opened


both_kernels = pytest.mark.parametrize("version", [INSTALLED, *OTHER_KERNELS])


def press_stop(notebook, cell: int) -> None:
    button = notebook.output(cell).locator(STOP)
    button.wait_for(timeout=PATIENCE_MS)
    notebook.page.wait_for_timeout(1_000)  # a person is slower than the button's second word to the kernel
    button.click()


def until_text(notebook, cell: int, text: str) -> None:
    notebook.output(cell).get_by_text(text).first.wait_for(timeout=PATIENCE_MS)


@both_kernels
def test_a_background_job_stops_and_its_neighbour_goes_on(open_notebook, version):
    cells = ("first = waits(300.0).start()", "second = waits(200.0).start()", "first.run.state, second.run.state")
    with open_notebook(version, *cells) as notebook:
        for cell in (0, 1, 2):
            notebook.run_cell(cell)
        press_stop(notebook, 1)
        until_text(notebook, 1, "stopped")
        notebook.run_cell(3)
        assert "('stopped', 'running')" in notebook.output(3).inner_text()
        assert notebook.output(2).locator(STOP).is_enabled()


def test_a_run_that_a_cell_awaits_stops_and_the_cell_ends(open_notebook):
    cells = ("run = await nb.Graph(waits(300.0)).run()", "run.state")
    with open_notebook(INSTALLED, *cells) as notebook:
        notebook.run_cell(0)
        notebook.start("notebook:run-cell", 1)
        press_stop(notebook, 1)
        notebook.wait_idle()
        notebook.run_cell(2)
        assert "stopped" in notebook.output(1).inner_text()
        assert "'stopped'" in notebook.output(2).inner_text()


def test_a_kernel_that_hears_no_click_during_a_cell_is_not_pretended_to(open_notebook):
    (version,) = OTHER_KERNELS
    cell = "try:\n    await nb.Graph(waits(300.0)).run()\nexcept nb.Interrupted as interrupt:\n    run = interrupt.run"
    with open_notebook(version, cell) as notebook:
        notebook.run_cell(0)
        notebook.start("notebook:run-cell", 1)
        press_stop(notebook, 1)
        until_text(notebook, 1, "press ■ (interrupt)")
        notebook.start("notebook:interrupt-kernel")
        notebook.wait_idle()
        assert "stopped" in notebook.output(1).inner_text()


def test_a_click_during_a_cell_that_blocks_reaches_a_node_on_its_thread(open_notebook):
    cells = ("job = works(300.0).start()", "time.sleep(8)\nprint('slept')", "job.run.state")
    with open_notebook(INSTALLED, *cells) as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1)
        notebook.output(1).locator(STOP).wait_for(timeout=PATIENCE_MS)
        notebook.page.wait_for_timeout(1_500)
        notebook.start("notebook:run-cell", 2)
        notebook.page.wait_for_timeout(500)
        notebook.output(1).locator(STOP).click()
        until_text(notebook, 1, "stopping")
        assert "slept" not in notebook.output(2).inner_text()
        notebook.wait_idle()
        until_text(notebook, 1, "stopped")
