"""Seals notice that a cached value was changed in place.

A seal has a mark of each tensor, array, container and object in the value (see `marks`). The cost is paid when a value
is cached and each time it is used: at memory bandwidth, 1 ms for 16 MiB. For large tensors that nothing but torch has
had in hand it is put off (see `glance`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from comfy_nb.engine.cache.marks import (
    DataMark,
    ItemsMark,
    KeysMark,
    Mark,
    MembersMark,
    ObjectsMark,
    Path,
    TensorMark,
    place_of,
)
from comfy_nb.spec.attributes import container_of
from comfy_nb.spec.contents.tensors import carries_more, is_dense
from comfy_nb.spec.digest import all_plain, is_of, is_plain
from comfy_nb.wording import class_name


class Seal:
    """The state that some outputs were in; `broken()` says whether it has changed since.

    `unknown` says in words what in the outputs could change without a trace ("a generator"), else it is None.
    """

    __slots__ = ("_marks", "unknown")

    def __init__(self, marks: Sequence[Mark], unknown: str | None = None) -> None:
        self._marks = marks
        self.unknown = unknown

    def broken(self) -> str | None:
        """Return in words what has changed since ("the tensor in output 0 was written to"), or None."""
        return self._change(lambda mark: mark.broken())

    def touched(self) -> str | None:
        """Return what `broken` does, but of large tensors only what shows at a glance, such as any write by torch."""
        return self._change(lambda mark: mark.touched())

    def complete(self) -> None:
        """Read the content of what was sealed at a glance, for somebody is about to get hold of it.

        What can no longer be read is told by the next look.
        """
        for mark in self._marks:
            _look(mark, lambda each: each.complete())

    def _change(self, look: Callable[[Mark], str | None]) -> str | None:
        return next(filter(None, (_look(mark, look) for mark in self._marks)), None)


def _look(mark: Mark, look: Callable[[Mark], str | None]) -> str | None:
    try:
        return look(mark)
    except KeyboardInterrupt:
        raise
    except BaseException:  # a foreign value may fail to be read in any way
        return "a value in it can no longer be read"


def _watch_nothing(_slot: int) -> bool:
    return False


def watch_everything(_slot: int) -> bool:
    """Watch all slots: those of files hold nothing that packs mean to change."""
    return True


def seal(outputs: tuple[list[Any], ...], watches: Callable[[int], bool] = _watch_nothing) -> Seal | None:
    """Seal a node's outputs (one list per slot); None where nothing in them can be changed in place.

    Objects that are neither tensors, arrays nor containers are looked at in slots that `watches` tells. The slots'
    lists themselves are not watched.
    """
    return None if are_plain(outputs) else _Sealing(watches).seal(outputs)


def are_plain(outputs: tuple[list[Any], ...]) -> bool:
    """Whether outputs are plain values only, which nothing can change."""
    for slot in outputs:
        for value in slot:
            if not is_plain(value):
                return False
    return True


def seal_at_a_glance(outputs: tuple[list[Any], ...]) -> Seal | None:
    """Seal outputs that are plain values and tensors, of which large ones are not read before `complete`."""
    marks = [
        TensorMark(_path_to(number, index, slot), value, at_a_glance=True)
        for number, slot in enumerate(outputs)
        for index, value in enumerate(slot)
        if not is_plain(value)
    ]
    return Seal(marks) if marks else None


def _path_to(number: int, index: int, slot: list[Any]) -> Path:
    return (None, (number, index if len(slot) > 1 else None))


# Values of classes derived from these may have attributes besides.
_MARKED_IN_FULL = frozenset({torch.Tensor, np.ndarray, bytearray, dict, list, tuple, set})


def _is_marked_in_full(value: Any) -> bool:
    """Whether the mark of a value, and those of what it contains, leave nothing out that can change."""
    return is_of(value, _MARKED_IN_FULL) and not (type(value) is torch.Tensor and carries_more(value))


class _Sealing:
    """One walk over outputs and all that they hold."""

    def __init__(self, watches: Callable[[int], bool]) -> None:
        self._watches = watches
        self._stack: list[tuple[Path, bool, Any]] = []
        self._objects: list[tuple[Path, Any]] = []
        self._unknown: str | None = None

    def seal(self, outputs: tuple[list[Any], ...]) -> Seal | None:
        """Return the seal of all that can change."""
        for number, slot in enumerate(outputs):
            is_watched = self._watches(number)
            for index, value in enumerate(slot):
                self._stack.append((_path_to(number, index, slot), is_watched, value))
        marks = list(self._marks())
        if self._objects:
            mark = ObjectsMark(*zip(*self._objects, strict=True))
            self._unknown = self._unknown or mark.unknown
            marks += [mark] if mark.is_needed else []
        return Seal(marks, self._unknown) if marks or self._unknown else None

    def _marks(self) -> Iterator[Mark]:
        seen: set[int] = set()
        while self._stack:
            path, is_watched, value = self._stack.pop()
            if is_plain(value) or id(value) in seen or (type(value) is tuple and all_plain(value)):
                continue
            seen.add(id(value))
            try:
                kind = _mark_of(value)
                mark = None if kind in (None, ObjectsMark) else kind(path, value)
                held = _items(value)
            except KeyboardInterrupt:
                raise
            except BaseException:  # a foreign value may fail to be read in any way
                self._unknown = self._unknown or f"a value of class {class_name(value)} {place_of(path)}"
                continue
            if mark is not None:
                yield mark
            if is_watched and (kind is ObjectsMark or not _is_marked_in_full(value)):
                self._objects.append((path, value))
            elif kind is ObjectsMark:
                yield ObjectsMark([path], [value])
            self._stack += [((path, key), is_watched, item) for key, item in held]


def _mark_of(value: Any) -> Any:
    """Return the class of a value's mark; None for one that is an object, or holds nothing but others."""
    kind = type(value)  # what a value says of its class may be wrong
    if issubclass(kind, torch.Tensor):
        return TensorMark if is_dense(value) else ObjectsMark
    if issubclass(kind, np.ndarray):
        return ObjectsMark if value.dtype.hasobject else DataMark
    return next((mark for base, mark in _MARKS if issubclass(kind, base)), None)


_MARKS = ((bytearray, DataMark), (dict, KeysMark), (list, ItemsMark), (set, MembersMark))


def _items(value: Any) -> list[tuple[Any, Any]]:
    """Return what a container holds, with the key or index of each; keys and members of sets stand for themselves.

    What is plain may be left out.
    """
    base = container_of(value)
    if base is None:
        return []
    items: list[tuple[Any, Any]] = []
    if base is dict and not all_plain(dict.values(value)):
        items += dict.items(value)
    members = list(base.__iter__(value))
    if not all_plain(members):
        items += enumerate(members) if base in (list, tuple) else zip(members, members, strict=True)
    return items
