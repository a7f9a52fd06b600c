"""Views that stay alive after their run, and leave plain HTML in the saved notebook.

A widget in an output is "model not found" when a trusted notebook is opened again without its kernel. So the output is
HTML, and the widget, which is in no output, takes its place in the pages of a running kernel.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ipywidgets import Widget, widget_serialization
from traitlets import Instance, Unicode

from comfy_nb.ui.jupyter.cell_output import CellOutput, shell
from comfy_nb.ui.jupyter.widget import FrontEnd, script


class Place(FrontEnd):
    """Finds the HTML of class `place` in a page, and shows `child` there."""

    _esm = script(Path(__file__).with_name("live_html.js"))
    place = Unicode().tag(sync=True)
    child = Instance(Widget).tag(sync=True, **widget_serialization)


class Living:
    """A widget in the place of its own HTML, below the cell that is running when this is made.

    It lives until that cell runs again; `on_close` is called then.
    """

    def __init__(self, widget: Widget, texts: Mapping[str, str], on_close: Callable[[], None] | None = None) -> None:
        self._name = f"comfy-nb-view-{uuid.uuid4().hex[:12]}"
        self._output = CellOutput()
        self._on_close = on_close
        self._place = Place(place=self._name, child=widget)
        self.keep(texts)
        _let_go_when_it_runs_again(self)

    def keep(self, texts: Mapping[str, str]) -> None:
        """Say by MIME type what a notebook that is saved from now on shows of it; live views stay as they are."""
        html = f'<div class="{self._name}">{texts["text/html"]}</div>'
        self._output.show({**texts, "text/html": html})

    def close(self) -> None:
        """Let it go; a page that is loaded anew shows the HTML."""
        self._place.close()
        if self._on_close is not None:
            self._on_close()


_views: dict[str, list[Living]] = {}


def _let_go_when_it_runs_again(living: Living) -> None:
    cell = str(shell().get_parent().get("metadata", {}).get("cellId", ""))
    if not _views:
        shell().events.register("pre_run_cell", _before_cell)
    if cell:
        _views.setdefault(cell, []).append(living)


def _before_cell(info: Any) -> None:
    for living in _views.pop(str(getattr(info, "cell_id", None) or ""), []):
        living.close()
