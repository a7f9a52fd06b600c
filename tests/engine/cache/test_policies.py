"""ComfyUI's cache policies, and our own."""

from __future__ import annotations

import pytest

import comfy_nb as nb
from comfy_nb.errors import UnknownName
from tests.engine.support import Pack, ran


def add_number(pack: Pack) -> None:
    pack.node("number", lambda self, value: (value,), {"value": ("INT", {})})


async def compute(session: nb.Session, pack: Pack, *values: int) -> list[str]:
    """Run one prompt with a node for each value; return which values had to be computed."""
    graph = pack.graph({str(value): {"class_type": "number", "inputs": {"value": value}} for value in values})
    run = await session.run(graph)
    return ran(run)


async def test_classic_holds_what_the_last_prompt_holds(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    session.store.set_policy("classic")
    assert await compute(session, pack, 1, 2) == ["1", "2"]
    assert await compute(session, pack, 2, 3) == ["3"]
    assert await compute(session, pack, 1, 3) == ["1"]


async def test_a_number_holds_that_many_results_the_last_used_ones(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    session.store.set_policy(2)
    await compute(session, pack, 1)
    await compute(session, pack, 2)
    await compute(session, pack, 1)
    await compute(session, pack, 3)
    assert await compute(session, pack, 1) == []
    assert await compute(session, pack, 2) == ["2"]


async def test_none_holds_nothing(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    await compute(session, pack, 1)
    session.store.set_policy("none")
    assert len(session.cache) == 0
    assert await compute(session, pack, 1) == ["1"]
    assert await compute(session, pack, 1) == ["1"]


async def test_memory_is_the_policy_again_after_another(session: nb.Session, pack: Pack) -> None:
    add_number(pack)
    session.store.set_policy("none")
    session.store.set_policy("memory")
    await compute(session, pack, 1)
    assert await compute(session, pack, 1) == []


def test_another_word_is_refused_with_the_ones_there_are(session: nb.Session) -> None:
    with pytest.raises(UnknownName, match="classic"):
        session.store.set_policy("clasic")
