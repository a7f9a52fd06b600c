"""A graph shown below a cell: live if there is a kernel, with a still picture for the saved notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.session import default_session
from comfy_nb.errors import PromptError
from comfy_nb.graph.default_registry import default_registry
from comfy_nb.graph.model import Graph, load
from comfy_nb.graph.node import is_handle
from comfy_nb.ui.graph.cached_values import cached_ids
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.html import as_lines, headline, to_html
from comfy_nb.ui.graph.layout import lay_out
from comfy_nb.ui.graph.live import LiveGraph
from comfy_nb.ui.jupyter.cells import shell
from comfy_nb.ui.jupyter.live_html import LiveHTML
from comfy_nb.wording import encodable

if TYPE_CHECKING:
    import os

    from comfy_nb.graph.handle import Handle

LINES_MAX = 30


class GraphView:
    """A view of a graph, to edit in place and to follow while it runs; an editor's workflow is only drawn."""

    def __init__(self, source: Graph | Mapping[str, Any]) -> None:
        self._source = source

    def _repr_html_(self) -> str:
        return self._static()["text/html"]

    def __repr__(self) -> str:
        return self._static()["text/plain"]

    def _ipython_display_(self) -> None:
        from IPython.display import display

        static = self._static()
        if shell() is None:
            display(static, raw=True)
            return
        live = LiveGraph(self._source)
        live.live_html = LiveHTML(live.widget, static, live.close)

    def _static(self) -> dict[str, str]:
        """Return what is shown without a kernel, as the graph is now."""
        scene = lay_out(scene_of(self._source, default_registry()).still())
        cached = cached_ids(self._source, default_session()) if isinstance(self._source, Graph) else ()
        by_id = dict.fromkeys(cached, "cached")
        text = "\n".join([headline(scene), *as_lines(scene, by_id)[:LINES_MAX]])
        return {"text/html": to_html(scene, by_id), "text/plain": encodable(text)}


def draw(source: Graph | Handle | Mapping[str, Any] | str | bytes | os.PathLike[str]) -> GraphView:
    """Return a view of a graph, a handle or anything that `nb.load` takes, and of an editor's workflow."""
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
