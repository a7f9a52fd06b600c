"""A graph shown below a cell: alive where there is a kernel, with a still picture for the saved notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

import ipywidgets as widgets
from traitlets import Dict

from comfy_nb.engine.loops import post
from comfy_nb.engine.plan import plan_of
from comfy_nb.engine.session import default_session
from comfy_nb.errors import ComfyNBError, PromptError, UnknownName
from comfy_nb.graph.model import Graph, load
from comfy_nb.graph.namespace import default_registry
from comfy_nb.graph.node import is_handle, random_seed
from comfy_nb.graph.prompt import is_link
from comfy_nb.ui.cell import close_all, shell
from comfy_nb.ui.front import FrontEnd, script, style
from comfy_nb.ui.graph_view.from_graph import scene_of
from comfy_nb.ui.graph_view.glance import cached_value, glance, values_in_words
from comfy_nb.ui.graph_view.layout import lay_out
from comfy_nb.ui.graph_view.picture import as_lines, headline, to_html
from comfy_nb.ui.graph_view.scene import Scene
from comfy_nb.ui.graph_view.states import States
from comfy_nb.ui.graph_view.wire import scene_message, states_message
from comfy_nb.ui.living import Living
from comfy_nb.ui.look.view import look, put_in
from comfy_nb.ui.texts import sound
from comfy_nb.ui.ticker import ticker

ONLY_DRAWN = (
    "This is only drawn, so nothing was computed. Export it with Workflow > Export (API), and nb.load that file."
)
READERS: Mapping[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": lambda text: text == "true"}
EXPECTED = {"int": "a whole number", "float": "a number"}


class GraphWidget(FrontEnd):
    """The front end of a graph: `scene` is what it draws, and states come as messages."""

    _esm = script("graph")
    _css = style("panel.css", "graph.css")
    scene = Dict().tag(sync=True)


class GraphView:
    """A graph to be seen, edited in place and followed as it runs; a workflow of the editor's is only drawn."""

    def __init__(self, source: Graph | Mapping[str, Any]) -> None:
        self._source = source
        self._states = States()
        if isinstance(source, Graph):
            self._states.glance(glance(source, default_session()))

    def _repr_html_(self) -> str:
        return to_html(self._scene(), self._said())

    def __repr__(self) -> str:
        scene = self._scene()
        return sound("\n".join([headline(scene), *as_lines(scene, self._said())[:30]]))

    def _ipython_display_(self) -> None:
        from IPython.display import display

        kept = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        if shell() is None:
            display(kept, raw=True)
            return
        stage = Stage(self._source, self._states)
        stage.living = Living(stage.widget, kept, stage.close)

    def _scene(self) -> Scene:
        return lay_out(scene_of(self._source, default_registry()))

    def _said(self) -> dict[str, str]:
        return {node_id: state.state for node_id, state in self._states.nodes.items()}


def draw(source: Any) -> GraphView:
    """Return a view of a graph, a handle, or whatever `nb.load` takes, also of what only ComfyUI's editor can read."""
    if isinstance(source, Graph):
        return GraphView(source)
    if is_handle(source):
        return GraphView(Graph(source))
    try:
        return GraphView(load(source))
    except PromptError as error:
        if error.workflow is None:
            raise
        return GraphView(error.workflow)


