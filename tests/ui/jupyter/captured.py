"""Runs whose prints are captured, and what was printed elsewhere."""

from __future__ import annotations

import asyncio

from comfy_nb.engine.events import NodeLog, NodeProgress
from comfy_nb.ui.jupyter.capture import capture


class Console:
    """What was printed elsewhere."""

    def __init__(self, capsys) -> None:
        self._capsys = capsys

    def getvalue(self) -> str:
        out, err = self._capsys.readouterr()
        return out + err


async def shown(handle) -> list:
    """Run a handle as a display does, and return its events."""
    events: list = []
    job = handle.start()
    job.run.subscribe(events.extend)
    capture.start(job.run)
    try:
        await asyncio.gather(job, return_exceptions=True)
    finally:
        capture.stop(job.run)
    return events


def logged(events, node_id: str = "1") -> str:
    return "".join(event.text for event in events if isinstance(event, NodeLog) and event.node_id == node_id)


def progress_of(events) -> list[tuple[float, float]]:
    return [(event.value, event.total) for event in events if isinstance(event, NodeProgress)]
