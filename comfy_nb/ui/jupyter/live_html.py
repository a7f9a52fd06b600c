"""Views that stay live after their run, and leave plain HTML in the saved notebook.

When a trusted notebook is opened again without its kernel, a widget in an output is "model not found". So the output
is HTML; the widget, which is in no output, is mounted over it in the pages of a running kernel.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ipywidgets import Widget, widget_serialization
from traitlets import Instance, Unicode

from comfy_nb.ui.jupyter.cell_output import CellOutput, running_cell
from comfy_nb.ui.jupyter.cells import shell
from comfy_nb.ui.jupyter.widget import FrontEnd, script


class Mount(FrontEnd):
    """Finds the elements of class `placeholder` in a page, and shows `child` in each."""

    _esm = script(Path(__file__).with_name("live_html.js"))
    placeholder = Unicode().tag(sync=True)
    child = Instance(Widget).tag(sync=True, **widget_serialization)


class LiveHTML:
    """A widget in place of its own static HTML, below the cell that is running when this is made.

    It lives until that cell runs again; `on_close` is called then.
    """

    def __init__(self, widget: Widget, static: Mapping[str, str], on_close: Callable[[], None] | None = None) -> None:
        self._placeholder = f"comfy-nb-view-{uuid.uuid4().hex[:12]}"
        self._output = CellOutput()
        self._on_close = on_close
        self._mount = Mount(placeholder=self._placeholder, child=widget)
        self.set_static(static)
        _close_when_cell_runs_again(self)

    def set_static(self, static: Mapping[str, str]) -> None:
        """Set by MIME type what the notebook shows when saved from now on; live views stay as they are."""
        html = f'<div class="{self._placeholder}">{static["text/html"]}</div>'
        self._output.show({**static, "text/html": html})

    def close(self) -> None:
        """Close the widget; a page that is loaded after this shows the HTML."""
        self._mount.close()
        if self._on_close is not None:
            self._on_close()


_open_views: dict[str, list[LiveHTML]] = {}


def _close_when_cell_runs_again(view: LiveHTML) -> None:
    cell = str(running_cell().get("metadata", {}).get("cellId", ""))
    if not _open_views:
        shell().events.register("pre_run_cell", _before_cell)
    if cell:
        _open_views.setdefault(cell, []).append(view)


def _before_cell(info: Any) -> None:
    for view in _open_views.pop(str(getattr(info, "cell_id", None) or ""), []):
        view.close()
