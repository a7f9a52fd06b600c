"""Classes whose nodes are cached, and a disk tier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from comfy_nb.engine.cache.disk import DiskCache
from tests.engine.cache.classes import INT
from tests.engine.support import Pack


@pytest.fixture
def arithmetic(pack: Pack) -> None:
    """Number(n), Add(a, b) and Show(n), an output node that reports what it shows."""
    pack.node("Number", lambda self, n: (n,), {"n": INT})
    pack.node("Add", lambda self, a, b: (a + b,), {"a": INT, "b": INT})
    pack.node("Show", lambda self, n: {"ui": {"shown": [n]}, "result": (n,)}, {"n": INT}, OUTPUT_NODE=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DiskCache]:
    """A disk tier in a folder that is made when it is first written to."""
    cache = DiskCache(tmp_path / "cache")
    yield cache
    cache.close()
