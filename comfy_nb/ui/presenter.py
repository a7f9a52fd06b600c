"""What shows runs, graphs and values outside a notebook: views when they are asked for, and warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_nb.engine.presenter import NoPresenter

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run
    from comfy_nb.graph.model import Graph
    from comfy_nb.spec.node_spec import NodeSpec
    from comfy_nb.ui.graph.view import GraphView
    from comfy_nb.ui.inspect.view import ValueView
    from comfy_nb.ui.run_rows import RunRows
    from comfy_nb.ui.timeline.live import Timeline


class ScriptPresenter(NoPresenter):
    """Makes every view that is asked for; each is imported when it is first wanted."""

    def class_text(self, spec: NodeSpec) -> str:
        """Return the slots of a node class in a box of text."""
        from comfy_nb.ui.render.node_class import class_text

        return class_text(spec)

    def class_html(self, spec: NodeSpec) -> str:
        """Return the slots of a node class as HTML."""
        from comfy_nb.ui.render.node_class import class_html

        return class_html(spec)

    def show_graph(self, graph: Graph) -> GraphView:
        """Return a view of a graph, live while it runs."""
        from comfy_nb.ui.graph.view import GraphView

        return GraphView(graph)

    def panel(self, run: Run) -> RunRows:
        """Return a view of a run's rows."""
        from comfy_nb.ui.run.monitor import monitor_of
        from comfy_nb.ui.run_rows import RunRows

        return RunRows(monitor_of(run))

    def timeline(self, run: Run) -> Timeline:
        """Return a view of a run over time: which node ran when, and where."""
        from comfy_nb.ui.timeline.live import Timeline

        return Timeline(run)

    def inspect(self, run: Run, node_id: str, slot: int) -> ValueView:
        """Return a view of the value on an output of a node."""
        from comfy_nb.ui.inspect.view import ValueView

        value = run.value(node_id, slot)
        provenance = run.provenance(node_id, slot)
        return ValueView(value, kind=provenance.socket, origin=provenance.describe())
