"""Any value as JSON can hold it, for events that leave the process.

Numbers that are not finite become None, as in JavaScript; integers of more than 64 bits become hexadecimal text. Bytes
become base64 text. Lists and dicts are kept in full, down to `DEPTH_MAX`; all else becomes a short text.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from comfy_nb.errors import NodeError, NodeErrors, Problem, ValidationError
from comfy_nb.wording import encodable, error_message, printable

DEPTH_MAX = 12
INT_BITS_MAX = 64


def as_json(value: Any, depth: int = DEPTH_MAX) -> Any:
    """Return a value made of None, booleans, finite numbers, texts, lists, and dicts with texts as keys."""
    if value is None or isinstance(value, bool):
        return value
    try:
        return _converted(value, depth)
    except Exception:  # an object of somebody else's class may raise anything
        return encodable(str(printable(value)))


def _converted(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return encodable(str.__str__(value))
    if isinstance(value, int):
        return int(value) if value.bit_length() <= INT_BITS_MAX else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64, np.void)):
        return as_json(value.item(), depth)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, BaseException):
        return error_record(value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        if depth == 0:
            return "…"
        if isinstance(value, Mapping):
            return {encodable(str(key)): as_json(item, depth - 1) for key, item in value.items()}
        return [as_json(item, depth - 1) for item in value]
    return encodable(str(printable(value)))


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
