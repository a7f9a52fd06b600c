"""`run.timeline()`: it follows its run, shows itself, and writes a trace."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfy_nb.engine.events import Event, RunFinished
from comfy_nb.engine.execution.loops import post
from comfy_nb.ui.jupyter.cell_output import CellOutput, unfinished
from comfy_nb.ui.jupyter.cells import shell
from comfy_nb.ui.jupyter.ticker import REST_FACTOR
from comfy_nb.ui.render.labels import NamedNode, constants_of, distinguish
from comfy_nb.ui.timeline.spans import NOTICEABLE_S, Recorder, Spans
from comfy_nb.ui.timeline.svg import summary, to_html
from comfy_nb.ui.timeline.trace import to_trace
from comfy_nb.wording import count, encodable, format_seconds

if TYPE_CHECKING:
    from comfy_nb.engine.run import Run

REDRAW_S = 0.25
ROWS_MAX = 20


class Timeline:
    """A run over time: which node ran when, and where. Shown in a notebook it is a picture, live while the run goes on.

    `critical_path` lists the nodes that determine the run's length. `save("trace.json")` writes a file for
    chrome://tracing or ui.perfetto.dev.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._recorder = Recorder(self._parents_of)
        self._is_over = False
        self._outputs: list[CellOutput] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        unsubscribe = run.subscribe(self._on_events)
        if self._is_over:  # otherwise the run would keep every timeline alive that was ever made of it
            unsubscribe()

    @property
    def spans(self) -> Spans:
        """The run over time, so far."""
        spans = self._recorder.spans(time.perf_counter())
        for bar in (*spans.bars, *spans.queued):
            bar.constants = constants_of(self._run, bar.node_id)
        return with_labels(spans)

    @property
    def critical_path(self) -> list[str]:
        """The ids of the nodes that determine the run's length, in order."""
        return list(self.spans.critical)

    def to_trace(self) -> dict[str, Any]:
        """Return the run in Chrome's trace event format, as JSON values."""
        return to_trace(self.spans, f"run {self._run.id}")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the trace as a JSON file and return its path; missing folders are made."""
        written = Path(path)
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps(self.to_trace()), encoding="utf-8")
        return written

    def _parents_of(self, node_id: str) -> Iterable[str]:
        node_run = self._run.node_run(node_id)
        step = node_run.step if node_run is not None else self._run.plan.steps.get(node_id)
        return [link.origin for link in step.links if not link.raw] if step is not None else ()

    def _on_events(self, events: Sequence[Event]) -> None:
        self._recorder.apply(events)
        if any(isinstance(event, RunFinished) for event in events):
            self._is_over = True
            self._run = self._run.without_values()
            self._draw()

    def _draw(self) -> None:
        if self._outputs:
            static = self._static()
            for output in self._outputs:
                output.show(static)

    def _tick(self) -> None:
        if not self._is_over and self._loop is not None:
            began = time.perf_counter()
            self._draw()
            self._loop.call_later(max(REDRAW_S, REST_FACTOR * (time.perf_counter() - began)), self._tick)

    def _static(self) -> dict[str, str]:
        spans = self.spans
        static = {"text/html": encodable(to_html(spans)), "text/plain": encodable(_as_text(spans))}
        return static if self._is_over else unfinished(static)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if shell() is None or self._is_over:
            display(self._static(), raw=True)
            return
        self._outputs.append(CellOutput())
        self._draw()
        if self._loop is None:  # asked of the run first, because this may be a thread without a loop
            self._loop = self._run.loop or asyncio.get_running_loop()
            post(self._loop, self._loop.call_later, REDRAW_S, self._tick)

    def _repr_html_(self) -> str:
        return to_html(self.spans)

    def __repr__(self) -> str:
        return _as_text(self.spans)


def with_labels(spans: Spans) -> Spans:
    """Set the labels of bars that share a name, and return the spans."""
    bars = (*spans.bars, *spans.queued)
    named = [NamedNode(bar.node_id, bar.title, bar.constants) for bar in bars]
    for bar, label in zip(bars, distinguish(named), strict=True):
        bar.label = label
    return spans


def _as_text(spans: Spans) -> str:
    lines = [f"Timeline: {summary(spans)}"]
    longest = sorted(spans.bars, key=lambda bar: bar.start - bar.end)[:ROWS_MAX]
    for bar in sorted(longest, key=lambda bar: bar.start):
        what = f" for {bar.waited_for}" if bar.waited_for else ""
        waited = f", waited {format_seconds(bar.waited)}{what}" if bar.waited > NOTICEABLE_S else ""
        state = f", {bar.state}" if bar.state in ("failed", "blocked", "stopped") else ""
        lines.append(f"  {bar.start:8.3f} to {bar.end:8.3f} s  {bar.lane}  {bar.name}{waited}{state}")
    if len(spans.bars) > ROWS_MAX:
        lines.append(f"  and {len(spans.bars) - ROWS_MAX:,} more")
    lines += [f"  {bar.ready:8.3f} s  {bar.name} waits for {bar.waited_for}" for bar in spans.queued[:ROWS_MAX]]
    if len(spans.queued) > ROWS_MAX:
        lines.append(f"  and {len(spans.queued) - ROWS_MAX:,} more that wait")
    lines += [f"  {count(number, 'node')}: {words}" for words, number in spans.output_reasons[:ROWS_MAX]]
    lines += [f"  {count(number, 'node')} blocked: {reason}" for reason, number in spans.reasons[:ROWS_MAX]]
    return "\n".join(lines)
