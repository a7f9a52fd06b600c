"""The base of all widgets: their scripts and styles, and a comm whose messages no running cell holds up."""

from __future__ import annotations

from pathlib import Path

from anywidget import AnyWidget

THEME = Path(__file__).with_name("theme.css")
SHARED_SCRIPTS = [Path(__file__).with_name(name) for name in ("channel.js", "dom.js")]


def script(path: Path) -> str:
    """Return the module in a file, or in all files of a folder, preceded by the scripts that all widgets share.

    It is text because anywidget keeps every widget alive whose module is a path.
    """
    files = sorted(path.glob("*.js")) if path.is_dir() else [path]
    return "\n".join(file.read_text("utf-8") for file in (*SHARED_SCRIPTS, *files))


def style(*paths: Path) -> str:
    """Return these stylesheets as one."""
    return "\n".join(path.read_text("utf-8") for path in paths)


class FrontEnd(AnyWidget):
    """A widget whose messages are handled on the thread that its page asks for.

    ipykernel 7.4 routes a widget's messages to the main shell if a cell was the last to use it. There they wait for
    cells that block; and a message handled at the end of one cell can swallow the next cell's "idle", so that its
    prompt stays at [*].
    """

    def open(self) -> None:
        """Create the comm, with messages routed as the page asks and not by who used the widget last."""
        super().open()
        if self.comm is not None:
            self.comm.__dict__["_reply_subshell_for"] = None
