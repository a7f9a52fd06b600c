"""The contract of a tier, kept by memory and disk alike, and how the store asks its tiers."""

from __future__ import annotations

from pathlib import Path

import pytest

import comfy_nb as nb
from comfy_nb.engine.cache.disk import DiskCache
from comfy_nb.engine.cache.entry import Entry
from comfy_nb.engine.cache.memory import MemoryCache
from comfy_nb.engine.cache.tier import Tier
from tests.engine.cache.making import entry, key_of, only_value
from tests.engine.support import Pack, made, ran


class Remote:
    """A tier that somebody else wrote: a dict, which notes what it was asked for."""

    def __init__(self) -> None:
        self.held: dict[bytes, Entry] = {}
        self.asked: list[bytes] = []

    def get(self, key: bytes) -> Entry | None:
        self.asked.append(key)
        return self.held.get(key)

    def put(self, entry: Entry) -> bool:
        self.held[entry.key] = entry
        return True

    def drop(self, key: bytes) -> bool:
        return self.held.pop(key, None) is not None

    def clear(self) -> int:
        gone = len(self.held)
        self.held.clear()
        return gone

    def __contains__(self, key: bytes) -> bool:
        return key in self.held


def tiers(folder: Path) -> list[Tier]:
    return [MemoryCache(), DiskCache(folder), Remote()]


@pytest.fixture(params=range(3), ids=["memory", "disk", "remote"])
def tier(request: pytest.FixtureRequest, tmp_path: Path) -> Tier:
    chosen: Tier = tiers(tmp_path)[request.param]
    return chosen


def flushed(tier: Tier) -> Tier:
    if isinstance(tier, DiskCache):
        tier.flush()
    return tier


def test_a_tier_returns_what_was_put_into_it(tier: Tier) -> None:
    assert tier.get(key_of("a")) is None
    assert tier.put(entry("a", 7))
    found = flushed(tier).get(key_of("a"))
    assert found is not None
    assert only_value(found) == 7
    assert key_of("a") in tier
    assert key_of("b") not in tier


def test_a_tier_drops_one_entry(tier: Tier) -> None:
    tier.put(entry("a", 7))
    tier.put(entry("b", 8))
    assert flushed(tier).drop(key_of("a"))
    assert not tier.drop(key_of("a"))
    assert key_of("a") not in tier
    assert key_of("b") in tier


def test_a_tier_is_cleared(tier: Tier) -> None:
    tier.put(entry("a", 7))
    tier.put(entry("b", 8))
    assert flushed(tier).clear() == 2
    assert key_of("a") not in tier


@pytest.mark.usefixtures("all_worth_disk", "arithmetic")
async def test_a_result_in_any_lower_tier_is_found_and_put_into_memory(pack: Pack) -> None:
    remote, prompt = Remote(), {"1": made("Number", n=1)}
    for computed in (["1"], []):
        session = nb.Session()
        session.store.lower.append(remote)
        with nb.use_session(session):
            run = await pack.graph(prompt).run()
        assert ran(run) == computed
        assert run["1"] == 1
        assert len(session.cache) == 1


@pytest.mark.usefixtures("all_worth_disk", "arithmetic")
async def test_the_disk_tier_is_asked_before_others(pack: Pack, tmp_path: Path) -> None:
    remote, session = Remote(), nb.Session()
    session.store.lower.append(remote)
    session.disk = DiskCache(tmp_path)
    with nb.use_session(session):
        await pack.graph({"1": made("Number", n=1)}).run()
        session.disk.flush()
        remote.asked.clear()
        session.cache.clear()
        run = await pack.graph({"1": made("Number", n=1)}).run()
    assert ran(run) == []
    assert remote.asked == []
    session.disk.close()
    session.disk = None
    assert session.store.lower == [remote]
