"""The tensor view in a notebook: a widget that asks for what is seen, beside HTML that stays when it is gone."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ipywidgets import HTML, VBox, Widget
from traitlets import Dict, Float

from comfy_nb.engine.session import default_session
from comfy_nb.ui.inspect.background import Worker
from comfy_nb.ui.inspect.html import as_text, to_html
from comfy_nb.ui.inspect.inspector import Subject
from comfy_nb.ui.inspect.statistics import scan
from comfy_nb.ui.jupyter.cell_output import close_all, shell
from comfy_nb.ui.jupyter.live_html import LiveHTML
from comfy_nb.ui.jupyter.widget import FrontEnd, script, style
from comfy_nb.wording import encodable

TELL_EVERY_S = 0.2


class Viewer(FrontEnd):
    """The front end of a view. It holds the value while a page shows it; `progress` is that of the full scan."""

    _esm = script(Path(__file__).parent / "js")
    _css = style(Path(__file__).with_name("inspect.css"))
    message = Dict().tag(sync=True)
    progress = Float(1.0).tag(sync=True)

    def __init__(self, subject: Subject, who: str) -> None:
        super().__init__()
        self._subject = subject
        self._who = who
        self._worker = Worker()
        self._pages: set[str] = set()
        self.message = self._told()
        self.on_msg(self._take)

    def let_go(self) -> None:
        """Let go of the value; what a page shows of it stays."""
        self._worker.drop()
        self._subject.release()

    def leave(self) -> None:
        """Let go of the value, and of the widget."""
        self.let_go()
        close_all(self)

    def _told(self) -> dict[str, Any]:
        parts = [self._subject.described(place) for place in range(len(self._subject.parts))]
        return {"parts": parts, "who": self._who}

    def _take(self, widget: Any, asked: Any, buffers: Any) -> None:
        """Comes on any thread."""
        if not isinstance(asked, dict):
            return
        page = str(asked.get("page"))
        if asked.get("ask") == "open":
            self._worker.ask(f"open {page}", lambda: self._open(page))
        elif asked.get("ask") == "close":
            self._worker.ask(f"close {page}", lambda: self._close(page))
        else:
            self._worker.ask(str(asked.get("key")), lambda: self._answer(asked))

    def _open(self, page: str) -> None:
        self._pages.add(page)
        self._subject.hold()
        if self._subject.is_held and any(not facts.is_exact for facts in self._subject.facts.values()):
            self._worker.go_on_with(self._scan())

    def _close(self, page: str) -> None:
        self._pages.discard(page)
        if not self._pages:
            self._worker.leave_task()  # and not what another page has asked since
            self._subject.release()

    def _answer(self, asked: Any) -> None:
        answer, pictures = self._subject.answer(asked)
        self.send({**answer, "key": asked.get("key"), "id": asked.get("id")}, pictures)

    def _scan(self) -> Iterator[None]:
        """Look at all values of what only a sample was seen of, and tell."""
        told = 0.0
        for place, facts in list(self._subject.facts.items()):
            scanning = scan(self._subject.tensor(place)) if not facts.is_exact else None
            while scanning is not None:
                try:
                    progress = next(scanning)
                except StopIteration as done:
                    self._subject.facts[place] = done.value
                    break
                if time.monotonic() - told > TELL_EVERY_S:
                    told, self.progress = time.monotonic(), progress
                yield
        self.message = self._told()
        self.progress = 1.0


class Look:
    """A value to look at; the last line of a cell shows it, alive where there is a kernel."""

    def __init__(self, value: Any, other: Any = None, kind: str | None = None, who: str = "") -> None:
        self._subject = Subject(value, other, kind)
        self._who = who
        self._own = value if _shows_itself(value) else None

    def __repr__(self) -> str:
        self._subject.hold()  # a page that was closed let it go
        return as_text(self._subject, self._who)

    def _repr_html_(self) -> str:
        self._subject.hold()
        return to_html(self._subject, self._who)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if self._own is not None:
            display(self._own)
            return
        kept = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        if shell() is None or not self._is_worth_a_widget():
            display(kept, raw=True)
            return
        viewer = Viewer(self._subject, self._who)
        LiveHTML(viewer, kept, viewer.leave)

    def widget(self) -> Widget:
        """Return it as a widget, to be put beside others; see `put_in`."""
        self._subject.hold()
        if self._own is None and self._is_worth_a_widget():
            return Viewer(self._subject, self._who)
        own = _own_html(self._own) if self._own is not None else ""
        return HTML(own or self._repr_html_())

    def _is_worth_a_widget(self) -> bool:
        return any(self._subject.view_of(place) != "words" for place in range(len(self._subject.parts)))


def look(value: Any, other: Any = None, kind: str | None = None) -> Look:
    """Return a view of a value; of one that came from a run it says who made it. `kind` is its socket type."""
    provenance = default_session().provenance.of(value)
    if provenance is None:
        return Look(value, other, kind)
    return Look(value, other, kind or provenance.socket, encodable(provenance.describe()))


def put_in(box: VBox, *looks: Look) -> None:
    """Show these in a box, and give back the widgets that it held of others."""
    before, box.children = box.children, [each.widget() for each in looks]
    for widget in before:
        if isinstance(widget, Viewer):
            widget.leave()
        else:
            close_all(widget)


def _own_html(value: Any) -> str:
    """What a value shows of itself in a notebook, as HTML; nothing where that is only text, or code of its own."""
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
    module = type(value).__module__.partition(".")[0]
    return module in ("matplotlib", "pandas", "polars", "altair", "plotly") or (
        hasattr(value, "_repr_html_") and not hasattr(value, "__array__")
    )
