"""The scheduler by itself: which node comes next, what waits, and what is released. No threads, no loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from comfy_nb.engine.execution.expansion import inner_step
from comfy_nb.engine.execution.node_run import NodeRun, NodeState
from comfy_nb.engine.execution.scheduler import Scheduler
from comfy_nb.engine.planning.inside import KnownInside
from comfy_nb.engine.planning.planned import plan_of
from tests.engine.support import Pack, made
from tests.reference.classes import INT, LAZY_INT

VALUE = ([1],)


@pytest.fixture(autouse=True)
def classes(pack: Pack) -> None:
    """A few classes of which only the declarations matter here."""

    async def wait(self: Any, a: int = 0) -> tuple[int]:
        return (a,)

    any_inputs = {"a": INT, "b": INT, "c": INT, "d": INT}
    pack.node("Plain", lambda self, **_: (1,), optional=any_inputs)
    pack.node("Out", lambda self, **_: (1,), optional=any_inputs, OUTPUT_NODE=True)
    pack.node("Async", wait, optional=any_inputs)
    pack.node("Apart", lambda self, **_: (1,), optional=any_inputs, THREAD_SAFE=True)
    pack.node("Lazy", lambda self, **_: (1,), optional={"a": LAZY_INT, "b": LAZY_INT, "c": INT})


class Wants:
    """An expansion that waits for some nodes."""

    def __init__(self, *wanted: str) -> None:
        self.wanted = wanted


class Driven(Scheduler):
    """A scheduler over a prompt, driven by hand; `cached` nodes are found, all others are computed."""

    def __init__(
        self, pack: Pack, prompt: dict[str, Any], wanted: Iterable[str] = (), cached: Iterable[str] = ()
    ) -> None:
        self.pack = pack
        self.cached = set(cached)
        super().__init__(plan_of(pack.graph(prompt), KnownInside()).steps, self.find_cached, lambda node_run: VALUE)
        self.retained.update(wanted)
        self.added_at_first = self.need(list(wanted))

    def find_cached(self, node_run: NodeRun) -> bool:
        if node_run.step.id in self.cached:
            node_run.outputs = VALUE
        return node_run.step.id in self.cached

    def children(self, graph: dict[str, Any]) -> list[Any]:
        """The steps of an expansion."""
        return [inner_step(node_id, entry, self.pack.registry) for node_id, entry in graph.items()]

    def next(self) -> str | None:
        """Take the next node for the lane and finish it; return its id."""
        node_run = self.take()
        if node_run is None:
            return None
        self.finish(node_run, VALUE)
        return node_run.step.id

    def rest(self) -> list[str]:
        """Run what is left for the lane; return the ids in order."""
        order = []
        while (node_id := self.next()) is not None:
            order.append(node_id)
        return order

    def took(self, node_id: str) -> NodeRun:
        """Take the next node, which has to be this one."""
        node_run = self.take()
        assert node_run is not None
        assert node_run.step.id == node_id
        return node_run

    def there(self) -> set[str]:
        """The ids of the nodes whose outputs are held."""
        return {node_id for node_id, node_run in self.node_runs.items() if node_run.outputs is not None}


def plain(**links: str) -> dict[str, Any]:
    return made("Plain", **{name: [origin, 0] for name, origin in links.items()})


# Order


def test_an_output_comes_first_then_what_feeds_one_then_two_steps_before_then_as_added(pack: Pack) -> None:
    prompt = {
        "three": plain(),
        "two": plain(),
        "feeds": plain(),
        "more": plain(a="three"),
        "still more": plain(a="more"),
        "two out": plain(a="two"),
        "out": made("Out"),
        "end": made("Out", a=["still more", 0], b=["two out", 0], c=["feeds", 0]),
    }
    scheduler = Driven(pack, prompt, ["end", "out"])
    assert scheduler.added_at_first == 8
    assert scheduler.rest() == ["out", "feeds", "two", "two out", "three", "more", "still more", "end"]


def test_nodes_of_one_rank_come_in_the_order_in_which_they_became_needed(pack: Pack) -> None:
    prompt = {name: plain() for name in "abcd"} | {"end": plain(a="c", b="a", c="d", d="b")}
    order = Driven(pack, prompt, ["end"]).rest()
    assert order[-1] == "end"
    assert sorted(order[:4]) == ["a", "b", "c", "d"]
    assert order == Driven(pack, prompt, ["end"]).rest()


def test_wanted_nodes_of_one_rank_come_in_the_order_in_which_they_are_wanted(pack: Pack) -> None:
    assert Driven(pack, {name: plain() for name in "abcd"}, ["c", "a", "d"]).rest() == ["c", "a", "d"]


def test_async_and_thread_safe_nodes_are_taken_apart_from_the_lane(pack: Pack) -> None:
    prompt = {"1": plain(), "2": made("Apart"), "3": made("Async"), "4": plain(a="2", b="3", c="1")}
    scheduler = Driven(pack, prompt, ["4"])
    apart = scheduler.take_off_lane()
    assert {node_run.step.id for node_run in apart} == {"2", "3"}
    assert scheduler.take_off_lane() == []
    assert scheduler.rest() == ["1"]
    for node_run in apart:
        scheduler.finish(node_run, VALUE)
    assert scheduler.rest() == ["4"]
    assert scheduler.pending == scheduler.running == 0


# Need


def test_only_what_is_above_the_wanted_nodes_is_needed(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1"), "3": plain()}, ["2"])
    assert scheduler.rest() == ["1", "2"]
    assert "3" not in scheduler.node_runs


def test_what_is_above_a_cached_node_is_not_needed(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1"), "3": plain(a="2")}, ["3"], cached=["2"])
    assert scheduler.added_at_first == 1
    assert scheduler.rest() == ["3"]


def test_when_all_is_cached_nothing_is_pending(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1")}, ["2"], cached=["2"])
    assert (scheduler.added_at_first, scheduler.pending, scheduler.take()) == (0, 0, None)
    assert not scheduler.is_deadlocked


def test_a_node_waits_for_every_one_of_its_links_also_two_from_one_node(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(), "3": plain(a="1", b="1", c="2")}, ["3"])
    assert scheduler.next() != "3"
    assert scheduler.next() != "3"
    assert scheduler.next() == "3"


# Release


def test_outputs_are_let_go_when_nothing_waits_for_them_but_wanted_ones_stay(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1"), "3": plain(a="1", b="2")}, ["2", "3"])
    assert scheduler.next() == "1"
    assert scheduler.next() == "2"
    assert scheduler.there() == {"1", "2"}
    assert scheduler.next() == "3"
    assert scheduler.there() == {"2", "3"}


# Lazy inputs


def test_a_node_that_asks_waits_for_what_it_asked_for_only(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(), "3": made("Lazy", a=["1", 0], b=["2", 0])}, ["3"])
    node_run = scheduler.took("3")
    assert scheduler.ask(node_run, ["b"]) == 1
    assert node_run.state is NodeState.WAITING
    assert scheduler.next() == "2"
    assert "1" not in scheduler.node_runs
    scheduler.finish(scheduler.took("3"), VALUE)
    assert scheduler.pending == 0
    assert scheduler.there() == {"3"}


def test_asking_for_what_is_there_makes_the_node_ready_again_at_once(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": made("Lazy", a=["1", 0], c=["1", 0])}, ["2"])
    assert scheduler.next() == "1"
    assert scheduler.ask(scheduler.took("2"), ["a"]) == 0
    assert scheduler.next() == "2"


# Expansions


def test_an_expanding_node_is_done_when_the_nodes_it_waits_for_are(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1")}, ["2"])
    parent = scheduler.took("1")
    steps = scheduler.children({"x": plain(), "y": plain(a="x"), "unneeded": plain()})
    assert scheduler.expand(parent, steps, Wants("y")) == 2
    assert scheduler.rest() == ["x", "y", "2"]
    assert scheduler.node_runs["y"].parent is parent
    assert scheduler.node_runs["x"].parent is parent
    assert parent.state is NodeState.DONE
    assert scheduler.there() == {"2"}


def test_an_expansion_that_waits_for_nothing_is_done_at_once(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1")}, ["2"])
    assert scheduler.expand(scheduler.took("1"), [], Wants()) == 0
    assert scheduler.rest() == ["2"]


def test_an_expansion_may_wait_for_a_node_of_the_graph(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(), "3": plain(a="1")}, ["3"])
    assert scheduler.expand(scheduler.took("1"), [], Wants("2")) == 1
    assert scheduler.rest() == ["2", "3"]
    assert scheduler.node_runs["2"].parent is None


def test_a_node_that_an_expansion_waited_for_keeps_its_outputs_while_others_need_them(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(), "3": plain(a="1", b="2"), "4": plain()}, ["3", "4"])
    assert [scheduler.next(), scheduler.next()] == ["4", "2"]
    scheduler.expand(scheduler.took("1"), [], Wants("2", "4"))
    assert scheduler.there() == {"1", "2", "4"}
    assert scheduler.next() == "3"
    assert scheduler.there() == {"3", "4"}


def test_a_chain_of_expansions_ends_without_recursion(pack: Pack) -> None:
    scheduler = Driven(pack, {"0": plain()}, ["0"])
    deep = 5_000
    for number in range(1, deep):
        node_run = scheduler.took(str(number - 1))
        scheduler.expand(node_run, scheduler.children({str(number): plain()}), Wants(str(number)))
    assert scheduler.next() == str(deep - 1)
    assert scheduler.pending == 0


# Requeue, invalidate, deadlock


def test_a_node_put_back_is_taken_again(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain()}, ["1"])
    scheduler.requeue(scheduler.took("1"))
    assert scheduler.running == 0
    assert scheduler.next() == "1"


def test_an_invalidated_node_is_computed_again_for_those_who_still_need_it(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1"), "3": plain(a="1", b="2")}, ["3"])
    assert [scheduler.next(), scheduler.next()] == ["1", "2"]
    scheduler.invalidate(scheduler.node_runs["1"])
    assert scheduler.rest() == ["1", "3"]
    assert scheduler.pending == 0


def test_an_invalidated_node_that_is_wanted_is_computed_again(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1")}, ["1", "2"])
    assert [scheduler.next(), scheduler.next()] == ["1", "2"]
    scheduler.invalidate(scheduler.node_runs["1"])
    assert scheduler.rest() == ["1"]
    assert scheduler.there() == {"1", "2"}


def test_an_async_node_is_taken_though_its_invalidated_input_was_found_again_only_now(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": made("Async", a=["1", 0])}, ["2"])
    assert scheduler.next() == "1"
    scheduler.invalidate(scheduler.node_runs["1"])
    scheduler.cached.add("1")
    assert [node_run.step.id for node_run in scheduler.take_off_lane()] == ["2"]
    assert scheduler.running == 1


def test_nodes_that_wait_for_each_other_are_stuck_and_named_in_order(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1"), "3": plain(a="2"), "4": plain(a="3")}, ["4"])
    scheduler.expand(scheduler.took("1"), scheduler.children({"x": plain(a="3")}), Wants("x"))
    assert scheduler.take() is None
    assert scheduler.is_deadlocked
    ring = [node_run.step.id for node_run in scheduler.find_cycle()]
    assert sorted(ring) == ["1", "2", "3", "x"]
    start = ring.index("1")
    assert (ring[start:] + ring[:start]) in (["1", "2", "3", "x"], ["1", "x", "3", "2"])


def test_a_run_that_waits_for_a_running_node_is_not_stuck(pack: Pack) -> None:
    scheduler = Driven(pack, {"1": plain(), "2": plain(a="1")}, ["2"])
    node_run = scheduler.took("1")
    assert scheduler.take() is None
    assert not scheduler.is_deadlocked
    scheduler.finish(node_run, VALUE)
    assert scheduler.has_ready()
