"""Who gets places next: all or nothing, higher priority first, sources in turns, the lowest in the end."""

from __future__ import annotations

from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as some

from comfy_nb.engine.pools.bucket import TokenBucket
from comfy_nb.engine.pools.capacity import Capacity
from comfy_nb.engine.pools.fair_queue import Demand, FairQueue
from comfy_nb.engine.pools.turns import Aging, Turns


def queue_of(aging_s: float = 1e9, **sizes: int) -> FairQueue:
    return FairQueue({name: Capacity(size, None, None) for name, size in sizes.items()}, Turns(Aging(aging_s)))


class Desk:
    """Asks a queue and notes who was served, at a clock that the test moves."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.now = 0.0
        self.served: list[str] = []
        self.again_at: float | None = None

    def ask(self, who: str, *, priority: int = 0, **needs: int) -> Demand:
        demand = Demand(tuple(sorted(needs.items())), lambda: None, source=who[0], priority=priority, who=who)
        self.queue.ask(demand, self.now)
        self.serve()
        return demand

    def serve(self) -> None:
        served, self.again_at = self.queue.serve(self.now)
        self.served += [demand.who for demand in served]

    def end(self, who: str) -> None:
        self.queue.withdraw(next(demand for demand in self.queue.holding if demand.who == who))
        self.serve()

    def ahead(self) -> dict[str, int]:
        return {demand.who: ahead for demand, ahead in self.queue.places_in_line(self.now).items()}


def test_those_of_one_source_are_served_in_their_order():
    desk = Desk(queue_of(gpu=1))
    for who in ("a1", "a2", "a3"):
        desk.ask(who, gpu=1)
    assert desk.served == ["a1"]
    desk.end("a1")
    desk.end("a2")
    assert desk.served == ["a1", "a2", "a3"]


def test_sources_take_turns_however_much_one_of_them_wants():
    desk = Desk(queue_of(gpu=1))
    for who in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
        desk.ask(who, gpu=1)
    for who in ("a1", "b1", "c1", "a2", "b2"):
        assert desk.served[-1] == who
        desk.end(who)
    assert desk.served[-1] == "a3"


def test_a_source_that_asks_for_one_after_the_other_takes_its_turn_with_one_that_asked_for_many():
    desk = Desk(queue_of(gpu=1))
    for number in range(6):
        desk.ask(f"a{number}", gpu=1)
    desk.ask("b0", gpu=1)
    desk.end("a0")
    desk.end("b0")
    desk.ask("b1", gpu=1)
    desk.end("a1")
    assert desk.served == ["a0", "b0", "a1", "b1"]


def test_a_higher_priority_is_served_first():
    desk = Desk(queue_of(gpu=1))
    desk.ask("a1", gpu=1)
    desk.ask("a2", gpu=1)
    desk.ask("b1", gpu=1, priority=-1)
    desk.ask("c1", gpu=1, priority=5)
    for who in ("a1", "c1", "a2"):
        desk.end(who)
    assert desk.served == ["a1", "c1", "a2", "b1"]


def test_one_of_low_priority_gets_a_level_for_each_time_it_has_waited_so_long_since_its_source_was_served():
    desk = Desk(queue_of(aging_s=10.0, gpu=1))
    desk.ask("a0", gpu=1)
    desk.ask("b0", gpu=1, priority=-2)
    desk.ask("b1", gpu=1, priority=-2)
    for number in range(6):
        desk.ask(f"a{number + 1}", gpu=1)
    for _ in range(6):
        desk.now += 7.0
        desk.end(desk.served[-1])
    assert desk.served == ["a0", "a1", "a2", "b0", "a3", "a4", "b1"]


def test_all_places_are_had_at_once_or_none():
    desk = Desk(queue_of(gpu=1, ram=3))
    desk.ask("a", ram=2)
    desk.ask("b", gpu=1, ram=2)
    assert desk.served == ["a"]
    desk.ask("c", gpu=1)
    assert desk.served == ["a"]  # it would overtake b at the GPU
    desk.end("a")
    assert desk.served == ["a", "b"]
    desk.end("b")
    assert desk.served == ["a", "b", "c"]


def test_one_that_needs_other_pools_does_not_wait():
    desk = Desk(queue_of(gpu=1, openai=1))
    desk.ask("a", gpu=1)
    desk.ask("b", gpu=1)
    desk.ask("c", openai=1)
    assert desk.served == ["a", "c"]


def test_one_that_waits_may_go_and_those_behind_it_move_up():
    desk = Desk(queue_of(gpu=2))
    desk.ask("a", gpu=1)
    large = desk.ask("b", gpu=2)
    desk.ask("c", gpu=1)
    assert desk.queue.withdraw(large)
    assert not desk.queue.withdraw(large)
    desk.serve()
    assert desk.served == ["a", "c"]


def test_it_is_known_how_many_are_ahead():
    desk = Desk(queue_of(gpu=1, openai=1))
    for who in ("a1", "a2", "a3", "b1", "b2"):
        desk.ask(who, gpu=1)
    desk.ask("c1", gpu=1, priority=1)
    desk.ask("d1", openai=1)
    last = desk.ask("d2", openai=1)
    ahead = desk.ahead()
    assert ahead == {"c1": 0, "b1": 1, "a2": 2, "b2": 3, "a3": 4, "d2": 0}
    assert desk.queue.ahead_of_newest(last, desk.now) == 0
    while desk.queue.holding:
        desk.end(next(demand.who for demand in desk.queue.holding))
    served = [who for who in desk.served if who[0] in "abc"][1:]
    assert served == sorted((who for who in ahead if who != "d2"), key=ahead.__getitem__)


def test_those_beyond_the_calls_of_a_minute_wait_for_the_bucket():
    queue = FairQueue({"api": Capacity(None, TokenBucket(2, 0.0), None)}, Turns(Aging(1e9)))
    desk = Desk(queue)
    for who in ("a1", "a2", "a3", "a4"):
        desk.ask(who, api=1)
    assert desk.served == ["a1", "a2"] and desk.again_at == 30.0
    desk.now = 29.0
    desk.serve()
    assert desk.served == ["a1", "a2"]
    desk.now = 30.0
    desk.serve()
    assert desk.served == ["a1", "a2", "a3"] and desk.again_at == 60.0


def test_a_bucket_that_a_service_emptied_gives_its_next_token_when_that_said():
    bucket = TokenBucket(60, 0.0)
    bucket.empty(10.0, 20.0)
    assert bucket.next_at(1, 10.0) == 30.0 and bucket.next_at(2, 10.0) == 31.0
    bucket.empty(11.0, 1.0)
    assert bucket.next_at(1, 11.0) == 30.0
    assert bucket.next_at(1, 40.0) <= 40.0


POOLS = {"gpu": 1, "ram": 4, "api": 2}
demands = some.lists(
    some.tuples(
        some.sampled_from("abc"),
        some.integers(-3, 3),
        some.dictionaries(some.sampled_from(list(POOLS)), some.integers(1, 4), min_size=1),
        some.integers(0, 5),
    ),
    max_size=40,
)


@given(demands, some.floats(0.5, 100.0))
def test_whatever_is_asked_for_nobody_waits_for_ever_and_no_pool_is_overdrawn(asked, aging_s):
    desk = Desk(queue_of(aging_s, **POOLS))
    for number, (source, priority, needs, ends) in enumerate(asked):
        needs = {name: min(count, POOLS[name]) for name, count in needs.items()}
        desk.ask(f"{source}{number}", priority=priority, **needs)
        for _ in range(min(ends, len(desk.queue.holding))):
            desk.now += 1.0
            desk.end(next(demand.who for demand in desk.queue.holding))
        for name, size in POOLS.items():
            in_use = sum(dict(demand.needs).get(name, 0) for demand in desk.queue.holding)
            assert 0 <= in_use == desk.queue.limits[name].in_use <= size
    while desk.queue.holding:
        desk.end(next(demand.who for demand in desk.queue.holding))
    assert sorted(desk.served) == sorted(f"{source}{number}" for number, (source, *_) in enumerate(asked))
    assert not list(desk.queue.waiting) and not desk.queue.turns._sources


def test_more_than_a_pool_has_are_all_that_it_has():
    queue = queue_of(gpu=3)
    desk = Desk(queue)
    desk.ask("a", gpu=1)
    desk.ask("b", gpu=3)
    desk.ask("c", gpu=1)
    queue.limits["gpu"].size = 2
    desk.end("a")
    assert desk.served == ["a", "b"]
    desk.end("b")
    assert desk.served == ["a", "b", "c"] and queue.limits["gpu"].in_use == 1


def test_more_calls_than_a_minute_allows_wait_for_a_full_bucket_and_are_refilled_before_others():
    desk = Desk(FairQueue({"api": Capacity(None, TokenBucket(2, 0.0), None)}, Turns(Aging(1e9))))
    desk.ask("a", api=3)
    desk.ask("b", api=1)
    assert desk.served == ["a"] and desk.again_at == 60.0


class CountingTurns(Turns):
    """Turns that count how often somebody's was looked at."""

    looked = 0

    def level(self, source: Hashable, priority: int, asked_at: float, now: float) -> int:
        self.looked += 1
        return super().level(source, priority, asked_at, now)


def test_each_line_is_looked_at_once_however_many_there_are():
    turns = CountingTurns(Aging(1e9))
    queue = FairQueue({"gpu": Capacity(1, None, None)}, turns)
    demands = [Demand((("gpu", 1),), lambda: None, source=source) for source in range(200)]
    for demand in demands:
        queue.ask(demand, 0.0)
    turns.looked = 0
    assert list(queue.places_in_line(0.0).values()) == list(range(200))
    assert turns.looked <= 200
    (served,), _ = queue.serve(0.0)
    assert served is demands[0]
    assert turns.looked <= 3 * 200, "and once more for who is next, of which only the first is compared again"


def test_where_all_places_are_taken_nobody_is_looked_at():
    turns = CountingTurns(Aging(1e9))
    queue = FairQueue({"gpu": Capacity(1, None, None)}, turns)
    for source in range(50):
        queue.ask(Demand((("gpu", 1),), lambda: None, source=source), 0.0)
    queue.serve(0.0)
    turns.looked = 0
    assert queue.serve(0.0) == ([], None)
    assert turns.looked == 0
