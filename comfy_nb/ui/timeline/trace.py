"""A run in Chrome's trace event format, which chrome://tracing and ui.perfetto.dev open.

Source: "Trace Event Format", a document of the Catapult project.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comfy_nb.ui.timeline.spans import LOOP, Bar, Span, Spans

PROCESS = 1
LOOP_THREAD = 1


def to_trace(spans: Spans, name: str = "comfy_nb") -> dict[str, Any]:
    """Return the trace as JSON values; times are in microseconds.

    A call on a thread is a complete event of that thread. Async nodes overlap on the loop, so each is an async pair,
    and the spans in which it held the loop are complete events.
    """
    threads = {lane: number for number, lane in enumerate((lane for lane in spans.lanes if lane != LOOP), start=2)}
    threads[LOOP] = LOOP_THREAD
    events = [_metadata("process_name", 0, name)]
    named = {lane: "event loop" if lane == LOOP else lane for lane in threads}
    events += [_metadata("thread_name", thread, named[lane]) for lane, thread in threads.items()]
    critical = set(spans.critical)
    for number, bar in enumerate(spans.bars):
        events += _bar(bar, number, threads[bar.lane], bar.node_id in critical)
    for tick in spans.ticks:
        about = {"node": tick.node_id, "source": tick.source}
        events.append({**_event("i", "from cache", LOOP_THREAD, tick.time, "cache"), "s": "t", "args": about})
    for name, found in (("blocked", spans.blocked), ("blocked output", spans.blocked_outputs)):
        for each in found:
            about = {"node": each.node_id, "reason": each.reason}
            events.append({**_event("i", name, LOOP_THREAD, each.time, "blocked"), "s": "t", "args": about})
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _bar(bar: Bar, number: int, thread: int, is_critical: bool) -> Iterator[dict[str, Any]]:
    about = {
        "node": bar.node_id,
        "class": bar.class_type,
        "state": bar.state,
        "waited_ms": round(bar.waited * 1e3, 3),
        "waited_for": bar.waited_for,
        "critical": is_critical,
    }
    for index, call in enumerate(bar.calls or [Span(bar.start, bar.end)]):
        title = f"{bar.title} {call.note}".rstrip()
        if bar.lane == LOOP:
            pair = {"id": f"{number}.{index}"}
            yield {**_event("b", title, thread, call.start, "async"), **pair, "args": about}
            yield {**_event("e", title, thread, call.end, "async"), **pair}
        else:
            yield {**_event("X", title, thread, call.start, "sync"), "dur": _us(call.seconds), "args": about}
    for held in bar.held:
        yield {**_event("X", bar.title, LOOP_THREAD, held.start, "loop"), "dur": _us(held.seconds), "args": about}


def _event(phase: str, name: str, thread: int, start: float, category: str) -> dict[str, Any]:
    return {"ph": phase, "name": name, "cat": category, "pid": PROCESS, "tid": thread, "ts": _us(start)}


def _metadata(kind: str, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": PROCESS, "tid": thread, "args": {"name": name}}


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 3)
