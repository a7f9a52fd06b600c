"""Seals notice that a cached value was changed in place.

A tensor is compared by its version counter, and a small one also by its content, since a write through `.numpy()` or
`.data` leaves the counter as it is. Containers are compared by the objects they hold.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from xxhash import xxh3_128_digest

from comfy_nb.spec.fingerprint import PLAIN, tensor_bytes, tensor_state

# The cost, paid when a value is cached and each time it is used. Measured on one core of a busy 2-core
# server, in ms of CPU: 0.02 for 1 kB, 0.05 for 1 MiB, 0.7 for a picture of 1024 x 1024 x 3 floats, 1.3 for
# 16 MiB, 5 for 64 MiB; the version counter alone takes 0.005.
CONTENT_CHECK_BYTES = 16 << 20

_GONE = object()
_Path = tuple[Any, Any]
"""(None, (slot, index)), or (the path of the container, key): each level adds one pair."""


class _Mark(Protocol):
    def broken(self) -> str | None: ...


class Seal:
    """The state that some outputs were in; `broken()` says whether it has changed since."""

    __slots__ = ("_marks",)

    def __init__(self, marks: list[_Mark]) -> None:
        self._marks = marks

    def broken(self) -> str | None:
        """Return in words what has changed since ("the tensor in output 0 was written to"), or None."""
        for mark in self._marks:
            change = mark.broken()
            if change is not None:
                return change
        return None


def seal(outputs: tuple[list[Any], ...]) -> Seal | None:
    """Seal a node's outputs (one list per slot); None where nothing in them can be changed in place.

    Objects of other classes than those below are not watched, nor are the slots' lists themselves.
    """
    for slot in outputs:
        for value in slot:
            if type(value) not in PLAIN:
                marks = list(_marks(outputs))
                return Seal(marks) if marks else None
    return None


def _marks(outputs: tuple[list[Any], ...]) -> Iterator[_Mark]:
    stack: list[tuple[_Path, Any]] = [
        ((None, (number, index if len(slot) > 1 else None)), value)
        for number, slot in enumerate(outputs)
        for index, value in enumerate(slot)
    ]
    seen: set[int] = set()
    while stack:
        path, value = stack.pop()
        if type(value) in PLAIN or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, (torch.Tensor, np.ndarray, bytearray)):
            yield _Data(path, value)
        elif isinstance(value, dict):
            yield _Keys(path, value)
            stack += [((path, key), item) for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            if isinstance(value, list):
                yield _Items(path, value)
            stack += [((path, index), item) for index, item in enumerate(value)]
        elif isinstance(value, set):
            yield _Members(path, value)


class _Data:
    """A tensor, array or bytearray."""

    __slots__ = ("_before", "_path", "_value")

    def __init__(self, path: _Path, value: Any) -> None:
        self._path = path
        self._value = value
        self._before = _state(value)

    def broken(self) -> str | None:
        if _state(self._value) == self._before:
            return None
        noun = "tensor" if isinstance(self._value, torch.Tensor) else type(self._value).__name__
        return f"the {noun} {_place(self._path)} was written to"


class _Keys:
    """The keys and values of a dict."""

    __slots__ = ("_before", "_path", "_value")

    def __init__(self, path: _Path, value: dict[Any, Any]) -> None:
        self._path = path
        self._value = value
        self._before = dict(value)

    def broken(self) -> str | None:
        for key, was in self._before.items():
            now = self._value.get(key, _GONE)
            if now is not was and not _same(now, was):
                verb = "removed" if now is _GONE else "replaced"
                return f"key {key!r} of the dict {_place(self._path)} was {verb}"
        for key in self._value:
            if key not in self._before:
                return f"key {key!r} of the dict {_place(self._path)} was added"
        return None


class _Items:
    """The items of a list."""

    __slots__ = ("_before", "_path", "_value")

    def __init__(self, path: _Path, value: list[Any]) -> None:
        self._path = path
        self._value = value
        self._before = tuple(value)

    def broken(self) -> str | None:
        if len(self._value) != len(self._before):
            lengths = f"from {len(self._before)} to {len(self._value)}"
            return f"the length of the list {_place(self._path)} went {lengths}"
        if all(map(operator.is_, self._value, self._before)):
            return None
        for index, (now, was) in enumerate(zip(self._value, self._before, strict=True)):
            if now is not was and not _same(now, was):
                return f"item {index} of the list {_place(self._path)} was replaced"
        return None


class _Members:
    """The members of a set."""

    __slots__ = ("_before", "_path", "_value")

    def __init__(self, path: _Path, value: set[Any]) -> None:
        self._path = path
        self._value = value
        self._before = frozenset(value)

    def broken(self) -> str | None:
        return None if self._value == self._before else f"the set {_place(self._path)} was changed"


def _same(now: Any, was: Any) -> bool:
    return type(now) is type(was) and type(now) in PLAIN and bool(now == was)


def _place(path: _Path) -> str:
    above, key = path
    keys: list[Any] = []
    while above is not None:
        keys.append(key)
        above, key = above
    slot, index = key
    place = f"in output {slot}" if index is None else f"in output {slot}, value {index}"
    inside = "".join(f"[{key!r}]" for key in reversed(keys))
    return f"at {inside} {place}" if inside else place


def _state(value: Any) -> tuple[Any, ...]:
    if isinstance(value, torch.Tensor):
        return (*tensor_state(value), _tensor_content(value))
    if isinstance(value, bytearray):
        return (len(value), xxh3_128_digest(value) if len(value) <= CONTENT_CHECK_BYTES else None)
    content = None
    if value.nbytes <= CONTENT_CHECK_BYTES and not value.dtype.hasobject:
        content = xxh3_128_digest(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    return (value.ctypes.data, value.shape, value.strides, value.dtype, content)


def _tensor_content(value: torch.Tensor) -> bytes | None:
    """Digest a tensor that is small and in main memory, or that has no version counter."""
    if value.layout is not torch.strided:
        return None
    if (value.nbytes > CONTENT_CHECK_BYTES or value.device.type != "cpu") and not value.is_inference():
        return None
    try:
        return xxh3_128_digest(tensor_bytes(value))
    except (RuntimeError, TypeError):
        return None
