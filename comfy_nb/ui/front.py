"""What the widgets of this package have in common: how a kernel hears what their front ends send."""

from __future__ import annotations

from typing import Any

from anywidget import AnyWidget


class FrontEnd(AnyWidget):
    """A widget whose front end is heard on the kernel's own thread for that, if it has one.

    ipykernel 7.4 sends what a front end says to the loop of the cells where a cell was the last to use the widget.
    There it waits for cells that block; and what comes at the end of one cell can take the next one's "idle" from it,
    so that the next stays [*] for ever. A comm that nobody seems to have used is heard where the front end asks for.
    """

    def open(self) -> None:
        """Create the comm."""
        super().open()
        self._forget_who_used_it()

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(msg, buffers)
        self._forget_who_used_it()

    def _forget_who_used_it(self) -> None:
        if self.comm is not None:
            self.comm.__dict__.pop("_reply_subshell_id", None)
