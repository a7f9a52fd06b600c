"""A graph shown below a cell: alive where there is a kernel, with a still picture for the saved notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_nb.engine.session import default_session
from comfy_nb.errors import PromptError
from comfy_nb.graph.model import Graph, load
from comfy_nb.graph.namespace import default_registry
from comfy_nb.graph.node import is_handle
from comfy_nb.ui.cell import shell
from comfy_nb.ui.graph_view.from_graph import scene_of
from comfy_nb.ui.graph_view.glance import glance
from comfy_nb.ui.graph_view.layout import lay_out
from comfy_nb.ui.graph_view.picture import as_lines, headline, to_html
from comfy_nb.ui.graph_view.scene import Scene
from comfy_nb.ui.graph_view.stage import Stage
from comfy_nb.ui.graph_view.states import States
from comfy_nb.ui.living import Living
from comfy_nb.ui.texts import sound


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
