"""Arrays and pandas tables as tensors and JSON, for files; those that would not come back as they were are refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from comfy_nb.spec.contents.tables import given_to

OWN_ATTRIBUTES = {"_mgr", "_item_cache", "_attrs", "_flags"}
TEXTS = ("object", "str")
Number = Callable[[torch.Tensor], int]
"""Notes a tensor and returns its number."""


class NotStorable(ValueError):
    """The message says what keeps a table or an array from being written."""


def is_table(value: object) -> bool:
    """Whether a value is a pandas table, of exactly that class; imports nothing."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and type(value) is getattr(pandas, "DataFrame", None)


def encode_array(array: np.ndarray[Any, Any], number: Number) -> list[Any]:
    """Return an array as JSON and a tensor that shares its memory; raises NotStorable."""
    dtype = array.dtype
    comes_back = dtype.isnative and dtype.metadata is None and np.dtype(dtype.str).char == dtype.char
    if dtype.kind not in "biufcmM" or not comes_back:
        raise NotStorable(f"it holds an array of {dtype}")
    if not array.flags.c_contiguous or not array.flags.writeable:
        raise NotStorable("it holds an array that is read-only or not in the order of its memory")
    try:
        tensor = torch.from_numpy(array.view(np.int64) if dtype.kind in "mM" else array)
    except TypeError:
        raise NotStorable(f"it holds an array of {dtype}") from None
    return [dtype.str, number(torch.view_as_real(tensor) if dtype.kind == "c" else tensor)]


def decode_array(written: list[Any], tensors: list[torch.Tensor]) -> np.ndarray[Any, Any]:
    """Return the array that `encode_array` wrote."""
    dtype, tensor = np.dtype(written[0]), tensors[written[1]]
    array: np.ndarray[Any, Any] = (torch.view_as_complex(tensor) if dtype.kind == "c" else tensor).numpy()
    return array.view(dtype)


def encode_table(table: Any, number: Number) -> dict[str, Any]:
    """Return a table of numbers, times and texts as JSON and tensors; raises NotStorable."""
    import pandas

    labels, index = list(table.columns), table.index
    has_notes = table.attrs or not vars(table).keys() <= OWN_ATTRIBUTES or given_to(index) or given_to(table.columns)
    if has_notes or not table.flags.allows_duplicate_labels:
        raise NotStorable("it holds a table with attributes or flags")
    if (
        type(table.columns) is not pandas.Index
        or not all(type(label) is str for label in labels)
        or len(set(labels)) < len(labels)
        or table.columns.names != [None]
    ):
        raise NotStorable("it holds a table whose columns are not named by one text each")
    if type(index) not in (pandas.RangeIndex, pandas.Index) or type(index.name) not in (str, type(None)):
        raise NotStorable(f"it holds a table with a {type(index).__name__}")
    is_range = type(index) is pandas.RangeIndex
    return {
        "labels": labels,
        "label_dtype": str(table.columns.dtype),
        "columns": [_encode_column(table[label], number) for label in labels],
        "index": [index.start, index.stop, index.step] if is_range else _encode_column(index, number),
        "is_range": is_range,
        "name": index.name,
    }


def decode_table(written: dict[str, Any], tensors: list[torch.Tensor]) -> Any:
    """Return the table that `encode_table` wrote."""
    import pandas

    name, held = written["name"], written["index"]
    index = (
        pandas.RangeIndex(*held, name=name)
        if written["is_range"]
        else pandas.Index(_decode(held, tensors), held[0], name=name)
    )
    columns = [pandas.Series(_decode(each, tensors), index, each[0]) for each in written["columns"]]
    table = pandas.DataFrame(dict(enumerate(columns)), index=index)
    table.columns = pandas.Index(written["labels"], dtype=written["label_dtype"])
    return table


def _encode_column(column: Any, number: Number) -> list[Any]:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
        return encode_array(np.array(column), number)
    name = str(column.dtype)
    if name not in TEXTS:
        raise NotStorable(f"it holds a table with a column of {name}")
    missing = float if name == "str" else type(None)  # a `str` column has NaN for what it lacks
    texts = [None if type(each) is missing else each for each in column]
    if not all(type(each) in (str, type(None)) for each in texts):
        raise NotStorable(f"it holds a table with a column of {name} that are not texts")
    return [name, texts]


def _decode(column: list[Any], tensors: list[torch.Tensor]) -> Any:
    return column[1] if column[0] in TEXTS else decode_array(column, tensors)
