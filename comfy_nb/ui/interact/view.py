"""`nb.interact`: controls for a graph's constants, and below them the value that follows."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from html import escape
from typing import Any

import ipywidgets as widgets

from comfy_nb.engine.execution.loops import post
from comfy_nb.errors import GraphError
from comfy_nb.graph.handle import Handle
from comfy_nb.graph.node import random_seed
from comfy_nb.parameters.live_value import Rerun
from comfy_nb.parameters.parameter import copy_and_target
from comfy_nb.ui.inspect.view import look
from comfy_nb.ui.interact.controls import Control, controls_for, decimals
from comfy_nb.ui.jupyter.cell_output import close_all, shell
from comfy_nb.ui.jupyter.live_html import LiveHTML
from comfy_nb.ui.render.style import COLOURS, FAINT
from comfy_nb.wording import short

KEEP_AFTER_S = 1.0
WIDE = {"width": "auto", "max_width": "42em"}
LABEL = {"description_width": "9em"}


class Controls:
    """Controls that edit a copy of a graph and show what comes of it; made by `nb.interact`.

    `await controls` gives the value of the newest settings, `controls.value` the last that was computed;
    `controls.graph` is the edited copy, `controls.settings` the constants as they stand. `close()` ends it.
    """

    def __init__(self, source: Any, output: Any, wishes: Mapping[str, Any]) -> None:
        self._loop = _running_loop()
        self.graph, self.target = copy_and_target(source, output)
        self.handle = source if isinstance(source, Handle) else None
        self.controls = controls_for(self.graph, self.target, wishes)
        self._livings: list[LiveHTML] = []
        self._keeping: asyncio.TimerHandle | None = None
        self._shown = ""
        self._widgets: dict[str, Any] = {}
        self._rerun = Rerun(self.graph, self.target, self._draw)
        self._state = widgets.HTML()
        self._result = widgets.HTML()
        rows = [self._row(control) for control in self.controls]
        self.widget = widgets.VBox([*rows, self._state, self._result])
        self.widget.add_class("comfy-nb-interact")
        for control in self.controls:
            self.graph[control.setting.node_id].inputs[control.setting.name] = control.value
        self._rerun.start()

    @property
    def value(self) -> Any:
        """The last value that was computed; None before the first, or when the newest settings fail."""
        return self._rerun.value

    @property
    def error(self) -> BaseException | None:
        """What the newest settings raised, or None."""
        return self._rerun.error

    @property
    def state(self) -> str:
        """What is shown below the controls: "running…", or how the last run ended."""
        return self._rerun.state

    @property
    def settings(self) -> dict[str, Any]:
        """The constants as they stand, by their name in the graph: "3.radius"."""
        return {each.setting.key: self._now(each) for each in self.controls}

    def close(self) -> None:
        """Stop what runs and give the controls back; what a saved notebook shows stays."""
        self._rerun.close()
        close_all(self.widget)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._rerun.__await__()

    def __getitem__(self, name: str) -> Any:
        return self._widgets[name]

    # The controls ----------------------------------------------------------------------------------------------------

    def _row(self, control: Control) -> Any:
        made = make_widget(control)
        self._widgets[control.label] = made
        made.observe(lambda change: post(self._loop, self._rerun.edit, control.setting, change["new"]), "value")
        if control.kind != "seed":
            return made
        button = widgets.Button(description="new", tooltip="Another random seed", layout={"width": "5em"})
        button.on_click(lambda _: post(self._loop, self._new_seed, control))
        return widgets.HBox([made, button])

    def _new_seed(self, control: Control) -> None:
        node = self.graph[control.setting.node_id]
        self._widgets[control.label].value = random_seed(*node.bounds(control.setting.name))

    def _now(self, control: Control) -> Any:
        return self.graph[control.setting.node_id].inputs[control.setting.name]

    # What is shown ---------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """On the loop: show the state, and what there is of a result."""
        rerun = self._rerun
        is_over = rerun.error is not None or rerun.state.startswith("done")
        self._state.value = f'<div role="status" style="{FAINT}">{escape(rerun.state)}</div>'
        if rerun.state == "running…" or not is_over:
            return
        if rerun.error is not None:
            words = escape(str(rerun.error))
            self._shown = f'<div style="color:{COLOURS["failed"]};white-space:pre-wrap">{words}</div>'
        else:
            self._shown = look(rerun.value, kind=self.target.kind)._repr_html_()
        self._result.value = self._shown
        if self._keeping is not None:
            self._keeping.cancel()
        self._keeping = self._loop.call_later(KEEP_AFTER_S, self._keep)

    def _keep(self) -> None:
        """Renew what a saved notebook shows, once the controls rest: it may take the focus from them."""
        for living in self._livings:
            living.set_static(self._static())

    def _static(self) -> dict[str, str]:
        """What a saved notebook shows."""
        rows = "".join(
            f"<div>{escape(each.label)} = <b>{escape(short(self._now(each)))}</b></div>" for each in self.controls
        )
        state = f'<div style="{FAINT}">{escape(self.state)}</div>'
        html = f'<div class="comfy-nb-value">{rows}{state}{self._shown}</div>'
        return {"text/html": html, "text/plain": repr(self)}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if shell() is None or self._rerun.is_closed:
            display(self._static(), raw=True)
            return
        self._livings.append(LiveHTML(self.widget, self._static()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{each.label}={short(self._now(each))}" for each in self.controls)
        return f"<Controls of {self.target.title}({shown}): {self.state}>"


def make_widget(control: Control) -> Any:
    """Return the ipywidget of a control."""
    options = control.setting.entry.options
    given: dict[str, Any] = {"value": control.value, "description": control.label, "layout": WIDE, "style": LABEL}
    given["tooltip"] = str(options.get("tooltip") or control.setting.where)
    if control.kind == "choice":
        named = [(short(each) if not isinstance(each, str) else each, each) for each in control.options]
        return widgets.Dropdown(options=named, **given)
    if control.kind == "check":
        return widgets.Checkbox(indent=True, **given)
    if control.kind in ("text", "lines"):
        return (widgets.Text if control.kind == "text" else widgets.Textarea)(continuous_update=False, **given)
    step = int(control.step or 1) if control.is_whole else float(control.step or 0.01)
    if control.kind == "slider":
        bounds = {"min": control.low, "max": control.high, "step": step}
        if control.is_whole:
            return widgets.IntSlider(**bounds, **given)
        return widgets.FloatSlider(readout_format=decimals(step), **bounds, **given)
    return (widgets.IntText if control.is_whole else widgets.FloatText)(step=step, **given)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise GraphError("Controls need a running event loop, as a notebook has one.") from None
