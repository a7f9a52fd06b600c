"""Prompts as JSON text, for files and pictures alike: what is written reads back equal, and any JSON reader takes it.

JSON has no NaN, no infinities and no tuples. These numbers are written as the texts "NaN", "Infinity" and "-Infinity",
which a FLOAT input takes, and tuples as lists. So that they come back as what they were, whatever input they are for,
the node's key `_types` has the path to each:

    {"class_type": "A", "inputs": {"x": "NaN", "n": 1}, "_types": {"float": [["inputs", "x"]]}}

A file refuses what JSON cannot hold. A picture, whose saving must not fail for it, has a text in its place, and
"object" in `_types` has the path: the input is left out where the picture is read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from comfy_nb.errors import PromptError
from comfy_nb.graph.link import is_link, unwrap_constant, wrap_constant
from comfy_nb.spec.attributes import items_of
from comfy_nb.wording import class_name, describe_error, short, title_in

TYPES = "_types"
RECORDS = frozenset({"is_changed", "fresh"})  # what a run noted on a node; it says nothing about the next
MAX_NESTING = 100
MOST_REPEATED = 10_000
MOST_CONTAINERS = 1_000_000
LONGEST_INT_BITS = 2_000  # below this, no setting of Python's refuses to print it
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

Path = tuple[str | int, ...]


def prompt_text(
    nodes: Mapping[str, Mapping[str, Any]], indent: int | None = None, extra_data: Mapping[str, Any] | None = None
) -> str:
    """Return a prompt as JSON text, wrapped as a client posts it if there is `extra_data`.

    Raises PromptError naming node and input for what JSON cannot hold.
    """
    plain = {}
    for node_id, node in nodes.items():
        encoder = _Encoder()
        plain[node_id] = encoder.node(node)
        for path, value, reason in encoder.odd:
            raise PromptError(_refusal(node_id, node, path, value, reason))
    whole = {"prompt": plain, "extra_data": _extra(extra_data)} if extra_data else plain
    return json.dumps(whole, indent=indent, ensure_ascii=False, allow_nan=False)


def _extra(extra_data: Mapping[str, Any]) -> Any:
    encoder = _Encoder()
    plain = encoder.any_value(extra_data)
    for path, value, reason in encoder.odd:
        where = ".".join(["extra_data", *map(str, path)])
        raise PromptError(f"The prompt cannot be written as JSON: {where} holds {short(value)} ({reason}).")
    return plain


def picture_text(value: Any, *, is_prompt: bool = False) -> str:
    """Return a prompt, or what else a picture carries, as JSON text; what JSON cannot hold is named in its place."""
    if is_prompt and isinstance(value, Mapping):
        plain: Any = {str(node_id): _Encoder(wraps_lists=True).node(node) for node_id, node in value.items()}
    else:
        plain = _Encoder().any_value(value)
    return json.dumps(plain, allow_nan=False)


def name_not_finite(value: float) -> str:
    """Return the text that stands for NaN or an infinity in JSON."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def restored(node: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a node of a prompt with its constants as they were, and the names of the inputs that could not be kept."""
    types = node[TYPES]
    node = {name: value for name, value in node.items() if name != TYPES}
    for path in _paths(types, "float"):
        node = _replaced(node, path, lambda text: NOT_FINITE.get(text, text) if isinstance(text, str) else text)
    for path in sorted(_paths(types, "tuple"), key=len, reverse=True):  # what is inside comes first
        node = _replaced(node, path, _as_tuple)
    lost = {str(path[1]) for path in _paths(types, "object") if len(path) > 1 and path[0] == "inputs"}
    inputs = node.get("inputs")
    if isinstance(inputs, dict):
        node["inputs"] = {name: value for name, value in inputs.items() if name not in lost}
    return node, sorted(lost)


