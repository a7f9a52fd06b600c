"""Values that cannot be read, or only at great cost, pass through nodes and the cache unharmed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Annotated, Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import comfy_nb as nb
from comfy_nb.graph.prompt_json import picture_text
from comfy_nb.spec.coerce import coerce
from tests.engine.odd_values import READ, UNREADABLE, Exits, OfRefusingClass, OfUnhashableClass, passes

pytestmark = pytest.mark.usefixtures("no_faults")


@pytest.mark.parametrize("kind", READ)
def test_what_can_be_read_in_its_own_form_is_reused(kind: str) -> None:
    assert passes(READ[kind]()).why("1") == "from an earlier run"


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_passes_and_is_not_reused(kind: str) -> None:
    assert "which may have changed" in passes(UNREADABLE[kind]()).why("1")


def test_a_large_array_in_a_mapped_file_passes_and_is_named() -> None:
    run = passes(np.memmap("large", "u1", "w+", shape=(4 << 30,)))
    assert "an array of 4.3 GB in a mapped file, which may have changed" in run.why("1")


@pytest.mark.parametrize("kind", [*READ, *UNREADABLE])
def test_whatever_is_given_can_be_told_looked_at_and_saved_or_is_refused_by_name(kind: str, tmp_path: Any) -> None:
    @nb.node
    def looks_at(value: object) -> int:
        return 1

    value = (READ | UNREADABLE)[kind]()
    handle = looks_at(value)
    graph = nb.Graph(handle)
    for _ in range(2):
        run = graph.run_sync()
    assert "looks_at" in repr(handle) and repr(graph) and run.why("1") and run.summary()
    view = nb.inspect(value)
    assert repr(view) and view._repr_html_()
    try:
        graph.save(tmp_path / "graph.json")
    except nb.PromptError as error:
        assert "Input 'value' of node '1' (looks_at)" in str(error)
    assert picture_text({"1": {"class_type": "looks_at", "inputs": {"value": value}}}, is_prompt=True)


@pytest.mark.parametrize("kind", ["exits", "says it is a tensor", "an exiting tensor", "nested", "inside itself"])
@pytest.mark.parametrize("socket", ["IMAGE", "MASK", "LATENT", "AUDIO"])
def test_what_has_another_layout_is_refused_by_name_or_passes(kind: str, socket: str) -> None:
    value = (READ | UNREADABLE)[kind]()
    try:
        assert coerce(value, socket) is value
    except nb.LayoutError as error:
        assert socket in str(error)


def test_the_pixels_of_a_fake_picture_are_not_asked_for() -> None:
    with FakeTensorMode():
        picture = torch.zeros(1, 4, 4, 3)
    assert coerce(picture, "IMAGE").shape == picture.shape


@pytest.mark.parametrize("kind", ["exits", "a shared list", "a number of many digits"])
def test_a_constant_that_is_no_text_or_number_is_refused_by_name(kind: str) -> None:
    shared: list[Any] = []
    for _ in range(60):
        shared = [shared, shared]

    @nb.node
    def needs_text(text: str = "", count: Annotated[int, nb.Range(0, 5)] = 1) -> str:
        return text

    given = {
        "exits": {"text": Exits()},
        "a shared list": {"text": shared},
        "a number of many digits": {"count": 10**9999},
    }
    with pytest.raises(nb.ValidationError, match=r"needs_text \(node 1\)"):
        nb.Graph(needs_text(**given[kind])).run_sync()


@pytest.mark.parametrize("kind", [*READ, *UNREADABLE])
def test_the_cache_tells_what_it_holds(kind: str) -> None:
    passes((READ | UNREADABLE)[kind]())
    assert str(nb.cache) and nb.cache._repr_html_()


class Proxy:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("outside of its context")


class Nameless(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in ("__module__", "__qualname__"):
            raise RuntimeError("no name")
        return super().__getattribute__(name)


class OfNamelessClass(metaclass=Nameless):
    size = 3


@pytest.mark.parametrize("make", [Proxy, OfUnhashableClass, OfRefusingClass, Exits])
def test_code_can_read_a_global_that_refuses_to_be_looked_at(make: Callable[[], Any]) -> None:
    value = make()

    @nb.node
    def reads_odd() -> str:
        return type(value).__name__

    assert reads_odd().run_sync() == type(value).__name__
    run = nb.Graph(reads_odd()).run_sync()
    assert ("may have changed" in run.why("1")) is (make in (OfUnhashableClass, OfRefusingClass))


def test_code_can_use_what_is_declared_constant_and_reads_a_class_that_refuses_to_tell_its_name() -> None:
    size_of = nb.constant(lambda: OfNamelessClass.size)

    @nb.node
    def reads_odd() -> int:
        return size_of()

    assert reads_odd().run_sync() == 3


MOCKS: dict[str, Callable[[], Any]] = {
    "mock": mock.Mock,
    "of a tensor": lambda: mock.MagicMock(spec=torch.Tensor),
    "of a dict": lambda: mock.MagicMock(spec=dict),
    "of a function": lambda: mock.create_autospec(len),
}


@pytest.mark.parametrize("kind", MOCKS)
def test_a_mock_is_not_reused_nor_is_its_use_taken_for_a_change(kind: str) -> None:
    given, read = MOCKS[kind](), MOCKS[kind]()

    @nb.node
    def hands_out() -> object:
        return MOCKS[kind]()

    @nb.node
    def uses(value: object, other: object) -> int:
        for each in (value, other, read):
            each.mock_calls, each.method_calls, each.called  # type: ignore[attr-defined]
            with contextlib.suppress(TypeError, AttributeError):
                each("anything")  # type: ignore[operator]
                each.anything.more("else")  # type: ignore[attr-defined]
        return 1

    graph = nb.Graph(uses(given, hands_out()))
    for _ in range(2):
        run = graph.run_sync(["1", "2"])
    reasons = run.why("1") + run.why("2")
    assert reasons.count("which may have changed") == 2
    assert "input `value` is a mock (which notes how it is used)" in reasons


class Box:
    """It has whatever is asked for."""

    def __init__(self, content: int) -> None:
        self.content = content

    def __getattr__(self, name: str) -> Any:
        return Box(0)

    def __call__(self, *_: object) -> Any:
        return Box(0)


def test_an_object_that_has_every_attribute_counts_by_those_that_it_holds() -> None:
    @nb.node
    def reads(box: object) -> int:
        return box.anything.content + box.content  # type: ignore[attr-defined, no-any-return]

    assert [reads(Box(content)).run_sync() for content in (1, 2, 1)] == [1, 2, 1]
    assert nb.Graph(reads(Box(2))).run_sync().counts["memory"] == 1


class Local:
    """A proxy, as of a web framework: it looks like what its function returns."""

    def __init__(self, find: Callable[[], Any]) -> None:
        object.__setattr__(self, "_find", find)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._find())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)

    def __len__(self) -> int:
        return len(self._find())


def test_a_proxy_counts_by_what_it_leads_to() -> None:
    behind = [1]
    proxy = Local(lambda: behind)

    @nb.node
    def counts(value: object) -> int:
        return len(value) + len(proxy)  # type: ignore[arg-type]

    for length in (1, 2):
        assert counts(proxy).run_sync() == 2 * length
        behind.append(1)


async def test_code_can_read_a_number_that_python_refuses_to_write() -> None:
    number = 7**6000

    @nb.node
    def last_digit() -> int:
        return number % 10

    assert await last_digit() == 1


def test_a_picture_whose_storage_was_released_is_told_and_not_read() -> None:
    picture = torch.rand(1, 8, 8, 3)
    picture.untyped_storage().resize_(0)
    assert "Its storage is empty" in repr(nb.inspect(picture))
    assert "Its storage is empty" in repr(nb.inspect({"samples": picture}))


def test_why_tells_of_a_value_of_a_class_that_refuses_to_be_hashed_after_another_input_was_edited() -> None:
    value = OfRefusingClass()

    @nb.node
    def takes_refusing(value: object, number: int) -> int:
        return number

    takes_refusing(value, 1).run_sync()
    takes_refusing(value, 2).run_sync()
    assert nb.last is not None and "a value of class OfRefusingClass" in nb.last.why("1")