class Stage:
    """The live widget of one display. Requests come on any thread and are answered on the loop of the cell."""

    def __init__(self, source: Graph | Mapping[str, Any], states: States | None = None) -> None:
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._states = states or States()
        self._run: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        scene = scene_message(lay_out(scene_of(source, default_registry())), can_edit=isinstance(source, Graph))
        self._graph = GraphWidget(scene=scene)
        self._graph.on_msg(self._hear)
        self._detail = widgets.VBox()
        self.widget = widgets.VBox([self._graph, self._detail])
        self.widget.add_class("comfy-nb-frame")
        self.living: Living | None = None
        self._leave = default_session().on_run(self.follow) if isinstance(source, Graph) else None

    def leave(self) -> None:
        """Follow no more runs."""
        if self._leave is not None:
            self._leave()

    def close(self) -> None:
        """Follow no more runs, and let the widgets go."""
        self.leave()
        put_in(self._detail)
        close_all(self.widget)

    # A run -----------------------------------------------------------------------------------------------------------

    def follow(self, run: Any) -> None:
        """Show a run of the graph, from its beginning."""
        if run.graph is not self._source:
            return
        self._run = run

        def take(events: Any) -> None:
            with self._lock:
                self._states.take(events, lambda: run.plan.above(run.wanted))

        def tick(now: float) -> None:
            self._send()
            if run.state != "running":
                ticker.remove(tick)
                post(self._loop, self._loop.call_later, 0.2, self._end, run)

        run.subscribe(take)
        ticker.add(tick)

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
            if message["type"] == "ready":
                self._send_all()
            elif message["type"] == "inspect":
                self._inspect(message["id"], message["slot"])
            elif message["type"] == "hover":
                self._tell_values(str(message["id"]))
            elif isinstance(self._source, Graph):
                self._change(self._source, message)
        except (ComfyNBError, ValueError, TypeError, LookupError) as error:  # it appears nowhere else
            self._graph.send({"type": "refused", "text": str(error)})

    def _say(self, text: str) -> None:
        self._graph.send({"type": "note", "text": text})

    def _inspect(self, node_id: str, slot: int) -> None:
        if self._run is None and isinstance(self._source, Graph):
            put_in(self._detail, look(cached_value(self._source, default_session(), node_id, slot)))
        elif self._run is not None:
            put_in(self._detail, self._run.inspect(node_id, slot))
        self._say("" if isinstance(self._source, Graph) else ONLY_DRAWN)

    def _tell_values(self, node_id: str) -> None:
        words: list[str] = []
        if isinstance(self._source, Graph):
            words = values_in_words(self._source, default_session(), self._run, node_id)
        self._graph.send({"type": "values", "id": node_id, "words": words})

    def _change(self, graph: Graph, message: Mapping[str, Any]) -> None:
        self._say("")
        if message["type"] == "run":
            task = self._loop.create_task(self._follow_to_its_end(graph.start(quiet=True)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        node_id, name = message["id"], message["name"]
        if message["type"] == "reseed":
            value = random_seed(*graph[node_id].bounds(name))
        else:
            value = read(message["kind"], message["value"], f"{name} of {graph[node_id]!r}")
        edit(graph, node_id, name, value)
        with self._lock:
            self._states.spoil(downstream(graph, node_id))
        self._graph.scene = scene_message(lay_out(scene_of(graph)), can_edit=True)
        self._send()


def read(kind: str, text: str, where: str) -> Any:
    """Return the value of a kind of field that was typed; raises ValueError where it is none."""
    try:
        return READERS.get(kind, str)(text)
    except ValueError:
        raise ValueError(f"{where} takes {EXPECTED[kind]}, not {text!r:.60}.") from None


def edit(graph: Graph, node_id: str, name: str, value: Any) -> None:
    """Give a node's input another value; one that its declaration refuses raises ValueError and changes nothing."""
    node = graph[node_id]
    if name not in node.inputs:
        raise UnknownName.of("input", name, node.inputs, f"on {node!r}")
    before = node.inputs[name]
    if is_link(before):
        raise ValueError(f"{name} of {node!r} is linked by now; show the graph again.")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name} of {node!r} takes a number, not {value}.")
    node.inputs[name] = value
    try:
        problems = plan_of(graph).faulty.get(node_id)
    except ComfyNBError:
        node.inputs[name] = before
        raise
    if problems and any(problem.extra.get("input_name") == name for problem in problems):
        node.inputs[name] = before
        raise ValueError("\n".join(str(problem) for problem in problems))


def downstream(graph: Graph, node_id: str) -> Iterable[str]:
    """Return a node and all that depends on it."""
    feeds: dict[str, list[str]] = {}
    for node in graph:
        for value in node.inputs.values():
            if is_link(value):
                feeds.setdefault(value[0], []).append(node.id)
    found = {node_id: None}
    left = [node_id]
    while left:
        for other in feeds.get(left.pop(), ()):
            if other not in found:
                found[other] = None
                left.append(other)
    return list(found)
