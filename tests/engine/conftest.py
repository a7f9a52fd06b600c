"""Each test of the engine has a session, and so a cache, of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import comfy_nb as nb
from comfy_nb.engine.execution.breakpoints import Pause
from tests.engine.support import Pack
from tests.reference.classes import make_classes


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
def zoo(pack: Pack) -> None:
    """Add the classes of the reference's zoo to the test's own."""
    pack.add(*make_classes().values())


@pytest.fixture
def all_worth_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk tier keep even what is computed faster than it is read."""
    monkeypatch.setattr("comfy_nb.engine.cache.store.WORTH_DISK_S", 0.0)


@pytest.fixture
def pauses(session: nb.Session) -> asyncio.Queue[Pause]:
    """The pauses of the session's runs, in order."""
    found: asyncio.Queue[Pause] = asyncio.Queue()
    session.breakpoints.on_pause = found.put_nowait
    return found


@pytest.fixture
def chain() -> tuple[nb.Handle, nb.Handle, nb.Handle]:
    """one(x) = x + 1, then two(x) = 10 x on a lane, then three(x, y) = x + y on the loop: 22 of 1."""

    @nb.node
    def one(x: int) -> int:
        return x + 1

    @nb.node
    def two(x: int) -> int:
        return x * 10

    @nb.node
    async def three(x: int, y: int) -> int:
        return x + y

    first = one(1)
    second = two(first)
    return first, second, three(second, first)
