"""A run of picture nodes beside the same torch calls in plain Python, in turns: what the run adds to real work."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from comfy_nb.engine.session import Session
from comfy_nb.graph.handle import Handle, NodeFactory
from comfy_nb.graph.model import Graph
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.hints import Image
from comfy_nb.spec.registry import Registry
from tests.benchmarks.case import Case, Seconds, Timed

SIZES = (256, 512, 1024)
ROUNDS = 5
PAIRS = 100
ROOMY, TIGHT = 4 << 30, 8  # bytes, and pictures
TARGETS = {256: 1.55, 512: 1.2, 1024: 1.05}
REGISTRY = Registry()
_gains = itertools.count()


def blur(image: Image) -> Image:
    """Take the mean of each pixel and its neighbours below and to the right."""
    rows = torch.lerp(image, image.roll(1, 1), 0.5)
    return torch.lerp(rows, rows.roll(1, 2), 0.5)


def gain(image: Image, factor: float) -> Image:
    """Multiply, and keep within 0 and 1."""
    return (image * factor).clamp(0, 1)


def mix(image: Image, other: Image) -> Image:
    """Take the mean."""
    return torch.lerp(image, other, 0.5)


def _declare(function: Callable[..., Any]) -> NodeFactory:
    return NodeFactory(REGISTRY.register(spec_from_function(function)), REGISTRY)


BLUR, GAIN, MIX = _declare(blur), _declare(gain), _declare(mix)


def _new_gain() -> float:
    """A factor that no run has had, so that nothing comes from the cache."""
    return 1.0 + next(_gains) * 1e-9


def _plain(picture: torch.Tensor, kept: list[torch.Tensor] | None = None) -> torch.Tensor:
    with torch.no_grad():
        factor = _new_gain()
        for _ in range(ROUNDS):
            bright = gain(picture, factor)
            soft = blur(bright)
            picture = mix(picture, soft)
            if kept is not None:
                kept += (bright, soft, picture)
    return picture


def _graph(picture: torch.Tensor) -> Graph:
    factor = _new_gain()
    made: Any = picture
    for _ in range(ROUNDS):
        made = MIX(made, BLUR(GAIN(made, factor=factor)))
    assert isinstance(made, Handle)
    return made.graph


@contextmanager
def _one_thread() -> Generator[None, None, None]:
    """Compute on one thread: what torch does on the others is not ours to measure."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


async def ratio(kind: str, size: int, pairs: int = PAIRS) -> float:
    """Seconds of an awaited run over those of the plain calls: the least of each over many pairs, in turns.

    `kind` is "warm pages", where the cache is emptied before each pair; "evicting", where it is full; or "filling",
    where it grows, beside calls that keep their values as well.
    """
    picture = torch.rand(1, size, size, 3)
    bytes_of_one = picture.numel() * picture.element_size()
    session = Session(budget=TIGHT * bytes_of_one if kind == "evicting" else ROOMY)
    kept: list[torch.Tensor] | None = [] if kind == "filling" else None
    most = ROOMY // (3 * ROUNDS * bytes_of_one * 4)
    least = {"run": float("inf"), "plain": float("inf")}
    with _one_thread():
        for number in range(min(pairs, most) if kind == "filling" else pairs):
            if kind == "warm pages":
                session.cache.clear()
            for which in least if number % 2 else reversed(least):
                started = time.perf_counter()
                if which == "run":
                    await session.run(_graph(picture))
                else:
                    _plain(picture, kept)
                least[which] = min(least[which], time.perf_counter() - started)
    return least["run"] / least["plain"]


def _times_plain(kind: str, size: int) -> Timed:
    async def measured() -> Seconds:
        return Seconds(await ratio(kind, size))

    return measured


CASES = [
    Case(
        "15 picture nodes, times the plain calls",
        kind,
        SIZES,
        partial(_times_plain, kind),
        target=TARGETS.__getitem__,
        unit="x",
    )
    for kind in ("warm pages", "evicting", "filling")
]
