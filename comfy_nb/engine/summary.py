"""What came of a run, in a few lines of text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.wording import format_seconds

RAN_MAX = 20
BLOCKED_MAX = 10


def counts_of(node_runs: Iterable[NodeRun]) -> Counter[str]:
    """Return how many nodes ran, were shared with an equal one, and came from the cache in memory or on disk."""
    return Counter(node_run.source for node_run in node_runs if node_run.state is NodeState.DONE)


def counts_line(counts: Counter[str], above_cached: int) -> str:
    """Return the counts as text: "2 ran, 3 from cache", with those that nobody looked at."""
    cached = counts["memory"] + counts["disk"] + above_cached
    named = ((cached, "from cache"), (counts["shared"], "shared"), (counts["replaced"], "replaced"))
    return ", ".join([f"{counts['ran']} ran", *(f"{number} {what}" for number, what in named if number)])


def node_lines(
    node_runs: Sequence[NodeRun],
    blocked: Sequence[tuple[str, str]],
    why: Callable[[str], str],
    begun_at: Mapping[str, float],
) -> Iterator[str]:
    """Yield a line for each of the first nodes that ran, and for those that did not because of another one.

    Those that are running were `begun_at` these times.
    """
    ran = [each for each in node_runs if each.source == "ran" and each.state <= NodeState.DONE]
    for node_run in ran[:RAN_MAX]:
        step = node_run.step
        seconds = node_run.seconds if node_run.state is NodeState.DONE else None
        if step.id in begun_at:
            seconds = time.perf_counter() - begun_at[step.id]
        took = f"{format_seconds(seconds)}, " if seconds is not None else ""
        yield f"  {step.named}: {took}{why(step.id)}"
    if len(ran) > RAN_MAX:
        yield f"  ... and {len(ran) - RAN_MAX} more"
    given_up = [each for each in node_runs if each.state is NodeState.GIVEN_UP]
    yield from (f"  {node_run.step.named}: {why(node_run.step.id)}" for node_run in given_up[:BLOCKED_MAX])
    if len(given_up) > BLOCKED_MAX:
        yield f"  ... and {len(given_up) - BLOCKED_MAX} more that did not run"
    giving = [each for each in node_runs if each.state is NodeState.DONE and each.blocked_output]
    yield from (f"  {each.step.named}: {each.blocked_output}" for each in giving[:BLOCKED_MAX])
    yield from (f"  node {node_id} was blocked: {message}" for node_id, message in blocked[:BLOCKED_MAX])
