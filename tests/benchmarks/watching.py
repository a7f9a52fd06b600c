"""The cost of a display to the kernel: the same run in a real kernel, with and without it, in turns."""

from __future__ import annotations

from functools import cache, partial
from statistics import median

from tests.benchmarks.case import Case, Seconds, Timed
from tests.kernel.harness import Kernel

DISPLAYS = ("panel", "bars")
PAIRS = 3
RUN_TIMEOUT_S = 120.0
NODES = 1_000
UPDATES = 100_000

PREPARE = """
import itertools, time
import comfy_nb as nb

salts = itertools.count()

@nb.node
def works(x: int, salt: int, updates: int, *, progress: nb.Progress) -> int:
    for step in range(updates):
        if step % 10 == 0:
            time.sleep(0.001)
        progress(step + 1, updates)
    return x

async def seconds_of_cpu(display):
    nb.configure(display=display)
    value = 0
    for _ in range({nodes}):
        value = works(value, salt=next(salts), updates={updates})
    started = time.process_time()
    await value
    return time.process_time() - started
"""


@cache
def costs(displays: tuple[str, ...], nodes: int, updates: int) -> dict[str, float]:
    """Seconds of the kernel's CPU that each display costs more than none: the median of three rounds."""
    took: dict[str, list[float]] = {display: [] for display in ("none", *displays)}
    with Kernel() as kernel:
        kernel.run(PREPARE.format(nodes=nodes, updates=updates // nodes))
        for _ in range(PAIRS):
            for display, seconds in took.items():
                reply = kernel.run(f"await seconds_of_cpu({display!r})", RUN_TIMEOUT_S)
                seconds.append(float(reply.results[0]))
    rounds = {display: zip(took[display], took["none"], strict=True) for display in displays}
    return {display: median(shown - plain for shown, plain in rounds[display]) for display in displays}


def watched(display: str, updates: int) -> Timed:
    """The cost of one display of a run of 1,000 nodes; about 10 s long at 100,000 updates."""
    return lambda: Seconds(costs(DISPLAYS, NODES, updates)[display])


CASES = [
    Case("CPU of watching 1,000 nodes", display, (UPDATES,), partial(watched, display), target=0.3, unit="s")
    for display in DISPLAYS
]
