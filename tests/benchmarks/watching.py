"""The cost of a display to the kernel: the same runs in a real kernel, with and without it, in turns."""

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


RUNS = 40
PREPARE_PICTURES = """
import itertools, time, torch
import comfy_nb as nb

torch.set_num_threads(1)
factors = (1 + number * 1e-9 for number in itertools.count())
picture = torch.rand(1, 256, 256, 3)

@nb.node
def gain(image: nb.Image, factor: float) -> nb.Image:
    return (image * factor).clamp(0, 1)

async def seconds_of_cpu(display):
    nb.configure(display=display)
    made = picture
    for _ in range(15):
        made = gain(made, next(factors))
    started = time.process_time()
    await made
    return time.process_time() - started
"""


@cache
def cost_of_a_panel() -> float:
    """Seconds of CPU that the panel adds to one run of 15 nodes on pictures of 256 px: the median over many runs."""
    took: dict[str, list[float]] = {"none": [], "panel": []}
    with Kernel() as kernel:
        kernel.run(PREPARE_PICTURES)
        for _ in range(RUNS):
            for display, seconds in took.items():
                seconds.append(float(kernel.run(f"await seconds_of_cpu({display!r})", RUN_TIMEOUT_S).results[0]))
    return median(took["panel"]) - median(took["none"])


def a_panel(n: int) -> Timed:
    """The cost of the panel of one run of 15 picture nodes."""
    return lambda: Seconds(cost_of_a_panel())


CASES = [
    Case("CPU of a panel for 15 picture nodes", "panel", (15,), a_panel, target=3.0, unit="ms"),
    *(
        Case("CPU of watching 1,000 nodes", display, (UPDATES,), partial(watched, display), target=0.3, unit="s")
        for display in DISPLAYS
    ),
]
