"""What `nb.interact` returns: an ipywidget for each control, which edits a copy of a graph, and the value below."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator, Mapping
from html import escape
from typing import Any

import ipywidgets as widgets

from comfy_nb.engine.execution.loops import post
from comfy_nb.errors import GraphError
from comfy_nb.graph.handle import Handle
from comfy_nb.graph.model import Graph
from comfy_nb.graph.node import Node, random_seed
from comfy_nb.parameters.as_code import as_code
from comfy_nb.parameters.live_value import RUNNING, LiveValue
from comfy_nb.parameters.parameter import Parameter
from comfy_nb.parameters.shown_output import copy_with_output
from comfy_nb.ui.inspect.view import view_of
from comfy_nb.ui.interact.controls import ControlSpec, controls_for, decimals
from comfy_nb.ui.interact.whole_number import WholeNumber, is_exact
from comfy_nb.ui.jupyter.cell_output import close_all, is_watched, unfinished
from comfy_nb.ui.jupyter.cells import cells, shell
from comfy_nb.ui.jupyter.live_html import LiveHTML
from comfy_nb.ui.render.style import ERROR_TEXT, FAINT, code_html
from comfy_nb.wording import short

KEEP_AFTER_S = 1.0
WIDE = {"width": "auto", "max_width": "42em"}
LABEL = {"description_width": "9em"}


class Controls:
    """Controls that edit a copy of a graph and show its value; made by `nb.interact`.

    `await controls` is the value of the newest settings, `controls.value` the last one that was computed;
    `controls.graph` is the edited copy, `controls.settings` holds the constants as they are now, `controls.code` is
    a line of Python with them. `reset()` sets them back to where they began, `close()` ends it.
    """

    def __init__(
        self, source: Graph | Handle, output: str | int | Node | Handle | None, wishes: Mapping[str, Any]
    ) -> None:
        self._loop = _running_loop()
        self._source = source
        self.graph, self.output = copy_with_output(source, output)
        self.controls = controls_for(self.graph, self.output, wishes)
        self._shown_live: list[LiveHTML] = []
        self._is_watched = True
        self._keeping: asyncio.TimerHandle | None = None
        self._shown = ""
        self._widgets: dict[str, widgets.ValueWidget] = {}
        self._live_value = LiveValue(self.graph, self.output, self._draw)
        self._state = widgets.HTML()
        self._result = widgets.HTML()
        rows = [self._row(control) for control in self.controls]
        reset = widgets.Button(description="Reset", tooltip="The values at the beginning", layout={"width": "6em"})
        reset.on_click(lambda _: self.reset())
        self.widget = widgets.VBox([*rows, reset, self._state, self._result])
        self.widget.add_class("comfy-nb-interact")
        for control in self.controls:
            self.graph[control.parameter.node_id].inputs[control.parameter.name] = control.value
        self._live_value.start()

    @property
    def value(self) -> Any:
        """The last value that was computed; None before the first one, and when the newest settings fail."""
        return self._live_value.value

    @property
    def error(self) -> BaseException | None:
        """The exception that the newest settings raised, or None."""
        return self._live_value.error

    @property
    def state(self) -> str:
        """The line below the controls: "running…", or how the last run ended."""
        return self._live_value.state

    @property
    def settings(self) -> dict[str, Any]:
        """The constants as they are now, by their names in the graph: "3.radius"."""
        return {each.parameter.key: self._now(each.parameter) for each in self.controls}

    @property
    def code(self) -> str:
        """A line of Python that makes the handle with these settings, or that sets them in the graph."""
        return as_code(self._source, self.graph, self.settings, vars(sys.modules["__main__"]))

    def reset(self) -> None:
        """Set all controls to the values with which they began."""
        for control in self.controls:
            self._widgets[control.label].value = control.value

    def close(self) -> None:
        """Stop the run that goes on and close the controls; what a saved notebook shows stays."""
        self._live_value.close()
        close_all(self.widget)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._live_value.__await__()

    def __getitem__(self, name: str) -> widgets.ValueWidget:
        return self._widgets[name]

    # The controls ----------------------------------------------------------------------------------------------------

    def _row(self, control: ControlSpec) -> widgets.Widget:
        made = make_widget(control)
        self._widgets[control.label] = made
        edit = self._live_value.edit
        made.observe(lambda change: post(self._loop, edit, control.parameter, control.read(change["new"])), "value")
        if control.kind != "seed":
            return made
        button = widgets.Button(description="new", tooltip="Another random seed", layout={"width": "5em"})
        button.on_click(lambda _: post(self._loop, self._new_seed, control))
        return widgets.HBox([made, button])

    def _new_seed(self, control: ControlSpec) -> None:
        node = self.graph[control.parameter.node_id]
        self._widgets[control.label].value = random_seed(*node.bounds(control.parameter.name))

    def _now(self, parameter: Parameter) -> Any:
        return self.graph[parameter.node_id].inputs[parameter.name]

    # The value -------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """On the loop: show the state, and the value or error if there is one."""
        live = self._live_value
        is_over = live.error is not None or live.state.startswith("done")
        state = f'<div role="status" style="{FAINT}">{escape(live.state)}</div>'
        if live.state == RUNNING or not is_over:
            self._state.value = state
            return
        if live.error is not None:
            text = escape(str(live.error))
            self._shown = f'<div style="{ERROR_TEXT}">{text}</div>'
        else:
            value = view_of(live.value, kind=self.output.kind)._repr_html_()
            self._shown = f"{code_html(self.code)}{value}"
        self._result.value = self._shown
        self._state.value = state
        if self._keeping is not None:
            self._keeping.cancel()
        self._keeping = self._loop.call_later(KEEP_AFTER_S, self._keep)
        if not self._is_watched:
            cells.at_end(self, self._keep)

    def _keep(self) -> None:
        """Renew what a saved notebook shows, once the controls rest: doing so may take the focus from them."""
        if self._keeping is None:
            return
        self._keeping.cancel()
        self._keeping = None
        for live_html in self._shown_live:
            live_html.set_static(self._static())

    def _static(self) -> dict[str, str]:
        """Return what a saved notebook shows."""
        rows = "".join(
            f"<div>{escape(each.label)} = <b>{escape(short(self._now(each.parameter)))}</b></div>"
            for each in self.controls
        )
        state = f'<div style="{FAINT}">{escape(self.state)}</div>'
        html = f'<div class="comfy-nb-value">{rows}{state}{self._shown}</div>'
        live = self._live_value
        value = [str(live.error)] if live.error is not None else [short(live.value)] if live.value is not None else []
        static = {"text/html": html, "text/plain": "\n".join([repr(self), *value])}
        return unfinished(static) if live.state == RUNNING else static

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if shell() is None or self._live_value.is_closed:
            display(self._static(), raw=True)
            return
        self._is_watched = is_watched()
        self._shown_live.append(LiveHTML(self.widget, self._static()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{each.label}={short(self._now(each.parameter))}" for each in self.controls)
        return f"<Controls of {self.output.title}({shown}): {self.state}>"


def make_widget(control: ControlSpec) -> widgets.ValueWidget:
    """Return the ipywidget of a control."""
    options = control.parameter.input_spec.options
    common: dict[str, Any] = {"value": control.value, "description": control.label, "layout": WIDE, "style": LABEL}
    common["tooltip"] = str(options.get("tooltip") or control.parameter.where)
    if control.kind == "choice":
        named = [(short(each) if not isinstance(each, str) else each, each) for each in control.options]
        return widgets.Dropdown(options=named, **common)
    if control.kind == "check":
        return widgets.Checkbox(indent=True, **common)
    if control.kind in ("text", "lines"):
        return (widgets.Text if control.kind == "text" else widgets.Textarea)(continuous_update=False, **common)
    if control.is_whole and not is_exact(control.low, control.high, control.value):
        return WholeNumber(continuous_update=False, **common)
    step = int(control.step or 1) if control.is_whole else float(control.step or 0.01)
    if control.kind == "slider":
        bounds = {"min": control.low, "max": control.high, "step": step}
        if control.is_whole:
            return widgets.IntSlider(**bounds, **common)
        return widgets.FloatSlider(readout_format=decimals(step), **bounds, **common)
    return (widgets.IntText if control.is_whole else widgets.FloatText)(step=step, **common)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise GraphError("Controls need a running event loop, as notebooks have.") from None
