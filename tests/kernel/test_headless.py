"""Notebooks that a program executes without a page: what nbclient, and so papermill and nbconvert, save of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.kernel

STILL = "still running when the notebook ended"
PREPARE = """
import asyncio, logging, threading, time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
import torch
import comfy_nb as nb

@nb.node
async def slow(seconds: float, n: int = 0) -> int:
    print("begun", n)
    await asyncio.sleep(seconds)
    print("over", n)
    return n

@nb.node
def blocks(seconds: float) -> int:
    print("begun")
    time.sleep(seconds)
    return 1

@nb.node
async def fails(seconds: float) -> int:
    await asyncio.sleep(seconds)
    raise ValueError("no luck")

@nb.node
async def paint(seconds: float = 0.0, radius: int = 3) -> nb.Image:
    await asyncio.sleep(seconds)
    return torch.full((1, 8, 8, 3), 0.5)
"""


class Client(NotebookClient):
    """Logs what each output says when it is made, as papermill does."""

    logged: ClassVar[list[str]] = []

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        made = super().output(outs, msg, display_id, cell_index)
        if made is not None and "data" in made:
            self.logged.append(made["data"].get("text/plain", ""))
        return made


def execute(folder: Path, *cells: str) -> list[list[dict[str, Any]]]:
    """Return the outputs that are saved below each of the cells, which follow the one that prepares them."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (PREPARE, *cells)])
    Client.logged.clear()
    Client(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return [cell.outputs for cell in notebook.cells[1:]]


def text_of(outputs: list[dict[str, Any]]) -> str:
    """Return all that the outputs of a cell say in plain text."""
    return "\n".join(
        each["text"] if each["output_type"] == "stream" else each["data"]["text/plain"] for each in outputs
    )


def html_of(outputs: list[dict[str, Any]]) -> str:
    return "".join(each["data"].get("text/html", "") for each in outputs if "data" in each)


def test_a_run_says_what_ran_and_what_it_printed(tmp_path: Path) -> None:
    long, short, several = execute(
        tmp_path,
        "_ = await slow(0.3)",
        "_ = await nb.nodes.PrimitiveInt(value=3)",
        "for n in range(3):\n    await nb.nodes.PrimitiveInt(value=10 + n)",
    )
    headline, row, *printed = text_of(long).splitlines()
    assert headline.startswith("✓ done: 1 of 1 node") and row.startswith("  ✓ slow  done  0.3")
    assert printed == ["    | begun 0", "    | over 0"]
    assert text_of(short).splitlines()[1].startswith("  ✓ PrimitiveInt  done")
    assert "3 of 3 nodes in 3 runs" in text_of(several) and text_of(several).count("✓ PrimitiveInt") == 3


def test_a_log_of_outputs_as_they_are_made_has_how_the_run_of_a_cell_ended(tmp_path: Path) -> None:
    execute(tmp_path, "_ = await slow(0.4)", "_ = slow(0.3, 1).run_sync()")
    assert [text.splitlines()[2:] for text in Client.logged] == [
        ["    | begun 0", "    | over 0"],
        ["    | begun 1", "    | over 1"],
    ]


def test_a_run_that_a_task_of_an_earlier_cell_begins_is_saved_below_the_cell_that_runs(tmp_path: Path) -> None:
    _, running = execute(tmp_path, "task = asyncio.create_task(nb.Graph(slow(0.3)).run())", "_ = await task")
    assert "✓ done: 1 of 1 node" in text_of(running) and "| over 0" in text_of(running)


@pytest.mark.parametrize("display", ["panel", "bars", "text"])
def test_a_job_that_ends_during_a_later_cell_is_saved_where_it_began(tmp_path: Path, display: str) -> None:
    began, awaited = execute(
        tmp_path, f"nb.configure(display={display!r})\njob = slow(0.5).start()", "value = await job"
    )
    assert awaited == []
    assert text_of(began).startswith("✓ done: 1 of 1 node")
    assert "| begun 0" in text_of(began) and "| over 0" in text_of(began)
    assert STILL not in text_of(began) + html_of(began)
    assert "application/vnd.jupyter.widget-view+json" not in began[0]["data"]


def test_so_is_one_that_ends_between_two_cells_or_while_one_blocks(tmp_path: Path) -> None:
    quick, _, _, blocked, _, _ = execute(
        tmp_path, "job = slow(0.0).start()", "1", "2", "job = blocks(0.2).start()", "time.sleep(0.5)", "3"
    )
    for outputs in (quick, blocked):
        assert "done: 1 of 1 node" in text_of(outputs) and "| begun" in text_of(outputs)


def test_the_error_of_a_job_that_nobody_awaits_is_saved(tmp_path: Path) -> None:
    failed, refused, _ = execute(
        tmp_path,
        "job = fails(0.1).start()",
        "graph = nb.Graph()\ngraph.node('PrimitiveInt', value='x')\njob = graph.start()",
        "await asyncio.sleep(0.5)",
    )
    assert "✗ failed" in text_of(failed) and "no luck" in text_of(failed) and "no luck" in html_of(failed)
    assert "'x'" in text_of(refused) and len(refused) == 1


def test_all_of_many_jobs_are_saved(tmp_path: Path) -> None:
    began, _ = execute(tmp_path, "jobs = [slow(0.2, n).start() for n in range(30)]", "for job in jobs:\n    await job")
    assert 1 < len(began) < 30
    assert sum(int(each["data"]["text/plain"].split()[2]) for each in began) == 30
    assert STILL not in text_of(began)


def test_what_goes_on_at_the_end_of_the_notebook_says_so(tmp_path: Path) -> None:
    job, controls, _ = execute(tmp_path, "job = slow(60).start()", "nb.interact(paint(60), radius=(0, 9))", "1")
    for outputs in (job, controls):
        assert STILL in text_of(outputs) and STILL in html_of(outputs)
        # A page that a notebook is converted to has no kernel, and would show nothing in a widget's place.
        assert {kind for each in outputs for kind in each["data"]} == {"text/html", "text/plain"}


def test_controls_are_saved_with_the_value_of_a_later_cell(tmp_path: Path) -> None:
    controls, _ = execute(tmp_path, "c = nb.interact(paint(0.2), radius=(0, 9)); c", "_ = await c")
    assert "done in" in text_of(controls) and STILL not in text_of(controls)
    assert "<img" in html_of(controls) and "running" not in html_of(controls)


def test_controls_are_saved_with_the_error_of_a_node(tmp_path: Path) -> None:
    controls, _ = execute(tmp_path, "c = nb.interact(fails(0.1)); c", "await asyncio.sleep(0.4)")
    assert "no luck" in text_of(controls) and "no luck" in html_of(controls)


def test_a_sweep_and_a_timeline_that_go_on_are_saved_with_their_end(tmp_path: Path) -> None:
    sweep, timeline, _ = execute(
        tmp_path,
        "nb.sweep(slow(0.2), {'n': [1, 2, 3]})",
        "slow(0.3, 7).start().run.timeline()",
        "await asyncio.sleep(1)",
    )
    assert "done: 3 of 3 cells" in text_of(sweep)
    assert "running" not in html_of(sweep) and STILL not in text_of(timeline)


THREADS = {
    "thread": "thread = threading.Thread(target=say); thread.start(); thread.join()",
    "pool": "with ThreadPoolExecutor() as pool: pool.submit(say).result()",
    "earlier pool": "earlier.submit(say).result()",
    "multiprocessing": "with ThreadPool(2) as pool: pool.apply(say)",
}


@pytest.mark.parametrize("way", THREADS)
def test_the_threads_of_a_job_print_to_its_row_and_not_below_the_cell_that_runs(tmp_path: Path, way: str) -> None:
    node = f"""
earlier = ThreadPoolExecutor(1)
earlier.submit(str).result()
def say():
    print("from a thread")
    nb.ProgressBar(4).update(3)
@nb.node
def threaded() -> int:
    time.sleep(0.3)
    {THREADS[way]}
    return 1
job = threaded().start()"""
    began, other = execute(tmp_path, node, "print('a later cell')\n_ = await job")
    assert "| from a thread" in text_of(began) and "3/4" in text_of(began)
    assert text_of(other) == "a later cell\n"
