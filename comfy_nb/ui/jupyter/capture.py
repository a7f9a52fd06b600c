"""Send what the nodes of a shown run print to their rows, and not below whichever cell happens to run.

A process has one `sys.stdout`, so there is one switch for it, which counts its users and restores the streams: while
a run is shown, each stream has a `write` that looks up which node's call the code belongs to. That follows a node
across `await` and `asyncio.to_thread`, and into its threads and thread pools (see `engine.execution.node_threads`).
"""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.node_api.context import CallContext, EndedRun, current_call
from comfy_nb.ui.jupyter.cells import cells
from comfy_nb.ui.jupyter.tqdm_progress import tqdm_as_node_progress

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run


class Capture:
    """Sends what the nodes of its runs print to those runs as log events."""

    def __init__(self) -> None:
        self._runs: list[str] = []
        self._lock = threading.Lock()
        self._undo = ExitStack()

    def start(self, run: Run) -> None:
        """Capture what the nodes of a run print from now on."""
        with self._lock:
            self._runs.append(run.id)
            self._tap_streams()  # for later runs too: a cell under %%capture has streams of its own
            if len(self._runs) == 1:
                self._undo.enter_context(tqdm_as_node_progress(self.call_of_node))

    def stop(self, run: Run) -> None:
        """Stop capturing a run; after the last one the streams are as they were."""
        with self._lock, suppress(ValueError):
            self._runs.remove(run.id)
            if not self._runs:
                self._undo.close()

    def _tap_streams(self) -> None:
        for name in ("stdout", "stderr"):
            self._tap(getattr(sys, name), name)
        cells.at_end(self, self._outlive_cell)

    def _outlive_cell(self) -> None:
        """IPython records what a cell prints, and then restores the streams as they were when the cell began."""
        if self._runs:
            asyncio.get_running_loop().call_soon(self._tap_again)

    def _tap_again(self) -> None:
        with self._lock:
            if self._runs:
                self._tap_streams()

    def call_of_node(self) -> CallContext | None:
        """Return the call that this code belongs to, if its run is one of these."""
        call = current_call.get()
        if call is None or isinstance(call.run, EndedRun):
            return None
        return call if call.run.id in self._runs else None

    def _tap(self, stream: Any, name: str) -> None:
        """Replace a stream's `write` until the last run stops; a stream that takes no attributes is left alone."""
        write = getattr(stream, "write", None)
        if write is None or not hasattr(stream, "__dict__") or getattr(write, "is_tap", False):
            return

        def write_or_log(text: str) -> int:
            call = self.call_of_node()
            if call is None:
                return int(write(text) or 0)
            call.run.log(call.node_id, name, text)
            return len(text)

        def restore() -> None:
            if vars(stream).get("write") is write_or_log:  # else somebody else has wrapped it since
                del stream.write
                vars(stream).update(before)

        before = {name: each for name, each in vars(stream).items() if name == "write"}
        write_or_log.is_tap = True  # type: ignore[attr-defined]  # functions take attributes
        stream.write = write_or_log
        self._undo.callback(restore)


capture = Capture()
