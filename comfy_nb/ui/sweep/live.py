"""The live grid of a sweep: it fills as results come in, and a click on a cell opens it."""

from __future__ import annotations

import asyncio
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from traitlets import Dict

from comfy_nb.engine.execution.loops import post
from comfy_nb.parameters.sweep import Cell, Sweep
from comfy_nb.ui.inspect.view import show_in, view_of
from comfy_nb.ui.jupyter.cell_output import close_all, unfinished
from comfy_nb.ui.jupyter.live_html import LiveHTML
from comfy_nb.ui.jupyter.stop_button import StopButton
from comfy_nb.ui.jupyter.widget import THEME, FrontEnd, script, style
from comfy_nb.ui.render.style import ERROR_TEXT, FAINT, code_html
from comfy_nb.ui.sweep.cell_contents import note_on, picture_in, words_in
from comfy_nb.ui.sweep.html import to_html
from comfy_nb.wording import short

DRAW_EVERY_S = 0.25


class GridWidget(FrontEnd):
    """The front end of a grid: `table` is its frame, and messages carry the contents of the cells."""

    _esm = script(Path(__file__).with_name("sweep.js"))
    _css = style(THEME, Path(__file__).with_name("sweep.css"))
    table = Dict().tag(sync=True)


class LiveGrid:
    """Follows a sweep on its loop; sends what has changed, at most four times a second."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._loop = asyncio.get_running_loop()
        self._changed: dict[int, Cell] = {}
        self._picked: Cell | None = None
        self._grid = GridWidget(table=_table(sweep))
        self._grid.on_msg(self._on_message)
        self._stop = StopButton(sweep.cancel)
        self._words = widgets.HTML()
        self._detail = widgets.VBox()
        self._take = widgets.Button(description="Take these parameters", layout={"width": "auto", "display": "none"})
        self._take.on_click(lambda _: post(self._loop, self._take_picked))
        self.widget = widgets.VBox([self._stop, self._grid, self._words, self._take, self._detail])
        self.widget.add_class("comfy-nb-frame")
        self._live_html: LiveHTML | None = None
        sweep.on_change.append(self._note_change)
        self._timer = self._loop.call_later(DRAW_EVERY_S, self._tick)
        if sweep.state != "running":
            self._end()

    def open(self) -> None:
        """Show the grid below the running cell."""
        self._live_html = LiveHTML(self.widget, self._static(), self._close)

    def _close(self) -> None:
        self._timer.cancel()
        if self._note_change in self._sweep.on_change:
            self._sweep.on_change.remove(self._note_change)
        show_in(self._detail)
        close_all(self.widget)

    def _static(self) -> dict[str, str]:
        static = {"text/html": to_html(self._sweep), "text/plain": repr(self._sweep)}
        return unfinished(static) if self._sweep.state == "running" else static

    # The sweep -------------------------------------------------------------------------------------------------------

    def _note_change(self, cell: Cell | None) -> None:
        if cell is not None:
            self._changed[cell.index] = cell
        if self._sweep.state != "running":
            self._end()

    def _end(self) -> None:
        self._timer.cancel()
        self._send_all()
        # The button is not closed: a front end that has just begun to load it would report a failure.
        self.widget.children = tuple(child for child in self.widget.children if child is not self._stop)
        if self._live_html is not None:
            self._live_html.set_static(self._static())

    def _send_all(self) -> None:
        self._changed = {cell.index: cell for cell in self._sweep}
        self._send()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(DRAW_EVERY_S, self._tick)
        self._send()

    def _send(self) -> None:
        changed, self._changed = list(self._changed.values()), {}
        kind = self._sweep.output.kind
        pictures = [picture.data for cell in changed if (picture := picture_in(cell, kind)) is not None]
        content = {"head": self._sweep.headline(), "cells": [_as_message(cell, kind) for cell in changed]}
        self._grid.send(content, pictures)

    # The person ------------------------------------------------------------------------------------------------------

    def _on_message(self, widget: GridWidget, message: object, buffers: list[bytes]) -> None:
        """May be called from any thread and any loop."""
        if message == "ready":
            post(self._loop, self._send_all)
        elif isinstance(message, dict) and isinstance(message.get("cell"), int):
            post(self._loop, self._pick, message["cell"])

    def _pick(self, index: int) -> None:
        self._picked = cell = self._sweep.cell(index)
        parameters = ", ".join(f"{key} = {short(value)}" for key, value in cell.parameters.items())
        state = escape(cell.outcome) if cell.state != "done" else ""
        if cell.error is not None:
            state = f'<div style="{ERROR_TEXT}">{escape(str(cell.error))}</div>'
        code = code_html(self._sweep.code(cell))
        self._words.value = f"<div><b>{escape(parameters)}</b></div>{state}{code}"
        show_in(self._detail, *([view_of(cell.value, kind=self._sweep.output.kind)] if cell.state == "done" else []))
        self._take.layout.display = "inline-block"
        self._take.description = "Take these parameters"

    def _take_picked(self) -> None:
        if self._picked is None:
            return
        try:
            self._sweep.take(self._picked)
            self._take.description = "taken into the graph"
        except Exception as error:  # a callback's exception would be shown nowhere else
            self._words.value += f'<div style="{FAINT}">{escape(str(error))}</div>'


def _table(sweep: Sweep) -> dict[str, Any]:
    axes = sweep.layout.axes
    labels = [[axis.caption(point) for point in range(len(axis.points))] for axis in axes]
    pages = [
        {"label": label, "rows": [[sweep.cells[place].index for place in row] for row in rows]}
        for label, rows in sweep.layout.pages()
    ]
    return {"columns": labels[0], "lines": labels[1] if len(axes) > 1 else [], "pages": pages, "head": sweep.headline()}


def _as_message(cell: Cell, kind: str | None) -> dict[str, Any]:
    picture = picture_in(cell, kind)
    return {
        "index": cell.index,
        "state": cell.state,
        "words": words_in(cell, kind),
        "note": note_on(cell),
        "picture": picture.format if picture is not None else "",
    }
