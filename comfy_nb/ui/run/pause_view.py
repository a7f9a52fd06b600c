"""A run that is paused at a breakpoint: the value, and what to do with it, below the cell that began the run."""

from __future__ import annotations

import threading
import time
from html import escape
from pathlib import Path
from typing import Any, cast

from ipywidgets import VBox
from traitlets import Dict

from comfy_nb.engine.execution.breakpoints import SAME, Pause
from comfy_nb.ui.inspect.view import InspectorWidget, ValueView
from comfy_nb.ui.jupyter.cell_output import CellOutput, close_when_loaded, shell
from comfy_nb.ui.jupyter.widget import THEME, FrontEnd, script, style
from comfy_nb.ui.run.html import FAINT
from comfy_nb.wording import describe_error, format_seconds

ANSWER_S = 10.0
LEAVE = ("exit", "quit")  # what debuggers are left by; IPython's would end the kernel
ENDS = {
    "continued": "continued as it was",
    "replaced": "continued with another value",
    "stopped": "the run was stopped",
    "failed": "nobody could answer",
}


class PauseControls(FrontEnd):
    """Takes `{"do": "resume", "with": expression}` and `{"do": "stop"}`; `heard` is set by whatever comes first."""

    _esm = script(Path(__file__).with_name("pause.js"))
    _css = style(THEME, Path(__file__).with_name("pause.css"))
    said = Dict().tag(sync=True)

    def __init__(self, pause: Pause) -> None:
        super().__init__()
        self.heard = False
        self._pause = pause
        self.said = {"where": f"{pause.named}, output {pause.point.slot}"}
        self.on_msg(self._take)

    def _take(self, widget: Any, asked: Any, buffers: Any) -> None:
        """Comes on any thread."""
        self.heard = True
        if not isinstance(asked, dict):
            return
        if asked.get("do") != "hello":
            self.send({"heard": True})
        if asked.get("do") == "stop" or str(asked.get("with", "")).strip() in LEAVE:
            self._pause.stop()
        elif asked.get("do") == "resume":
            try:
                self._pause.resume(self._value(str(asked.get("with", ""))))
            except BaseException as error:  # what a person typed may raise anything; it is told beside the field
                self.send({"fault": describe_error(error)})

    def _value(self, expression: str) -> Any:
        """What a person wants to go on with: Python in which `x` is the value, and all names of the notebook are."""
        if expression.strip() in ("", "x"):
            return SAME
        names = {**(shell().user_ns if shell() is not None else {}), "x": self._pause.value}
        names.update(dict.fromkeys(LEAVE, self._pause.stop))
        return eval(compile(expression.strip(), "<breakpoint>", "eval"), names)


class PauseView:
    """Shows a pause while it lasts, and then what came of it as HTML."""

    def __init__(self, pause: Pause, output: CellOutput) -> None:
        self._pause = pause
        self._output = output
        self._since = time.monotonic()
        self._look = self._inspected()
        self._controls = PauseControls(pause)
        self._value = self._look.widget()
        self._frame = VBox([self._controls, self._value])
        self._frame.add_class("comfy-nb-frame")
        pause.on_end = self._end
        output.show(self._texts("paused"), self._frame)
        if not pause.run.in_background:
            waiting = threading.Timer(ANSWER_S, self._give_up_unheard)
            waiting.daemon = True
            waiting.start()

    def _give_up_unheard(self) -> None:
        if not self._controls.heard:
            self._pause.give_up(
                "the run paused at its breakpoint, and no page has answered: this kernel takes clicks only while no "
                "cell runs. Start it in the background (job = handle.start(), or graph.start()), or remove the "
                "breakpoint; what is computed stays cached."
            )

    def _end(self) -> None:
        lasted = format_seconds(time.monotonic() - self._since)
        self._output.show(self._texts(f"paused for {lasted}, then {ENDS[self._pause.state]}"))
        if isinstance(self._value, InspectorWidget):
            self._value.release()
        close_when_loaded(self._frame, self._since)

    def _texts(self, state: str) -> dict[str, str]:
        said = f"▮▮ {self._controls.said['where']}: {state}"
        looks = [self._look, self._inspected()] if self._pause.state == "replaced" else [self._look]
        html = "".join(look._repr_html_() for look in looks)
        return {
            "text/html": f'<div style="{FAINT}">{escape(said)}</div>{html}',
            "text/plain": "\n".join([said, *(repr(look) for look in looks)]),
        }

    def _inspected(self) -> ValueView:
        return cast("ValueView", self._pause.run.inspect(self._pause.ticket.step.id, self._pause.point.slot))