class _Encoder:
    """Turns the values of one node into JSON's; collects the paths of those that JSON has no type for.

    The prompt of a run has lists as its nodes get them, `wraps_lists` writes them as a prompt that is loaded has them.
    """

    def __init__(self, *, wraps_lists: bool = False) -> None:
        self.wraps_lists = wraps_lists
        self.types: dict[str, list[list[str | int]]] = {}
        self.odd: list[tuple[Path, Any, str]] = []
        self._above: set[int] = set()
        self._written: set[int] = set()
        self._repeated = self._containers = 0

    def node(self, node: Any) -> Any:
        """Return a node, with the types of its constants."""
        if not isinstance(node, Mapping):
            return self.value(node)
        plain = {}
        for name, value in node.items():
            if name == "inputs" and isinstance(value, Mapping):
                plain[name] = {str(key): self._any_input(each, ("inputs", str(key))) for key, each in value.items()}
            elif name not in RECORDS and name != TYPES:
                plain[str(name)] = self.any_value(value, (str(name),))
        return {**plain, TYPES: self.types} if self.types else plain

    def _any_input(self, value: Any, path: Path) -> Any:
        return self._guarded(self._input, value, path)

    def any_value(self, value: Any, path: Path = ()) -> Any:
        """Return any value as JSON has it, or named in its place where its own code raises."""
        return self._guarded(self.value, value, path)

    def _guarded(self, write: Callable[[Any, Path], Any], value: Any, path: Path) -> Any:
        try:
            return write(value, path)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a mapping of somebody else's class may raise anything, an exit too
            return self._odd(path, value, f"reading it raised {describe_error(error)}")

    def _input(self, value: Any, path: Path) -> Any:
        kind = type(value)
        if issubclass(kind, tuple):
            self._note("tuple", path)
        elif not self.wraps_lists or not issubclass(kind, list) or is_link(value):
            return self.value(value, path)
        return wrap_constant(
            [self.value(each, (*path, "__value__", place)) for place, each in enumerate(items_of(value))]
        )

    def value(self, value: Any, path: Path = ()) -> Any:
        """Return any value as JSON has it; one of a class derived from a built-in one as what it is to that."""
        kind = type(value)
        if value is None or kind is bool:
            return value
        if issubclass(kind, str):
            text = str.__str__(value)
            return self._odd(path, value, "it has surrogates in pairs") if SURROGATE_PAIR.search(text) else text
        if issubclass(kind, int):
            return self._whole(int.__index__(value), path)
        if issubclass(kind, float):
            return self._float(float.__float__(value), path)
        if issubclass(kind, np.bool_ | np.integer | np.floating) and not issubclass(kind, np.longdouble):
            return self.value(value.item(), path)
        if issubclass(kind, Mapping | list | tuple):
            return self._container(value, path)
        return self._odd(path, value, f"its type is {class_name(value)}")

    def _whole(self, value: int, path: Path) -> Any:
        if value.bit_length() > LONGEST_INT_BITS:
            try:
                int.__repr__(value)
            except ValueError as error:
                return self._odd(path, value, str(error))
        return value

    def _float(self, value: float, path: Path) -> Any:
        if math.isfinite(value):
            return value
        self._note("float", path)
        return name_not_finite(value)

    def _container(self, value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], path: Path) -> Any:
        if id(value) in self._above:
            return self._odd(path, value, "it contains itself")
        if len(self._above) == MAX_NESTING:
            return self._odd(path, value, f"it is nested in more than {MAX_NESTING} others")
        self._containers += 1
        if self._containers > MOST_CONTAINERS:
            return self._odd(path, value, "there is no end to what it holds")
        if id(value) in self._written:
            self._repeated += 1
            if self._repeated > MOST_REPEATED:
                return self._odd(path, value, "it holds one thing in too many places")
        self._written.add(id(value))
        self._above.add(id(value))
        try:
            if issubclass(type(value), Mapping):
                return self._mapping(value, path)
            if issubclass(type(value), tuple):
                self._note("tuple", path)
            return [self.value(each, (*path, place)) for place, each in enumerate(items_of(value))]
        finally:
            self._above.discard(id(value))

    def _mapping(self, value: Any, path: Path) -> Any:
        items = list(dict.items(value) if issubclass(type(value), dict) else value.items())
        if not all(issubclass(type(key), str) for key, _ in items):
            return self._odd(path, value, "its keys are not all text")
        texts = [(str.__str__(key), each) for key, each in items]
        if any(SURROGATE_PAIR.search(key) for key, _ in texts):
            return self._odd(path, value, "it has surrogates in pairs")
        return {key: self.value(each, (*path, key)) for key, each in texts}

    def _note(self, kind: str, path: Path) -> None:
        self.types.setdefault(kind, []).append(list(path))

    def _odd(self, path: Path, value: Any, reason: str) -> str:
        self.odd.append((path, value, reason))
        self._note("object", path)
        try:
            if issubclass(type(value), Tensor | np.ndarray) and not getattr(value, "is_nested", False):
                return f"<{class_name(value)} {value.dtype} {list(value.shape)}>"
            return f"<{type(value).__module__}.{class_name(value)}>"
        except KeyboardInterrupt:
            raise
        except BaseException:  # an array of somebody else's class may raise anything
            return f"<{class_name(value)}>"


def _paths(types: Any, kind: str) -> Iterator[Path]:
    """The paths of one kind in a node's `_types`, which a person may have edited."""
    found = types.get(kind) if isinstance(types, Mapping) else None
    for path in found if isinstance(found, list) else ():
        if isinstance(path, list) and path and all(isinstance(key, str | int) for key in path):
            yield tuple(path)


def _replaced(holder: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """Return a copy of a dict or list with the value at a path changed; itself where there is no such path."""
    if not path:
        return change(holder)
    key = path[0]
    if isinstance(holder, dict) and key in holder:
        return {**holder, key: _replaced(holder[key], path[1:], change)}
    if isinstance(holder, list) and isinstance(key, int) and 0 <= key < len(holder):
        return [*holder[:key], _replaced(holder[key], path[1:], change), *holder[key + 1 :]]
    return holder


def _as_tuple(value: Any) -> Any:
    inner = unwrap_constant(value)
    return tuple(inner) if isinstance(inner, list) else value


def _refusal(node_id: str, node: Mapping[str, Any], path: Path, value: Any, reason: str) -> str:
    title = title_in(node.get("_meta"))
    named = f"node {node_id!r} ({node.get('class_type')}{f', {title!r}' if title else ''})"
    if len(path) < 2 or path[0] != "inputs":
        return f"The prompt cannot be written as JSON: {path[0]!r} of {named} holds {short(value)} ({reason})."
    within = "" if len(path) == 2 else f" in {'.'.join(str(key) for key in path[2:])}"
    return (
        f"Input {path[1]!r} of {named} holds {short(value)}{within}, which JSON cannot hold ({reason}). Save it to a "
        "file and load that in the graph (LoadImage for a picture), or give a plain number, string, list or dict."
    )
