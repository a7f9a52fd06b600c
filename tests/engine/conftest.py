"""Each test of the engine has a session, and so a cache, of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import comfy_nb as nb
from tests.engine.support import Pack


@pytest.fixture(autouse=True)
def session() -> Iterator[nb.Session]:
    """The session that graphs and handles of the test run in."""
    with nb.use_session(nb.Session(budget=64 << 20)) as session:
        yield session


@pytest.fixture
def pack() -> Pack:
    """Node classes of the test's own."""
    return Pack()


@pytest.fixture
def all_worth_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk tier keep also what is computed faster than it is read."""
    monkeypatch.setattr("comfy_nb.engine.store.WORTH_DISK_S", 0.0)
