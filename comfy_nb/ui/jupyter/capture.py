"""What the nodes of a shown run print goes to their rows, and not below whichever cell happens to run.

A process has one `sys.stdout`, so this is one switch for it, counted and put back: while a run is shown, the streams
have a `write` of their own that asks which node's call the code belongs to. It follows a node across `await` and
`asyncio.to_thread`; a thread that a node starts by itself does not say whose it is, and prints as ever.
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, suppress
from typing import Any

from comfy_nb.engine.node_api.context import CallContext, current_call
from comfy_nb.ui.jupyter.tqdm_progress import node_bars


class Capture:
    """Sends what is printed in the nodes of its runs to their journals."""

    def __init__(self) -> None:
        self._runs: list[str] = []
        self._lock = threading.Lock()
        self._switched = ExitStack()

    def start(self, run: Any) -> None:
        """Take what the nodes of a run print from now on."""
        with self._lock:
            self._runs.append(run.id)
            for name in ("stdout", "stderr"):  # later runs too: a cell under %%capture has streams of its own
                self._tap(getattr(sys, name), name)
            if len(self._runs) == 1:
                self._switched.enter_context(node_bars(self.call_of_node))

    def stop(self, run: Any) -> None:
        """Take it no more; after the last run all is as it was."""
        with self._lock, suppress(ValueError):
            self._runs.remove(run.id)
            if not self._runs:
                self._switched.close()

    def call_of_node(self) -> CallContext | None:
        """Return the call that this code belongs to, if its run is one of these."""
        call = current_call.get()
        return call if call is not None and call.run.id in self._runs else None

    def _tap(self, stream: Any, name: str) -> None:
        """Give a stream a `write` of its own until all is put back; one that takes no attributes is left alone."""
        write = getattr(stream, "write", None)
        if write is None or not hasattr(stream, "__dict__") or getattr(write, "is_tap", False):
            return

        def write_or_tell(text: str) -> int:
            call = self.call_of_node()
            if call is None:
                return int(write(text) or 0)
            call.run.log(call.node_id, name, text)
            return len(text)

        def put_back() -> None:
            if vars(stream).get("write") is write_or_tell:  # else somebody else has it now, and calls this one
                del stream.write
                vars(stream).update(before)

        before = {name: each for name, each in vars(stream).items() if name == "write"}
        write_or_tell.is_tap = True  # type: ignore[attr-defined]  # functions take attributes
        stream.write = write_or_tell
        self._switched.callback(put_back)


capture = Capture()
