"""What is changed in place between two runs, as an input or as a global, is noticed or not reused."""

from __future__ import annotations

import collections
import dataclasses
import tempfile
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import comfy_nb as nb
from comfy_nb.spec.contents import modules, tensors
from tests.engine.support import Calls


class Settings:
    def __init__(self) -> None:
        self.steps = 1


class Slotted:
    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = 1


@dataclasses.dataclass
class Nested:
    inner: Settings = dataclasses.field(default_factory=Settings)
    names: list[str] = dataclasses.field(default_factory=list)


class Bag(list[int]):
    pass


class Measures(pd.DataFrame):
    _unit = "m"

    @property
    def unit(self) -> str:
        return self._unit


def noted() -> torch.Tensor:
    tensor = torch.zeros(3)
    tensor.notes = ["a"]  # type: ignore[attr-defined]
    return tensor


def with_gradient(size: int = 3) -> torch.Tensor:
    tensor = torch.zeros(size, requires_grad=True)
    tensor.grad = torch.zeros(size)
    return tensor


def inner() -> torch.Tensor:
    with torch.enable_grad():
        tensor = torch.zeros(3, requires_grad=True) * 2
        tensor.retain_grad()
        return tensor


def function() -> None:
    pass


def write(tensor: torch.Tensor) -> None:
    with torch.no_grad():
        tensor.fill_(7)


def train(model: torch.nn.Module) -> None:
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    model(torch.ones(1, 1)).sum().backward()
    optimiser.step()
    optimiser.zero_grad()


# How to make a value, and how to change it in place.
CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "an attribute": (Settings, lambda v: setattr(v, "steps", 2)),
    "a slot": (Slotted, lambda v: setattr(v, "steps", 2)),
    "a namespace": (lambda: types.SimpleNamespace(k=1), lambda v: setattr(v, "k", 2)),
    "an object inside an object": (Nested, lambda v: setattr(v.inner, "steps", 2)),
    "a list inside an object": (Nested, lambda v: v.names.append("a")),
    "an attribute of a list": (lambda: Bag([1]), lambda v: setattr(v, "note", 1)),
    "an attribute of a list that has the name of a method": (lambda: Bag([1]), lambda v: setattr(v, "count", 1)),
    "a key of a dict": (lambda: {Settings(): 1}, lambda v: setattr(next(iter(v)), "steps", 2)),
    "an object in a key": (lambda: {(1, Settings()): 1}, lambda v: setattr(next(iter(v))[1], "steps", 2)),
    "a member of a set": (lambda: {Settings()}, lambda v: setattr(next(iter(v)), "steps", 2)),
    "a tensor in a set": (lambda: {torch.zeros(3)}, lambda v: write(next(iter(v)))),
    "an item of a list": (lambda: [1, 2], lambda v: v.append(3)),
    "the order of a dict": (lambda: {"a": 1, "b": 2}, lambda v: v.update(a=v.pop("a"))),
    "the order of an ordered dict": (lambda: collections.OrderedDict(a=1, b=2), lambda v: v.move_to_end("a")),
    "a deque": (lambda: collections.deque([1]), lambda v: v.append(2)),
    "an array": (lambda: np.zeros(3), lambda v: v.fill(1)),
    "a tensor": (lambda: torch.zeros(3), write),
    "a tensor, by numpy": (lambda: torch.zeros(3), lambda v: v.numpy().fill(1)),
    "a large tensor, by numpy": (lambda: torch.zeros(5 << 20), lambda v: v.numpy().fill(1)),
    "a large array": (lambda: np.zeros(3 << 20), lambda v: v.fill(1)),
    "a large bytearray": (lambda: bytearray(20 << 20), lambda v: v.__setitem__(5, 1)),
    "whether an array can be written": (lambda: np.zeros(3), lambda v: v.setflags(write=False)),
    "an array of objects": (lambda: np.array([[1]], object), lambda v: v[0].__setitem__(0, [2])),
    "a plain attribute of a table": (lambda: pd.DataFrame({"a": [1]}), lambda v: object.__setattr__(v, "foo", 5)),
    "a private attribute of a derived table": (
        lambda: Measures({"a": [1]}),
        lambda v: object.__setattr__(v, "_unit", "km"),
    ),
    "zero in a list": (lambda: [0.0, 1.0], lambda v: v.__setitem__(0, -0.0)),
    "zero in a dict": (lambda: {"a": 0j}, lambda v: v.update(a=-0j)),
    "one in a set": (lambda: {1, 2}, lambda v: (v.remove(1), v.add(True))),
    "the order of a set": (lambda: {0, 8}, lambda v: (v.clear(), v.add(8), v.add(0))),
    "what an attribute of a tensor holds": (noted, lambda v: v.notes.append("b")),
    "a gradient, by its data": (with_gradient, lambda v: v.grad.data.fill_(1)),
    "a gradient of a tensor that wants none": (lambda: torch.zeros(3), lambda v: setattr(v, "grad", torch.ones(3))),
    "a gradient of a tensor that wants none, by numpy": (
        lambda: with_gradient().requires_grad_(False),
        lambda v: v.grad.numpy().fill(1),
    ),
    "a gradient of a large tensor that wants none, by numpy": (
        lambda: with_gradient(1 << 17).requires_grad_(False),
        lambda v: v.grad.numpy().fill(1),
    ),
    "a gradient that an inner tensor keeps": (inner, lambda v: v.sum().backward()),
    "a hook of a tensor": (with_gradient, lambda v: v.register_hook(write)),
    "a hook of a parameter": (
        lambda: torch.nn.Parameter(torch.zeros(1)),
        lambda v: v.register_post_accumulate_grad_hook(write),
    ),
    "a tensor, by its data": (lambda: torch.zeros(1 << 20), lambda v: v.data.add_(1)),
    "a sparse tensor": (lambda: torch.eye(3).to_sparse(), lambda v: v.mul_(2)),
    "whether a tensor wants gradients": (lambda: torch.zeros(3), lambda v: v.requires_grad_()),
    "the weights of a module": (lambda: torch.nn.Linear(1, 1), train),
    "a buffer of a module": (lambda: torch.nn.BatchNorm1d(1), lambda v: v.running_mean.fill_(3)),
    "the mode of a module": (lambda: torch.nn.Dropout(0.5), lambda v: v.eval()),
    "a generator of numbers": (lambda: np.random.default_rng(0), lambda v: v.random()),
    "a generator of torch": (lambda: torch.Generator(), lambda v: v.manual_seed(3)),
    "a temporary folder": (tempfile.TemporaryDirectory, lambda v: v.cleanup()),
    "an attribute of a function": (lambda: types.FunctionType(function.__code__, {}), lambda v: setattr(v, "k", 1)),
}


