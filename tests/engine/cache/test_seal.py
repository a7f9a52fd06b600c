"""A value that was changed in place is noticed, and the change named."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch

from comfy_nb.engine.cache.seal import seal
from comfy_nb.spec.contents import tensors
from tests.engine.support import Calls


@pytest.mark.parametrize(
    "outputs", [(), ([],), ([1, "a", None, 2.5, True, b"x"], [3]), ([(1, ("a", None))],), ([object()],)]
)
def test_what_cannot_be_changed_or_is_not_known_needs_no_seal(outputs):
    assert seal(outputs) is None


def test_a_value_left_alone_stays_sealed():
    outputs = (
        [torch.zeros(3), {"samples": torch.ones(2), "n": [1, float("nan")]}],
        [np.zeros(3), bytearray(b"abc"), {1, 2}, np.array([object()])],
    )
    assert seal(outputs).broken() is None


def large() -> torch.Tensor:
    return torch.zeros(5 << 20)


def inferred(value: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return value + 1


def write_in_inference_mode(value: torch.Tensor) -> None:
    with torch.inference_mode():
        value.add_(1)


@pytest.mark.parametrize(
    ("value", "change"),
    [
        (torch.zeros(3), lambda t: t.add_(1)),
        (torch.zeros(3), lambda t: t[1:].fill_(2)),
        (torch.zeros(3), lambda t: t.numpy().fill(5)),
        (torch.zeros(3), lambda t: t.data.mul_(0).add_(1)),
        (torch.zeros(4, 4).t()[1:], lambda t: t.numpy().fill(5)),
        (torch.zeros(3, dtype=torch.bfloat16), lambda t: t.data.add_(1)),
        (torch.zeros(3), lambda t: t.resize_(2)),
        (torch.zeros(3), lambda t: t.set_(torch.zeros(3).untyped_storage())),
        (torch.zeros(3), lambda t: t.unsqueeze_(0)),
        (large(), lambda t: t.add_(1)),
        (inferred(torch.zeros(3)), write_in_inference_mode),
        (inferred(large()), write_in_inference_mode),
        (torch.eye(3).to_sparse(), lambda t: t.mul_(2)),
    ],
)
def test_a_write_to_a_tensor_is_named(value, change):
    sealed = seal(([1], [value]))
    assert sealed.broken() is None
    change(value)
    assert sealed.broken() == "the tensor in output 1 was written to"


@pytest.mark.parametrize(
    ("value", "change"),
    [
        (np.zeros(3), lambda a: a.fill(1)),
        (np.zeros((4, 4))[::2, 1:], lambda a: a.__setitem__((1, 1), 3)),
        (np.zeros(0), lambda a: setattr(a, "shape", (0, 2))),
        (bytearray(b"abc"), lambda b: b.append(1)),
        (bytearray(b"abc"), lambda b: b.__setitem__(0, 7)),
    ],
)
def test_a_write_to_an_array_or_bytearray_is_named(value, change):
    sealed = seal(([value],))
    change(value)
    assert sealed.broken() == f"the {type(value).__name__} in output 0 was written to"


def replace_samples(value: dict[str, Any]) -> None:
    value["samples"] = torch.ones(1)


@pytest.mark.parametrize(
    ("value", "change", "words"),
    [
        ({"samples": torch.ones(1)}, replace_samples, "key 'samples' of the dict in output 0 was replaced"),
        ({"a": 1}, lambda d: d.pop("a"), "key 'a' of the dict in output 0 was removed"),
        ({"a": 1}, lambda d: d.update(b=2), "key 'b' of the dict in output 0 was added"),
        ({"a": 1}, lambda d: d.update(a=True), "key 'a' of the dict in output 0 was replaced"),
        ([1, 2], lambda x: x.append(3), "the length of the list in output 0 went from 2 to 3"),
        ([1, 2], lambda x: x.reverse(), "item 0 of the list in output 0 was replaced"),
        ({1, 2}, lambda s: s.discard(1), "the set in output 0 was changed"),
        (([1],), lambda t: t[0].clear(), "the length of the list at [0] in output 0 went from 1 to 0"),
        (
            [["c", {"pooled": torch.zeros(2)}]],
            lambda c: c[0][1]["pooled"].add_(1),
            "the tensor at [0][1]['pooled'] in output 0 was written to",
        ),
    ],
)
def test_a_change_inside_a_container_says_where(value, change, words):
    sealed = seal(([value],))
    change(value)
    assert sealed.broken() == words


def test_one_of_several_values_in_a_slot_is_named_by_its_number():
    tensors = [torch.zeros(1), torch.zeros(1)]
    sealed = seal((tensors,))
    tensors[1].add_(1)
    assert sealed.broken() == "the tensor in output 0, value 1 was written to"


def test_an_equal_plain_value_in_the_place_of_another_is_not_a_change():
    value = {"name": "".join(["a", "b"]), "sizes": [1000001, 2.5]}
    sealed = seal(([value],))
    value["name"] = "".join(["a", "b"])
    value["sizes"][:] = [int("1000001"), float("2.5")]
    assert sealed.broken() is None


@pytest.mark.parametrize(
    "hold", [lambda x: {x: 1}, lambda x: {x}, lambda x: {(1, x)}, lambda x: np.array([[x]], object)]
)
def test_what_cannot_be_watched_is_told_wherever_it_is_held(hold):
    sealed = seal(([hold(iter([1, 2]))],), lambda _: True)
    assert sealed.unknown.startswith("a value of class list_iterator")


calls = Calls()


class Counted:
    def __comfy_nb_key__(self) -> int:
        calls["read"] += 1
        return 1


class Record:
    counted = Counted()

    def __init__(self, number: int) -> None:
        self.number = number


def test_the_class_of_many_objects_is_read_once_for_all_and_the_one_that_changed_is_named():
    records = [Record(number) for number in range(50)]
    sealed = seal((records, [{"a": records[7]}]), lambda _: True)
    assert sealed.broken() is None
    assert calls["read"] == 2
    records[7].number = 0
    assert sealed.broken() == "the Record at ['a'] in output 1 was changed"


class Summed:
    @functools.cached_property
    def parts(self) -> list[int]:
        return [1]


@pytest.mark.parametrize(("count", "what"), [(1, "the Summed in output 0"), (2, "what an object in it had computed")])
def test_a_change_of_what_an_object_has_computed_is_put_down_to_no_other_object(count, what):
    values = [Summed() for _ in range(count)]
    for value in values:
        assert value.parts == [1]
    sealed = seal((values,), lambda _: True)
    values[0].parts.append(2)
    assert sealed.broken() == f"{what} was changed"


@pytest.mark.parametrize(("count", "where"), [(1, "in output 0"), (2, "in what an object in it had computed")])
def test_what_cannot_be_watched_is_told_of_what_an_object_has_computed(count, where):
    values = [Summed() for _ in range(count)]
    vars(values[0])["parts"] = iter([1, 2])
    assert seal((values,), lambda _: True).unknown == f"a value of class list_iterator {where}"


def test_a_container_that_holds_itself_can_be_sealed():
    ring: list[Any] = []
    ring.append(ring)
    sealed = seal(([ring],))
    ring.append(1)
    assert sealed.broken() is not None


def test_a_write_past_the_version_counter_of_a_large_tensor_is_seen():
    tensor = large()
    sealed = seal(([tensor],))
    tensor.numpy()[0] = 1
    assert sealed.broken() == "the tensor in output 0 was written to"


def test_a_permuted_tensor_is_watched_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def copies(*_: object) -> None:
        raise AssertionError("it is copied")

    monkeypatch.setattr(tensors, "pieces_in_order", copies)
    decoded = torch.rand(2, 3, 64, 64).movedim(1, -1)
    sealed = seal(([decoded],))
    assert sealed is not None and sealed.unknown is None and sealed.broken() is None
    decoded.numpy()[0, 1, 2, 0] = 7
    assert sealed.broken() == "the tensor in output 0 was written to"
