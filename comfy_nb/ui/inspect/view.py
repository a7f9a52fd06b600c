"""The view of a value in a notebook: a widget that asks for what is visible, and HTML for when it is gone."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ipywidgets import HTML, VBox, Widget
from traitlets import Dict, Float

from comfy_nb.engine.session import default_session
from comfy_nb.spec.attributes import of_class
from comfy_nb.ui.inspect.background import BackgroundThread
from comfy_nb.ui.inspect.html import as_text, to_html
from comfy_nb.ui.inspect.inspector import LIMITS, Inspector, Request
from comfy_nb.ui.inspect.parts import OWN_PARTS
from comfy_nb.ui.inspect.statistics import scan
from comfy_nb.ui.jupyter.cell_output import close_all
from comfy_nb.ui.jupyter.cells import shell
from comfy_nb.ui.jupyter.live_html import LiveHTML
from comfy_nb.ui.jupyter.widget import THEME, FrontEnd, script, style
from comfy_nb.wording import encodable

REPORT_EVERY_S = 0.2
SHOW_THEMSELVES = ("matplotlib", "pandas", "polars", "altair", "plotly")


class InspectorWidget(FrontEnd):
    """The front end of a view. It holds the value while a page shows it; `progress` is that of the full scan."""

    _esm = script(Path(__file__).parent / "js")
    _css = style(THEME, Path(__file__).with_name("inspect.css"))
    message = Dict().tag(sync=True)
    progress = Float(1.0).tag(sync=True)

    def __init__(self, inspector: Inspector, origin: str) -> None:
        super().__init__()
        self._inspector = inspector
        self._origin = origin
        self._thread = BackgroundThread()
        self._pages: set[str] = set()
        self.message = self._described()
        self.on_msg(self._on_message)

    def release(self) -> None:
        """Let go of the value; what a page shows of it stays."""
        self._thread.drop_all()
        self._inspector.release()

    def release_and_close(self) -> None:
        """Let go of the value, and close the widget."""
        self.release()
        close_all(self)

    def _described(self) -> dict[str, Any]:
        parts = [self._inspector.described(place) for place in range(len(self._inspector.parts))]
        return {"parts": parts, "origin": self._origin, "limits": LIMITS}

    def _on_message(self, widget: InspectorWidget, request: object, buffers: list[bytes]) -> None:
        """May be called from any thread."""
        if not isinstance(request, dict):
            return
        page = str(request.get("page"))
        if request.get("ask") == "open":
            self._thread.submit(f"open {page}", lambda: self._open(page))
        elif request.get("ask") == "close":
            self._thread.submit(f"close {page}", lambda: self._close(page))
        else:
            self._thread.submit(str(request.get("key")), lambda: self._answer(request))

    def _open(self, page: str) -> None:
        self._pages.add(page)
        self._inspector.hold()
        is_sampled = any(not stats.is_exact for stats in self._inspector.statistics.values())
        if self._inspector.is_held and is_sampled:
            self._thread.start_long_task(self._scan())

    def _close(self, page: str) -> None:
        self._pages.discard(page)
        if not self._pages:
            self._thread.drop_long_task()  # but not the requests of a page that has opened since
            self._inspector.release()

    def _answer(self, request: Request) -> None:
        answer, pictures = self._inspector.answer(request)
        self.send({**answer, "key": request.get("key"), "id": request.get("id")}, pictures)

    def _scan(self) -> Iterator[None]:
        """Read all values of the parts that were only sampled, and report the progress."""
        reported = 0.0
        for place, stats in list(self._inspector.statistics.items()):
            scanning = scan(self._inspector.tensor(place)) if not stats.is_exact else None
            while scanning is not None:
                try:
                    progress = next(scanning)
                except StopIteration as done:
                    self._inspector.statistics[place] = done.value
                    break
                if time.monotonic() - reported > REPORT_EVERY_S:
                    reported, self.progress = time.monotonic(), progress
                yield
        self.message = self._described()
        self.progress = 1.0


class ValueView:
    """A view of a value; the last line of a cell shows it, live if there is a kernel. `origin` says what made it."""

    def __init__(self, value: Any, other: Any = None, kind: str | None = None, origin: str = "") -> None:
        self._inspector = Inspector(value, other, kind)
        self._origin = encodable(origin)
        self._own = value if _shows_itself(value) else None

    def __repr__(self) -> str:
        self._inspector.hold()  # a page that was closed has released it
        return as_text(self._inspector, self._origin)

    def _repr_html_(self) -> str:
        self._inspector.hold()
        return to_html(self._inspector, self._origin)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if self._own is not None:
            display(self._own)
            return
        static = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        if shell() is None or not self._needs_widget():
            display(static, raw=True)
            return
        widget = InspectorWidget(self._inspector, self._origin)
        LiveHTML(widget, static, widget.release_and_close)

    def widget(self) -> Widget:
        """Return the view as a widget, to be placed beside others; see `show_in`."""
        self._inspector.hold()
        if self._own is None and self._needs_widget():
            return InspectorWidget(self._inspector, self._origin)
        own = _own_html(self._own) if self._own is not None else ""
        return HTML(own or self._repr_html_())

    def _needs_widget(self) -> bool:
        return any(self._inspector.view_kind(place) != "words" for place in range(len(self._inspector.parts)))


def view_of(value: Any, other: Any = None, kind: str | None = None) -> ValueView:
    """Return a view of a value of this socket type; for one that came from a run, with the node that made it."""
    provenance = default_session().provenance.of(value)
    if provenance is None:
        return ValueView(value, other, kind)
    return ValueView(value, other, kind or provenance.socket, provenance.describe())


def show_in(box: VBox, *views: ValueView) -> None:
    """Show these views in a box, and close the widgets that it held before."""
    before, box.children = box.children, [view.widget() for view in views]
    for widget in before:
        if isinstance(widget, InspectorWidget):
            widget.release_and_close()
        else:
            close_all(widget)


def _own_html(value: Any) -> str:
    """Return how a value shows itself in a notebook, as HTML; nothing if that is only text, or code of its own."""
    running = shell()
    if running is None or hasattr(value, "_ipython_display_"):
        return ""
    data = running.display_formatter.format(value)[0]
    for kind in ("text/html", "image/svg+xml"):
        if kind in data:
            return str(data[kind])
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            picture = data[kind] if isinstance(data[kind], str) else base64.b64encode(data[kind]).decode()
            return f'<img src="data:{kind};base64,{picture}">'
    return ""


def _shows_itself(value: Any) -> bool:
    """Whether a value has a display of its own that is better than ours: figures, data frames, and the like."""
    if of_class(type(value), OWN_PARTS) is not None:
        return False
    try:
        if str(type(value).__module__).partition(".")[0] in SHOW_THEMSELVES:
            return True
        return hasattr(value, "_repr_html_") and not hasattr(value, "__array__")
    except KeyboardInterrupt:
        raise
    except BaseException:  # an object of somebody else's class may raise anything, whatever it is asked
        return False