@pytest.mark.parametrize("kind", CHANGES)
async def test_an_input_that_was_changed_is_noticed(kind: str) -> None:
    make, change = CHANGES[kind]
    calls = Calls()

    @nb.node
    def reads(value: Any) -> int:
        calls["reads"] += 1
        return 1

    value = make()
    graph = nb.Graph(reads(value))
    await graph.run()
    await graph.run()
    assert calls["reads"] == 1
    change(value)
    run = await graph.run()
    assert (calls["reads"], run.why("1")) == (2, "input `value` was changed in place")
    await reads(value)
    assert calls["reads"] == 2


@pytest.mark.parametrize("kind", CHANGES)
async def test_a_global_that_was_changed_is_noticed(kind: str) -> None:
    make, change = CHANGES[kind]
    calls, value = Calls(), make()

    @nb.node
    def reads() -> int:
        calls["reads"] += 1
        return id(value)

    await reads()
    await reads()
    assert calls["reads"] == 1
    change(value)
    await reads()
    assert calls["reads"] == 2


@pytest.mark.parametrize("kind", CHANGES)
async def test_a_result_that_was_changed_is_made_again(kind: str) -> None:
    make, change = CHANGES[kind]
    calls = Calls()

    @nb.node
    def makes() -> Any:
        calls["makes"] += 1
        return make()

    value = await makes()
    assert await makes() is value
    change(value)
    with pytest.warns(nb.ComfyNBWarning, match="changed in place"):
        assert await makes() is not value
    assert calls["makes"] == 2


def test_training_in_one_cell_and_evaluating_by_a_node_in_the_next_gives_the_new_weights() -> None:
    @nb.node
    def weight(model: object) -> float:
        return float(model.weight.detach())  # type: ignore[attr-defined]

    model = torch.nn.Linear(1, 1, bias=False)
    seen = set()
    for _ in range(4):
        seen.add(weight(model).run_sync())
        assert weight(model).run_sync() == float(model.weight.detach())
        train(model)
    assert len(seen) == 4


