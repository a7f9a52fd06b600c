"""Values that refuse to be asked pass nodes of every form, are told, and cost no more than their beginning."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

import comfy_nb as nb
from tests.engine.odd_values import READ, UNREADABLE, WIDE, Endless, freed, passes

pytestmark = pytest.mark.usefixtures("no_faults")


def says_nothing(error: type[BaseException]) -> Any:
    """An object that raises where it is asked for its class, or for anything."""

    def refuse(*_: object) -> Any:
        raise error("outside of its context")

    return type("SaysNothing", (), {"__getattribute__": refuse, "__repr__": refuse})()


class Passes:
    """A class of a pack that returns what it gets: with outputs of several forms, and as its only output."""

    RETURN_TYPES = ("*", "*")
    OUTPUT_IS_LIST = (False, True)
    FUNCTION = "go"

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {"value": ("*",)}}

    def go(self, value: Any) -> Any:
        return (value, [value])


class PassesBare(Passes):
    RETURN_TYPES = ("*",)  # type: ignore[assignment]
    OUTPUT_IS_LIST = (False,)  # type: ignore[assignment]

    def go(self, value: Any) -> Any:
        return value


class Shows(Passes):
    RETURN_TYPES = OUTPUT_IS_LIST = ()  # type: ignore[assignment]
    OUTPUT_NODE = True

    def go(self, value: Any) -> Any:
        return {"ui": {"values": [value], "bare": value}}


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_what_refuses_to_tell_its_class_passes_through_nodes_of_every_form(error: type[BaseException]) -> None:
    value = says_nothing(error)
    nb.register(Passes), nb.register(PassesBare), nb.register(Shows)

    @nb.node
    def hands_it_out(value: object) -> object:
        return value

    @nb.node
    async def hands_it_out_later(value: object) -> object:
        return value

    passed = nb.nodes.Passes(nb.nodes.PassesBare(hands_it_out_later(hands_it_out(value))))
    graph = nb.Graph(nb.nodes.Shows(passed[0]), nb.nodes.Shows(passed[1]))
    run = graph.run_sync()
    assert len(run.ui) == 2 and run.summary()
    with nb.breakpoint(hands_it_out(value), when=lambda each: each is None):
        assert nb.Graph(hands_it_out(value)).run_sync()["1"] is value


def test_a_list_that_goes_through_itself_without_end_is_the_values_that_it_holds() -> None:
    class GivesEndless(Passes):
        RETURN_TYPES = ("INT", "INT")
        OUTPUT_IS_LIST = ()  # type: ignore[assignment]

        def go(self, value: Any) -> Any:
            return Endless([1, 2])

    @nb.node
    def gives_endless() -> list[int]:
        return Endless([1, 2])

    nb.register(GivesEndless)
    assert nb.nodes.GivesEndless(0)[1].run_sync() == 2

    assert gives_endless().run_sync() == [1, 2]


class NoEnd(Mapping[int, int]):
    """A mapping that has every number as a key."""

    def __getitem__(self, key: int) -> int:
        return key

    def __iter__(self) -> Any:
        return itertools.count()

    def __len__(self) -> int:
        return 1 << 60


def fingerprinted(make: Callable[[], Any]) -> nb.Run:
    @nb.node(fingerprint=lambda: make())
    def has_fingerprint() -> int:
        return 1

    graph = nb.Graph(has_fingerprint())
    graph.run_sync()
    return graph.run_sync()


@pytest.mark.parametrize("kind", ["freed", "wide", "wide array", "wide of NaN", "sparse", "meta", "fake", "no end"])
def test_a_fingerprint_may_be_any_tensor_and_is_not_copied_to_be_compared(kind: str) -> None:
    known = {"wide of NaN": lambda: torch.full((1,), float("nan")).expand(WIDE), "no end": NoEnd, **READ, **UNREADABLE}
    why = fingerprinted(known[kind]).why("1")
    assert ("from an earlier run" in why) is (kind not in ("wide of NaN", "freed", "fake"))


def test_an_array_of_objects_that_is_broadcast_is_not_written_out() -> None:
    assert passes(np.broadcast_to(np.array([None]), (WIDE,))).why("1") == "from an earlier run"


def test_what_an_error_holds_is_told_without_reading_it() -> None:
    shared: list[Any] = []
    for _ in range(60):
        shared = [shared, shared]

    @nb.node
    def cannot(value: object) -> int:
        raise ValueError("not this", value)

    for value in (freed(), [freed()], shared):
        with pytest.raises(nb.NodeError, match="not this"):
            cannot(value).run_sync()


class Refuses:
    RETURN_TYPES = ("INT",)
    FUNCTION = "go"

    @classmethod
    def INPUT_TYPES(cls) -> Any:
        return {"required": {"value": ("*",)}}

    @classmethod
    def VALIDATE_INPUTS(cls, value: Any) -> Any:
        return value

    def go(self, value: Any) -> Any:
        return (1,)


@pytest.mark.parametrize("kind", ["exits", "freed", "inside itself"])
def test_an_answer_of_a_validation_is_told_whatever_it_is(kind: str) -> None:
    nb.register(Refuses)
    with pytest.raises(nb.ValidationError, match="value - "):
        nb.nodes.Refuses((READ | UNREADABLE)[kind]()).run_sync()


@pytest.mark.parametrize("kind", ["exits", "freed", "exiting tensor"])
def test_a_default_a_title_and_what_is_no_node_are_told_whatever_they_are(kind: str) -> None:
    value = {"exiting tensor": UNREADABLE["an exiting tensor"], **READ, **UNREADABLE}[kind]()

    @nb.node
    def takes_default(number: int, value: object = value) -> int:
        return number

    assert "takes_default" in repr(takes_default)
    nodes = {"1": {"class_type": "takes_default", "inputs": {"number": 1}, "_meta": {"title": value}}}
    graph = nb.load(nodes)
    assert graph.run_sync()["1"] == 1 and repr(graph) and nb.draw(graph)._repr_html_()
    for refused in (lambda: nb.Graph(value), lambda: graph[value]):
        with pytest.raises(nb.GraphError):
            refused()


class ExitingWrapper(torch.Tensor):
    """A tensor of which nothing can be computed."""

    @staticmethod
    def __new__(cls) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, (1, 8, 8, 3))  # type: ignore[attr-defined]

    @classmethod
    def __torch_dispatch__(cls, *_: Any, **__: Any) -> Any:
        raise SystemExit


def test_a_tensor_that_exits_when_it_is_read_is_told_and_drawn() -> None:
    view = nb.inspect(ExitingWrapper())
    assert "its values cannot be read: SystemExit" in repr(view) and view._repr_html_()


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_what_refuses_to_tell_its_class_can_be_read_as_a_global_looked_at_and_kept_from_disk(
    error: type[BaseException], tmp_path: Any
) -> None:
    value = says_nothing(error)

    @nb.node
    def reads_it() -> bool:
        return value is not None

    @nb.node
    def gives_it() -> object:
        return value

    nb.configure(cache_dir=tmp_path / "cache")
    assert nb.Graph(reads_it()).run_sync()["1"] is True
    assert nb.Graph(gives_it()).run_sync()["1"] is value
    view = nb.inspect(value)
    assert repr(view) and view._repr_html_()


def test_measuring_a_mock_does_not_make_it_larger() -> None:
    shown = mock.MagicMock(spec=torch.Tensor)
    nb.register(Shows)
    nb.nodes.Shows(shown).run_sync()
    assert "call.__sizeof__()" not in map(str, shown.mock_calls)
