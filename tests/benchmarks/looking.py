"""The cost of opening a value for inspection and drawing its visible part."""

from __future__ import annotations

from functools import partial

import torch

from comfy_nb.ui.inspect.inspector import Inspector
from tests.benchmarks.case import Case, Timed

GIGABYTES = 4
FLOATS_PER_GB = 250_000_000


def large(gigabytes: int) -> Timed:
    """Opening so many gigabytes that were never written: the pages that a sample touches come to life as it does."""
    x = torch.empty(gigabytes * FLOATS_PER_GB)
    return partial(_open, x)


def batch(pictures: int) -> Timed:
    """Opening a batch of small pictures at its first sheet."""
    x = torch.empty(pictures, 64, 64, 3).fill_(0.5)
    return partial(_sheet, x)


def _open(x: torch.Tensor) -> None:
    Inspector(x).described(0)


def _sheet(x: torch.Tensor) -> None:
    inspector = Inspector(x, kind="IMAGE")
    inspector.described(0)
    inspector.answer({"ask": "sheet", "page": 0, "size": [800, 500]})


CASES = [
    Case("opening a tensor (GB) to look at", "flat", (GIGABYTES,), large, target=200.0, unit="ms"),
    Case("opening a batch of pictures", "sheet", (10_000,), batch, target=200.0, unit="ms"),
]
