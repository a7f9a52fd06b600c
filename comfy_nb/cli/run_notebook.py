"""Runs a notebook without a browser, reports its progress, and extracts the pictures from its outputs."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PICTURE_TYPES = {"image/png": "png", "image/jpeg": "jpg"}
DATA_URI = re.compile(r"data:(image/png|image/jpeg);base64,([A-Za-z0-9+/=]+)")
CELL_TIMEOUT_S = 600
KERNEL_LOG = "--log-level=ERROR"  # the kernel warns that its loopback sockets are plain TCP


@dataclass(frozen=True)
class ExecutedNotebook:
    """The files of the executed notebook and its pictures, and the error of the cell that failed, or ""."""

    notebook: Path
    pictures: tuple[Path, ...]
    error: str


def run_notebook(source: Path, folder: Path, on_progress: Callable[[str], None]) -> ExecutedNotebook:
    """Run a notebook in its own folder and write it and its pictures to `folder`.

    `on_progress` gets a line per cell. A cell that fails ends the run; the outputs up to there are written anyway.
    """
    import nbformat
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(source, as_version=4)
    kernel: Any = AsyncKernelManager()
    kernel.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", KERNEL_LOG]
    number = sum(cell.cell_type == "code" for cell in notebook.cells)
    started: list[int] = []

    def on_start(cell: Any, cell_index: int) -> None:
        started.append(cell_index)
        on_progress(f"[{len(started)}/{number}] {_first_line(cell.source)}")

    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=CELL_TIMEOUT_S,
        resources={"metadata": {"path": str(source.parent)}},
        store_widget_state=False,
        record_timing=False,
        on_cell_execute=on_start,
    )
    error = ""
    try:
        client.execute(cleanup_kc=True)
    except CellExecutionError as failed:
        error = f"Cell {len(started)} failed: {failed.ename}: {failed.evalue}"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / source.name
    nbformat.write(notebook, target)
    return ExecutedNotebook(target, tuple(_write_pictures(notebook, folder, source.stem)), error)


def _write_pictures(notebook: Any, folder: Path, stem: str) -> Iterator[Path]:
    for old in folder.glob(f"{stem}_cell*"):
        old.unlink()
    for cell_number, cell in enumerate(notebook.cells, start=1):
        for number, (suffix, data) in enumerate(_pictures(cell), start=1):
            path = folder / f"{stem}_cell{cell_number:02}_{number}.{suffix}"
            path.write_bytes(data)
            yield path


def _pictures(cell: Any) -> Iterator[tuple[str, bytes]]:
    for output in cell.get("outputs", ()):
        bundle = output.get("data", {})
        for mime, suffix in PICTURE_TYPES.items():
            if mime in bundle:
                yield suffix, base64.b64decode("".join(bundle[mime]))
        for mime, encoded in DATA_URI.findall("".join(bundle.get("text/html", ""))):
            yield PICTURE_TYPES[mime], base64.b64decode(encoded)


def _first_line(source: str) -> str:
    return next((line.strip() for line in source.splitlines() if line.strip()), "(empty)")
