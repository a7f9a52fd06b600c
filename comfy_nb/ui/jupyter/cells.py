"""Which cell of the kernel is running, and what is to happen when it ends or the next one begins.

A program that executes a notebook without a page (nbclient, papermill, nbconvert) reads only what belongs to the cell
that it waits for, and takes updates of earlier outputs only there. A page takes them at any time.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from comfy_nb.errors import warn_of_fault

CellRef = Mapping[str, Any]  # the execute_request message of a cell
Callback = Callable[[], None]


class Cells:
    """Follows the cells of a kernel from the first use on."""

    def __init__(self) -> None:
        self.running: CellRef | None = None
        self._at_end: dict[object, Callback] = {}
        self._at_begin: dict[object, Callback] = {}
        self._lock = threading.Lock()
        self._shell: Any = None

    def follow(self) -> None:
        """Follow the cells of this kernel from here on; does nothing outside one, or where they are followed."""
        kernel_shell = shell()
        with self._lock:
            if kernel_shell is None or kernel_shell is self._shell:
                return
            self._shell = kernel_shell
        self.running = kernel_shell.get_parent()  # whatever displays first does so in a cell
        kernel_shell.events.register("pre_run_cell", self._begin)
        kernel_shell.events.register("post_run_cell", self._end)

    def at_end(self, owner: object, callback: Callback) -> None:
        """Call `callback()` once before the next cell ends, where outputs are still its own; one for each owner."""
        self.follow()
        if self._shell is not None:
            with self._lock:
                self._at_end[owner] = callback

    def at_begin(self, owner: object, callback: Callback) -> None:
        """Call `callback()` once at the beginning of the next cell; one for each owner."""
        self.follow()
        if self._shell is not None:
            with self._lock:
                self._at_begin[owner] = callback

    def _begin(self, info: Any) -> None:
        self.running = self._shell.get_parent()
        with self._lock:
            due, self._at_begin = self._at_begin, {}
        _call_all(due)

    def _end(self, result: Any) -> None:
        while self._at_end:  # what is shown at the end may have something to do at the end
            with self._lock:
                due, self._at_end = self._at_end, {}
            _call_all(due)
        self.running = None


def _call_all(due: Mapping[object, Callback]) -> None:
    for callback in due.values():
        try:
            callback()
        except Exception as error:  # one broken display must not stop the others
            warn_of_fault("A display failed at the end or beginning of a cell", error)


def shell() -> Any:
    """Return the shell of the notebook kernel that this runs in, or None outside one; imports nothing."""
    ipython = sys.modules.get("IPython")
    found = ipython.get_ipython() if ipython is not None else None
    return found if getattr(found, "kernel", None) is not None else None


cells = Cells()
