"""Values that cannot be read, or only at great cost, or whose own code refuses whatever it is asked."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import comfy_nb as nb


def fake() -> torch.Tensor:
    with FakeTensorMode():
        return torch.zeros(3)


def batched() -> torch.Tensor:
    seen: list[torch.Tensor] = []
    torch.func.vmap(lambda each: (seen.append(each), each)[1])(torch.ones(2, 2))
    return seen[0]


def freed() -> torch.Tensor:
    tensor = torch.ones(4)
    tensor.untyped_storage().resize_(0)
    return tensor


def functional() -> torch.Tensor:
    seen: list[torch.Tensor] = []
    torch.func.functionalize(lambda each: (seen.append(each), each)[1])(torch.ones(2, 2))
    return seen[0]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def ring() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


class Hostile(dict[str, int]):
    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("leave me alone")

    items = keys = values = __iter__ = __eq__ = __repr__ = __len__ = __sizeof__ = _refuse  # type: ignore[assignment]


class Endless(list[int]):
    def __iter__(self) -> Any:
        return itertools.count()


def disguised(base: type) -> Any:
    """An object that says it is of another class."""
    return type("Disguised", (), {"__class__": property(lambda _: base)})()


class Unhashable(type):
    def __eq__(cls, other: object) -> bool:
        return cls is other


class OfUnhashableClass(metaclass=Unhashable):
    pass


class Refusing(type):
    def __hash__(cls) -> int:
        raise RuntimeError("no hash")


class OfRefusingClass(metaclass=Refusing):
    pass


class Bare:
    pass


class OfNoModule:
    pass


OfNoModule.__module__ = 7  # type: ignore[assignment]


class Exits:
    """Whatever Python asks it, it exits."""

    def _exit(self, *_: object) -> Any:
        raise SystemExit

    __repr__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __sizeof__ = __str__ = _exit  # type: ignore[assignment]


class ExitingTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *_: Any) -> Any:
        raise SystemExit


class ExitingKey:
    def __comfy_nb_key__(self) -> Any:
        raise SystemExit


WIDE = 40_000_000_000
READ: dict[str, Callable[[], Any]] = {
    "of no module": OfNoModule,
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)]),
    "jagged": lambda: torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)], layout=torch.jagged),
    "sparse": lambda: torch.sparse_coo_tensor([[0, 5], [1, 7]], [1.0, 2.0], (1_000_000, 1_000_000)),
    "compressed": lambda: torch.eye(50).to_sparse_csr(),
    "quantized": lambda: torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.quint8),
    "meta": lambda: torch.zeros(WIDE, device="meta"),
    "wide": lambda: torch.zeros(1).expand(WIDE),
    "wide array": lambda: np.broadcast_to(np.zeros(1), (WIDE,)),
    "overlapping": lambda: torch.zeros(1 << 20).unfold(0, 1 << 18, 1),
    "four bits": lambda: torch.zeros(3, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
    "half complex": lambda: torch.zeros(3, dtype=torch.complex32),
    "inside itself": ring,
    "exits": Exits,
    "endless": lambda: Endless([1, 2]),
    "says it is a tensor": lambda: disguised(torch.Tensor),
    "says it is an array": lambda: disguised(np.ndarray),
    "says it is a model": lambda: disguised(torch.nn.Module),
    "says it is a dict": lambda: disguised(dict),
    "of a hostile class": lambda: Hostile(a=1),
    "mapped": lambda: np.memmap("mapped", "f4", "w+", shape=(10,)),
}


UNREADABLE: dict[str, Callable[[], Any]] = {
    "of an unhashable class": OfUnhashableClass,
    "fake": fake,
    "batched": batched,
    "freed": freed,
    "functional": functional,
    "of a class that refuses to be hashed": OfRefusingClass,
    "not initialised": torch.nn.UninitializedParameter,
    "compiled": lambda: torch.jit.script(torch.nn.Linear(1, 1)),
    "in a foreign layout": lambda: torch.ones(2).to_mkldnn(),
    "an exiting tensor": lambda: torch.ones(2).as_subclass(ExitingTensor),
    "of an exiting key": ExitingKey,
    "text at an address": lambda: ctypes.cast(8, ctypes.c_char_p),
    "gone": lambda: weakref.proxy(Bare()),
    "deep": lambda: nested(10_000),
    "iterator": lambda: iter([1]),
}


def passes(value: Any) -> nb.Run:
    """Hand a value out of one node into another, three times with one edit below, and return the last run."""

    @nb.node
    def hands_out(value: object) -> object:
        return value

    @nb.node
    def takes_in(value: object, number: int) -> bool:
        return value is not None

    graph = nb.Graph(takes_in(hands_out(value), 1))
    graph.run_sync(["1", "2"])
    assert graph.run_sync(["1", "2"])["2"] is True
    graph["2"].inputs["number"] = 2
    run = graph.run_sync(["1", "2"])
    assert run["1"] is value and run["2"] is True
    return run
