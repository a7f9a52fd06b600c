"""A graph shown below a cell: alive where there is a kernel, with a still picture for the saved notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_nb.engine.session import default_session
from comfy_nb.errors import PromptError
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.model import Graph, load
from comfy_nb.graph.node import is_handle
from comfy_nb.ui.graph.cached_values import glance
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.html import as_lines, headline, to_html
from comfy_nb.ui.graph.layout import lay_out
from comfy_nb.ui.graph.live import Stage
from comfy_nb.ui.graph.states import States
from comfy_nb.ui.jupyter.cell_output import shell
from comfy_nb.ui.jupyter.live_html import LiveHTML
from comfy_nb.wording import encodable


class GraphView:
    """A graph to be seen, edited in place and followed as it runs; a workflow of the editor's is only drawn."""

    def __init__(self, source: Graph | Mapping[str, Any]) -> None:
        self._source = source

    def _repr_html_(self) -> str:
        return self._kept()["text/html"]

    def __repr__(self) -> str:
        return self._kept()["text/plain"]

    def _ipython_display_(self) -> None:
        from IPython.display import display

        kept = self._kept()
        if shell() is None:
            display(kept, raw=True)
            return
        stage = Stage(self._source)
        stage.living = LiveHTML(stage.widget, kept, stage.close)

    def _kept(self) -> dict[str, str]:
        """What is shown of it where there is no kernel, as it is now."""
        scene = lay_out(scene_of(self._source, default_registry()))
        states = States()
        if isinstance(self._source, Graph):
            states.glance(glance(self._source, default_session()))
        said = {node_id: state.state for node_id, state in states.nodes.items()}
        text = "\n".join([headline(scene), *as_lines(scene, said)[:30]])
        return {"text/html": to_html(scene, said), "text/plain": encodable(text)}


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
