"""Seals notice that a cached value was changed in place.

A tensor in main memory is compared by its content, since a write through `.numpy()` or `.data` leaves its version
counter as it is; one elsewhere by the counter. Containers are compared by the objects they hold, other objects by their
digest. The cost is paid when a value is cached and each time it is used: at memory bandwidth, 1 ms for 16 MiB. For
large tensors that nothing but torch has had in hand it is put off (see `glance`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from xxhash import xxh3_128_digest

from comfy_nb.engine.cache.glance import can_be_glanced_at, glance
from comfy_nb.spec.contents.tensors import elements_of, is_dense
from comfy_nb.spec.digest import PLAIN, Digest, is_of, is_plain
from comfy_nb.spec.fingerprint import digest_of, last_superseded, unreadable_in
from comfy_nb.wording import class_name, short

_GONE = object()
_Path = tuple[Any, Any]
"""(None, (slot, index)), or (the path of the container, key): each level adds one pair."""


class Renewed(str):
    """Words for what has changed without a change in place: a class was defined again."""

    __slots__ = ()


class _Mark(Protocol):
    def broken(self) -> str | None: ...


class Seal:
    """The state that some outputs were in; `broken()` says whether it has changed since.

    `unknown` says in words what in the outputs could change without a trace ("a generator"), else it is None.
    """

    __slots__ = ("_marks", "unknown")

    def __init__(self, marks: Sequence[_Mark], unknown: str | None = None) -> None:
        self._marks = marks
        self.unknown = unknown

    def broken(self) -> str | None:
        """Return in words what has changed since ("the tensor in output 0 was written to"), or None."""
        return self._change(lambda mark: mark.broken())

    def touched(self) -> str | None:
        """Return what `broken` does, but of large tensors only what shows at a glance, such as any write by torch."""
        return self._change(lambda mark: mark.touched() if type(mark) is _Tensor else mark.broken())

    def complete(self) -> None:
        """Read the content of what was sealed at a glance, for somebody is about to get hold of it."""
        for mark in self._marks:
            if isinstance(mark, _Tensor):
                mark.complete()

    def _change(self, look: Callable[[Any], str | None]) -> str | None:
        for mark in self._marks:
            try:
                change = look(mark)
            except KeyboardInterrupt:
                raise
            except BaseException:  # a foreign value may fail to be read in any way
                change = "a value in it can no longer be read"
            if change is not None:
                return change
        return None


def _watch_nothing(_slot: int) -> bool:
    return False


def seal(outputs: tuple[list[Any], ...], watches: Callable[[int], bool] = _watch_nothing) -> Seal | None:
    """Seal a node's outputs (one list per slot); None where nothing in them can be changed in place.

    Objects that are neither tensors, arrays nor containers are looked at in slots that `watches` tells. The slots'
    lists themselves are not watched.
    """
    for slot in outputs:
        for value in slot:
            if not is_plain(value):
                return _Sealing(watches).seal(outputs)
    return None


def seal_at_a_glance(outputs: tuple[list[Any], ...]) -> Seal | None:
    """Seal outputs that are plain values and tensors, of which large ones are not read before `complete`."""
    marks = [
        _Tensor(_path_to(number, index, slot), value, at_a_glance=can_be_glanced_at(value))
        for number, slot in enumerate(outputs)
        for index, value in enumerate(slot)
        if not is_plain(value)
    ]
    return Seal(marks) if marks else None


def _path_to(number: int, index: int, slot: list[Any]) -> _Path:
    return (None, (number, index if len(slot) > 1 else None))


# Values of classes derived from these may have attributes besides.
_MARKED_IN_FULL = frozenset({torch.Tensor, np.ndarray, bytearray, dict, list, tuple, set})


class _Sealing:
    """One walk over outputs and all that they hold."""

    def __init__(self, watches: Callable[[int], bool]) -> None:
        self._watches = watches
        self._stack: list[tuple[_Path, bool, Any]] = []
        self._unknown: str | None = None

    def seal(self, outputs: tuple[list[Any], ...]) -> Seal | None:
        """Return the seal of all that can change."""
        for number, slot in enumerate(outputs):
            is_watched = self._watches(number)
            for index, value in enumerate(slot):
                self._stack.append((_path_to(number, index, slot), is_watched, value))
        marks = list(self._marks())
        return Seal(marks, self._unknown) if marks or self._unknown else None

    def _marks(self) -> Iterator[_Mark]:
        seen: set[int] = set()
        while self._stack:
            path, is_watched, value = self._stack.pop()
            if is_plain(value) or id(value) in seen:
                continue
            seen.add(id(value))
            try:
                mark, held = self._mark(path, value), _items(value)
            except KeyboardInterrupt:
                raise
            except BaseException:  # a foreign value may fail to be read in any way
                self._unknown = self._unknown or f"a value of class {class_name(value)} {_place(path)}"
                continue
            if mark is not None:
                yield mark
            if is_watched and not is_of(value, _MARKED_IN_FULL):
                watched = mark if isinstance(mark, _Object) else _Object(path, value)
                if not watched.before.reusable:
                    self._unknown = self._unknown or f"{unreadable_in(value)} {_place(path)}"
                elif not watched.before.fixed and watched is not mark:
                    yield watched
            self._stack += [((path, key), is_watched, item) for key, item in held]

    def _mark(self, path: _Path, value: Any) -> _Mark | None:
        kind = type(value)  # what a value says of its class may be wrong
        if issubclass(kind, torch.Tensor):
            return _Tensor(path, value) if is_dense(value) else _Object(path, value)
        if issubclass(kind, (np.ndarray, bytearray)):
            return _Data(path, value)
        if issubclass(kind, dict):
            return _Keys(path, value)
        if issubclass(kind, list):
            return _Items(path, value)
        return _Members(path, value) if issubclass(kind, set) else None


def _items(value: Any) -> list[tuple[Any, Any]]:
    """Return what a container holds, with the key or index of each."""
    if issubclass(type(value), dict):
        return list(dict.items(value))
    base = next((each for each in (list, tuple) if issubclass(type(value), each)), None)
    return list(enumerate(base.__iter__(value))) if base is not None else []


class _Object:
    """Any object, by the digest of what it holds. What its cached properties compute meanwhile is added to that."""

    __slots__ = ("_path", "_superseded", "_value", "before")

    def __init__(self, path: _Path, value: Any) -> None:
        self._path = path
        self._value = value
        self.before: Digest = digest_of(value)
        self._superseded = last_superseded()

    def broken(self) -> str | None:
        now = digest_of(self._value)
        if now.continues(self.before):
            self.before = now
            return None
        superseded = last_superseded()
        if superseded not in (None, self._superseded):
            return Renewed(f"the class {superseded} {_place(self._path)} was defined again")
        if issubclass(type(self._value), torch.Tensor):
            return f"the tensor {_place(self._path)} was written to"
        return f"the {class_name(self._value)} {_place(self._path)} was changed"


class _Tensor:
    """A tensor; where a glance is enough, its content is not read before somebody gets hold of it."""

    __slots__ = ("_content", "_glance", "_path", "_state", "_value")

    def __init__(self, path: _Path, value: torch.Tensor, *, at_a_glance: bool = False) -> None:
        self._path = path
        self._value = value
        self._glance = glance(value) if at_a_glance or can_be_glanced_at(value) else None
        self._state: tuple[Any, ...] | None = None
        self._content: Digest | None = None
        if not at_a_glance:
            self.complete()

    def touched(self) -> str | None:
        """Return in words what shows at a glance, or None."""
        if self._glance is None:
            return self.broken()
        return None if glance(self._value) == self._glance else self._in_words()

    def complete(self) -> None:
        """Read the content, unless it has been read or has changed by now."""
        if self._state is None and (self._glance is None or self.touched() is None):
            self._content, self._state = _tensor_content(self._value), _tensor_state(self._value)

    def broken(self) -> str | None:
        """Return in words what has changed, or None."""
        if self._state is None:
            self.complete()
            return self._in_words() if self._state is None else None
        is_same = _tensor_state(self._value) == self._state and _tensor_content(self._value) == self._content
        return None if is_same else self._in_words()

    def _in_words(self) -> str:
        return f"the tensor {_place(self._path)} was written to"


class _Data:
    """An array or bytearray."""

    __slots__ = ("_before", "_path", "_value")

    def __init__(self, path: _Path, value: Any) -> None:
        self._path = path
        self._value = value
        self._before = _state(value)

    def broken(self) -> str | None:
        if _state(self._value) == self._before:
            return None
        return f"the {type(self._value).__name__} {_place(self._path)} was written to"


class _Keys:
    """The keys and values of a dict."""

    __slots__ = ("_before", "_path", "_value")

    def __init__(self, path: _Path, value: dict[Any, Any]) -> None:
        self._path = path
        self._value = value
        self._before = dict(dict.items(value))

    def broken(self) -> str | None:
        for key, was in self._before.items():
            now = dict.get(self._value, key, _GONE)
            if now is not was and not _same(now, was):
                verb = "removed" if now is _GONE else "replaced"
                return f"key {short(key)} of the dict {_place(self._path)} was {verb}"
        for key in dict.__iter__(self._value):
            if key not in self._before:
                return f"key {short(key)} of the dict {_place(self._path)} was added"
        if not all(map(operator.is_, dict.__iter__(self._value), self._before)):
            return f"the order of the dict {_place(self._path)} was changed"
        return None


class _Items:
    """The items of a list."""

    __slots__ = ("_before", "_path", "_value")

    def __init__(self, path: _Path, value: list[Any]) -> None:
        self._path = path
        self._value = value
        self._before = tuple(list.__iter__(value))

    def broken(self) -> str | None:
        if (length := list.__len__(self._value)) != len(self._before):
            lengths = f"from {len(self._before)} to {length}"
            return f"the length of the list {_place(self._path)} went {lengths}"
        if all(map(operator.is_, list.__iter__(self._value), self._before)):
            return None
        for index, (now, was) in enumerate(zip(list.__iter__(self._value), self._before, strict=True)):
            if now is not was and not _same(now, was):
                return f"item {index} of the list {_place(self._path)} was replaced"
        return None


class _Members:
    """The members of a set."""

    __slots__ = ("_before", "_path", "_value")

    def __init__(self, path: _Path, value: set[Any]) -> None:
        self._path = path
        self._value = value
        self._before = frozenset(set.__iter__(value))

    def broken(self) -> str | None:
        return None if set.__eq__(self._value, self._before) else f"the set {_place(self._path)} was changed"


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
    inside = "".join(f"[{short(key)}]" for key in reversed(keys))
    return f"at {inside} {place}" if inside else place


def _state(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bytearray):
        return (len(value), xxh3_128_digest(value))
    return (value.ctypes.data, value.strides, value.flags.writeable, digest_of(value))


def _tensor_state(value: torch.Tensor) -> tuple[Any, ...]:
    """Return what changes when torch writes to a tensor: its address, layout, version and gradient."""
    attributes = [(name, id(each)) for name, each in value.__dict__.items()]
    gradient = value.grad if value.requires_grad and value.is_leaf else None
    layout = (value.data_ptr(), value.dtype, tuple(value.shape), value.stride(), value.requires_grad)
    return (*layout, _version(value), attributes, None if gradient is None else (id(gradient), _version(gradient)))


def _version(value: torch.Tensor) -> int:
    """Return the version counter of a tensor, or -1 if it has none."""
    return -1 if value.is_inference() else value._version


def _tensor_content(value: torch.Tensor) -> Digest | None:
    """Digest a tensor that is in main memory, or that has no version counter."""
    if value.device.type != "cpu" and not value.is_inference():
        return None
    return digest_of(elements_of(_as_it_lies(value)))


def _as_it_lies(value: torch.Tensor) -> torch.Tensor:
    """Return a tensor with its dimensions in the order in which memory has them, to be read without a copy.

    So are the pictures of a VAE, which computes with the channels first.
    """
    if type(value) is not torch.Tensor or value.is_contiguous():
        return value
    strides = value.stride()
    return value.detach().permute(sorted(range(value.dim()), key=strides.__getitem__, reverse=True))
