"""What unfolds below the rows of a cell's runs: when each node ran, why it did, and the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import chain, islice
from typing import TYPE_CHECKING

from comfy_nb.engine.execution.node_run import NodeState
from comfy_nb.ui.graph.from_graph import scene_of
from comfy_nb.ui.graph.html import to_html as graph_html
from comfy_nb.ui.graph.layout import lay_out
from comfy_nb.ui.timeline.live import Timeline, with_labels
from comfy_nb.ui.timeline.spans import Spans, side_by_side
from comfy_nb.ui.timeline.svg import to_html as timeline_html
from comfy_nb.wording import clip, count, encodable

if TYPE_CHECKING:
    from comfy_nb.engine.execution.node_run import NodeRun
    from comfy_nb.engine.run import Run
    from comfy_nb.graph.model import Graph

BARS_MAX = 120  # of all runs of a cell
TICKS_MAX = 100  # of one run
REASONS_MAX = 40
REASON_MAX = 300
DRAWN_MAX = 40  # nodes of a graph: more take too long to draw for a picture that is often not looked at

Reason = tuple[str, str]


class RunViews:
    """The views of the runs of one cell: of those that ended, as far as there is room, and of those that go on."""

    def __init__(self) -> None:
        self._ended: list[Spans] = []
        self._room = BARS_MAX
        self._reasons: list[Reason] = []
        self._graph: tuple[Graph, Mapping[str, str]] | None = None
        self._picture = ""
        self._live: dict[int, Timeline] = {}

    def add(self, run: Run) -> None:
        """Take in a run that has ended, of which nothing is kept but words and its graph."""
        if self._room > 0:
            self._ended.append(_first_of(Timeline(run).spans, self._room))
            self._room -= max(len(self._ended[-1].bars), 1)
        if len(self._reasons) < REASONS_MAX:
            self._reasons += islice(_reasons(run), REASONS_MAX - len(self._reasons))
        if self._graph is None or len(run.graph) >= len(self._graph[0]):
            self._graph, self._picture = (run.graph, _states(run)), ""

    def timeline(self, live: Sequence[Run] = ()) -> str:
        """Return who did what when, as HTML; on the loop of the runs that go on."""
        self._live = {run.number: self._live.get(run.number) or Timeline(run) for run in live}
        spans = side_by_side([*self._ended, *(timeline.spans for timeline in self._live.values())])
        return timeline_html(with_labels(spans)) if spans.bars else ""

    def why(self, live: Sequence[Run] = ()) -> str:
        """Return why nodes ran or did not, as HTML."""
        of_live = (reason for run in live for reason in _reasons(run))
        reasons = list(islice(chain(self._reasons, of_live), REASONS_MAX))
        lines = (f"<div><span>{_text(name)}</span> <span>{_text(reason)}</span></div>" for name, reason in reasons)
        return f'<div class="cnb-why">{"".join(lines)}</div>' if reasons else ""

    def html(self) -> dict[str, str]:
        """Return the views of the runs that have ended, by their labels; those that have something to show."""
        views = {"Timeline": self.timeline(), "Why": self.why(), "Graph": self._drawn()}
        return {label: html for label, html in views.items() if html}

    def _drawn(self) -> str:
        """Return the largest graph of the runs as a picture."""
        if self._graph is not None and not self._picture:
            graph, states = self._graph
            if len(graph) <= DRAWN_MAX:
                self._picture = graph_html(lay_out(scene_of(graph).still()), states)
            else:
                self._picture = f"<div>{count(len(graph), 'node')}: nb.draw(nb.last.graph) shows them.</div>"
        return self._picture


def _first_of(spans: Spans, bars_max: int) -> Spans:
    """Return a run with its first bars alone."""
    bars = spans.bars[:bars_max]
    kept = {bar.node_id for bar in bars}
    critical = tuple(node_id for node_id in spans.critical if node_id in kept)
    return replace(spans, bars=bars, critical=critical, ticks=spans.ticks[:TICKS_MAX])


def _text(words: str) -> str:
    return escape(encodable(clip(words, REASON_MAX)))


def _node_runs(run: Run) -> Iterator[tuple[str, NodeRun]]:
    found = ((node_id, run.node_run(node_id)) for node_id in run.plan.steps)
    return ((node_id, node_run) for node_id, node_run in found if node_run is not None)


def _reasons(run: Run) -> Iterator[Reason]:
    """Yield the name of each node that the run looked at, and why it ran or did not; those that ran first."""
    found = sorted(_node_runs(run), key=lambda each: each[1].source != "ran")
    return ((node_run.step.title, run.why(node_id)) for node_id, node_run in found)


def _states(run: Run) -> dict[str, str]:
    """Return the state of each node that the run looked at and that has ended."""
    ended = {node_id: each for node_id, each in _node_runs(run) if each.state >= NodeState.DONE}
    states = {node_id: "done" if each.source == "ran" else "cached" for node_id, each in ended.items()}
    given_up = {node_id: "blocked" for node_id, each in ended.items() if each.state is NodeState.GIVEN_UP}
    return states | given_up | dict.fromkeys(run.failed, "failed")
