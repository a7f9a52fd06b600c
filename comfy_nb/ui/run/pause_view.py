"""A run paused at a breakpoint: the value, and controls to continue or stop, below the cell that began the run."""

from __future__ import annotations

import threading
import time
from html import escape
from pathlib import Path
from typing import Any, cast

from ipywidgets import VBox
from traitlets import Unicode

from comfy_nb.engine.execution.breakpoints import SAME, Pause
from comfy_nb.ui.inspect.view import InspectorWidget, ValueView
from comfy_nb.ui.jupyter.cell_output import CellOutput, close_when_loaded
from comfy_nb.ui.jupyter.cells import shell
from comfy_nb.ui.jupyter.widget import THEME, FrontEnd, script, style
from comfy_nb.ui.render.style import FAINT
from comfy_nb.wording import describe_error, format_seconds

ANSWER_S = 10.0
EXITS = ("exit", "quit")  # people leave debuggers by these; IPython's own would end the kernel
OUTCOMES = {
    "continued": "continued as it was",
    "replaced": "continued with another value",
    "stopped": "the run was stopped",
    "failed": "nobody could answer",
}


class PauseControls(FrontEnd):
    """Handles `{"do": "resume", "with": expression}` and `{"do": "stop"}`; any message sets `has_answered`."""

    _esm = script(Path(__file__).with_name("pause.js"))
    _css = style(THEME, Path(__file__).with_name("pause.css"))
    place = Unicode().tag(sync=True)

    def __init__(self, pause: Pause) -> None:
        super().__init__(place=f"{pause.named}, output {pause.point.slot}")
        self.has_answered = False
        self._pause = pause
        self.on_msg(self._on_message)

    def _on_message(self, widget: Any, message: Any, buffers: Any) -> None:
        """May be called from any thread."""
        self.has_answered = True
        if not isinstance(message, dict):
            return
        if message.get("do") != "hello":
            self.send({"received": True})
        if message.get("do") == "stop" or str(message.get("with", "")).strip() in EXITS:
            self._pause.stop()
        elif message.get("do") == "resume":
            try:
                self._pause.resume(self._evaluate(str(message.get("with", ""))))
            except BaseException as error:  # a person's expression may raise anything; it is shown beside the field
                self.send({"error": describe_error(error)})

    def _evaluate(self, expression: str) -> Any:
        """Return the value to continue with: Python in which `x` is the value, with all names of the notebook."""
        if expression.strip() in ("", "x"):
            return SAME
        names = {**(shell().user_ns if shell() is not None else {}), "x": self._pause.value}
        names.update(dict.fromkeys(EXITS, self._pause.stop))
        return eval(compile(expression.strip(), "<breakpoint>", "eval"), names)


class PauseView:
    """Shows a pause while it lasts, and then its outcome as HTML."""

    def __init__(self, pause: Pause, output: CellOutput) -> None:
        self._pause = pause
        self._output = output
        self._since = time.monotonic()
        self._view = self._inspected()
        self._controls = PauseControls(pause)
        self._value = self._view.widget()
        self._frame = VBox([self._controls, self._value])
        self._frame.add_class("comfy-nb-frame")
        pause.on_end = self._end
        output.show(self._static("paused"), self._frame)
        if not pause.run.in_background:
            timer = threading.Timer(ANSWER_S, self._give_up_without_answer)
            timer.daemon = True
            timer.start()

    def _give_up_without_answer(self) -> None:
        if not self._controls.has_answered:
            self._pause.give_up(
                "the run paused at its breakpoint, and no page has answered: this kernel handles clicks only while "
                "no cell runs. Start it in the background (job = handle.start(), or graph.start()), or remove the "
                "breakpoint; what is computed stays cached."
            )

    def _end(self) -> None:
        lasted = format_seconds(time.monotonic() - self._since)
        self._output.show(self._static(f"paused for {lasted}, then {OUTCOMES[self._pause.state]}"))
        if isinstance(self._value, InspectorWidget):
            self._value.release()
        close_when_loaded(self._frame, self._since)

    def _static(self, state: str) -> dict[str, str]:
        heading = f"▮▮ {self._controls.place}: {state}"
        views = [self._view, self._inspected()] if self._pause.state == "replaced" else [self._view]
        html = "".join(view._repr_html_() for view in views)
        return {
            "text/html": f'<div style="{FAINT}">{escape(heading)}</div>{html}',
            "text/plain": "\n".join([heading, *(repr(view) for view in views)]),
        }

    def _inspected(self) -> ValueView:
        return cast("ValueView", self._pause.run.inspect(self._pause.node_run.step.id, self._pause.point.slot))
