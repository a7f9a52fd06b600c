"""Any value as JSON can hold it, for events that leave the process.

Numbers that are not finite become None, as in JavaScript; integers of more than 64 bits become hexadecimal text. Bytes
become base64 text. Lists and dicts are kept in full, down to `DEPTH_MAX`, but for what is met again and again; all else
becomes a short text.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from comfy_nb.errors import NodeError, NodeErrors, Problem, ValidationError
from comfy_nb.spec.attributes import container_of
from comfy_nb.wording import encodable, error_message, printable

DEPTH_MAX = 12
REPEATED_MAX = 10_000
INT_BITS_MAX = 64


def as_json(value: Any, depth: int = DEPTH_MAX) -> Any:
    """Return a value made of None, booleans, finite numbers, texts, lists, and dicts with texts as keys."""
    return _Conversion().convert(value, depth)


class _Conversion:
    """One walk over a value and all that it holds."""

    def __init__(self) -> None:
        self._met: set[int] = set()
        self._repeated = 0

    def convert(self, value: Any, depth: int) -> Any:
        if value is None or type(value) is bool:
            return value
        try:
            return self._converted(value, type(value), depth)
        except KeyboardInterrupt:
            raise
        except BaseException:  # an object of somebody else's class may raise anything, an exit too
            return encodable(str(printable(value)))

    def _converted(self, value: Any, kind: type, depth: int) -> Any:
        if issubclass(kind, str):
            return encodable(str.__str__(value))
        if issubclass(kind, int):
            number = int.__index__(value)
            return number if number.bit_length() <= INT_BITS_MAX else hex(number)
        if issubclass(kind, float):
            return float.__float__(value) if math.isfinite(float.__float__(value)) else None
        if issubclass(kind, np.generic) and not issubclass(kind, (np.datetime64, np.timedelta64, np.void)):
            return self.convert(value.item(), depth)
        if issubclass(kind, (bytes, bytearray, memoryview)):
            return base64.b64encode(value).decode()
        if issubclass(kind, BaseException):
            return error_record(value)
        base: Any = Mapping if issubclass(kind, Mapping) else container_of(value)
        if base is None:
            return encodable(str(printable(value)))
        self._repeated += id(value) in self._met
        self._met.add(id(value))
        if depth == 0 or self._repeated > REPEATED_MAX:
            return "…"
        if base is Mapping:
            items = dict.items(value) if issubclass(kind, dict) else value.items()
            return {_key_text(key): self.convert(item, depth - 1) for key, item in items}
        return [self.convert(item, depth - 1) for item in base.__iter__(value)]


def _key_text(key: Any) -> str:
    return encodable(str.__str__(key) if issubclass(type(key), str) else str(key))


def error_record(error: BaseException) -> dict[str, Any]:
    """Return an error's `type` and `message`, and for errors of nodes and graphs which nodes they are about."""
    name = type(error).__name__
    record: dict[str, Any] = {"type": name, "message": encodable(error_message(error) or "(no message)")}
    if isinstance(error, NodeError):
        names = ("node_id", "class_type", "title", "real_node_id", "inputs")
        record |= {name: as_json(getattr(error, name)) for name in names}
        record["traceback"] = as_json(error.node_traceback)
        record["cause"] = error_record(error.__cause__) if error.__cause__ is not None else None
    elif isinstance(error, NodeErrors):
        record["errors"] = [error_record(each) for each in error.exceptions]
    elif isinstance(error, ValidationError):
        record["problems"] = [_problem_record(problem) for problem in error.problems]
        record["node_errors"] = as_json(error.node_errors)
    return record


def _problem_record(problem: Problem) -> dict[str, Any]:
    names = ("type", "message", "details", "node_id", "class_type", "title", "advice")
    return {name: as_json(getattr(problem, name)) for name in names}
