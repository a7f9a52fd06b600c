"""Trees of tensors, arrays, tables and JSON values, written as text beside a list of tensors, and read back.

Leaves that JSON keeps exactly stand for themselves; all else is an object with one key that names its kind. Only exact
classes are accepted, so that a tree reads back as it was.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import torch

from comfy_nb.engine.cache.tables import (
    NotStorable,
    decode_array,
    decode_table,
    encode_array,
    encode_table,
    is_table,
)

DEEPEST = 100
MOST_REPEATED = 10_000
NO_TENSOR = -1
_REPEATED = -1  # no id is negative
# Beyond this, JSON readers elsewhere lose digits, and Python refuses to write very long integers in decimal.
_JSON_INT_BITS = 53
_JSON_LEAVES = frozenset({str, bool, float, type(None)})


class NotATree(ValueError):
    """The value holds something that cannot be written; the message names it."""


def flatten(value: Any) -> tuple[str, list[torch.Tensor]]:
    """Return a tree as JSON text and the tensors that the text refers to by number.

    Raises `NotATree`.
    """
    tensors: list[torch.Tensor] = []
    return json.dumps(_encode(value, tensors, {}, 0), separators=(",", ":")), tensors


def unflatten(text: str, tensors: list[torch.Tensor]) -> Any:
    """Rebuild a tree from what `flatten` returned."""
    return _decode(json.loads(text), tensors)


def why_no_tree(value: Any) -> str | None:
    """Return what keeps a value from being flattened ("it holds a value of class PIL.Image.Image"), or None."""
    try:
        _encode(value, [], {}, 0)
    except NotATree as error:
        return str(error)
    return None


def _encode(value: Any, tensors: list[torch.Tensor], known: dict[int, int], depth: int) -> Any:
    kind = type(value)
    if kind is float and value != value:  # whose bits JSON would lose
        return {"float": struct.pack(">d", value).hex()}
    if kind in _JSON_LEAVES:
        return value
    if kind is int:
        return value if value.bit_length() <= _JSON_INT_BITS else {"int": hex(value)}
    if issubclass(type(value), torch.Tensor):
        return _encode_tensor(value, tensors, known)
    if kind is np.ndarray or is_table(value):
        return _encode_numbers(value, tensors, known)
    if depth >= DEEPEST:
        raise NotATree(f"it is nested more than {DEEPEST} deep")
    if kind is list or kind is dict:
        if id(value) in known:
            raise NotATree(f"it holds one {kind.__name__} in two places, and would come back with two")
        known[id(value)] = NO_TENSOR
    if kind is tuple and value:
        _count_repeated(value, known)
    if kind is list or kind is tuple:
        return {kind.__name__: [_encode(item, tensors, known, depth + 1) for item in value]}
    if kind is dict:
        pairs = (pair for item in value.items() for pair in item)
        return {"dict": [_encode(item, tensors, known, depth + 1) for item in pairs]}
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise NotATree(f"it holds a value of class {name}")


def _count_repeated(value: tuple[Any, ...], known: dict[int, int]) -> None:
    """Refuse tuples that hold the same ones so often that to write them all would take for ever."""
    if id(value) in known:
        known[_REPEATED] = known.get(_REPEATED, 0) + len(value)
        if known[_REPEATED] > MOST_REPEATED:
            raise NotATree("it holds one tuple in too many places")
    known[id(value)] = NO_TENSOR


def _encode_tensor(value: torch.Tensor, tensors: list[torch.Tensor], known: dict[int, int]) -> Any:
    if type(value) is not torch.Tensor:
        raise NotATree(f"it holds a {type(value).__qualname__}, a subclass of Tensor")
    if value.layout is not torch.strided or value.is_quantized:
        raise NotATree("it holds a sparse or quantised tensor")
    if value.device.type != "cpu":
        raise NotATree(f"it holds a tensor on {value.device}")
    if value.requires_grad:
        raise NotATree("it holds a tensor that carries gradients")
    if value.__dict__ or value.grad is not None or value.is_inference() or value.is_conj() or value.is_neg():
        raise NotATree("it holds a tensor with attributes, with a gradient, or made under a mode of torch")
    tag = "complex" if value.is_complex() else "tensor"
    if id(value) not in known:
        known[id(value)] = len(tensors)
        tensors.append(torch.view_as_real(value.resolve_conj().resolve_neg()) if value.is_complex() else value)
    return {tag: known[id(value)]}


def _encode_numbers(value: Any, tensors: list[torch.Tensor], known: dict[int, int]) -> Any:
    """Write an array or a table; one that is held in two places would come back as two."""
    if id(value) in known:
        raise NotATree(f"it holds one {type(value).__name__} in two places, and would come back with two")
    known[id(value)] = NO_TENSOR

    def number(tensor: torch.Tensor) -> int:
        tensors.append(tensor)
        return len(tensors) - 1

    try:
        if is_table(value):
            return {"table": encode_table(value, number)}
        return {"array": encode_array(value, number)}
    except NotStorable as error:
        raise NotATree(str(error)) from None
    except Exception as error:  # what is in a table may fail in any way
        raise NotATree(f"it holds a {type(value).__name__} that cannot be read ({type(error).__name__})") from error


def _decode(node: Any, tensors: list[torch.Tensor]) -> Any:
    if not isinstance(node, dict):
        return node
    ((tag, body),) = node.items()
    if tag == "tensor":
        return tensors[body]
    if tag == "complex":
        return torch.view_as_complex(tensors[body])
    if tag == "int":
        return int(body, 16)
    if tag == "float":
        return struct.unpack(">d", bytes.fromhex(body))[0]
    if tag == "array":
        return decode_array(body, tensors)
    if tag == "table":
        return decode_table(body, tensors)
    items = [_decode(item, tensors) for item in body]
    if tag == "list":
        return items
    if tag == "tuple":
        return tuple(items)
    if tag == "dict":
        return dict(zip(items[::2], items[1::2], strict=True))
    raise ValueError(f"unknown tag {tag!r}")
