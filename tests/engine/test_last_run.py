"""`nb.last`: the run that was awaited last, found without keeping what it gave."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

import comfy_nb as nb
from comfy_nb.engine.session import Session, use_session
from comfy_nb.ui.presenter import ScriptPresenter


class Place(ScriptPresenter):
    """Shows nothing, and says where runs begin."""

    here: object = "first cell"

    def place(self) -> object:
        return self.here


@pytest.fixture
def place():
    place = Place()
    with use_session(Session(presenter=place)):
        yield place


@nb.node
async def last_words(words: str) -> str:
    return words


@nb.node
async def fails_last(words: str) -> str:
    raise LookupError(words)


@nb.node
async def asks_last_words(words: str) -> str:
    return await last_words(words)


async def test_it_is_the_run_that_was_awaited_last(place):
    assert nb.last is None
    first = await nb.Graph(last_words("a")).run()
    assert nb.last is first
    await last_words("b")
    assert nb.last is not first and nb.last["1"] == "b"


async def test_a_cell_finds_its_own_last_run_and_else_that_of_any_cell(place):
    await last_words("a")
    first = nb.last
    place.here = "second cell"
    assert nb.last.id == first.id
    await last_words("b")
    second = nb.last
    place.here = "first cell"
    assert (nb.last.id, second.id != first.id) == (first.id, True)
    place.here = "third cell"
    assert nb.last.id == second.id


async def test_cells_that_begin_runs_in_turn_do_not_push_out_a_third(place):
    place.here = "third cell"
    await last_words("third")
    third = nb.last
    for number in range(20):
        place.here = f"cell {number % 2}"
        await last_words(f"in turn {number}")
    place.here = "third cell"
    assert nb.last.id == third.id


async def test_runs_of_nodes_do_not_count_nor_jobs_that_nobody_awaits(place):
    await asks_last_words("a")
    asked = nb.last
    assert asked.graph["1"].class_type == "asks_last_words"
    job = last_words("in the background").start()
    while not job.done():
        await asyncio.sleep(0)
    assert nb.last.id == asked.id
    await job
    assert nb.last.id == job.run.id


async def test_the_last_run_of_a_sweep_counts_where_the_sweep_is_awaited(place):
    await nb.sweep(last_words("a"), {"words": ["b", "c"]})
    assert nb.last.graph["1"].inputs["words"] == "c"


async def test_a_run_that_failed_or_could_not_begin_counts(place):
    with pytest.raises(nb.NodeError):
        await fails_last("no")
    assert nb.last.state == "failed" and "LookupError: no" in nb.last.summary()
    with pytest.raises(nb.ValidationError):
        await nb.Graph.from_prompt({"7": {"class_type": "last_words", "inputs": {}}}).run()
    assert nb.last.state == "failed" and "words" in str(nb.last.error)


async def test_it_tells_what_it_was_when_nobody_has_it_any_more(place):
    handle = last_words("a")
    gone = weakref.ref(await nb.Graph(handle).run())
    gc.collect()
    assert gone() is None
    last = nb.last
    assert (last.state, last.counts["ran"], last.why("1")) == ("done", 1, "first run")
    assert last["1"] == "a"
    assert len(last.timeline().spans.bars) == 1


async def test_it_keeps_no_value_that_the_cache_has_let_go(place):
    await nb.Graph(last_words("a")).run()
    gc.collect()
    nb.cache.clear()
    with pytest.raises(nb.NotKept, match="not held any more"):
        nb.last["1"]
    run = await nb.Graph(last_words("b")).run()
    nb.cache.clear()
    assert nb.last is run and nb.last["1"] == "b"


async def test_it_is_there_while_the_run_goes_on(place):
    @nb.node
    async def looks_at_last() -> str:
        return str(nb.last.state)

    assert await looks_at_last() == "running"


async def test_side_by_side_it_is_the_one_that_began_last(place):
    await asyncio.gather(last_words("c"), last_words("d"))
    assert nb.last.graph["1"].inputs["words"] == "d"