def test_a_result_that_can_change_without_a_trace_is_not_kept() -> None:
    calls = Calls()

    @nb.node
    def numbers() -> object:
        calls["numbers"] += 1
        return iter([1, 2])

    @nb.node
    def total(values: object, times: int) -> int:
        return times * sum(values)  # type: ignore[call-overload]

    assert total(numbers(), 1).run_sync() == 3
    run = nb.Graph(total(numbers(), 2)).run_sync()
    assert run["2"] == 6
    again = nb.Graph(total(numbers(), 3))
    again.run_sync()
    again["2"].inputs["times"] = 4
    run = again.run_sync()
    assert run["2"] == 12
    assert run.why("1").startswith("it gave a value of class list_iterator in output 0, which may have changed since.")


@pytest.mark.parametrize("name", ["eval", "exec", "globals"])
def test_code_that_can_read_any_global_runs_each_time(name: str) -> None:
    calls = Calls()
    names: dict[str, Any] = {"nb": nb, "calls": calls}
    body = {"eval": "eval('k')", "exec": "exec('global r; r = k') or r", "globals": "globals()['k']"}[name]
    exec(f"def reads() -> int:\n    calls['reads'] += 1\n    return {body}", names)
    reads = nb.node(names["reads"])
    for names["k"] in (1, 2):
        run = nb.Graph(reads()).run_sync()
        assert run["1"] == names["k"]
    assert run.why("1").startswith(f"its code reads whatever `{name}` is asked for, which may have changed.")


def test_a_result_that_was_declared_constant_is_kept() -> None:
    calls = Calls()

    @nb.node
    def client() -> object:
        calls["client"] += 1
        return nb.constant(iter([1]))

    assert client().run_sync() is client().run_sync()
    assert calls["client"] == 1


def test_of_a_very_large_module_samples_and_version_counters_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "READ_WHOLE_BYTES", 1 << 20)
    calls = Calls()

    @nb.node
    def reads(model: object) -> int:
        calls["reads"] += 1
        return 1

    model = torch.nn.Sequential(torch.nn.Linear(2048, 1024), torch.nn.BatchNorm1d(8))
    graph = nb.Graph(reads(model))
    graph.run_sync()
    assert graph.run_sync().why("1") == (
        "from an earlier run; input `model` is a module of 8.4 MB, of which samples were compared"
    )
    weight = model[0].weight
    with torch.no_grad():
        weight[3, 3] += 1
    graph.run_sync()
    weight.data.fill_(1)
    graph.run_sync()
    model[1].running_mean.numpy()[0] = 3
    graph.run_sync()
    model.eval()
    graph.run_sync()
    weight.requires_grad_(False)
    graph.run_sync()
    assert calls["reads"] == 6


def test_why_says_what_was_copied_from_an_accelerator_to_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "accelerator_of", lambda _: "cuda:0")  # as it answers for a tensor there

    @nb.node
    def reads(value: object) -> int:
        return 1

    graph = nb.Graph(reads(torch.zeros(500, 2, dtype=torch.bfloat16).t()))
    graph.run_sync()
    why = graph.run_sync().why("1")
    assert why == "from an earlier run; 2.0 kB of input `value` were copied from cuda:0 to be compared"


@pytest.mark.parametrize("side", [4, 400], ids=["small", "large"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_memory_of_a_tensor_that_was_read_can_be_resized(side: int, dtype: torch.dtype) -> None:
    @nb.node
    def grid() -> torch.Tensor:
        return torch.ones(side, side, dtype=dtype)

    @nb.node
    def grows(grid: torch.Tensor) -> int:
        return grid.resize_(2 * side, 2 * side).numel()

    @nb.node
    def frees(grid: torch.Tensor) -> int:
        grid.untyped_storage().resize_(0)
        return 0

    def taken() -> list[torch.Tensor]:
        return [torch.ones(side, side, dtype=dtype), torch.ones(side, side, dtype=dtype).t()]

    with pytest.warns(nb.ComfyNBWarning, match="A constant of .* was changed"):
        assert [grows(each).run_sync() for each in taken()] == [4 * side * side] * 2
        assert [frees(each).run_sync() for each in taken()] == [0, 0]
    with pytest.warns(nb.ComfyNBWarning, match="grows.* changed its input 'grid'"):
        assert grows(grid()).run_sync() == 4 * side * side


async def test_a_gradient_that_a_result_has_got_since_is_noticed() -> None:
    @nb.node(grad=True)
    def weight() -> torch.Tensor:
        return torch.ones(2, requires_grad=True)

    @nb.node
    def has_gradient(x: torch.Tensor) -> bool:
        return x.grad is not None

    held = await weight()
    (held * 2).sum().backward()
    with pytest.warns(nb.ComfyNBWarning, match="in place"):
        assert await has_gradient(weight()) is False
