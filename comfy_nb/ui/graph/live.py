"""The live view of a graph: follows its runs, and answers what a person does in it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import ipywidgets as widgets
from traitlets import Dict

from comfy_nb.engine.events import Event
from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.job import Job
from comfy_nb.engine.run import Run
from comfy_nb.engine.session import Session, default_session
from comfy_nb.errors import ComfyNBError, NotKept
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.model import Graph
from comfy_nb.graph.on_error import CONTINUE
from comfy_nb.graph.topology import descendants
from comfy_nb.ui.graph.cached_values import (
    blocked_nodes,
    blocked_outputs,
    cached_nodes,
    cached_value,
    describe_values,
)
from comfy_nb.ui.graph.edit import reseed, set_from_text
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.layout import laid_out_as, lay_out
from comfy_nb.ui.graph.messages import scene_message, states_message
from comfy_nb.ui.graph.states import OVER, States
from comfy_nb.ui.inspect.view import show_in, view_of
from comfy_nb.ui.jupyter.cell_output import close_all
from comfy_nb.ui.jupyter.live_html import LiveHTML
from comfy_nb.ui.jupyter.ticker import ticker
from comfy_nb.ui.jupyter.widget import THEME, FrontEnd, script, style
from comfy_nb.wording import describe_error, encodable

ONLY_DRAWN = (
    "This workflow is only drawn, so it has no values. Export it with Workflow > Export (API), and nb.load that file."
)
PICTURES_AFTER_S = 0.2  # the last results reach the cache a little after a run has ended

_views: WeakKeyDictionary[Graph, WeakSet[LiveGraph]] = WeakKeyDictionary()


class GraphWidget(FrontEnd):
    """The front end of a graph: `scene` is what it draws, and states arrive as messages."""

    _esm = script(Path(__file__).parent / "js")
    _css = style(THEME, Path(__file__).with_name("graph.css"))
    scene = Dict().tag(sync=True)


class LiveGraph:
    """The live widget of one display. Messages may arrive on any thread; they are answered on the loop of the cell."""

    def __init__(self, source: Graph | Mapping[str, Any], session: Session | None = None) -> None:
        self._source = source
        self._session = session or default_session()
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._states = States()
        self._run: Run | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._scene = lay_out(scene_of(source, default_registry()))
        self._drawn = drawn_contents(source) if isinstance(source, Graph) else {}
        self._graph = GraphWidget(scene=scene_message(self._scene, can_edit=isinstance(source, Graph)))
        self._graph.on_msg(self._on_message)
        self._detail = widgets.VBox()
        self.widget = widgets.VBox([self._graph, self._detail])
        self.widget.add_class("comfy-nb-frame")
        self.live_html: LiveHTML | None = None  # held here because it lives as long as this
        self._stop_listening: Callable[[], None] = lambda: None
        self._unfollow: Callable[[], None] = lambda: None
        if isinstance(source, Graph):
            self._join(source)

    def _join(self, graph: Graph) -> None:
        """Follow the graph's runs, those that go on already too, and edits in other views of it."""
        self._add_cached(graph)
        self._stop_listening = self._session.on_run(self.follow)
        _views.setdefault(graph, WeakSet()).add(self)
        for run in self._session.live_runs():
            if run.graph is graph and run.loop is not None:
                post(run.loop, self.follow, run)

    def leave(self) -> None:
        """Follow no more runs and edits."""
        self._stop_listening()
        self._unfollow()
        if isinstance(self._source, Graph):
            _views[self._source].discard(self)

    def close(self) -> None:
        """Follow no more runs and edits, and close the widgets."""
        self.leave()
        show_in(self._detail)
        close_all(self.widget)

    # Runs ------------------------------------------------------------------------------------------------------------

    def follow(self, run: Run) -> None:
        """Show a run of the graph from its beginning; called on the run's loop."""
        if run.graph is not self._source or run is self._run:
            return
        self._unfollow()
        self._run = run
        post(self._loop, self._redraw, run.graph)

        def take(events: Sequence[Event]) -> None:
            with self._lock:
                self._states.take(events, lambda: run.plan.above(run.wanted), goes_on=run.on_error == CONTINUE)

        def tick(now: float) -> None:
            self._send()
            if run.state != "running":
                ticker.remove(tick)
                post(self._loop, self._loop.call_later, PICTURES_AFTER_S, self._end, run)

        def unfollow() -> None:
            unsubscribe()
            ticker.remove(tick)

        unsubscribe = run.subscribe(take)
        ticker.add(tick)
        self._unfollow = unfollow

    def _redraw(self, graph: Graph) -> None:
        """Draw the graph as it is now; if only values have changed, every node keeps its place."""
        now = drawn_contents(graph)
        if now == self._drawn:
            return
        self._drawn = now
        with self._lock:
            self._states.keep_only(graph.nodes)
        self._scene = laid_out_as(scene_of(graph), self._scene)
        self._graph.scene = scene_message(self._scene, can_edit=True)

    def _add_cached(self, graph: Graph) -> None:
        here = (graph, self._session)
        self._states.add_cached(cached_nodes(*here), blocked_nodes(*here), blocked_outputs(*here))

    def _end(self, run: Run) -> None:
        with self._lock:
            self._add_cached(run.graph)
        self._send_all()

    def _send(self) -> None:
        with self._lock:
            changed, self._states.changed = self._states.changed, set()
            message, pictures = states_message(self._states, sorted(changed))
        if changed:
            self._graph.send(message, pictures)

    def _send_all(self) -> None:
        with self._lock:
            self._states.changed.update(self._states.nodes)
        self._send()

    # The person ------------------------------------------------------------------------------------------------------

    def _on_message(self, widget: GraphWidget, message: Any, buffers: list[bytes]) -> None:
        """May be called from any thread and any loop."""
        post(self._loop, self._answer, message)

    def _answer(self, message: Any) -> None:
        try:
            self._handle(message["type"], message)
        except Exception as error:  # code of a pack or a value may be called here; its error would be shown nowhere
            text = str(error) if isinstance(error, (ComfyNBError, ValueError)) else describe_error(error)
            is_edit = message.get("type") in ("edit", "reseed")
            kind = "refused" if is_edit else "hint" if self._is_to_come(error, message) else "note"
            self._graph.send({"type": kind, "text": encodable(text)})

    def _is_to_come(self, error: Exception, message: Mapping[str, Any]) -> bool:
        """Whether a value is only not there yet, and nothing has gone wrong with its node."""
        return isinstance(error, NotKept) and self._states.of(str(message.get("id"))).state not in OVER

    def _handle(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "ready":
            self._send_all()
        elif kind == "inspect":
            self._inspect(str(message["id"]), int(message["slot"]))
        elif kind == "hover":
            self._send_values(str(message["id"]))
        elif kind == "run" and isinstance(self._source, Graph):
            self._show_note("")
            self._start_run(self._source)
        elif kind in ("edit", "reseed") and isinstance(self._source, Graph):
            self._show_note("")
            self._edit(self._source, kind, message)
        else:
            raise ValueError(f"A view has no answer to {kind!r:.40}.")

    def _show_note(self, text: str) -> None:
        self._graph.send({"type": "note", "text": text})

    def _inspect(self, node_id: str, slot: int) -> None:
        if not isinstance(self._source, Graph):
            self._graph.send({"type": "hint", "text": ONLY_DRAWN})
            return
        try:
            if self._run is None:
                show_in(self._detail, view_of(cached_value(self._source, self._session, node_id, slot)))
            else:
                show_in(self._detail, self._run.inspect(node_id, slot))
        except Exception:
            show_in(self._detail)  # it still shows another node
            raise
        self._show_note("")

    def _send_values(self, node_id: str) -> None:
        lines: list[str] = []
        if isinstance(self._source, Graph):
            lines = describe_values(self._source, self._session, self._run, node_id)
        self._graph.send({"type": "values", "id": node_id, "lines": lines})

    def _start_run(self, graph: Graph) -> None:
        task = self._loop.create_task(self._report_failure(self._session.start(graph, quiet=True, priority=0)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report_failure(self, job: Job) -> None:
        try:
            await job
        except ComfyNBError as error:
            self._show_note(str(error))

    def _edit(self, graph: Graph, kind: str, message: Mapping[str, Any]) -> None:
        node_id, name = str(message["id"]), str(message["name"])
        if kind == "reseed":
            is_changed = reseed(graph, node_id, name)
        else:
            is_changed = set_from_text(graph, node_id, name, str(message["value"]))
        if not is_changed:
            self._graph.send({"type": "unchanged"})
            return
        stale = descendants(graph, node_id)
        for view in list(_views[graph]):
            post(view._loop, view._on_edit, graph, stale)

    def _on_edit(self, graph: Graph, stale: Iterable[str]) -> None:
        """A person has edited the graph, in this or another view of it."""
        with self._lock:
            self._states.mark_stale(stale)
        self._redraw(graph)
        self._send()


def drawn_contents(graph: Graph) -> dict[str, tuple[Any, ...]]:
    """Return what is drawn of each node; two of these are equal (`==`) if the nodes hold the same objects."""
    return {
        node.id: (
            Identity(graph.registry.find(node.class_type)),
            node.mode,
            node.title,
            *((name, Identity(value)) for name, value in node.inputs.items()),
        )
        for node in graph
    }


class Identity:
    """A value compared by identity, because tensors and much else cannot be compared by value."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.value is other.value
