"""Classes whose nodes are cached, a disk tier, and a folder in which nothing may fail."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import comfy_nb as nb
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


@pytest.fixture
def no_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to work in, and an error for each warning of ours: bookkeeping that fails only warns."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", nb.ComfyNBWarning)
        yield
