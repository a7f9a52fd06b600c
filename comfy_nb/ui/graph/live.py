"""The live view of a graph: follows its runs, and takes what a person does in it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakSet

import ipywidgets as widgets
from traitlets import Dict

from comfy_nb.engine.execution.loops import post
from comfy_nb.engine.session import Session, default_session
from comfy_nb.errors import ComfyNBError
from comfy_nb.graph.model import Graph
from comfy_nb.graph.namespace import default_registry
from comfy_nb.graph.node import random_seed
from comfy_nb.graph.topology import descendants
from comfy_nb.ui.graph.cached_values import cached_value, glance, values_in_words
from comfy_nb.ui.graph.edit import edit, read
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.layout import laid_out_as, lay_out
from comfy_nb.ui.graph.messages import scene_message, states_message
from comfy_nb.ui.graph.states import States
from comfy_nb.ui.inspect.view import show_in, view_of
from comfy_nb.ui.jupyter.cell_output import close_all
from comfy_nb.ui.jupyter.live_html import Living
from comfy_nb.ui.jupyter.ticker import ticker
from comfy_nb.ui.jupyter.widget import THEME, FrontEnd, script, style
from comfy_nb.wording import describe_error, encodable

ONLY_DRAWN = (
    "This is only drawn, so nothing was computed. Export it with Workflow > Export (API), and nb.load that file."
)


PICTURES_AFTER_S = 0.2  # the last results reach the cache a little after a run has ended


class GraphWidget(FrontEnd):
    """The front end of a graph: `scene` is what it draws, and states come as messages."""

    _esm = script(Path(__file__).parent / "js")
    _css = style(THEME, Path(__file__).with_name("graph.css"))
    scene = Dict().tag(sync=True)


class Stage:
    """The live widget of one display. Requests come on any thread and are answered on the loop of the cell."""

    def __init__(self, source: Graph | Mapping[str, Any], session: Session | None = None) -> None:
        self._source = source
        self._session = session or default_session()
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._states = States()
        self._run: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._scene = lay_out(scene_of(source, default_registry()))
        self._seen = contents(source) if isinstance(source, Graph) else {}
        self._graph = GraphWidget(scene=scene_message(self._scene, can_edit=isinstance(source, Graph)))
        self._graph.on_msg(self._hear)
        self._detail = widgets.VBox()
        self.widget = widgets.VBox([self._graph, self._detail])
        self.widget.add_class("comfy-nb-frame")
        self.living: Living | None = None  # held here, for it lives as long as this
        self._leave: Callable[[], None] = lambda: None
        self._unfollow: Callable[[], None] = lambda: None
        if isinstance(source, Graph):
            self._join(source)

    def _join(self, graph: Graph) -> None:
        """Hear of the graph's runs, also of those that go on, and of edits in other views."""
        self._states.glance(glance(graph, self._session))
        self._leave = self._session.on_run(self.follow)
        graph.memo.setdefault("stages", WeakSet()).add(self)
        for run in self._session.live_runs():
            if run.graph is graph and run.drive is not None:
                post(run.drive.loop, self.follow, run)

    def leave(self) -> None:
        """Follow no more runs and edits."""
        self._leave()
        self._unfollow()
        if isinstance(self._source, Graph):
            self._source.memo["stages"].discard(self)

    def close(self) -> None:
        """Follow no more runs and edits, and let the widgets go."""
        self.leave()
        show_in(self._detail)
        close_all(self.widget)

    # A run -----------------------------------------------------------------------------------------------------------

    def follow(self, run: Any) -> None:
        """On the run's loop: show a run of the graph, from its beginning."""
        if run.graph is not self._source or run is self._run:
            return
        self._unfollow()
        self._run = run
        post(self._loop, self._look_again, run.graph)

        def take(events: Any) -> None:
            with self._lock:
                self._states.take(events, lambda: run.plan.above(run.wanted))

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

    def _look_again(self, graph: Graph) -> None:
        """Show the graph as it is now; where only values have changed, every node keeps its place."""
        now = contents(graph)
        if now == self._seen:
            return
        self._seen = now
        with self._lock:
            self._states.keep(graph.nodes)
        self._scene = laid_out_as(scene_of(graph), self._scene)
        self._graph.scene = scene_message(self._scene, can_edit=True)

    def _end(self, run: Any) -> None:
        with self._lock:
            self._states.glance(glance(run.graph, run.session))
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

    async def _follow_to_its_end(self, job: Any) -> None:
        try:
            await job
        except ComfyNBError as error:
            self._say(str(error))

    # A person --------------------------------------------------------------------------------------------------------

    def _hear(self, widget: Any, message: Any, buffers: Any) -> None:
        """Comes on any thread and loop."""
        post(self._loop, self._answer, message)

    def _answer(self, message: Any) -> None:
        try:
            self._do(message["type"], message)
        except Exception as error:  # a pack's or a value's own code may be asked; it appears nowhere else
            told = str(error) if isinstance(error, (ComfyNBError, ValueError)) else describe_error(error)
            is_edit = message.get("type") in ("edit", "reseed")
            self._graph.send({"type": "refused" if is_edit else "note", "text": encodable(told)})

    def _do(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "ready":
            self._send_all()
        elif kind == "inspect":
            self._inspect(str(message["id"]), int(message["slot"]))
        elif kind == "hover":
            self._tell_values(str(message["id"]))
        elif kind in ("run", "edit", "reseed") and isinstance(self._source, Graph):
            self._say("")
            self._change(self._source, kind, message)
        else:
            raise ValueError(f"A view has no answer to {kind!r:.40}.")

    def _say(self, text: str) -> None:
        self._graph.send({"type": "note", "text": text})

    def _inspect(self, node_id: str, slot: int) -> None:
        if not isinstance(self._source, Graph):
            self._say(ONLY_DRAWN)
            return
        try:
            if self._run is None:
                show_in(self._detail, view_of(cached_value(self._source, self._session, node_id, slot)))
            else:
                show_in(self._detail, self._run.inspect(node_id, slot))
        except Exception:
            show_in(self._detail)  # what was there is of another node
            raise
        self._say("")

    def _tell_values(self, node_id: str) -> None:
        words: list[str] = []
        if isinstance(self._source, Graph):
            words = values_in_words(self._source, self._session, self._run, node_id)
        self._graph.send({"type": "values", "id": node_id, "words": words})

    def _change(self, graph: Graph, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "run":
            task = self._loop.create_task(self._follow_to_its_end(self._session.start(graph, quiet=True)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        node_id, name = str(message["id"]), str(message["name"])
        if kind == "reseed":
            value = random_seed(*graph[node_id].bounds(name))
        else:
            value = read(message["kind"], message["value"], f"{name} of {graph[node_id]!r}")
        before = graph[node_id].inputs.get(name)
        if type(value) is type(before) and value == before:
            self._graph.send({"type": "unchanged"})
            return
        edit(graph, node_id, name, value)
        stale = descendants(graph, node_id)
        for stage in list(graph.memo["stages"]):
            post(stage._loop, stage._take_edit, graph, stale)

    def _take_edit(self, graph: Graph, stale: Iterable[str]) -> None:
        """A person has edited the graph here or in another view of it."""
        with self._lock:
            self._states.spoil(stale)
        self._look_again(graph)
        self._send()


def contents(graph: Graph) -> dict[str, tuple[Any, ...]]:
    """Return what is drawn of each node, to tell by `==` whether it is still the same: values count by identity."""
    return {
        node.id: (
            Same(graph.registry.find(node.class_type)),
            node.mode,
            node.title,
            *((name, Same(value)) for name, value in node.inputs.items()),
        )
        for node in graph
    }


class Same:
    """A value that is equal to itself only, for tensors and much else cannot be compared."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value
