"""Marks: what a value was like that can be changed in place, for each kind of value in a way of its own.

A tensor in main memory is compared by its content, since a write through `.numpy()` or `.data` leaves its version
counter as it is; one elsewhere by the counter. Containers are compared by the objects they hold, other objects by their
digest.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from xxhash import xxh3_128_digest

from comfy_nb.engine.cache.glance import glance_at
from comfy_nb.spec.contents.tensors import elements_of, gradient_of
from comfy_nb.spec.digest import Digest, encode_plain, is_plain
from comfy_nb.spec.fingerprint import digest_of, digest_together, last_superseded, last_unreadable
from comfy_nb.wording import class_name, short

Path = tuple[Any, Any]
"""Where a value is in some outputs: (None, (slot, index)), or (the path of its container, key)."""
_GONE = object()


class Renewed(str):
    """Words for what has changed without a change in place: a class was defined again."""

    __slots__ = ()


class Mark:
    """What something was like."""

    __slots__ = ()

    def broken(self) -> str | None:
        """Return in words how the value has changed since, or None."""
        raise NotImplementedError

    def touched(self) -> str | None:
        """Return what `broken` does, or as much of it as a glance tells."""
        return self.broken()

    def complete(self) -> None:
        """Read the content of what was sealed at a glance, unless it was read or has changed by now."""


class ObjectsMark(Mark):
    """Any objects, by digests of what they hold. What their cached properties compute meanwhile is added to that.

    `unknown` says in words which of them could change without a trace, and where, else it is None.
    """

    __slots__ = ("_before", "_each", "_paths", "_superseded", "_values", "unknown")

    def __init__(self, paths: Sequence[Path], values: Sequence[Any]) -> None:
        self._paths, self._values = paths, values
        self._before, each = digest_together(b"sealed", values)
        self._superseded = last_superseded()
        self._each = [digest.value for digest in each]
        self.unknown: str | None = None
        if not self._before.reusable:
            number = self._first_not(digest.reusable for digest in each)
            place = "in what an object in it had computed" if number is None else place_of(paths[number])
            self.unknown = f"{last_unreadable()} {place}"

    @property
    def is_needed(self) -> bool:
        """Whether any of the objects can be changed."""
        return not self._before.fixed

    def broken(self) -> str | None:
        now, each = digest_together(b"sealed", self._values)
        if now.continues(self._before):
            self._before = now
            return None
        number = self._first_not(digest.value == before for digest, before in zip(each, self._each, strict=True))
        if number is None:
            return "what an object in it had computed was changed"
        value, place = self._values[number], place_of(self._paths[number])
        superseded = last_superseded()
        if superseded not in (None, self._superseded):
            return Renewed(f"the class {superseded} {place} was defined again")
        if issubclass(type(value), torch.Tensor):
            return f"the tensor {place} was written to"
        return f"the {class_name(value)} {place} was changed"

    def _first_not(self, are_so: Iterable[bool]) -> int | None:
        """Return the number of the first object that is not so; None if what one of several had computed is not."""
        numbers = (number for number, is_so in enumerate(are_so) if not is_so)
        return next(numbers, None if len(self._values) > 1 else 0)


class ValueMark(Mark):
    """What one value was like, at its path."""

    __slots__ = ("_path", "_value")

    def __init__(self, path: Path, value: Any) -> None:
        self._path = path
        self._value = value


class TensorMark(ValueMark):
    """A tensor; where a glance is enough, its content is not read before somebody gets hold of it."""

    __slots__ = ("_content", "_glance", "_state")

    def __init__(self, path: Path, value: torch.Tensor, *, at_a_glance: bool = False) -> None:
        super().__init__(path, value)
        self._glance = glance_at(value)
        self._state: tuple[Any, ...] | None = None
        self._content: Digest | None = None
        if not at_a_glance or self._glance is None:
            self.complete()

    def touched(self) -> str | None:
        if self._glance is None:
            return self.broken()
        return None if self._glance.is_same() else self._words()

    def complete(self) -> None:
        if self._state is None and (self._glance is None or self._glance.is_same()):
            self._content, self._state = _tensor_content(self._value), _tensor_state(self._value)

    def broken(self) -> str | None:
        if self._state is None:
            self.complete()
            return self._words() if self._state is None else None
        is_same = _tensor_state(self._value) == self._state and _tensor_content(self._value) == self._content
        return None if is_same else self._words()

    def _words(self) -> str:
        return f"the tensor {place_of(self._path)} was written to"


class DataMark(ValueMark):
    """An array or bytearray."""

    __slots__ = ("_before",)

    def __init__(self, path: Path, value: Any) -> None:
        super().__init__(path, value)
        self._before = _data_state(value)

    def broken(self) -> str | None:
        if _data_state(self._value) == self._before:
            return None
        return f"the {type(self._value).__name__} {place_of(self._path)} was written to"


class KeysMark(ValueMark):
    """The keys and values of a dict."""

    __slots__ = ("_before",)

    def __init__(self, path: Path, value: dict[Any, Any]) -> None:
        super().__init__(path, value)
        self._before = dict(dict.items(value))

    def broken(self) -> str | None:
        for key, was in self._before.items():
            now = dict.get(self._value, key, _GONE)
            if not _same(now, was):
                verb = "removed" if now is _GONE else "replaced"
                return f"key {short(key)} of the dict {place_of(self._path)} was {verb}"
        for key in dict.__iter__(self._value):
            if key not in self._before:
                return f"key {short(key)} of the dict {place_of(self._path)} was added"
        if not all(map(_same, dict.__iter__(self._value), self._before)):
            return f"the order of the dict {place_of(self._path)} was changed"
        return None


class ItemsMark(ValueMark):
    """The items of a list."""

    __slots__ = ("_before",)

    def __init__(self, path: Path, value: list[Any]) -> None:
        super().__init__(path, value)
        self._before = tuple(list.__iter__(value))

    def broken(self) -> str | None:
        if (length := list.__len__(self._value)) != len(self._before):
            lengths = f"from {len(self._before)} to {length}"
            return f"the length of the list {place_of(self._path)} went {lengths}"
        if all(map(operator.is_, list.__iter__(self._value), self._before)):
            return None
        for index, (now, was) in enumerate(zip(list.__iter__(self._value), self._before, strict=True)):
            if not _same(now, was):
                return f"item {index} of the list {place_of(self._path)} was replaced"
        return None


class MembersMark(ValueMark):
    """The members of a set, in the order in which it is gone through."""

    __slots__ = ("_before",)

    def __init__(self, path: Path, value: set[Any]) -> None:
        super().__init__(path, value)
        self._before = tuple(set.__iter__(value))

    def broken(self) -> str | None:
        is_as_long = set.__len__(self._value) == len(self._before)
        is_same = is_as_long and all(map(_same, set.__iter__(self._value), self._before))
        return None if is_same else f"the set {place_of(self._path)} was changed"


def _same(now: Any, was: Any) -> bool:
    """Whether two values are one, or plain ones that nobody can tell apart, as 1 and True or 0.0 and -0.0 can be."""
    if now is was:
        return True
    return type(now) is type(was) and is_plain(now) and encode_plain(now) == encode_plain(was)


def place_of(path: Path) -> str:
    """Return in words where a value is: "at [0][1] in output 0"."""
    above, key = path
    keys: list[Any] = []
    while above is not None:
        keys.append(key)
        above, key = above
    slot, index = key
    place = f"in output {slot}" if index is None else f"in output {slot}, value {index}"
    inside = "".join(f"[{short(key)}]" for key in reversed(keys))
    return f"at {inside} {place}" if inside else place


def _data_state(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bytearray):
        return (len(value), xxh3_128_digest(value))
    return (value.ctypes.data, value.strides, value.flags.writeable, digest_of(value))


def _tensor_state(value: torch.Tensor) -> tuple[Any, ...]:
    """Return what changes when torch writes to a tensor: its address, layout, version and gradient."""
    attributes = [(name, id(each)) for name, each in value.__dict__.items()]
    gradient = gradient_of(value)
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
