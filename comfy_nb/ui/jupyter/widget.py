"""What the widgets of this package have in common: their files, and how a kernel hears what their front ends send."""

from __future__ import annotations

from pathlib import Path

from anywidget import AnyWidget

THEME = Path(__file__).with_name("theme.css")


def script(path: Path) -> str:
    """Return the module of a file, or of all files of a folder, and of what all front ends share.

    It is text because anywidget keeps every widget whose module is a path.
    """
    files = sorted(path.glob("*.js")) if path.is_dir() else [path]
    return "\n".join(file.read_text("utf-8") for file in (Path(__file__).with_name("channel.js"), *files))


def style(*paths: Path) -> str:
    """Return the style of these files."""
    return "\n".join(path.read_text("utf-8") for path in paths)


class FrontEnd(AnyWidget):
    """A widget whose front end is heard on the thread that it asks for.

    ipykernel 7.4 sends what a front end says to the loop of the cells where a cell was the last to use the widget.
    There it waits for cells that block; and what comes at the end of one cell can take the next one's "idle" from it,
    so that the next stays [*] for ever.
    """

    def open(self) -> None:
        """Create the comm; what comes for it is not routed by who used it last."""
        super().open()
        if self.comm is not None:
            self.comm.__dict__["_reply_subshell_for"] = None
