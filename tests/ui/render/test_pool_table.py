"""`nb.pools` at the end of a cell: what pools there are, who has places and who waits."""

from __future__ import annotations

import pytest

import comfy_nb as nb
from comfy_nb.engine.pools.fair_queue import Demand
from comfy_nb.engine.session import Session, use_session


@pytest.fixture(autouse=True)
def session():
    own = Session()
    with use_session(own):
        yield own


def ask(session: Session, *names: str) -> None:
    for name in names:
        session.pools.ask(Demand((("desk", 1),), lambda: None, source="run", who=name))


def test_without_pools_it_says_how_to_make_one():
    assert repr(nb.pools) == "There are no pools. Make one: nb.pool('gpu', 1)"
    assert "nb.pool('gpu', 1)" in nb.pools._repr_html_()


def test_it_shows_who_has_places_and_who_waits_in_their_order(session: Session):
    nb.pool("desk", 2)
    ask(session, "a", "b", "c", "d")
    header, row = repr(nb.pools).splitlines()
    assert header.split() == ["pool", "in", "use", "a", "minute", "held", "by", "waiting"]
    assert row.split() == ["desk", "2", "of", "2", "a,", "b", "c,", "d"]


def test_of_many_the_first_are_named_and_the_rest_counted(session: Session):
    nb.pool("desk", 1)
    ask(session, "a", *(f"w{number}" for number in range(1_000)))
    assert repr(nb.pools).endswith("w0, w1, w2, w3 and 996 more")


def test_a_limit_of_calls_a_minute_and_a_shared_pool_say_so():
    nb.pool("service", per_minute=60)
    nb.pool("shown-as-shared", 1, shared=True)
    _, first, second = repr(nb.pools).splitlines()
    assert first.split() == ["service", "0", "60"]
    assert second.split() == ["shown-as-shared", "(shared)", "0", "of", "1"]


def test_names_of_nodes_are_text_in_html(session: Session):
    nb.pool("desk", 1)
    ask(session, "<b>a</b>")
    assert "&lt;b&gt;a&lt;/b&gt;" in nb.pools._repr_html_()


def test_pools_are_found_by_name_and_misspelt_ones_are_named():
    made = nb.pool("desk", 1)
    assert list(nb.pools) == ["desk"]
    assert nb.pools["desk"].state == made.state == nb.pool("desk").state
    with pytest.raises(nb.UnknownName, match="no pool 'dsk'.*'desk'"):
        nb.pool("dsk")
    with pytest.raises(nb.UnknownName, match="no pool 'dsk'"):
        nb.pools["dsk"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("desk", {"size": 0}, "size of the pool 'desk' is 0"),
        ("desk", {"size": True}, "size of the pool 'desk' is True"),
        ("desk", {"per_minute": 1.5}, "per_minute of the pool 'desk' is 1.5"),
        ("desk", {"per_minute": 1, "shared": True}, "is shared, so it needs a size"),
        ("a/b", {"size": 1}, "'a/b' is no name of a pool"),
    ],
)
def test_limits_that_are_none_are_refused(name, options, words):
    with pytest.raises(nb.GraphError, match=words):
        nb.pool(name, **options)


def test_a_pool_is_shared_or_not_for_good():
    nb.pool("desk", 1)
    with pytest.raises(nb.GraphError, match="not shared; that cannot be changed"):
        nb.pool("desk", 1, shared=True)


def test_only_a_pool_with_a_limit_a_minute_can_be_told_to_wait():
    nb.pool("desk", 1)
    with pytest.raises(nb.GraphError, match="'desk' has no limit of calls a minute"):
        nb.pool("desk").wait(1.0)


@pytest.mark.parametrize("uses", [{"desk": 0}, {"desk": "1"}, 3, {1: 1}])
def test_uses_that_name_no_places_are_refused(uses):
    nb.pool("desk", 1)
    with pytest.raises(nb.SpecError, match="expected is a pool"):
        nb.pools.assign("KSampler*", uses)
    with pytest.raises(nb.SpecError, match="expected is a pool"):
        nb.node(uses=uses)(lambda: None)
